"""How the installation stands, for operators: does the database answer, and what waits in it.

Every question is answered from an index of what is open, so it costs what is open and not what ever was; what could
still grow is counted up to a bound.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import Column, ColumnElement, FromClause, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.clock import Clock
from core.metrics import Measured
from core.ops.health import OK, Check, Finding
from core.record.states import TERMINAL, BlockedReason, RunState
from core.store import schema, workers
from core.store.session import Database
from core.store.tables import approvals, inbox, late_results, outbox, runs

GAUGES = {
    "runs_open": "Runs that have not ended.",
    "runs_blocked": "Runs that wait for a person's remedy.",
    "approvals_pending": "Open questions to approvers.",
    "approvals_pending_oldest_age_seconds": "Age of the oldest open question to approvers.",
    "inbox_open": "Deliveries of Slack stored and not dealt with.",
    "inbox_open_oldest_age_seconds": "Age of the oldest delivery not dealt with.",
    "stops_unconfirmed": "Stops requested and not proved.",
    "stops_unconfirmed_oldest_age_seconds": "Age of the oldest stop not proved.",
    "outbox_open": "Things to say that are not said.",
    "outbox_lag_seconds": "For how long the oldest of them has been due.",
    "late_results_stored": "Results kept that were never applied.",
    "workers_alive": "Workers whose lease has not run out.",
}
"""What is measured, by name and sentence."""

_MOST = 100_000


def database_check(database: Database) -> Check:
    """A check that the database answers a query, has our schema, and is still the file it was at the start."""
    head = schema.head()
    opened = _identity(database.path)

    async def check() -> Finding:
        if _identity(database.path) != opened:
            # What is open goes on answering when its file is moved away, and everything written there is lost.
            return Finding("failed", "the SQLite file is gone, or another one")
        found = await schema.current(database)
        return OK if found == head else Finding("failed", "its schema is not the one of this version")

    return check


def _identity(path: Path | None) -> tuple[int, int] | None:
    try:
        found = None if path is None else path.stat()
    except OSError:
        return 0, 0
    return None if found is None else (found.st_dev, found.st_ino)


async def measures(database: Database, clock: Clock, *, boot_id: str) -> Sequence[Measured]:
    """Everything of `GAUGES`, read now."""
    now_ms = clock.wall_ms()
    asked, stored, killed = approvals.c.asked_at, inbox.c.received_at, runs.c.killed_at
    async with database.read() as connection:
        states, reasons = await _open_runs(connection)
        found = [_gauge("runs_open", states, label="state"), _gauge("runs_blocked", reasons, label="reason")]
        found += await _queue(connection, now_ms, "approvals_pending", asked, approvals.c.status == "pending")
        found += await _queue(connection, now_ms, "inbox_open", stored, inbox.c.processed_at.is_(None))
        unproved = (killed.is_not(None), runs.c.stop_confirmed_at.is_(None))
        found += await _queue(connection, now_ms, "stops_unconfirmed", killed, *unproved)
        found += await _outbox(connection, now_ms)
        late = await _number(connection, late_results)
    alive = await workers.alive(database, boot_ms=clock.boot_ms(), boot_id=boot_id)
    return [*found, _gauge("late_results_stored", {"": late}), _gauge("workers_alive", {"": len(alive)})]


def _gauge(name: str, values: Mapping[str, float], *, label: str = "") -> Measured:
    return Measured(name, GAUGES[name], values, label)


async def _open_runs(connection: AsyncConnection) -> tuple[Mapping[str, float], Mapping[str, float]]:
    states = {str(state): 0.0 for state in RunState if state not in TERMINAL}
    reasons = {str(reason): 0.0 for reason in BlockedReason}
    statement = (
        select(runs.c.state, runs.c.blocked_reason, func.count())
        .where(runs.c.ended_at.is_(None))
        .group_by(runs.c.state, runs.c.blocked_reason)
    )
    for state, reason, number in await connection.execute(statement):
        states[state] = states.get(state, 0.0) + number
        if reason is not None:
            reasons[reason] = reasons.get(reason, 0.0) + number
    return states, reasons


async def _outbox(connection: AsyncConnection, now_ms: int) -> list[Measured]:
    is_open = (outbox.c.sent_at.is_(None), outbox.c.dead_at.is_(None))
    due_at = (await connection.execute(select(func.min(outbox.c.due_at)).where(*is_open))).scalar_one()
    number = await _number(connection, outbox, *is_open)
    return [_gauge("outbox_open", {"": number}), _gauge("outbox_lag_seconds", {"": _age_s(due_at, now_ms)})]


async def _queue(
    connection: AsyncConnection, now_ms: int, name: str, since: Column[int], *conditions: ColumnElement[bool]
) -> list[Measured]:
    """How many rows wait, and for how long the oldest of them has."""
    oldest = (await connection.execute(select(func.min(since)).where(*conditions))).scalar_one()
    number = await _number(connection, since.table, *conditions)
    return [_gauge(name, {"": number}), _gauge(f"{name}_oldest_age_seconds", {"": _age_s(oldest, now_ms)})]


async def _number(connection: AsyncConnection, table: FromClause, *conditions: ColumnElement[bool]) -> float:
    some = select(literal(1)).select_from(table).where(*conditions).limit(_MOST)
    return float((await connection.execute(select(func.count()).select_from(some.subquery()))).scalar_one())


def _age_s(since_ms: int | None, now_ms: int) -> float:
    return 0.0 if since_ms is None else max(now_ms - since_ms, 0) / 1000
