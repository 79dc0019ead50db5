"""Freezes as rows: what is open, what each run was told, and the one place that opens and ends them.

A freeze and the start of a call are put in order by the database. SQLite has one writer. On PostgreSQL a batch that
starts something holds a lock in common with others while it looks and commits (`open_freezes()` of the migrations), and
a freeze holds the same lock alone: once it is committed, whatever starts later has seen it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import and_, insert, or_, select, text, update

from core.record.changes import Refusal
from core.record.freezes import FreezeChange, FreezeRow, Frozen
from core.record.states import TERMINAL, CallStatus
from core.store.session import Database, uninterrupted
from core.store.statements import complete
from core.store.tables import events, freezes, outbox, runs, tool_calls

STARTS_LOCK = 1718773093
"""The advisory lock of `open_freezes()`."""

MOST_ENDED = 200
_NOTES = ("run-frozen", "run-thawed")
_OPEN_RUN = runs.c.state.not_in([str(state) for state in TERMINAL])


async def open_ones(database: Database, tenant: str) -> list[FreezeRow]:
    """Every open freeze, the earliest first."""
    statement = select(freezes).where(freezes.c.tenant == tenant, freezes.c.thawed_at.is_(None))
    async with database.read() as connection:
        found = (await connection.execute(statement.order_by(freezes.c.frozen_at, freezes.c.id))).mappings()
        return [FreezeRow(**row) for row in found]


async def listed(database: Database, tenant: str, *, limit: int = MOST_ENDED) -> list[FreezeRow]:
    """Open and ended freezes, the newest first."""
    statement = select(freezes).where(freezes.c.tenant == tenant)
    newest = statement.order_by(freezes.c.frozen_at.desc(), freezes.c.id.desc()).limit(limit)
    async with database.read() as connection:
        return [FreezeRow(**row) for row in (await connection.execute(newest)).mappings()]


async def find(database: Database, tenant: str, freeze_id: str) -> FreezeRow | None:
    """One freeze by its id."""
    statement = select(freezes).where(freezes.c.tenant == tenant, freezes.c.id == freeze_id)
    async with database.read() as connection:
        row = (await connection.execute(statement)).mappings().one_or_none()
    return None if row is None else FreezeRow(**row)


@uninterrupted
async def decide(
    database: Database, tenant: str, what: Frozen, command: Callable[[FreezeRow | None], FreezeChange | Refusal]
) -> FreezeChange | Refusal:
    """Evaluate a command on the open freeze of exactly that scope, if there is one, and commit what it wants.

    When this returns, nothing that the freeze covers can start any more.
    """
    here = and_(freezes.c.tenant == tenant, freezes.c.scope == what.scope.value, freezes.c.scope_id == what.id)
    async with database.begin() as connection:
        if database.dialect != "sqlite":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": STARTS_LOCK})
        found = await connection.execute(select(freezes).where(here, freezes.c.thawed_at.is_(None)))
        row = found.mappings().one_or_none()
        decided = command(None if row is None else FreezeRow(**row))
        if isinstance(decided, Refusal):
            return decided
        values = {name: getattr(decided.freeze, name) for name in decided.freeze.__dataclass_fields__}
        if row is None:
            await connection.execute(insert(freezes).values(values))
        else:
            same = and_(freezes.c.tenant == tenant, freezes.c.id == decided.freeze.id)
            await connection.execute(update(freezes).where(same).values(values))
        for said in decided.says:
            await connection.execute(insert(outbox).values(complete("outbox", said.values)))
        return decided


@dataclass(frozen=True)
class Touched:
    """An open run beside the freezes of its time, and what its log already says of them."""

    tenant: str
    id: str
    root_id: str
    parent_id: str | None
    agent: str
    channel: str | None
    team: str | None
    state: str
    version: int
    blocked_reason: str | None
    blocked_detail: str | None
    created_at: int
    tools: frozenset[str] = frozenset()
    """Of its open calls."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """By freeze id: `frozen`, `held` (the run was brought to a standstill by it) or `thawed`."""


_RUN_COLUMNS = (
    "tenant", "id", "root_id", "parent_id", "agent", "channel", "team", "state", "version", "blocked_reason",
    "blocked_detail", "created_at",
)  # fmt: skip


async def of_open_runs(database: Database) -> list[FreezeRow]:
    """Freezes that an open run may have to be told of: those that are open, or were thawed while it existed."""
    oldest = select(runs.c.created_at).where(_OPEN_RUN).order_by(runs.c.created_at).limit(1).scalar_subquery()
    statement = select(freezes).where(or_(freezes.c.thawed_at.is_(None), freezes.c.thawed_at >= oldest))
    async with database.read() as connection:
        return [FreezeRow(**row) for row in (await connection.execute(statement)).mappings()]


async def open_runs(database: Database, tenant: str, run_id: str | None = None) -> list[Touched]:
    """Every open run (or one of them), with what it has open and what it was told."""
    wanted = [runs.c.tenant == tenant, _OPEN_RUN, *([] if run_id is None else [runs.c.id == run_id])]
    chosen = select(runs.c.id).where(*wanted)
    open_calls = select(tool_calls.c.run_id, tool_calls.c.tool).where(
        tool_calls.c.tenant == tenant,
        tool_calls.c.status.in_([CallStatus.INTENT.value, CallStatus.STARTED.value]),
        tool_calls.c.run_id.in_(chosen),
    )
    tools: dict[str, set[str]] = {}
    async with database.read() as connection:
        found = (await connection.execute(select(*(runs.c[name] for name in _RUN_COLUMNS)).where(*wanted))).all()
        for row in await connection.execute(open_calls):
            tools.setdefault(row.run_id, set()).add(row.tool)
    notes = await _notes(database, tenant, [row.id for row in found])
    return [
        Touched(**row._mapping, tools=frozenset(tools.get(row.id, ())), notes=notes.get(row.id, {})) for row in found
    ]


async def _notes(database: Database, tenant: str, run_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    statement = (
        select(events.c.stream, events.c.type, events.c.evidence)
        .where(events.c.tenant == tenant, events.c.stream.in_(run_ids), events.c.type.in_(_NOTES))
        .order_by(events.c.stream, events.c.seq)
    )
    notes: dict[str, dict[str, str]] = {}
    async with database.read() as connection:
        for row in await connection.execute(statement):
            for said in json.loads(row.evidence):
                word = "thawed" if row.type == "run-thawed" else "held" if "holds" in said else "frozen"
                notes.setdefault(row.stream, {})[said["freeze"]] = word
    return notes
