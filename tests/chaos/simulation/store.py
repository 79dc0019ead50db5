"""The product's own store in memory: its schema, its statements, its guards and its journal, without threads or files.

Only where the bytes are differs: one connection to a copy of the migrated database serves everybody in turn. So a
commit costs less than a millisecond, and what a history finds is found in what production runs.
"""

import asyncio
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from core.store import schema
from core.store.apply_sqlite import SqliteLane, _Writer
from core.store.journal import Journal
from core.store.session import Database
from tests.databases import sqlite_url

T = TypeVar("T")

_COMPILED: dict[Any, Any] = {}
"""Statements of SQLAlchemy, compiled for the first history that needs them."""


@cache
def migrated() -> bytes:
    """An empty database as the migrations make it, made once."""
    with tempfile.TemporaryDirectory(prefix="simulation-") as directory:
        path = Path(directory) / "migrated.db"

        async def make() -> None:
            database = Database(sqlite_url(path))
            await schema.upgrade(database)
            await database.close()

        asyncio.run(make())
        connection = sqlite3.connect(path)
        # What is in memory has no log beside it.
        connection.execute("PRAGMA journal_mode=DELETE")
        image = connection.serialize()
        connection.close()
        return image


class _Here(_Writer):
    """The lane's writer on the caller's own thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            done = work(self._connection)
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        return done

    async def close(self) -> None:
        """The connection is everybody's."""


class _Lane(SqliteLane):
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._batches = self._commands = _Here(connection)
        self.committers = 1


class _Awaited:
    """A connection as the store awaits it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def execute(self, *statement: Any) -> Any:
        return self._connection.execute(*statement)


class Memory(Database):
    """One database of one history."""

    def __init__(self) -> None:
        self.url, self.dialect, self.path = sqlite_url(Path("/memory")), "sqlite", None
        self.look = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        """For reading past our own queries."""
        self.look.deserialize(migrated())
        self.look.row_factory = sqlite3.Row
        self.look.execute("PRAGMA foreign_keys=ON")
        self.look.execute("PRAGMA recursive_triggers=ON")
        self.lane = _Lane(self.look)
        self.journal = Journal(self.lane)
        self._under_way = set()
        engine = create_engine("sqlite://", creator=lambda: self.look, poolclass=StaticPool)
        self._sync = engine.connect().execution_options(compiled_cache=_COMPILED)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Any]:
        yield _Awaited(self._sync)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Any]:
        self.look.execute("BEGIN IMMEDIATE")
        try:
            yield _Awaited(self._sync)
            self.look.execute("COMMIT")
        except BaseException:
            self.look.execute("ROLLBACK")
            raise

    async def close(self) -> None:
        await self.journal.close()
        self._sync.detach()
        self._sync.close()
        self.look.close()
