"""The sentence for a database that does not work, from the errors the databases really raise."""

import contextlib
import errno
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.store.session import Database
from core.store.trouble import in_words
from core.store.turnstile import Turnstile, connect


def test_a_full_database_says_that_its_disk_is_full(tmp_path: Path) -> None:
    with contextlib.closing(connect(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("PRAGMA max_page_count = 3")

        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute("INSERT INTO t VALUES (zeroblob(100000))")

    assert str(in_words(caught.value)).startswith("The disk of the database is full")


def test_a_door_somebody_stands_in_says_that_the_database_is_busy(tmp_path: Path) -> None:
    with (
        contextlib.closing(connect(tmp_path / "a.db")) as connection,
        contextlib.closing(connect(tmp_path / "a.db")) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        turnstile = Turnstile(tmp_path / "a.db", wait_s=0.05)
        with pytest.raises(sqlite3.OperationalError) as caught, turnstile.writing(connection):
            pass
        turnstile.close()

    assert str(in_words(caught.value)).startswith("The database is busy")


async def test_a_mistake_of_ours_is_not_the_databases(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught:
        async with database.read() as connection:
            await connection.execute(text("SELECT * FROM nothing_of_ours"))

    assert in_words(caught.value) is None
    assert in_words(sqlite3.ProgrammingError("closed")) is None
    assert in_words(ValueError("no")) is None


def test_a_directory_that_cannot_be_written_is_named() -> None:
    said = in_words(OSError(errno.EROFS, "Read-only file system", "/data/banksman/up.lock"))

    assert (
        said
        == "/data/banksman/up.lock cannot be written: Read-only file system. Let this user write there, or make room."
    )
    assert in_words(ConnectionRefusedError(errno.ECONNREFUSED, "refused")) is None
