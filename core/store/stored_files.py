"""The artifact store held against the database: files that are damaged, and files that nothing names.

Looks at any number of files with the memory of one batch, and writes nothing.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from core.artifacts import ObjectStore
from core.errors import ArtifactCorrupt, StoreTrouble
from core.store import blobs
from core.store.readonly import Look, Row
from core.store.tables import artifacts

_BATCH = 500
_MOST_NAMED = 5


@dataclass(frozen=True)
class Hashed:
    """One stored file that was read to its end, or not."""

    sha256: str
    size: int
    """As it was stored."""
    wrong: str = ""
    """What is wrong with it, to follow its name in a sentence; empty = nothing."""
    named_by: Sequence[Row] = ()
    """If something is: the first few artifacts of these bytes, as `tenant`, `id`, `run_id`, `role` and `name`."""
    more: bool = False
    """Whether there are more of them."""


@dataclass(frozen=True)
class Orphaned:
    """What nothing names and the sweeper will collect."""

    files: int = 0
    size: int = 0
    """Bytes."""
    at_least: bool = False
    """Whether there are so many files that not all were looked at."""


async def hashed(look: Look, objects: ObjectStore) -> AsyncIterator[Hashed]:
    """Read every file that an artifact names, each once, in the order of digests.

    Raises:
        TooSlow: a batch of rows could not be read in time.
    """
    columns = (artifacts.c.sha256, artifacts.c.size)
    page = select(*columns).distinct().order_by(artifacts.c.sha256).limit(_BATCH)
    rows = await look.rows(page)
    last = ""
    while rows:
        for row in rows:
            if row["sha256"] == last:
                continue  # two sizes of the same bytes: one of them is a lie, which I19 says
            last = row["sha256"]
            wrong = await _wrong(objects, last)
            named = await _named_by(look, last) if wrong else ()
            yield Hashed(last, row["size"], wrong, named[:_MOST_NAMED], len(named) > _MOST_NAMED)
        rows = await look.rows(page.where(artifacts.c.sha256 > last)) if len(rows) == _BATCH else []


async def orphaned(look: Look, objects: ObjectStore, *, older_than_s: float, most: int, now_ms: int) -> Orphaned:
    """Count what is to be collected: old rows that no artifact names, old files that have no row.

    Args:
        most: How many files are looked at.
    """
    rows, size = await blobs.unnamed(look, before_ms=now_ms - int(older_than_s * 1000))
    files, after, seen = 0, "", 0
    while seen < most:
        old, behind = await objects.aged(after, older_than_s=older_than_s, limit=_BATCH)
        known = await blobs.known_to(look, [file.sha256 for file in old]) if old else set()
        unknown = [file for file in old if file.sha256 not in known]
        files, size = files + len(unknown), size + sum(file.size for file in unknown)
        if behind is None:
            return Orphaned(rows + files, size)
        after, seen = behind, seen + _BATCH
    return Orphaned(rows + files, size, at_least=True)


async def _wrong(objects: ObjectStore, sha256: str) -> str:
    try:
        async for _ in objects.open(sha256):
            pass
    except ArtifactCorrupt as error:
        return error.what
    except StoreTrouble as error:
        return f"cannot be read ({error.user_text})"
    return ""


async def _named_by(look: Look, sha256: str) -> Sequence[Row]:
    wanted = (artifacts.c.tenant, artifacts.c.id, artifacts.c.run_id, artifacts.c.role, artifacts.c.name)
    statement = select(*wanted).where(artifacts.c.sha256 == sha256).order_by(artifacts.c.id.desc())
    return await look.rows(statement.limit(_MOST_NAMED + 1))
