"""The schema's version: migrating a database, and refusing one that is not ours.

Migrations expand first and contract a release later, so the version before this one keeps working while its runs
finish.
"""

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from core.errors import SchemaMismatch
from core.store.readonly import Look
from core.store.session import Database

_HERE = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE))
    return config


def head() -> str:
    """The revision this version of Banksman works with."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


async def current(database: Database) -> str | None:
    """The revision the database is at; `None` if it was never migrated."""
    async with database.read() as connection:
        return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())


async def upgrade(database: Database, *, keep_copy: bool = False) -> str | None:
    """Bring the database to `head()`.

    Args:
        keep_copy: Copy an older SQLite file beside itself first (`NAME.REVISION.bak`).

    Returns:
        The revision it was at before, `None` for a new database.

    Raises:
        SchemaMismatch: it was written by a newer version, which cannot be undone here.
    """
    before = await current(database)
    if before == head():
        return before
    _refuse_unknown(before)
    if keep_copy and before is not None and database.path is not None:
        await asyncio.to_thread(_copy, database.path, database.path.with_name(f"{database.path.name}.{before}.bak"))

    def run(sync: Any) -> None:
        config = _config()
        config.attributes["connection"] = sync
        command.upgrade(config, "head")

    async with database.begin() as connection:
        await connection.run_sync(run)
    return before


async def check(database: Database) -> None:
    """Raise `SchemaMismatch` unless the database is exactly at `head()`."""
    _refuse_unless_head(await current(database))


async def check_read_only(look: Look) -> None:
    """The same for a database that is only looked at."""
    table = "sqlite_master" if look.dialect == "sqlite" else "pg_catalog.pg_tables"
    name = "name" if look.dialect == "sqlite" else "tablename"
    known = await look.rows(text(f"SELECT {name} AS name FROM {table} WHERE {name} = 'alembic_version'"))
    found = await look.rows(text("SELECT version_num FROM alembic_version")) if known else []
    _refuse_unless_head(found[0]["version_num"] if found else None)


def _refuse_unless_head(found: str | None) -> None:
    if found == head():
        return
    _refuse_unknown(found)
    what = "has no tables yet" if found is None else f"is at revision {found}, this version needs {head()}"
    raise SchemaMismatch(f"The database {what}. Run `banksman db upgrade`, then start again.")


def _copy(source: Path, target: Path) -> None:
    """Copy a database that may be in use, with what is still only in its write-ahead log."""
    with contextlib.closing(sqlite3.connect(source)) as old, contextlib.closing(sqlite3.connect(target)) as new:
        old.backup(new)


def _refuse_unknown(revision: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise SchemaMismatch(
            f"The database is at revision {revision}, which this version of Banksman does not know: "
            "a newer version wrote it. Start that newer version, or point BANKSMAN_DATABASE_URL at another database."
        )
