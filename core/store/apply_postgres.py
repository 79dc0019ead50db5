"""How the journal writes on PostgreSQL: asyncpg, one statement per batch, row locks for commands.

Only the primary is ever asked, commits wait for the disk, and every wait is bounded by the server. A reply lost after
COMMIT is settled by reading the change's last event back.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import asyncpg

from core.crashpoints import crashpoint
from core.record.changes import Answer, Decided, Insert, Landed, Refusal, Refused, RunChange, Update
from core.record.rows import Snapshot
from core.store.batch_sql import batch_document, batch_statement
from core.store.holding import OverBudget, held, rows_of
from core.store.lane import FROZEN, Claim, CommitUnknown, Decide, IsFrozen, Target
from core.store.settle import settle
from core.store.snapshots import CHILDREN, COMMAND_CHILDREN, snapshots_of
from core.store.statements import ON_CONFLICT, columns, complete, primary_key, quoted, selected

T = TypeVar("T")

SERVER_SETTINGS = {
    "synchronous_commit": "on",
    "lock_timeout": "3000",
    "statement_timeout": "5000",
    "idle_in_transaction_session_timeout": "10000",
    "application_name": "banksman",
    # The batch statement is one text with changing data: a generic plan avoids planning thirty parts for every batch.
    "plan_cache_mode": "force_generic_plan",
}
"""Every wait on the server has an end (milliseconds)."""

_SERIALIZATION = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
_BROKEN = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # The server may be told to stop between a commit and its reply.
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    OSError,
)
_RETRIES = 5

CONNECT_S = 5.0
ANSWER_S = 8.0
"""Longer than every limit the server has for a statement of ours, so that it normally speaks first."""


class PostgresLane:
    """The journal's two ways into one PostgreSQL database."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._pool: asyncpg.Pool[Any] | None = None
        self.committers = 2
        """While one waits for the disk the other fills."""

    async def open(self) -> None:
        """Connect lazily; raises `OSError` or `asyncpg.PostgresError` if the server is not there."""
        if self._pool is None:
            self._pool = await asyncpg.create_pool(
                self._dsn,
                min_size=0,
                max_size=6,
                server_settings=SERVER_SETTINGS,
                # A network that swallows packets answers nothing; the server's own limits never reach us then.
                timeout=CONNECT_S,
                command_timeout=ANSWER_S,
                # Nothing we do leaves state on a connection, and a reset costs a round trip each time.
                reset=_keep,
            )

    async def apply(self, changes: Sequence[RunChange]) -> list[Answer | None]:
        """Commit every change that may land in one statement; `None` where somebody else holds the row."""

        async def work(connection: Any) -> list[Answer | None]:
            if any(change.holds for change in changes):
                (change,) = changes
                return [await self._apply_holding(connection, change)]
            return await self._apply(connection, changes)

        try:
            return await self._retrying(work)
        except OverBudget as over:
            return [Refused("budget", over.hold.budget_id)]
        except _BROKEN as error:
            raise CommitUnknown(str(error)) from error

    async def _apply(self, connection: Any, changes: Sequence[RunChange]) -> list[Answer | None]:
        shape, document = batch_document(changes)
        try:
            rows = await connection.fetch(batch_statement(shape), document)
        except asyncpg.DivisionByZeroError as error:
            raise LookupError("a row that a change updates is not there") from error
        found = {(row["tenant"], row["id"]): row for row in rows}
        return [_answer(change, found.get((change.tenant, change.run_id))) for change in changes]

    async def _apply_holding(self, connection: Any, change: RunChange) -> Answer | None:
        """A change that takes something out of budgets, or gives it back; raises `OverBudget` with nothing kept."""
        budgets = rows_of(change, change.run.get("updated_at", 0))
        async with connection.transaction():
            for row in budgets:
                await _write(connection, Insert("budgets", row))
            (answer,) = await self._apply(connection, [change])
            if isinstance(answer, Landed):
                ids = [row["id"] for row in budgets]
                # Its rows in `spend` hold the budgets' keys already, and so do others': asking for these as well would
                # have two changes wait for each other.
                locked = (
                    "SELECT b.id, b.used FROM budgets b WHERE b.tenant = $1 AND b.id = ANY($2) "
                    "ORDER BY b.id FOR NO KEY UPDATE"
                )
                used = {row["id"]: row["used"] for row in await connection.fetch(locked, change.tenant, ids)}
                for each in held(change, used):
                    values = {"cap": each.cap, "used": each.used}
                    await _write(connection, Update("budgets", {"tenant": change.tenant, "id": each.id}, values))
        return answer

    async def command(self, tenant: str, target: Target, decide: Decide) -> Decided | Refusal:
        """Lock the runs in order, evaluate `decide` on them and commit what it wants."""
        where, values = target.where()
        where = where.format(tenant="$1", value="$2")
        sql = f"SELECT {selected('runs')} FROM runs WHERE tenant = $1 AND {where} ORDER BY id FOR UPDATE"
        tried: list[Decided] = []

        async def work(connection: Any) -> Decided | Refusal:
            async with connection.transaction():
                runs = await connection.fetch(sql, tenant, *values)
                decided = decide(snapshots_of(runs, await _child_rows(connection, runs, COMMAND_CHILDREN)))
                if isinstance(decided, Refusal):
                    return decided
                if decided.changes:
                    for answer in await self._apply(connection, decided.changes):
                        if answer == Refused("frozen"):
                            raise IsFrozen
                        if not isinstance(answer, Landed):
                            raise RuntimeError(f"a command's own change was refused on locked rows: {answer}")
                for insert in decided.inserts:
                    await _write(connection, insert)
                tried.append(decided)
            return decided

        try:
            return await self._retrying(work)
        except IsFrozen:
            return FROZEN
        except _BROKEN:
            if await self._landed(tried):
                return tried[-1]
            again = await self._retrying(work)
            # Refused because of itself: the first try, whose reply was lost, was only slow.
            return tried[0] if isinstance(again, Refusal) and await self._landed(tried[:1]) else again

    async def _landed(self, tried: Sequence[Decided]) -> bool:
        """Whether the last of these commands, whose COMMIT reply was lost, is there."""
        return bool(tried and tried[-1].changes) and await self.settle_unknown(tried[-1].changes[0]) is not None

    async def record(self, writes: Sequence[Insert | Update]) -> list[int]:
        """Write rows that belong to no guarded change; the number of rows each touched."""

        async def work(connection: Any) -> list[int]:
            async with connection.transaction():
                return [await _write(connection, write) for write in writes]

        return await self._retrying(work)

    async def claim(self, claim: Claim) -> list[Snapshot]:
        """Take the leases of runs that are due and free, by the server's clock."""
        where, values = claim.where("{}")
        where = where.format(*(f"${n + 4}" for n in range(len(values))))
        sql = f"""WITH free AS (SELECT tenant, id FROM runs WHERE {where} AND (lease_owner IS NULL OR NOT EXISTS (
                SELECT 1 FROM workers w WHERE w.id = runs.lease_owner
                AND w.until > (extract(epoch FROM clock_timestamp()) * 1000)::bigint))
            ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
            UPDATE runs r SET lease_owner = $1, holder_host = $3, fence = r.fence + 1, version = r.version + 1
            FROM free WHERE r.tenant = free.tenant AND r.id = free.id RETURNING {selected("runs", "r.")}"""

        async def work(connection: Any) -> list[Snapshot]:
            async with connection.transaction():
                runs = await connection.fetch(sql, claim.worker, claim.limit, claim.host, *values)
                return snapshots_of(runs, await _child_rows(connection, runs))

        return await self._retrying(work)

    async def settle_unknown(self, change: RunChange) -> Answer | None:
        """Read back whether a change whose COMMIT reply was lost is there."""

        async def work(connection: Any) -> Answer | None:
            if change.events:
                last = change.events[-1]
                sql = "SELECT hash FROM events WHERE tenant = $1 AND stream = $2 AND seq = $3"
                landed = await connection.fetchval(sql, change.tenant, change.run_id, last.seq) == last.hash
            else:
                sql = "SELECT version, lease_owner, updated_at FROM runs WHERE tenant = $1 AND id = $2"
                row = await connection.fetchrow(sql, change.tenant, change.run_id)
                landed = (
                    row is not None
                    and row["version"] == change.version + 1
                    and all(
                        row[name] == change.run[name] for name in ("lease_owner", "updated_at") if name in change.run
                    )
                )
            return Landed(change.version + 1) if landed else None

        return await self._retrying(work)

    async def _retrying(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Run `work` on a connection of its own; serialization failures and deadlocks are tried again, with jitter."""
        await self.open()
        assert self._pool is not None
        for attempt in range(_RETRIES):
            try:
                async with self._pool.acquire() as connection:
                    done = await work(connection)
                crashpoint("CP18")
                return done
            except _SERIALIZATION:
                if attempt == _RETRIES - 1:
                    raise
                await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))
        raise AssertionError("unreachable")

    async def close(self) -> None:
        if self._pool is not None:
            try:
                async with asyncio.timeout(CONNECT_S):
                    await self._pool.close()
            except TimeoutError:
                self._pool.terminate()


async def _keep(connection: Any) -> None:
    """Give a connection back as it is."""


def _answer(change: RunChange, row: Any | None) -> Answer | None:
    if change.creates:
        return Landed(0) if row is not None else Refused("duplicate")
    if row is None or not row["present"]:
        return Refused("missing")
    if row["landed"]:
        return Landed(change.version + 1)
    if not row["held"]:
        return None
    answer = settle(change, row, frozen=row["frozen"])
    # The row passed our guard but not the statement's: it moved between the snapshot and the lock.
    return Refused("stale") if isinstance(answer, Landed) else answer


async def _child_rows(connection: Any, runs: Sequence[Any], tables: Sequence[str] = CHILDREN) -> dict[str, list[Any]]:
    if not runs:
        return {table: [] for table in tables}
    tenants, ids = [row["tenant"] for row in runs], [row["id"] for row in runs]
    sql = (
        "SELECT {} FROM {} t JOIN unnest($1::text[], $2::text[]) AS k(tenant, run_id) "
        "ON k.tenant = t.tenant AND k.run_id = t.run_id"
    )
    return {table: await connection.fetch(sql.format(selected(table, "t."), table), tenants, ids) for table in tables}


async def _write(connection: Any, write: Insert | Update) -> int:
    if isinstance(write, Insert):
        names = columns(write.table)
        row = complete(write.table, write.values)
        marks = ", ".join(f"${n + 1}" for n in range(len(names)))
        sql = f"INSERT INTO {write.table} ({quoted(names)}) VALUES ({marks}) {ON_CONFLICT.get(write.table, '')}"
        status = await connection.execute(sql, *(row[name] for name in names))
    else:
        key = primary_key(write.table)
        sets = ", ".join(f'"{name}" = ${n + 1}' for n, name in enumerate(write.values))
        where = " AND ".join(f'"{name}" = ${len(write.values) + n + 1}' for n, name in enumerate(key))
        sql = f"UPDATE {write.table} SET {sets} WHERE {where}"
        status = await connection.execute(sql, *write.values.values(), *(write.key[name] for name in key))
    return int(status.rsplit(" ", 1)[1])
