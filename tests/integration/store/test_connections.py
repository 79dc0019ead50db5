"""Every connection we open is durable, keeps its foreign keys, waits for a bounded time and takes its turn."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.record.changes import Refusal
from core.store.lane import Target
from core.store.session import Database
from core.store.turnstile import Door, Turnstile, connect
from tests.databases import sqlite_url
from tests.factories import a_created_run
from tests.integration.store.looking import count_rows
from tests.patience import PATIENCE_S

SQLITE = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "recursive_triggers": 1}
POSTGRES = {
    "synchronous_commit": "on",
    "lock_timeout": "3s",
    "statement_timeout": "5s",
    "idle_in_transaction_session_timeout": "10s",
    "default_transaction_isolation": "read committed",
}


async def test_reading_and_writing_through_the_engine_uses_the_safe_settings(database: Database) -> None:
    ask, expected = ("PRAGMA", SQLITE) if database.dialect == "sqlite" else ("SHOW", POSTGRES)
    for opened in (database.read(), database.begin()):
        async with opened as connection:
            said = {name: (await connection.execute(text(f"{ask} {name}"))).scalar_one() for name in expected}
            assert expected == said


async def test_the_journals_own_connections_use_the_safe_settings(database: Database) -> None:
    said: dict[str, Mapping[str, object]] = {}
    if database.dialect == "sqlite":
        lane = database.lane
        for name, writer in {"batches": lane._batches, "commands": lane._commands}.items():  # type: ignore[union-attr]
            said[name] = await writer.run(
                lambda connection: {key: connection.execute(f"PRAGMA {key}").fetchone()[0] for key in SQLITE}
            )
        assert {"batches": SQLITE, "commands": SQLITE} == said
    else:
        await database.lane.open()
        async with database.lane._pool.acquire() as connection:  # type: ignore[union-attr]
            assert POSTGRES == {name: await connection.fetchval(f"SHOW {name}") for name in POSTGRES}


async def test_a_read_never_writes(database: Database) -> None:
    async with database.read() as connection:
        await connection.execute(text("INSERT INTO blobs (tenant, sha256, size, created_at) VALUES ('main','a',1,1)"))
    assert 0 == await count_rows(database, "blobs")


async def test_a_read_sees_one_moment(database: Database) -> None:
    """A run, then its calls, then its approvals: what is written between the statements is not half seen."""
    insert = text("INSERT INTO blobs (tenant, sha256, size, created_at) VALUES ('main', 'a', 1, 1)")
    count = text("SELECT count(*) FROM blobs")
    async with database.read() as connection:
        before = (await connection.execute(count)).scalar_one()
        async with database.begin() as other:
            await other.execute(insert)
        assert before == (await connection.execute(count)).scalar_one()
    assert before + 1 == await count_rows(database, "blobs")


async def test_a_transaction_whose_body_raises_leaves_nothing(database: Database) -> None:
    with pytest.raises(KeyError):
        async with database.begin() as connection:
            await connection.execute(
                text("INSERT INTO blobs (tenant, sha256, size, created_at) VALUES ('main','a',1,1)")
            )
            raise KeyError("changed my mind")
    assert 0 == await count_rows(database, "blobs")


async def test_a_command_whose_decision_raises_leaves_the_lane_usable(database: Database) -> None:
    run = await a_created_run(database)

    def breaks(_runs: object) -> Refusal:
        raise ZeroDivisionError

    target = Target(run_id=run.run.id)
    with pytest.raises(ZeroDivisionError):
        await database.journal.command("main", target, breaks)
    assert isinstance(await database.journal.command("main", target, lambda _: Refusal("invalid", "no")), Refusal)


async def test_a_writer_reads_what_was_committed_before_it_began(database: Database) -> None:
    """A deferred transaction that read before somebody else wrote could not write any more (SQLITE_BUSY_SNAPSHOT)."""

    async def add_one() -> None:
        async with database.begin() as connection:
            found = (await connection.execute(text("SELECT count(*) FROM blobs"))).scalar_one()
            await asyncio.sleep(0)
            sql = "INSERT INTO blobs (tenant, sha256, size, created_at) VALUES ('main', :name, :n, 1)"
            await connection.execute(text(sql), {"name": f"{id(asyncio.current_task())}", "n": found})

    await asyncio.gather(*(add_one() for _ in range(8)))
    assert 8 == await count_rows(database, "blobs")


async def test_whoever_gives_up_waiting_at_the_door_does_not_keep_it_shut(tmp_path: Path) -> None:
    path = tmp_path / "door.db"
    first, second = Door(path), Door(path)
    try:
        async with first.held():
            waiting = asyncio.create_task(_pass(second))
            await asyncio.sleep(0.02)  # it stands at the door now; if not, the test proves less but still holds
            waiting.cancel()
            await asyncio.sleep(0.02)  # the cancellation arrives while the door is still taken
        await asyncio.wait({waiting})
        assert waiting.cancelled()
        async with asyncio.timeout(PATIENCE_S):
            await _pass(first)
            await _pass(second)
    finally:
        first.close()
        second.close()


async def _pass(door: Door) -> None:
    async with door.held():
        pass


async def test_a_writer_that_cannot_have_the_file_says_so_after_a_bounded_wait(tmp_path: Path) -> None:
    path = tmp_path / "busy.db"
    holder, late = connect(path), connect(path)
    turnstile = Turnstile(path, wait_s=0.05)
    try:
        holder.execute("CREATE TABLE t (a)")
        holder.execute("BEGIN IMMEDIATE")

        def write() -> None:
            with turnstile.writing(late):
                late.execute("INSERT INTO t VALUES (1)")

        with pytest.raises(Exception, match="locked"):
            await asyncio.to_thread(write)
        holder.execute("ROLLBACK")
        await asyncio.to_thread(write)
        assert 1 == holder.execute("SELECT count(*) FROM t").fetchone()[0]
    finally:
        holder.close()
        late.close()
        turnstile.close()


async def test_a_server_that_is_not_there_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    database = Database(f"postgresql+asyncpg://nobody@/nothing?host={tmp_path}")
    with pytest.raises((OSError, DBAPIError)):
        async with database.read():
            raise AssertionError("connected to nothing")
    await database.close()


async def test_a_new_files_directory_is_made(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "deep" / "er" / "banksman.db"))
    async with database.read() as connection:
        assert "wal" == (await connection.execute(text("PRAGMA journal_mode"))).scalar_one()
    await database.close()


async def test_closing_goes_to_its_end_even_if_it_is_cancelled(database_url: str) -> None:
    for turns in range(1, 12):
        database = Database(database_url)
        async with database.read() as connection:
            await connection.execute(text("SELECT 1"))
        closing = asyncio.create_task(database.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait({closing})

        assert 0 == database.engine.pool.checkedin()  # type: ignore[attr-defined]
