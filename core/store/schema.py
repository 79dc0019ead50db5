"""The schema's version: migrating a database, and refusing one that is not ours.

Migrations expand first and contract a release later, so the version before this one keeps working while its runs
finish. Only a migration needs the library for it, which takes longer to load than everything else a process does at
its start: a revision is the number in the name of its file, and looking costs a query.
"""

import asyncio
import contextlib
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, TextClause, text

from core.errors import SchemaMismatch
from core.store.readonly import Look
from core.store.session import Database

_HERE = Path(__file__).parent / "migrations"
_VERSION = text("SELECT version_num FROM alembic_version")


def revisions() -> tuple[str, ...]:
    """Every revision this version of Banksman knows, the oldest first."""
    return tuple(sorted(path.name[1:5] for path in (_HERE / "versions").glob("m[0-9][0-9][0-9][0-9]_*.py")))


def head() -> str:
    """The revision this version of Banksman works with."""
    return revisions()[-1]


async def current(database: Database) -> str | None:
    """The revision the database is at; `None` if it was never migrated."""
    async with database.read() as connection:
        if not (await connection.execute(_table(connection.dialect.name))).all():
            return None
        return (await connection.execute(_VERSION)).scalar_one_or_none()


def _table(dialect: str) -> TextClause:
    """A query that has a row if the database was ever migrated."""
    table = "sqlite_master" if dialect == "sqlite" else "pg_catalog.pg_tables"
    name = "name" if dialect == "sqlite" else "tablename"
    return text(f"SELECT {name} AS name FROM {table} WHERE {name} = 'alembic_version'")


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

    async with database.begin() as connection:
        await connection.run_sync(migrate, "head")
    return before


def migrate(connection: Connection, revision: str) -> None:
    """Run the migrations up to a revision in the transaction of a connection."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_HERE))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def check(database: Database) -> None:
    """Raise `SchemaMismatch` unless the database is exactly at `head()`."""
    _refuse_unless_head(await current(database))


async def check_read_only(look: Look) -> None:
    """The same for a database that is only looked at."""
    known = await look.rows(_table(look.dialect))
    found = await look.rows(_VERSION) if known else []
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
    if revision is not None and revision not in revisions():
        raise SchemaMismatch(
            f"The database is at revision {revision}, which this version of Banksman does not know: "
            "a newer version wrote it. Start that newer version, or point BANKSMAN_DATABASE_URL at another database."
        )
