"""Rows of hosts: which boot of which host has a reaper that looks, and when it last did."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from core.store.session import Database, uninterrupted
from core.store.tables import hosts, runs


@uninterrupted
async def seen(database: Database, host: str, *, boot_id: str, pid: int, now_ms: int) -> None:
    """Write down that a host's reaper is at work."""
    make = sqlite_insert if database.dialect == "sqlite" else pg_insert
    values = {"boot_id": boot_id, "reaper_pid": pid, "seen_at": now_ms}
    statement = make(hosts).values(host=host, **values)
    async with database.begin() as connection:
        await connection.execute(statement.on_conflict_do_update(index_elements=[hosts.c.host], set_=values))


@dataclass(frozen=True)
class HostRow:
    """One host that ever had a reaper."""

    host: str
    boot_id: str
    reaper_pid: int | None
    seen_at: int


async def listed(database: Database) -> list[HostRow]:
    """Every host, the one seen last first."""
    async with database.read() as connection:
        found = await connection.execute(select(hosts).order_by(hosts.c.seen_at.desc()))
        return [HostRow(**row) for row in found.mappings()]


@dataclass(frozen=True)
class Holder:
    """Who may have processes of a run."""

    tenant: str
    fence: int
    state: str
    lease_owner: str | None
    killed: bool


async def holders(database: Database, run_ids: Collection[str]) -> dict[str, Holder]:
    """Of these runs the ones this database knows, by id."""
    columns = (runs.c.tenant, runs.c.id, runs.c.fence, runs.c.state, runs.c.lease_owner, runs.c.killed_at)
    statement = select(*columns).where(runs.c.id.in_(sorted(run_ids)))
    async with database.read() as connection:
        return {
            row.id: Holder(row.tenant, row.fence, row.state, row.lease_owner, row.killed_at is not None)
            for row in await connection.execute(statement)
        }
