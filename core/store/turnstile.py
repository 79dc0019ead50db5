"""The turnstile at which writers of one SQLite file queue.

SQLite's own back-off lets one busy process starve the others. Here a writer takes the door (an `flock`), waits for
SQLite's write lock while it holds the door, and frees the door once it has the lock: whoever just committed finds the
next one already standing in the door, so writers alternate. Bot, worker, CLI and reaper all pass through it.
"""

import asyncio
import fcntl
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path


class Turnstile:
    """One door per open file description; not shared between threads."""

    def __init__(self, database: Path, *, wait_s: float = 5.0) -> None:
        self._fd = _open_door(database)
        self._wait_s = wait_s

    @contextmanager
    def writing(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Run the body in an immediate transaction; commit at its end, roll back if it raises.

        Raises:
            sqlite3.OperationalError: the lock could not be had within the wait, or the commit failed (then nothing was
            written).
        """
        self._enter(connection)
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _enter(self, connection: sqlite3.Connection) -> None:
        deadline = time.monotonic() + self._wait_s
        while not _take(self._fd):
            if time.monotonic() > deadline:
                raise sqlite3.OperationalError(_BUSY)
            time.sleep(_PAUSE_S)
        try:
            while True:
                try:
                    connection.execute("BEGIN IMMEDIATE")
                    return
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                        raise
                time.sleep(_PAUSE_S)
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._fd)


class Door:
    """The same door for a writer that lives on the event loop: held while its transaction begins."""

    def __init__(self, database: Path, *, wait_s: float = 5.0) -> None:
        self._fd = _open_door(database)
        self._mine = asyncio.Lock()
        self._wait_s = wait_s

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Stand in the door for the body."""
        async with self._mine:
            deadline = time.monotonic() + self._wait_s
            while not _take(self._fd):
                if time.monotonic() > deadline:
                    raise TimeoutError(_BUSY)
                await asyncio.sleep(_PAUSE_S)
            try:
                yield
            finally:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._fd)


_PAUSE_S = 0.0005
_BUSY = "the database is busy: another process has been holding its door for too long"


def _take(fd: int) -> bool:
    """Step into the door if nobody stands in it. Waiting inside `flock` could not be given up: its holder may be
    stopped.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open_door(database: Path) -> int:
    return os.open(f"{database}.door", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def connect(database: Path) -> sqlite3.Connection:
    """Open a writer's connection with the settings every connection of ours has; transactions are explicit."""
    connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False, timeout=0)
    connection.row_factory = sqlite3.Row
    for pragma in PRAGMAS:
        connection.execute(pragma)
    return connection


PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    # Without it INSERT OR REPLACE deletes the old row past the trigger that keeps events.
    "PRAGMA recursive_triggers=ON",
)
"""Durable before answered; write-ahead log so that readers never wait; events stay."""
