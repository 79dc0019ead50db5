"""The two databases as fixtures: `database` is a test's own, migrated and empty, once on SQLite and once on PostgreSQL.

A test folder takes them by importing the names into its conftest.py. Their schema is what the migrations build.
"""

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import make_url

from core.store import schema
from core.store.session import Database
from core.store.tables import metadata
from tests.servers import PostgresServer

_numbers = itertools.count(1)
_KEPT = {"transitions"}


async def _migrate(url: str) -> None:
    database = Database(url)
    await schema.upgrade(database)
    await database.close()


async def migrate_to(database: Database, revision: str) -> None:
    """Bring a database to an older revision than ours."""
    async with database.begin() as connection:
        await connection.run_sync(schema.migrate, revision)


def sqlite_url(path: Path) -> str:
    """The address of an SQLite file."""
    return f"sqlite+aiosqlite:///{path}"


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: PostgresServer) -> str:
    """The address of a migrated PostgreSQL database; `database_url` empties it for each test."""
    url = postgres_server.create_database(f"migrated_{next(_numbers)}")
    asyncio.run(_migrate(url))
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    asyncio.run(_migrate(sqlite_url(path)))
    return path


async def empty(url: str) -> None:
    """Delete every row: making a database anew takes a second, this takes milliseconds."""
    connection = await asyncpg.connect(make_url(url).set(drivername="postgresql").render_as_string())
    # As a replica the server runs no triggers: neither foreign keys nor those that make events immutable.
    tables = [table for table in metadata.tables if table not in _KEPT]
    await connection.execute(
        "SET session_replication_role = replica; " + "; ".join(f"DELETE FROM {table}" for table in tables)
    )
    await connection.close()


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path, migrated_postgres: str) -> str:
    """The address of a migrated, empty database that no other test uses at the same time."""
    if request.param == "postgres":
        asyncio.run(empty(migrated_postgres))
        return migrated_postgres
    shutil.copy(sqlite_template, tmp_path / "banksman.db")
    return sqlite_url(tmp_path / "banksman.db")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A migrated database of this test alone, opened."""
    opened = Database(database_url)
    yield opened
    await opened.close()
