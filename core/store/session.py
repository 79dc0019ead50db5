"""The database as one object: connections for reading, `begin()` for what is not a run's, and the journal's lane.

Reading goes through SQLAlchemy's async engine; a read never takes the write lock. `begin()` commits workers, hosts,
leaders, cards and sessions; everything of a run goes through the journal.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import event, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from core.store.apply_postgres import ANSWER_S, CONNECT_S, SERVER_SETTINGS, PostgresLane
from core.store.apply_sqlite import SqliteLane
from core.store.journal import Journal
from core.store.turnstile import PRAGMAS, Door

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

READERS = 8
"""Connections a process reads with. More only queue elsewhere, and one opened for a single read costs more than
waiting.
"""

WRITERS = 2


class Database:
    """One database, SQLite or PostgreSQL."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self.url = url
        self.dialect = parsed.get_backend_name()
        self._door: Door | None = None
        self.path: Path | None = None
        self.lane: SqliteLane | PostgresLane
        if self.dialect == "sqlite":
            self.path = Path(parsed.database or "")
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._door = Door(self.path)
            self.lane = SqliteLane(self.path)
        else:
            self.lane = PostgresLane(parsed.set(drivername="postgresql").render_as_string(hide_password=False))
        # A read sees one moment, however many statements it takes, as on SQLite.
        self.engine = _engine(url, self.dialect, READERS, isolation_level="REPEATABLE READ")
        # Slow reads must not keep a lease from being renewed.
        self._writing = _engine(url, self.dialect, WRITERS)
        self.journal = Journal(self.lane)
        self._under_way: set[asyncio.Task[Any]] = set()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read from, at one moment of the database; whatever it writes is thrown away."""
        async with self.engine.connect() as connection:
            yield connection
            await connection.rollback()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction for what is not a run's; commits at the end, rolls back if the body raises.

        Only inside an `uninterrupted` function: a cancelled body would leave the write lock with a connection nobody
        has.
        """
        async with self._writing.connect() as connection:
            connection = await connection.execution_options(banksman_writes=True)
            if self._door is None:
                async with connection.begin():
                    yield connection
                return
            async with self._door.held():
                transaction = await connection.begin()
            try:
                yield connection
                await transaction.commit()
            finally:
                if transaction.is_active:
                    await transaction.rollback()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # Whoever waited has it too, unless they were cancelled: then this is the only trace.
            log.info("a write failed: %r", task.exception(), extra={"action": "write_failed"})

    async def now_ms(self, connection: AsyncConnection) -> int:
        """The database's own clock; on SQLite, which has none, this host's."""
        sql = (
            "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
            if self.dialect == "sqlite"
            else "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
        )
        return int((await connection.execute(text(sql))).scalar_one())

    async def close(self) -> None:
        """Finish what the journal holds and close every connection; to its end, even if its caller is cancelled.

        What was left open then, nobody would close any more.
        """
        closing = asyncio.ensure_future(self._close())
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            await asyncio.wait({closing})
            raise

    async def _close(self) -> None:
        await self.journal.close()
        if self._under_way:
            await asyncio.wait(self._under_way)
        await self.engine.dispose()
        await self._writing.dispose()
        if self._door is not None:
            self._door.close()


def uninterrupted(
    function: Callable[Concatenate[Database, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Database, P], Coroutine[Any, Any, T]]:
    """Let a function that writes run to its end even if its caller is cancelled meanwhile.

    A driver interrupted between BEGIN and COMMIT keeps SQLite's write lock, and with it every other process waiting.
    """

    @wraps(function)
    async def whole(database: Database, /, *args: P.args, **kwargs: P.kwargs) -> T:
        task = asyncio.create_task(function(database, *args, **kwargs))
        database._under_way.add(task)
        task.add_done_callback(database._ended)
        return await asyncio.shield(task)

    return whole


def _engine(url: str, dialect: str, size: int, **of_a_server: str) -> AsyncEngine:
    if dialect == "sqlite":
        engine = create_async_engine(url, pool_size=size, max_overflow=0, connect_args={"timeout": 5})
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_as_asked)
        return engine
    waits = {"server_settings": SERVER_SETTINGS, "timeout": CONNECT_S, "command_timeout": ANSWER_S}
    return create_async_engine(
        url, pool_size=size, max_overflow=0, pool_pre_ping=True, connect_args=waits, **of_a_server
    )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # SQLAlchemy must not begin for us: a deferred read-then-write fails at once with SQLITE_BUSY_SNAPSHOT.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin_as_asked(connection: Any) -> None:
    writes = connection.get_execution_options().get("banksman_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


async def sqlite_integrity(path: Path) -> str:
    """SQLite's own quick check of a file: `ok` or the first problem."""

    def check() -> str:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        finally:
            connection.close()

    return await asyncio.to_thread(check)
