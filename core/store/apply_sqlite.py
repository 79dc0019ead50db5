"""How the journal writes on SQLite: plain `sqlite3` on threads of its own, one hop per batch.

Two threads, each with its own connection and its own place at the turnstile: one for batches of changes, one for
commands, so a command never waits behind more than the batch that is being committed.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from core.crashpoints import crashpoint
from core.record.changes import Answer, Decided, Insert, Landed, Refusal, Refused, RunChange, Update
from core.record.freezes import FreezeRow, covers
from core.record.rows import RunRow, Snapshot
from core.store.holding import OverBudget, held, rows_of
from core.store.lane import FROZEN, Claim, Decide, IsFrozen, Target
from core.store.settle import settle
from core.store.snapshots import CHILDREN, COMMAND_CHILDREN, snapshots_of
from core.store.statements import ON_CONFLICT, columns, complete, event_row, primary_key, quoted, selected
from core.store.turnstile import Turnstile, connect

T = TypeVar("T")


class _Writer:
    """One thread with one connection."""

    def __init__(self, database: Path, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._database = database
        self._open: tuple[sqlite3.Connection, Turnstile] | None = None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in an immediate transaction on the thread and return its value once that is durable."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._write, work)

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._open is None:
            self._open = connect(self._database), Turnstile(self._database)
        connection, turnstile = self._open
        with turnstile.writing(connection):
            done = work(connection)
        crashpoint("CP18")
        return done

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._pool, self._close)
        self._pool.shutdown()

    def _close(self) -> None:
        if self._open is not None:
            self._open[0].close()
            self._open[1].close()


class SqliteLane:
    """The journal's two ways into one SQLite file."""

    def __init__(self, database: Path) -> None:
        self._batches = _Writer(database, "journal")
        self._commands = _Writer(database, "commands")
        self.committers = 1
        """SQLite has one writer; more would only queue."""

    async def open(self) -> None:
        """Nothing to open before the first write."""

    async def apply(self, changes: Sequence[RunChange]) -> list[Answer | None]:
        """Commit every change that may land, together; answer each."""
        if any(change.holds for change in changes):
            (change,) = changes
            try:
                return await self._batches.run(lambda connection: [_apply_holding(connection, change)])
            except OverBudget as over:
                return [Refused("budget", over.hold.budget_id)]
        return await self._batches.run(lambda connection: _apply(connection, changes))

    async def command(self, tenant: str, target: Target, decide: Decide) -> Decided | Refusal:
        """Evaluate `decide` on the locked rows and commit what it wants."""

        def work(connection: sqlite3.Connection) -> Decided | Refusal:
            where, values = target.where()
            where = where.format(tenant="?1", value="?2")
            sql = f"SELECT {selected('runs')} FROM runs WHERE tenant = ?1 AND {where} ORDER BY id"
            runs = connection.execute(sql, (tenant, *values)).fetchall()
            decided = decide(snapshots_of(runs, _child_rows(connection, runs, COMMAND_CHILDREN)))
            if isinstance(decided, Refusal):
                return decided
            for answer in _apply(connection, decided.changes):
                if answer == Refused("frozen"):
                    raise IsFrozen
                if not isinstance(answer, Landed):
                    raise RuntimeError(f"a command's own change was refused on locked rows: {answer}")
            for insert in decided.inserts:
                _insert(connection, insert.table, [complete(insert.table, insert.values)])
            return decided

        try:
            return await self._commands.run(work)
        except IsFrozen:
            return FROZEN

    async def record(self, writes: Sequence[Insert | Update]) -> list[int]:
        """Write rows that belong to no guarded change; the number of rows each touched."""

        def work(connection: sqlite3.Connection) -> list[int]:
            return [
                _insert(connection, write.table, [complete(write.table, write.values)])
                if isinstance(write, Insert)
                else _update(connection, write)
                for write in writes
            ]

        return await self._commands.run(work)

    async def claim(self, claim: Claim) -> list[Snapshot]:
        """Take the leases of runs that are due and free."""

        def work(connection: sqlite3.Connection) -> list[Snapshot]:
            where, values = claim.where("?")
            alive = "SELECT id FROM workers WHERE boot_id = ? AND until > ?"
            sql = (
                f"SELECT tenant, id FROM runs WHERE {where} AND (lease_owner IS NULL OR lease_owner NOT IN ({alive})) "
                "ORDER BY due_at LIMIT ?"
            )
            found = connection.execute(sql, (*values, claim.boot_id, claim.boot_ms, claim.limit)).fetchall()
            runs = []
            for tenant, run_id in found:
                runs += connection.execute(
                    "UPDATE runs SET lease_owner = ?, holder_host = ?, fence = fence + 1, version = version + 1 "
                    f"WHERE tenant = ? AND id = ? RETURNING {selected('runs')}",
                    (claim.worker, claim.host, tenant, run_id),
                ).fetchall()
            return snapshots_of(runs, _child_rows(connection, runs))

        return await self._batches.run(work)

    async def settle_unknown(self, change: RunChange) -> Answer | None:
        """SQLite's commit either happened or raised; nothing is ever unknown."""
        return None

    async def close(self) -> None:
        await self._batches.close()
        await self._commands.close()


def _apply(connection: sqlite3.Connection, changes: Sequence[RunChange]) -> list[Answer | None]:
    answers: list[Answer | None] = []
    rows: dict[str, list[dict[str, Any]]] = {}
    updates: list[Update] = []
    freezes = _open_freezes(connection) if any(change.freezable is not None for change in changes) else []
    for change in changes:
        answer = _create(connection, change) if change.creates else _guard(connection, change, freezes)
        answers.append(answer)
        if not isinstance(answer, Landed):
            continue
        if not change.creates:
            values = {**change.run, "version": change.version + 1}
            updates.append(Update("runs", {"tenant": change.tenant, "id": change.run_id}, values))
        rows.setdefault("events", []).extend(event_row(event) for event in change.events)
        for insert in change.inserts:
            rows.setdefault(insert.table, []).append(complete(insert.table, insert.values))
        updates += change.updates
    for table in sorted(rows, key=_parents_first):
        _insert(connection, table, rows[table])
    for update in updates:
        if _update(connection, update) != 1:
            raise LookupError(f"no row of {update.table} with the key {dict(update.key)}")
    return answers


def _apply_holding(connection: sqlite3.Connection, change: RunChange) -> Answer | None:
    """A change that takes something out of budgets, or gives it back; raises `OverBudget`, and then nothing is kept."""
    budgets = rows_of(change, change.run.get("updated_at", 0))
    _insert(connection, "budgets", budgets, "ON CONFLICT DO NOTHING")
    (answer,) = _apply(connection, [change])
    if isinstance(answer, Landed):
        key = "tenant = ? AND id = ?"
        sql = f"SELECT used FROM budgets WHERE {key}"
        used = {str(row["id"]): connection.execute(sql, (change.tenant, row["id"])).fetchone()[0] for row in budgets}
        for each in held(change, used):
            values = (each.cap, each.used, change.tenant, each.id)
            connection.execute(f"UPDATE budgets SET cap = ?, used = ? WHERE {key}", values)
    return answer


def _create(connection: sqlite3.Connection, change: RunChange) -> Answer:
    return (
        Landed(0)
        if _insert(connection, "runs", [complete("runs", change.run)], "ON CONFLICT DO NOTHING")
        else Refused("duplicate")
    )


def _guard(connection: sqlite3.Connection, change: RunChange, freezes: Sequence[FreezeRow]) -> Answer:
    key = (change.tenant, change.run_id)
    if change.freezable is None or not freezes:
        sql = "SELECT version, fence, lease_owner, killed_at FROM runs WHERE tenant = ? AND id = ?"
        return settle(change, connection.execute(sql, key).fetchone())
    row = connection.execute(f"SELECT {selected('runs')} FROM runs WHERE tenant = ? AND id = ?", key).fetchone()
    if row is None:
        return settle(change, None)
    run, tools = RunRow(**dict(row)), (change.freezable,)
    frozen = any(each.tenant == change.tenant and covers(each, run, tools) for each in freezes)
    return settle(change, row, frozen=frozen)


def _open_freezes(connection: sqlite3.Connection) -> list[FreezeRow]:
    """The freezes that hold now; nobody else writes until this transaction is over."""
    rows = connection.execute(f"SELECT {selected('freezes')} FROM freezes WHERE thawed_at IS NULL").fetchall()
    return [FreezeRow(**dict(row)) for row in rows]


def _parents_first(table: str) -> int:
    order = ("documents", "blobs", "events", "tool_calls", "approvals")
    return order.index(table) if table in order else len(order)


def _insert(
    connection: sqlite3.Connection, table: str, rows: Sequence[dict[str, Any]], conflict: str | None = None
) -> int:
    if not rows:
        return 0
    names = columns(table)
    conflict = ON_CONFLICT.get(table, "") if conflict is None else conflict
    sql = f"INSERT INTO {table} ({quoted(names)}) VALUES ({', '.join('?' * len(names))}) {conflict}"
    return connection.executemany(sql, [[row[name] for name in names] for row in rows]).rowcount


def _update(connection: sqlite3.Connection, update: Update) -> int:
    sets = ", ".join(f'"{name}" = ?' for name in update.values)
    where = " AND ".join(f'"{name}" = ?' for name in primary_key(update.table))
    key = [update.key[name] for name in primary_key(update.table)]
    return connection.execute(
        f"UPDATE {update.table} SET {sets} WHERE {where}", (*update.values.values(), *key)
    ).rowcount


def _child_rows(
    connection: sqlite3.Connection, runs: Sequence[sqlite3.Row], tables: Sequence[str] = CHILDREN
) -> dict[str, list[sqlite3.Row]]:
    found: dict[str, list[sqlite3.Row]] = {}
    for table in tables:
        found[table] = []
        for run in runs:
            sql = f"SELECT {selected(table)} FROM {table} WHERE tenant = ? AND run_id = ?"
            found[table] += connection.execute(sql, (run["tenant"], run["id"])).fetchall()
    return found
