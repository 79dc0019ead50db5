"""`core.store.invariants` for tests: a line for each rule that a history breaks.

`broken` runs every query that needs no clock, for histories here happen at one instant of their own; tests of anything
that writes runs can end with it.
"""

import sqlite3
from typing import Any

from sqlalchemy import text

from core.store.invariants import INVARIANTS as ALL
from core.store.retelling import Chains
from core.store.session import Database

INVARIANTS: tuple[tuple[str, str], ...] = tuple((rule.name, rule.sql) for rule in ALL if not rule.timed)
"""`(name, query)`; a query returns what breaks it."""

_EVENTS = "SELECT * FROM events ORDER BY tenant, stream, seq"


async def broken(database: Database) -> list[str]:
    """A line for each invariant that does not hold, with what breaks it; also re-computes every event's hash."""
    found = []
    async with database.read() as connection:
        for name, sql in INVARIANTS:
            if rows := (await connection.execute(text(sql))).all():
                found.append(f"{name}: {rows}")
        events = (await connection.execute(text(_EVENTS))).mappings().all()
    return found + broken_chains(events)


def broken_in(connection: sqlite3.Connection) -> list[str]:
    """The same on an SQLite connection with named rows: a hundred times as fast, for use after every step."""
    found = []
    for name, sql in INVARIANTS:
        if rows := connection.execute(sql).fetchall():
            found.append(f"{name}: {[tuple(row) for row in rows]}")
    return found + broken_chains(connection.execute(_EVENTS).fetchall())


def broken_chains(events: Any) -> list[str]:
    """What is wrong with these rows of `events`, ordered by stream and seq: hashes, links, bodies against columns."""
    chains = Chains()
    return [line for row in events for line in chains.broken(row)]
