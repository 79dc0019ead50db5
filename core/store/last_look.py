"""The last look before an effect: is the run still this fence's, and has nobody stopped it?

For the child that performs an effect: quick to load, one question, one answer, and no answer is a no. The worker's own
look was before it started the child; this one is right before anything is sent.
"""

import sqlite3
from urllib.parse import quote, urlsplit

WITHIN_S = 5.0

_SQLITE = "sqlite+aiosqlite:///"
_POSTGRES = "postgresql+asyncpg://"
_SQL = "SELECT fence, killed_at FROM runs WHERE tenant = {} AND id = {}"


def still_ours(database_url: str, tenant: str, run_id: str, fence: int, *, stopped: bool = False) -> bool:
    """Whether the run is under this fence and not stopped; blocks, at most about `WITHIN_S`.

    Args:
        stopped: Whether it is to be stopped instead, for what only looks.
        database_url: As in the settings: `sqlite+aiosqlite:///FILE` with an absolute path, or
            `postgresql+asyncpg://…`.

    Raises:
        Exception: The database does not answer; then nothing may be sent.
    """
    if database_url.startswith(_SQLITE):
        found = _sqlite(database_url.removeprefix(_SQLITE).partition("?")[0], tenant, run_id)
    elif database_url.startswith(_POSTGRES):
        found = _postgres(database_url.replace("+asyncpg", "", 1), tenant, run_id)
    else:
        raise ValueError(f"no database of ours: {urlsplit(database_url).scheme}")
    return found is not None and found[0] == fence and (found[1] is not None) == stopped


def _sqlite(path: str, tenant: str, run_id: str) -> tuple[int, int | None] | None:
    connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=WITHIN_S)
    try:
        row = connection.execute(_SQL.format("?", "?"), (tenant, run_id)).fetchone()
    finally:
        connection.close()
    return None if row is None else (row[0], row[1])


def _postgres(dsn: str, tenant: str, run_id: str) -> tuple[int, int | None] | None:
    import asyncio  # costs more than the whole look at SQLite

    import asyncpg

    async def looked() -> asyncpg.Record | None:
        async with asyncio.timeout(WITHIN_S):
            connection = await asyncpg.connect(dsn, timeout=WITHIN_S)
            try:
                return await connection.fetchrow(_SQL.format("$1", "$2"), tenant, run_id)
            finally:
                await connection.close()

    row = asyncio.run(looked())
    return None if row is None else (row["fence"], row["killed_at"])
