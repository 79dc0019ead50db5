"""Rows of workers and leaders: who is alive, by the database's clock.

On PostgreSQL `until` is the server's clock. SQLite has none of its own, so there it is CLOCK_BOOTTIME of one boot of
one host, which is where every process using the file is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, delete, insert, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from core.record.workers import Identity
from core.store.session import Database, uninterrupted
from core.store.tables import leaders, runs, workers


def _clock(database: Database, boot_ms: int) -> ColumnElement[int]:
    if database.dialect == "sqlite":
        return literal_column(str(int(boot_ms)))
    return literal_column("(extract(epoch FROM clock_timestamp()) * 1000)::bigint")


@dataclass(frozen=True)
class Renewed:
    """How what a worker drives compares with what it holds."""

    lost: list[tuple[str, str, int]]
    """`(tenant, run id, fence)`: driven, but stopped or another worker's."""
    idle: list[tuple[str, str]]
    """`(tenant, run id)`: held, but not driven."""


@uninterrupted
async def register(
    database: Database, identity: Identity, *, lock: str | None, boot_ms: int, lease_ms: int, now_ms: int
) -> None:
    """Write the worker's row with a fresh lease.

    Args:
        lock: Which file the worker's process holds a lock on, if it holds one.
    """
    until = _clock(database, boot_ms) + lease_ms
    async with database.begin() as connection:
        await connection.execute(delete(workers).where(workers.c.id == identity.id))
        await connection.execute(
            insert(workers).values(
                id=identity.id,
                host=identity.host,
                boot_id=identity.boot_id,
                pid=identity.pid,
                version=identity.version,
                sandbox=identity.sandbox,
                lock=lock,
                until=until,
                started_at=now_ms,
            )
        )


@uninterrupted
async def renew(
    database: Database, worker: str, driving: Sequence[tuple[str, str, int]], *, boot_ms: int, lease_ms: int
) -> Renewed | None:
    """Extend the lease and compare what is driven with what is held; `None` if the worker has no row."""
    async with database.begin() as connection:
        statement = update(workers).where(workers.c.id == worker).values(until=_clock(database, boot_ms) + lease_ms)
        if (await connection.execute(statement)).rowcount != 1:
            return None
        held = select(runs.c.tenant, runs.c.id, runs.c.fence).where(
            runs.c.lease_owner == worker, runs.c.killed_at.is_(None)
        )
        mine = {tuple(row) for row in await connection.execute(held)}
    named = {(tenant, run_id) for tenant, run_id, _ in driving}
    return Renewed(
        lost=[run for run in driving if run not in mine],
        idle=[(tenant, run_id) for tenant, run_id, _ in mine if (tenant, run_id) not in named],
    )


@uninterrupted
async def remove(database: Database, worker: str) -> None:
    """Delete the worker's row."""
    async with database.begin() as connection:
        await connection.execute(delete(workers).where(workers.c.id == worker))


async def alive(database: Database, *, boot_ms: int, boot_id: str) -> list[tuple[str, str]]:
    """`(id, host)` of every worker whose lease has not run out."""
    conditions = [workers.c.until > _clock(database, boot_ms)]
    if database.dialect == "sqlite":
        conditions.append(workers.c.boot_id == boot_id)
    async with database.read() as connection:
        found = await connection.execute(select(workers.c.id, workers.c.host).where(*conditions))
        return [(row.id, row.host) for row in found]


@dataclass(frozen=True)
class Here:
    """A worker of one host."""

    worker: str
    pid: int
    lock: str | None = None
    """The file its process holds a lock on, as device and inode."""


async def on_host(database: Database, host: str, *, boot_ms: int, boot_id: str) -> list[Here]:
    """Workers of this boot of a host whose lease has not run out."""
    conditions = [workers.c.host == host, workers.c.boot_id == boot_id, workers.c.until > _clock(database, boot_ms)]
    async with database.read() as connection:
        found = await connection.execute(select(workers.c.id, workers.c.pid, workers.c.lock).where(*conditions))
        return [Here(row.id, row.pid, row.lock) for row in found]


async def held_by(database: Database, worker: str) -> dict[str, int]:
    """The runs that name a worker as their holder, each with the fence it holds them under."""
    async with database.read() as connection:
        found = await connection.execute(select(runs.c.id, runs.c.fence).where(runs.c.lease_owner == worker))
        return {row.id: row.fence for row in found}


@uninterrupted
async def end_lease(database: Database, worker: str, *, host: str, boot_id: str, boot_ms: int) -> bool:
    """End the lease of a worker that is known to be dead; `False` = it was over already, or is another one's.

    The row stays, as that of a worker whose lease ran out now; if it lives all the same, its next renewal revives it.
    """
    now = _clock(database, boot_ms)
    of_it = (workers.c.id == worker, workers.c.host == host, workers.c.boot_id == boot_id, workers.c.until > now)
    async with database.begin() as connection:
        return (await connection.execute(update(workers).where(*of_it).values(until=now))).rowcount == 1


@uninterrupted
async def sweep_dead(database: Database, *, boot_ms: int, boot_id: str, after_ms: int) -> int:
    """Delete rows of workers that have been gone for `after_ms` and hold no run any more; how many."""
    gone = workers.c.until < _clock(database, boot_ms) - after_ms
    if database.dialect == "sqlite":
        gone = or_(gone, workers.c.boot_id != boot_id)
    async with database.begin() as connection:
        holders = select(runs.c.lease_owner).where(runs.c.lease_owner.is_not(None))
        result = await connection.execute(delete(workers).where(gone, workers.c.id.not_in(holders)))
        return int(result.rowcount)


@uninterrupted
async def lead(database: Database, name: str, owner: str, *, boot_ms: int, lease_ms: int) -> bool:
    """Take or keep the leadership of a periodic duty; `False` = somebody else has it."""
    now = _clock(database, boot_ms)
    make = sqlite_insert if database.dialect == "sqlite" else pg_insert
    statement = make(leaders).values(name=name, owner=owner, until=now + lease_ms)
    # On another boot SQLite's clock starts again: a leader further ahead than any lease is one of an earlier boot.
    free = or_(leaders.c.owner == owner, leaders.c.until < now, leaders.c.until > now + 10 * lease_ms)
    upsert = statement.on_conflict_do_update(
        index_elements=[leaders.c.name],
        set_={
            "owner": case((free, owner), else_=leaders.c.owner),
            "until": case((free, now + lease_ms), else_=leaders.c.until),
        },
    ).returning(leaders.c.owner)
    async with database.begin() as connection:
        return bool((await connection.execute(upsert)).scalar_one() == owner)


async def leader(database: Database, name: str) -> str | None:
    """Who had the leadership of a periodic duty last, whether or not that has run out."""
    async with database.read() as connection:
        found = await connection.execute(select(leaders.c.owner).where(leaders.c.name == name))
        return found.scalar_one_or_none()


@uninterrupted
async def depose(database: Database, owner: str) -> None:
    """End every leadership of a process that is known to be dead."""
    async with database.begin() as connection:
        await connection.execute(delete(leaders).where(leaders.c.owner == owner))
