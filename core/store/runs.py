"""Reading runs: snapshots, lists, logs; what people see of them is `core.runs.reading`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, case, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.record.rows import UNSURE, ArtifactRow, RunRow, Snapshot, StopReportRow
from core.record.states import DRIVEN, DUE_NOW, LONGEST_PAUSE_MS, TERMINAL, CallStatus, RunState
from core.store.session import Database
from core.store.snapshots import CHILDREN, snapshots_of
from core.store.tables import (
    artifacts,
    call_attempts,
    events,
    late_results,
    metadata,
    runs,
    stop_reports,
    tool_calls,
)

MAX_LIST = 200


async def snapshot(database: Database, tenant: str, run_id: str) -> Snapshot | None:
    """The run with everything a decision looks at."""
    async with database.read() as connection:
        return await _snapshot(connection, tenant, run_id)


async def _snapshot(connection: AsyncConnection, tenant: str, run_id: str) -> Snapshot | None:
    found = await connection.execute(select(runs).where(runs.c.tenant == tenant, runs.c.id == run_id))
    rows = found.mappings().all()
    children: dict[str, Sequence[Any]] = {}
    for name in CHILDREN:
        table = metadata.tables[name]
        children[name] = (await connection.execute(_of_run(table, tenant, run_id))).mappings().all()
    return next(iter(snapshots_of(rows, children)), None)


def _of_run(table: Table, tenant: str, run_id: str) -> Any:
    return select(table).where(table.c.tenant == tenant, table.c.run_id == run_id)


async def resolve(database: Database, tenant: str, text: str) -> list[str]:
    """Ids of the runs a person may mean: the whole id, or its last characters (at least 4). At most 5."""
    text = text.strip().lower()
    if len(text) < 4 or not text.replace("_", "").isalnum():
        return []
    literal = text.replace("_", "\\_")
    pattern = literal if text.startswith("run_") else f"%{literal}"
    statement = select(runs.c.id).where(runs.c.tenant == tenant, runs.c.id.like(pattern, escape="\\"))
    async with database.read() as connection:
        return list((await connection.execute(statement.order_by(runs.c.created_at.desc()).limit(5))).scalars())


async def find_by_source(database: Database, tenant: str, source_key: str) -> Snapshot | None:
    """The run a message or idempotency key started, if it did."""
    async with database.read() as connection:
        statement = select(runs.c.id).where(runs.c.tenant == tenant, runs.c.source_key == source_key)
        run_id = (await connection.execute(statement)).scalar_one_or_none()
        return None if run_id is None else await _snapshot(connection, tenant, run_id)


async def listed(
    database: Database,
    tenant: str,
    *,
    state: RunState | None = None,
    requester: str | None = None,
    agent: str | None = None,
    channel: str | None = None,
    thread_ts: str | None = None,
    open_only: bool = False,
    limit: int = 50,
) -> list[RunRow]:
    """Runs by what is asked of them, newest first, at most `MAX_LIST`."""
    statement = select(runs).where(runs.c.tenant == tenant)
    asked = {"state": state, "requester": requester, "agent": agent, "channel": channel, "thread_ts": thread_ts}
    for name, value in asked.items():
        if value is not None:
            statement = statement.where(runs.c[name] == value)
    if open_only:
        statement = statement.where(runs.c.state.not_in([str(ended) for ended in TERMINAL]))
    statement = statement.order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(min(limit, MAX_LIST))
    async with database.read() as connection:
        return [RunRow(**row) for row in (await connection.execute(statement)).mappings()]


async def channels(database: Database, tenant: str) -> list[str]:
    """Ids of the channels anything was ever asked for in."""
    statement = select(runs.c.channel).where(runs.c.tenant == tenant, runs.c.channel.is_not(None)).distinct()
    async with database.read() as connection:
        return list((await connection.execute(statement.order_by(runs.c.channel))).scalars())


@dataclass(frozen=True)
class Late:
    """A result that came after its attempt had lost the run."""

    call_id: str
    status: str
    at: int
    fence: int
    error: str | None


@dataclass(frozen=True)
class Traces:
    """What hosts have seen of a stopped run."""

    reports: tuple[StopReportRow, ...]
    boots: Mapping[str, tuple[str | None, ...]]
    """Every host that ever started a call of it, and in which boots."""
    late: tuple[Late, ...]
    """Oldest first."""


async def traces(database: Database, tenant: str, run_id: str) -> Traces:
    """Everything about a run that was written down by hosts rather than decided."""
    async with database.read() as connection:
        reports = (await connection.execute(_of_run(stop_reports, tenant, run_id))).mappings().all()
        attempts = await connection.execute(_of_run(call_attempts, tenant, run_id))
        boots: dict[str, tuple[str | None, ...]] = {}
        for row in sorted(attempts, key=lambda row: (row.host or "", row.n)):
            if row.host is not None:
                boots[row.host] = (*boots.get(row.host, ()), row.boot_id)
    late = await late_of(database, tenant, run_id)
    return Traces(tuple(StopReportRow(**row) for row in reports), boots, late)


async def late_of(database: Database, tenant: str, run_id: str) -> tuple[Late, ...]:
    """Results that came after their attempts had lost the run, the oldest first."""
    statement = _of_run(late_results, tenant, run_id).order_by(late_results.c.at, late_results.c.id)
    async with database.read() as connection:
        found = (await connection.execute(statement)).all()
    return tuple(Late(row.call_id, row.status, row.at, row.fence, row.error) for row in found)


async def event_rows(database: Database, tenant: str, stream: str) -> Sequence[Any]:
    """A stream's events in order: rows of `events`."""
    statement = select(events).where(events.c.tenant == tenant, events.c.stream == stream).order_by(events.c.seq)
    async with database.read() as connection:
        return (await connection.execute(statement)).mappings().all()


async def artifact(database: Database, tenant: str, artifact_id: str) -> ArtifactRow | None:
    """One stored file of the tenant."""
    statement = select(artifacts).where(artifacts.c.tenant == tenant, artifacts.c.id == artifact_id)
    async with database.read() as connection:
        row = (await connection.execute(statement)).mappings().one_or_none()
    return None if row is None else ArtifactRow(**row)


async def tree(database: Database, tenant: str, root_id: str) -> list[Snapshot]:
    """A run and everything below it, each as a decision looks at it, by id."""
    statement = select(runs).where(runs.c.tenant == tenant, runs.c.root_id == root_id).order_by(runs.c.id)
    async with database.read() as connection:
        rows = (await connection.execute(statement)).mappings().all()
        children: dict[str, Sequence[Any]] = {}
        for name in CHILDREN:
            table = metadata.tables[name]
            found = select(table).where(table.c.tenant == tenant, table.c.run_id.in_([row["id"] for row in rows]))
            children[name] = (await connection.execute(found)).mappings().all()
    return snapshots_of(rows, children)


async def tree_cost(database: Database, tenant: str, root_id: str) -> int | None:
    """What a run cost with everything below it, in micro-USD; `None` if there is nothing below it."""
    statement = select(runs.c.cost_micro_usd).where(runs.c.tenant == tenant, runs.c.root_id == root_id)
    async with database.read() as connection:
        costs = list((await connection.execute(statement)).scalars())
    return sum(costs) if len(costs) > 1 else None


async def ended_rollbacks(database: Database, *, limit: int) -> list[tuple[str, str]]:
    """`(tenant, run id)` of rollbacks that have ended while their run still waits for them."""
    child = runs.alias("child")
    statement = (
        select(child.c.tenant, child.c.id)
        .select_from(runs.join(child, and_(child.c.tenant == runs.c.tenant, child.c.id == runs.c.rollback_id)))
        .where(
            runs.c.rollback_id.is_not(None),
            runs.c.state != str(RunState.ROLLED_BACK),
            child.c.state.in_([str(ended) for ended in TERMINAL]),
        )
        .limit(limit)
    )
    async with database.read() as connection:
        return [(row.tenant, row.id) for row in await connection.execute(statement)]


async def ended_below(database: Database, *, limit: int) -> list[tuple[str, str]]:
    """`(tenant, run id)` of runs that have ended while the one that handed work over to them sleeps."""
    child = runs.alias("child")
    asked = and_(tool_calls.c.tenant == runs.c.tenant, tool_calls.c.run_id == runs.c.id)
    began = and_(child.c.tenant == runs.c.tenant, child.c.source_key == literal("delegate:") + tool_calls.c.id)
    statement = (
        select(child.c.tenant, child.c.id)
        .select_from(runs.join(tool_calls, asked).join(child, began))
        .where(
            runs.c.state == str(RunState.EXECUTING),
            runs.c.lease_owner.is_(None),
            runs.c.due_at > DUE_NOW,
            tool_calls.c.status == str(CallStatus.INTENT),
            tool_calls.c.wait_json.is_not(None),
            child.c.ended_at.is_not(None),
        )
        .limit(limit)
    )
    async with database.read() as connection:
        return [(row.tenant, row.id) for row in await connection.execute(statement)]


async def run_of_call(database: Database, tenant: str, call_id: str) -> str | None:
    """Which run a call belongs to."""
    statement = select(tool_calls.c.run_id).where(tool_calls.c.tenant == tenant, tool_calls.c.id == call_id)
    async with database.read() as connection:
        return (await connection.execute(statement)).scalar_one_or_none()


async def may_have_run(database: Database, tenant: str, call_id: str, *, before: int | None = None) -> bool:
    """Whether an attempt of this call (one before that number) has an outcome nobody knows."""
    here = and_(call_attempts.c.tenant == tenant, call_attempts.c.call_id == call_id)
    if before is not None:
        here = and_(here, call_attempts.c.n < before)
    unsure = or_(call_attempts.c.status.is_(None), call_attempts.c.status.in_(UNSURE))
    async with database.read() as connection:
        return (await connection.execute(select(call_attempts.c.n).where(here, unsure).limit(1))).first() is not None


async def stranded(database: Database, *, before_ms: int, limit: int) -> list[tuple[str, int]]:
    """`(run id, wake)` of runs due for longer than that and held by nobody."""
    statement = (
        select(runs.c.id, runs.c.wake)
        .where(
            _due(before_ms),
            runs.c.updated_at < before_ms,
            runs.c.lease_owner.is_(None),
            runs.c.killed_at.is_(None),
            runs.c.state.in_([str(state) for state in (*DRIVEN, RunState.WAITING_FOR_APPROVAL)]),
        )
        .order_by(runs.c.due_at)
        .limit(limit)
    )
    async with database.read() as connection:
        return [(row.id, row.wake) for row in await connection.execute(statement)]


@dataclass(frozen=True)
class OpenStop:
    """A stopped run this host has to speak about."""

    tenant: str
    run_id: str
    killed_fence: int
    workers: frozenset[str]
    """Who had an attempt of it under way here: each will speak for itself while it lives."""


async def unconfirmed_stops(database: Database, host: str) -> list[OpenStop]:
    """Stopped runs this host worked on or held, whose stop is not proved and about which it has not spoken."""
    spoken = (
        select(stop_reports.c.run_id)
        .where(
            stop_reports.c.tenant == runs.c.tenant,
            stop_reports.c.run_id == runs.c.id,
            stop_reports.c.host == host,
            stop_reports.c.killed_fence == runs.c.killed_fence,
            stop_reports.c.remaining == 0,
        )
        .exists()
    )
    of_it = and_(call_attempts.c.tenant == runs.c.tenant, call_attempts.c.run_id == runs.c.id)
    here = select(call_attempts.c.call_id).where(of_it, call_attempts.c.host == host).exists()
    stuck = select(stop_reports.c.run_id).where(
        stop_reports.c.tenant == runs.c.tenant, stop_reports.c.run_id == runs.c.id, stop_reports.c.host == host
    )
    statement = (
        select(runs.c.tenant, runs.c.id, runs.c.killed_fence)
        .where(runs.c.killed_at.is_not(None), runs.c.stop_confirmed_at.is_(None), ~spoken)
        .where(or_(here, runs.c.holder_host == host))
        # What cannot be ended must not keep the others waiting.
        .order_by(case((stuck.exists(), 1), else_=0), runs.c.killed_at)
        .limit(MAX_LIST)
    )
    async with database.read() as connection:
        found = (await connection.execute(statement)).all()
        at_it = select(call_attempts.c.tenant, call_attempts.c.run_id, call_attempts.c.worker).where(
            call_attempts.c.run_id.in_([row.id for row in found]),
            call_attempts.c.host == host,
            call_attempts.c.status.is_(None),
        )
        workers: dict[tuple[str, str], set[str]] = {}
        for row in await connection.execute(at_it) if found else ():
            workers.setdefault((row.tenant, row.run_id), set()).add(row.worker)
    return [
        OpenStop(row.tenant, row.id, row.killed_fence, frozenset(workers.get((row.tenant, row.id), ())))
        for row in found
    ]


async def cut_off_by_stops(database: Database, *, since_ms: int, limit: int) -> list[tuple[str, str, str]]:
    """`(tenant, run id, call id)` of calls that can be looked for and whose end nobody knows, of runs whose stop is
    proved; the run has changed since then.
    """
    same_run = and_(tool_calls.c.tenant == runs.c.tenant, tool_calls.c.run_id == runs.c.id)
    statement = (
        select(runs.c.tenant, runs.c.id, tool_calls.c.id)
        .join(tool_calls, same_run)
        .where(runs.c.updated_at >= since_ms, runs.c.killed_at.is_not(None), runs.c.stop_confirmed_at.is_not(None))
        .where(tool_calls.c.status == str(CallStatus.UNKNOWN), tool_calls.c.recovery == "reconcilable")
        .where(tool_calls.c.resolved_by.is_(None))
        .order_by(runs.c.killed_at, tool_calls.c.position)
        .limit(limit)
    )
    async with database.read() as connection:
        return [(row[0], row[1], row[2]) for row in await connection.execute(statement)]


async def killed_among(database: Database, run_ids: Sequence[str]) -> list[str]:
    """Which of these runs somebody has stopped."""
    statement = select(runs.c.id).where(runs.c.id.in_(run_ids), runs.c.killed_at.is_not(None))
    async with database.read() as connection:
        return list((await connection.execute(statement)).scalars())


def _due(now_ms: int) -> ColumnElement[bool]:
    return or_(runs.c.due_at <= now_ms, runs.c.due_at > now_ms + LONGEST_PAUSE_MS)


async def any_due(database: Database, now_ms: int) -> bool:
    """Whether a worker asking for work might get some; a read, so that idle workers do not queue for the write lock."""
    statement = select(runs.c.id).where(_due(now_ms), runs.c.killed_at.is_(None)).limit(1)
    async with database.read() as connection:
        return (await connection.execute(statement)).first() is not None
