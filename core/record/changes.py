"""A write is a value: what a decision wants committed, and the answers it can get.

Domain functions return a `RunChange` or a `Refusal`; `core.store.journal` alone commits. A change carries sealed
events, so hashing happens outside the commit, and the guard that makes it safe: it lands only on exactly the version it
was computed from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.record.events import ChainHead, Event, EventDraft, seal
from core.record.rows import RunRow, Snapshot


@dataclass(frozen=True)
class Insert:
    """A new row; a row with the same unique key is kept or refreshed as `core.store` says for that table."""

    table: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Update:
    """New values for one row, named by its whole primary key."""

    table: str
    key: Mapping[str, Any]
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Hold:
    """Money taken out of a budget before it is spent, or given back afterwards."""

    scope: str
    """Whose budget: `run`, `tree`, `person`, `channel`, `team`."""
    scope_id: str
    period: str
    """The day or month it is for, in UTC; `-` = it has none."""
    cap_micro_usd: int
    amount_micro_usd: int
    """Negative gives back."""

    @property
    def budget_id(self) -> str:
        return f"{self.scope}:{self.scope_id}:{self.period}"


@dataclass(frozen=True)
class RunChange:
    """Everything of one run that must land together."""

    tenant: str
    run_id: str
    version: int
    """The version it was computed from; any other is stale. -1 creates the run."""
    fence: int
    """The fence it was computed under."""
    run: Mapping[str, Any]
    """Columns of the run row to set (the whole row when creating)."""
    events: tuple[Event, ...] = ()
    inserts: tuple[Insert, ...] = ()
    updates: tuple[Update, ...] = ()
    owner: str | None = None
    """The lease holder it claims to be; `None` for commands, which hold the row lock instead."""
    freezable: str | None = None
    """The tool of the call it starts, asks people about or lets lapse: none of that lands while a freeze covers it."""
    holds: tuple[Hold, ...] = ()
    """What it takes out of budgets or gives back: it lands only if every one of them has that much left."""

    @property
    def creates(self) -> bool:
        return self.version == -1


@dataclass(frozen=True)
class Landed:
    """It is durable."""

    version: int


@dataclass(frozen=True)
class Refused:
    """It was not written, and why.

    `stale`: something else changed the run since; read it again and decide anew. `fenced`: the lease went to another
    worker. `killed`: somebody stopped the run. `frozen`: it would start something that an open freeze covers.
    `duplicate`: a run with that source key exists (creation only). `missing`: no such run. `budget`: one of its
    budgets, `detail`, does not have that much left.
    """

    why: Literal["stale", "fenced", "killed", "frozen", "duplicate", "missing", "budget"]
    detail: str = ""


Answer = Landed | Refused


@dataclass(frozen=True)
class Refusal:
    """A command that may not be carried out: a sentence for the person, nothing was changed."""

    why: Literal["not-found", "not-allowed", "already", "ended", "invalid", "frozen"]
    text: str


@dataclass(frozen=True)
class Decided:
    """A command carried out: the changes to commit together and what to tell the person."""

    changes: tuple[RunChange, ...]
    text: str
    inserts: tuple[Insert, ...] = ()
    """Rows that belong to no run (the inbox row of a click)."""


def change(
    snapshot: Snapshot,
    drafts: tuple[EventDraft, ...],
    *,
    now_ms: int,
    run: Mapping[str, Any] | None = None,
    inserts: tuple[Insert, ...] = (),
    updates: tuple[Update, ...] = (),
    owner: str | None = None,
    freezable: str | None = None,
) -> RunChange:
    """Seal `drafts` onto the run's chain and describe the write; the run's columns follow its last transition."""
    row = snapshot.run
    columns = dict(run or {})
    fence = columns.get("fence", row.fence)
    events, head = seal(row.head, drafts, tenant=row.tenant, stream=row.id, fence=fence, at_ms=now_ms)
    columns |= head_columns(head) | {"updated_at": max(now_ms, row.updated_at)}
    moves = [draft.to_state for draft in drafts if draft.to_state is not None]
    if moves:
        columns["state"] = moves[-1].value
    return RunChange(row.tenant, row.id, row.version, row.fence, columns, events, inserts, updates, owner, freezable)


def creation(
    row: RunRow, drafts: tuple[EventDraft, ...], *, now_ms: int, inserts: tuple[Insert, ...] = ()
) -> RunChange:
    """Describe a new run; `row` gives everything but the state and the chain, which the drafts decide."""
    events, head = seal(ChainHead(), drafts, tenant=row.tenant, stream=row.id, fence=row.fence, at_ms=now_ms)
    columns = {name: getattr(row, name) for name in row.__dataclass_fields__}
    columns |= head_columns(head)
    columns["state"] = [draft.to_state for draft in drafts if draft.to_state is not None][-1].value
    return RunChange(row.tenant, row.id, -1, row.fence, columns, events, inserts)


def head_columns(head: ChainHead) -> dict[str, Any]:
    """The run columns that remember the end of its chain."""
    return {"event_seq": head.seq, "event_hash": head.hash, "event_at": head.at_ms}
