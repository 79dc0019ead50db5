"""The schema: what migrations build, what they refuse, and what the database itself never lets through."""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from core.errors import SchemaMismatch
from core.record.states import TRANSITIONS
from core.store import schema
from core.store.session import Database, sqlite_integrity
from core.store.tables import metadata
from core.store.turnstile import connect
from tests.databases import migrate_to, sqlite_url
from tests.factories import a_created_run
from tests.integration.store.looking import rows
from tests.servers import PostgresServer


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a database that was never migrated."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path / "empty.db")
        return
    yield postgres_server.create_database("never_migrated")
    postgres_server.drop("never_migrated")


@pytest.fixture
async def empty(empty_url: str) -> AsyncIterator[Database]:
    opened = Database(empty_url)
    yield opened
    await opened.close()


async def test_the_migrations_build_what_the_tables_say(database: Database) -> None:
    def differences(sync: Any) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": database.dialect == "sqlite"}
        return compare_metadata(MigrationContext.configure(sync, opts=options), metadata)

    async with database.read() as connection:
        assert [] == await connection.run_sync(differences)


async def test_every_named_rule_of_the_tables_is_in_the_database(database: Database) -> None:
    def found(sync: Any) -> set[str]:
        look = inspect(sync)
        names = set()
        for table in metadata.tables:
            named = [*look.get_check_constraints(table), *look.get_unique_constraints(table)]
            named += [*look.get_foreign_keys(table), *look.get_indexes(table), look.get_pk_constraint(table)]
            names |= {f"{table}.{item['name']}" for item in named}
        return names

    declared = {
        f"{table.name}.{rule.name}"
        for table in metadata.tables.values()
        for rule in (*table.constraints, *table.indexes)
    }
    async with database.read() as connection:
        assert set() == declared - await connection.run_sync(found)


async def test_every_vocabulary_is_checked_by_the_same_words(database: Database) -> None:
    def found(sync: Any) -> dict[str, str]:
        look = inspect(sync)
        return {
            str(check["name"]): check["sqltext"]
            for table in metadata.tables
            for check in look.get_check_constraints(table)
        }

    async with database.read() as connection:
        built = await connection.run_sync(found)
    for table in metadata.tables.values():
        for rule in table.constraints:
            if isinstance(rule, CheckConstraint):
                assert set(_words(str(rule.sqltext))) == set(_words(built[str(rule.name)])), rule.name


def _words(sql: str) -> list[str]:
    return [part for n, part in enumerate(sql.split("'")) if n % 2]


async def test_the_database_has_the_transitions_of_the_table_and_no_other(database: Database) -> None:
    stored = {(row["a"], row["b"]) for row in await rows(database, "SELECT a, b FROM transitions")}
    assert {(str(a), str(b)) for a, targets in TRANSITIONS.items() for b in targets} == stored


async def test_a_transition_that_is_not_in_the_table_is_refused(database: Database) -> None:
    run = await a_created_run(database)
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        await _event(database, run.run.id, "created", "completed")
    await _event(database, run.run.id, "created", "failed")


async def _event(database: Database, stream: str, source: str | None, target: str | None) -> None:
    sql = """INSERT INTO events (tenant, stream, seq, at, type, from_state, to_state, actor_kind, actor_id,
        policy_version, fence, body, prev_hash, hash)
        VALUES ('main', :stream, 99, 1, 'state', :a, :b, 'system', 'test', 'p', 0, '{}', '0', '0')"""
    async with database.begin() as connection:
        await connection.execute(text(sql), {"stream": stream, "a": source, "b": target})


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE events SET actor_id = 'somebody else' WHERE seq = 1",
        "UPDATE events SET hash = hash",
        "DELETE FROM events",
        "DELETE FROM events WHERE seq = 2",
    ],
)
async def test_an_event_is_never_changed_or_deleted(database: Database, sql: str) -> None:
    await a_created_run(database)
    before = await rows(database, "SELECT * FROM events")
    with pytest.raises(DBAPIError, match=r"events are never"):
        async with database.begin() as connection:
            await connection.execute(text(sql))
    assert before == await rows(database, "SELECT * FROM events")


async def test_an_event_is_never_replaced_or_truncated(database: Database) -> None:
    await a_created_run(database)
    before = await rows(database, "SELECT * FROM events")
    if database.dialect == "sqlite":
        sql = "INSERT OR REPLACE INTO events SELECT * FROM events WHERE seq = 1"
    else:
        sql = "TRUNCATE events"
    with pytest.raises(DBAPIError, match=r"events are never"):
        async with database.begin() as connection:
            await connection.execute(text(sql))
    assert before == await rows(database, "SELECT * FROM events")


async def test_a_new_database_is_migrated_once_and_then_left_alone(empty: Database) -> None:
    assert await schema.upgrade(empty, keep_copy=True) is None
    assert schema.head() == await schema.upgrade(empty, keep_copy=True)
    await schema.check(empty)


async def test_a_database_without_tables_is_refused_with_the_command_to_run(empty: Database) -> None:
    with pytest.raises(SchemaMismatch, match=r"has no tables yet.*banksman db upgrade"):
        await schema.check(empty)


async def test_a_database_of_an_older_version_is_refused_until_it_is_upgraded(empty: Database) -> None:
    await migrate_to(empty, "0001")
    with pytest.raises(SchemaMismatch, match=f"is at revision 0001, this version needs {schema.head()}.*db upgrade"):
        await schema.check(empty)
    assert "0001" == await schema.upgrade(empty)
    await schema.check(empty)


async def test_a_database_of_a_newer_version_is_refused_and_not_touched(database: Database) -> None:
    async with database.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        for attempt in (schema.check(database), schema.upgrade(database)):
            with pytest.raises(SchemaMismatch, match=r"revision 9999.*newer version wrote it.*BANKSMAN_DATABASE_URL"):
                await attempt
        assert "9999" == await schema.current(database)
    finally:
        async with database.begin() as connection:
            await connection.execute(text(f"UPDATE alembic_version SET version_num = '{schema.head()}'"))


async def test_upgrading_an_older_file_keeps_a_complete_copy_of_it(tmp_path: Path) -> None:
    path = tmp_path / "banksman.db"
    database = Database(sqlite_url(path))
    await migrate_to(database, "0001")
    # What was committed a moment ago is still in the write-ahead log while somebody has the file open.
    with closing(connect(path)) as other:
        other.execute("INSERT INTO blobs (tenant, sha256, size, created_at) VALUES ('main', 'ab', 1, 1)")
        assert "0001" == await schema.upgrade(database, keep_copy=True)
    await database.close()
    copy = tmp_path / "banksman.db.0001.bak"
    assert "ok" == await sqlite_integrity(copy)
    with closing(sqlite3.connect(copy)) as kept:
        assert [("ab",)] == kept.execute("SELECT sha256 FROM blobs").fetchall()
        assert [("0001",)] == kept.execute("SELECT version_num FROM alembic_version").fetchall()
        assert [] == kept.execute("SELECT name FROM sqlite_master WHERE name = 'outbox'").fetchall()


async def test_an_upgrade_that_changes_nothing_makes_no_copy(tmp_path: Path, sqlite_template: Path) -> None:
    shutil.copy(sqlite_template, tmp_path / "banksman.db")
    database = Database(sqlite_url(tmp_path / "banksman.db"))
    await schema.upgrade(database, keep_copy=True)
    await database.close()
    assert [] == list(tmp_path.glob("*.bak"))


def test_the_names_of_the_files_are_the_revisions_in_their_order() -> None:
    """A start reads the names alone; a migration that is called otherwise would be taken for another one."""
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    chain = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]

    assert tuple(reversed(chain)) == schema.revisions()
