"""Rows of blobs: which stored bytes something names, and forgetting those that nothing does.

Runs and the rows of their files are never deleted, so every input of a call, of a question or of a run has its
artifact row for good; a blob without one was stored for a change that never landed.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, delete, exists, func, or_, select, tuple_

from core.store.readonly import Look
from core.store.session import Database, uninterrupted
from core.store.tables import artifacts, blobs

Key = tuple[str, str]
"""`(tenant, sha256)`."""


async def known(database: Database, digests: Sequence[str]) -> set[str]:
    """Those of these digests that any tenant has a row of."""
    async with database.read() as connection:
        found = await connection.execute(select(blobs.c.sha256).where(blobs.c.sha256.in_(digests)))
        return {row.sha256 for row in found}


@uninterrupted
async def forget(database: Database, after: Key | None, *, before_ms: int, limit: int) -> tuple[list[str], Key | None]:
    """Look at the next rows by key and delete those that are old and that no artifact names.

    Args:
        after: The key to go on behind; `None` = from the beginning.
        before_ms: Rows stored again since then are kept: a change that names them may be about to land.
        limit: How many rows are looked at.

    Returns:
        Digests whose row is gone, once that is durable, and the key to go on behind; `None` = that was all.
    """
    keys = tuple_(blobs.c.tenant, blobs.c.sha256)
    page = select(blobs.c.tenant, blobs.c.sha256).order_by(blobs.c.tenant, blobs.c.sha256).limit(limit)
    async with database.read() as connection:
        found = await connection.execute(page if after is None else _behind(page, after))
        seen = [(row.tenant, row.sha256) for row in found]
        if not seen:
            return [], None
        idle = select(blobs.c.tenant, blobs.c.sha256).where(keys.in_(seen), blobs.c.created_at < before_ms, _unnamed())
        wanted = [(row.tenant, row.sha256) for row in await connection.execute(idle)]
    gone: list[str] = []
    if wanted:
        async with database.begin() as connection:
            # Locked first and judged by the next statement: what a writer committed meanwhile is seen by that one.
            locked = select(blobs.c.tenant, blobs.c.sha256).where(keys.in_(wanted)).with_for_update(skip_locked=True)
            mine = [(row.tenant, row.sha256) for row in await connection.execute(locked)]
            if mine:
                conditions = (keys.in_(mine), blobs.c.created_at < before_ms, _unnamed())
                deleted = await connection.execute(delete(blobs).where(*conditions).returning(blobs.c.sha256))
                gone = [row.sha256 for row in deleted]
    return gone, seen[-1] if len(seen) == limit else None


async def unnamed(look: Look, *, before_ms: int) -> tuple[int, int]:
    """How many old rows no artifact names, and their bytes together."""
    counted = select(func.count().label("number"), func.coalesce(func.sum(blobs.c.size), 0).label("size"))
    (row,) = await look.rows(counted.where(blobs.c.created_at < before_ms, _unnamed()))
    return int(row["number"]), int(row["size"])


async def known_to(look: Look, digests: Sequence[str]) -> set[str]:
    """The same as `known`, of a database that is only looked at."""
    return {row["sha256"] for row in await look.rows(select(blobs.c.sha256).where(blobs.c.sha256.in_(digests)))}


def _behind(page: Select[tuple[str, str]], after: Key) -> Select[tuple[str, str]]:
    tenant, sha256 = after
    later = or_(blobs.c.tenant > tenant, (blobs.c.tenant == tenant) & (blobs.c.sha256 > sha256))
    return page.where(later)


def _unnamed() -> ColumnElement[bool]:
    named = (artifacts.c.tenant == blobs.c.tenant) & (artifacts.c.sha256 == blobs.c.sha256)
    return ~exists(select(artifacts.c.id).where(named).correlate(blobs))
