"""`banksman db`: migrations."""

from bot.cli.installation import reaching
from core.config.settings import Settings
from core.store import schema
from core.store.session import Database


async def upgrade(settings: Settings) -> int:
    """Bring the database to this version's schema; an older SQLite file is copied first."""
    database = Database(settings.database_url)
    try:
        with reaching():
            before = await schema.upgrade(database, keep_copy=True)
    finally:
        await database.close()
    head = schema.head()
    print(
        f"The database is at revision {head}." if before == head else f"Upgraded from {before or 'nothing'} to {head}."
    )
    return 0


async def current(settings: Settings) -> int:
    """Say where the database is; 1 if that is not where this version needs it."""
    database = Database(settings.database_url)
    try:
        with reaching():
            found = await schema.current(database)
    finally:
        await database.close()
    head = schema.head()
    print(f"{found or 'no schema yet'} (this version needs {head})")
    return 0 if found == head else 1
