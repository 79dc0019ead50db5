"""Freezes as rows: what is open, what each run was told, and the one place that opens and ends them.

A freeze and the start of a call are put in order by the database. SQLite has one writer. On PostgreSQL a batch that
starts something holds a lock in common with others while it looks and commits (`open_freezes()` of the migrations), and
a freeze holds the same lock alone: once it is committed, whatever starts later has seen it.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, text, update

from core.record.changes import Refusal
from core.record.freezes import FreezeChange, FreezeRow, Frozen, Scope
from core.record.states import TERMINAL, BlockedReason, CallStatus
from core.store.session import Database, uninterrupted
from core.store.statements import complete
from core.store.tables import events, freezes, outbox, runs, tool_calls

STARTS_LOCK = 1718773093
"""The advisory lock of `open_freezes()`."""

MOST_ENDED = 200

PAGE = 500
"""Runs looked at in one go: what is read about them is asked for by their ids, and a statement takes only so many."""

APART_MS = 3_600_000
"""How far the clock of who thawed may be from that of who created a run, generously."""

_NOTES = ("run-frozen", "run-thawed")
# The first is what the index of open runs knows.
_OPEN_RUN = and_(runs.c.ended_at.is_(None), runs.c.state.not_in([str(state) for state in TERMINAL]))


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
    """An open run that a freeze may concern, and what its log already says of freezes."""

    tenant: str
    id: str
    root_id: str
    parent_id: str | None
    agent: str
    root_agent: str | None
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
    held_at: int | None = None
    """When it was last brought to a standstill."""


_RUN_COLUMNS = (
    "tenant", "id", "root_id", "parent_id", "agent", "root_agent", "channel", "team", "state", "version",
    "blocked_reason", "blocked_detail", "created_at",
)  # fmt: skip
_OPEN_CALL = tool_calls.c.status.in_([CallStatus.INTENT.value, CallStatus.STARTED.value])


async def known(database: Database, tenant: str, ended: Collection[str]) -> list[FreezeRow]:
    """The open freezes, and of those that have ended the named ones."""
    wanted = sorted(ended)
    found: dict[str, FreezeRow] = {}
    async with database.read() as connection:
        for start in range(0, max(1, len(wanted)), PAGE):
            either = or_(freezes.c.thawed_at.is_(None), freezes.c.id.in_(wanted[start : start + PAGE]))
            rows = (await connection.execute(select(freezes).where(freezes.c.tenant == tenant, either))).mappings()
            found |= {row["id"]: FreezeRow(**row) for row in rows}
    return sorted(found.values(), key=lambda each: (each.frozen_at, each.id))


async def since_open_runs(database: Database) -> int:
    """Since when freezes that were thawed may concern a run that is open now."""
    oldest = select(func.min(runs.c.created_at)).where(_OPEN_RUN)
    async with database.read() as connection:
        return ((await connection.execute(oldest)).scalar_one() or APART_MS) - APART_MS


async def concerned(database: Database, *, thawed_since: int) -> dict[str, list[str]]:
    """The open runs that a freeze may concern, by tenant.

    Those are the runs that stand still under one, whatever is known of freezes; those that an open one covers; and
    those that one covered that was thawed since then, for they may have been told of it and not of its end.
    """
    matters = or_(freezes.c.thawed_at.is_(None), freezes.c.thawed_at >= thawed_since)
    wanted: ColumnElement[bool] = runs.c.blocked_reason == BlockedReason.FROZEN.value
    async with database.read() as connection:
        # Most of the time none matters, and a few that do are not to be looked for in all there ever were.
        ids = list((await connection.execute(select(freezes.c.id).where(matters).limit(PAGE + 1))).scalars())
        if ids:
            these = freezes.c.id.in_(ids) if len(ids) <= PAGE else matters
            covering = select(freezes.c.id).where(freezes.c.tenant == runs.c.tenant, these, _concerns())
            wanted = or_(wanted, covering.correlate(runs).exists())
        statement = select(runs.c.tenant, runs.c.id).where(_OPEN_RUN, wanted).order_by(runs.c.tenant, runs.c.id)
        found: dict[str, list[str]] = {}
        for row in await connection.execute(statement):
            found.setdefault(row.tenant, []).append(row.id)
        return found


async def touched(database: Database, tenant: str, run_ids: Sequence[str]) -> list[Touched]:
    """Those of these runs that are open; at most `PAGE` of them."""
    open_calls = select(tool_calls.c.run_id, tool_calls.c.tool).where(
        tool_calls.c.tenant == tenant, tool_calls.c.run_id.in_(run_ids), _OPEN_CALL
    )
    said = (
        select(events.c.stream, events.c.at, events.c.type, events.c.evidence)
        .where(events.c.tenant == tenant, events.c.stream.in_(run_ids), events.c.type.in_(_NOTES))
        .order_by(events.c.stream, events.c.seq)
    )
    tools: dict[str, set[str]] = {}
    notes: dict[str, dict[str, str]] = {}
    held_at: dict[str, int] = {}
    async with database.read() as connection:
        # The runs first: what is written down after that comes with another version, and is looked at again.
        # They are found by their ids alone: before PostgreSQL has statistics, it would go through all that are open.
        statement = select(*(runs.c[name] for name in _RUN_COLUMNS)).where(
            runs.c.tenant == tenant, runs.c.id.in_(run_ids)
        )
        rows = (await connection.execute(statement.order_by(runs.c.id))).all()
        found = [row for row in rows if row.state not in TERMINAL]
        for call in await connection.execute(open_calls):
            tools.setdefault(call.run_id, set()).add(call.tool)
        for event in await connection.execute(said):
            for each in json.loads(event.evidence):
                word = "thawed" if event.type == "run-thawed" else "held" if "holds" in each else "frozen"
                notes.setdefault(event.stream, {})[each["freeze"]] = word
                if word == "held":
                    held_at[event.stream] = event.at
    return [
        Touched(
            **row._mapping,
            tools=frozenset(tools.get(row.id, ())),
            notes=notes.get(row.id, {}),
            held_at=held_at.get(row.id),
        )
        for row in found
    ]


def _concerns() -> ColumnElement[bool]:
    """Whether a freeze covers an open run, or did while it existed: of a tool, by any call it ever had."""
    existed = runs.c.created_at <= freezes.c.thawed_at + APART_MS
    return or_(
        and_(freezes.c.thawed_at.is_(None), _covers(_OPEN_CALL)), and_(existed, _covers(tool_calls.c.id.is_not(None)))
    )


def _covers(call: ColumnElement[bool]) -> ColumnElement[bool]:
    """`core.record.freezes.covers` on rows of `freezes` and `runs`.

    Args:
        call: Which calls of a run a freeze of their tool covers it by.
    """
    scope, scope_id = freezes.c.scope, freezes.c.scope_id
    mine = and_(tool_calls.c.tenant == runs.c.tenant, tool_calls.c.run_id == runs.c.id)
    of_tool = select(tool_calls.c.id).where(mine, tool_calls.c.tool == scope_id, call).correlate(runs, freezes)
    return or_(
        scope == Scope.EVERYTHING.value,
        and_(scope == Scope.RUN.value, scope_id.in_([runs.c.id, runs.c.parent_id, runs.c.root_id])),
        and_(scope == Scope.AGENT.value, scope_id.in_([runs.c.agent, runs.c.root_agent])),
        and_(scope == Scope.CHANNEL.value, scope_id == runs.c.channel),
        and_(scope == Scope.TEAM.value, scope_id == runs.c.team),
        and_(scope == Scope.TOOL.value, of_tool.exists()),
    )
