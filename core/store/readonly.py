"""A database opened for nothing but looking: one snapshot of it, whoever writes meanwhile, and no way to write.

SQLite is opened with `mode=ro`, PostgreSQL in a read-only transaction that sees one moment. Every statement has an end.
An SQLite file that nobody has open is read as one that cannot change, for otherwise SQLite would put two files beside
it; `Look.was_disturbed` says whether somebody opened it meanwhile, and then what was seen is worth nothing.
"""

import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, ColumnElement, RowMapping, Table, event, make_url, select, text, tuple_
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from core.errors import ConfigError

_CONNECT_S = 5.0
_LOOK_EVERY = 20_000
"""SQLite's instructions between two looks at the clock: some milliseconds."""

Row = RowMapping


class TooSlow(Exception):
    """A statement was not done within its time; nothing else has happened."""


class Look:
    """One moment of a database."""

    def __init__(self, connection: AsyncConnection, dialect: str, statement_s: float, unused: Path | None) -> None:
        self._connection = connection
        self._unused = unused
        self._deadline_s = math.inf
        self.dialect = dialect
        self.statement_s = statement_s

    async def rows(self, statement: Any, parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
        """What a query answers.

        Raises:
            TooSlow: it would take longer than allowed.
            ConfigError: the database refuses it, is damaged, or is gone.
        """
        self._deadline_s = time.monotonic() + self.statement_s
        try:
            if self.dialect == "sqlite":
                return (await self._connection.execute(statement, parameters or {})).mappings().all()
            # A statement that fails must not take the snapshot with it.
            async with self._connection.begin_nested():
                return (await self._connection.execute(statement, parameters or {})).mappings().all()
        except DBAPIError as error:
            if _was_stopped(error):
                raise TooSlow from error
            raise ConfigError(f"The database cannot be read: {error.orig}") from error
        except (OSError, TimeoutError) as error:
            raise ConfigError(
                f"The database stopped answering: {error!r}. Look at its server, then try again."
            ) from error

    async def first(self, sql: str, parameters: Mapping[str, Any], most: int) -> Sequence[Row]:
        """The first rows of a query given as text."""
        return await self.rows(text(f"SELECT * FROM ({sql}) AS found LIMIT {most:d}"), parameters)

    async def all_of(
        self, table: Table, *where: ColumnElement[bool], batch: int, columns: Sequence[str] = ()
    ) -> AsyncIterator[Sequence[Row]]:
        """A table in batches, ordered by its primary key."""
        keys = list(table.primary_key.columns)
        chosen = [table.c[name] for name in columns] or list(table.c)
        statement = select(*chosen).where(*where).order_by(*keys).limit(batch)
        found = await self.rows(statement)
        while found:
            yield found
            last = tuple_(*(found[-1][key.name] for key in keys), types=[key.type for key in keys])
            found = await self.rows(statement.where(tuple_(*keys) > last)) if len(found) == batch else []

    def was_disturbed(self) -> bool:
        """Whether a file that nobody had open was opened while it was looked at: look again."""
        return self._unused is not None and _log_of(self._unused).exists()

    def is_late(self) -> int:
        """What SQLite asks every few milliseconds: not 0 ends the statement."""
        return int(time.monotonic() > self._deadline_s)


@asynccontextmanager
async def looking(url: str, *, statement_s: float = 60.0) -> AsyncIterator[Look]:
    """Open one moment of a database, read-only.

    Raises:
        ConfigError: it is not there, or cannot be reached.
    """
    parsed = make_url(url)
    dialect = parsed.get_backend_name()
    path = Path(parsed.database or "") if dialect == "sqlite" else None
    unused = path is not None and not _log_of(path).exists()
    engine = _postgres(parsed, statement_s) if path is None else _sqlite(path, unused=unused)
    try:
        async with _connected(engine) as connection:
            look = Look(connection, dialect, statement_s, path if unused else None)
            await _begin(connection, look)
            yield look
            await connection.rollback()
    finally:
        await engine.dispose()


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    try:
        connection = await engine.connect()
    except (OSError, TimeoutError, DBAPIError) as error:
        raise ConfigError(f"The database cannot be reached: {error}. Check BANKSMAN_DATABASE_URL.") from error
    try:
        yield connection
    finally:
        await connection.close()


async def _begin(connection: AsyncConnection, look: Look) -> None:
    if look.dialect == "sqlite":
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.set_progress_handler(look.is_late, _LOOK_EVERY)
        return
    await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


def _log_of(path: Path) -> Path:
    """SQLite's write-ahead log, which is there while anybody has the file open, and after a crash."""
    return path.with_name(f"{path.name}-wal")


def _sqlite(path: Path, *, unused: bool) -> AsyncEngine:
    if not path.is_file():
        raise ConfigError(f"There is no SQLite database at {path} yet. `banksman up` makes it.")
    query = {"mode": "ro", "uri": "true"} | ({"immutable": "1"} if unused else {})
    address = URL.create("sqlite+aiosqlite", database=f"file:{quote(str(path))}", query=query)
    engine = create_async_engine(address, poolclass=NullPool, connect_args={"timeout": 5})
    event.listen(engine.sync_engine, "connect", _only_reads)
    event.listen(engine.sync_engine, "begin", _begins)
    return engine


def _only_reads(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA query_only = ON").close()


def _begins(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN")


def _postgres(url: URL, statement_s: float) -> AsyncEngine:
    settings = {
        "default_transaction_read_only": "on",
        "statement_timeout": str(int(statement_s * 1000)),
        "lock_timeout": "3000",
        # Files are hashed between two statements.
        "idle_in_transaction_session_timeout": "300000",
        "application_name": "banksman doctor",
        "jit": "off",
    }
    arguments = {"server_settings": settings, "timeout": _CONNECT_S, "command_timeout": statement_s + 10}
    return create_async_engine(url, poolclass=NullPool, connect_args=arguments)


def _was_stopped(error: DBAPIError) -> bool:
    """Whether the time was over: SQLite's interruption, PostgreSQL's cancellation."""
    return (
        getattr(error.orig, "sqlstate", "") == "57014"
        or getattr(error.orig, "sqlite_errorname", "") == "SQLITE_INTERRUPT"
    )
