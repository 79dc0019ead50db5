"""Collecting stored bytes that nothing names: what a crash or a refused change left in the artifact store.

First the row goes, if it is old and no artifact names it; once that is durable the file may go, and it goes to a trash
for a day. Files that never had a row are found by walking the store. A writer that stores the same bytes at that
very moment loses nothing: it writes its file anew before its row, whoever collects asks for the row again after the
file has gone, the writer asks for the file again after its row is durable (`keep`), and whatever is in the trash while
a row names it comes back, also when both of them died in between.

Source: PROTOCOL 2.9.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from core import metrics
from core.artifacts import ObjectStore
from core.clock import Clock
from core.crashpoints import crashpoint
from core.errors import RetryableError
from core.record.changes import RunChange
from core.store import blobs
from core.store.session import Database

log = logging.getLogger(__name__)

AGE_S = 24 * 3600.0
"""How long bytes are kept that nothing names; and then how long they stay in the trash."""

_ROWS = 200
"""Looked at in one pass, of rows and of files each."""


@dataclass(frozen=True)
class Collected:
    """What one pass did."""

    rows: int = 0
    files: int = 0
    """Put into the trash."""
    restored: int = 0
    deleted: int = 0


NOTHING = Collected()


class Collector:
    """Walks rows and files bit by bit, from the beginning again when it has seen all."""

    def __init__(self, database: Database, objects: ObjectStore, clock: Clock) -> None:
        self._database = database
        self._objects = objects
        self._clock = clock
        self._row: blobs.Key | None = None
        self._file = ""
        self._trashed = ""

    async def tick(self) -> Collected:
        """Make one pass; whoever leads the sweeper calls it."""
        deleted, restored = await self._empty_trash()
        before_ms = self._clock.wall_ms() - int(AGE_S * 1000)
        gone, self._row = await blobs.forget(self._database, self._row, before_ms=before_ms, limit=_ROWS)
        old, behind = await self._objects.aged(self._file, older_than_s=AGE_S, limit=_ROWS)
        self._file = behind or ""
        files, back = await self._discard([*gone, *(blob.sha256 for blob in old)])
        return Collected(len(gone), files, restored + back, deleted)

    async def _empty_trash(self) -> tuple[int, int]:
        """Delete what has been in the trash for long, and take out again what something names."""
        trashed = await self._objects.trashed(self._trashed, limit=_ROWS)
        self._trashed = trashed[-1] if len(trashed) == _ROWS else ""
        named = await blobs.known(self._database, trashed) if trashed else set()
        dropped = [await self._objects.drop(sha256, older_than_s=AGE_S) for sha256 in trashed if sha256 not in named]
        return sum(dropped), await self._restore(named)

    async def _discard(self, digests: Sequence[str]) -> tuple[int, int]:
        """Put files into the trash that no row names, and take back what one names by then."""
        if not digests:
            return 0, 0
        named = await blobs.known(self._database, digests)
        moved = [sha256 for sha256 in digests if sha256 not in named and await self._trash(sha256)]
        return len(moved), await self._restore(await blobs.known(self._database, moved)) if moved else 0

    async def _trash(self, sha256: str) -> bool:
        trashed = await self._objects.trash(sha256, older_than_s=AGE_S)
        if trashed:
            metrics.ARTIFACTS_TRASHED.inc()
            crashpoint("CP24")
        return trashed

    async def _restore(self, digests: set[str]) -> int:
        return sum([await restored(self._objects, sha256) for sha256 in sorted(digests)])


async def keep(objects: ObjectStore, change: RunChange) -> None:
    """After a change landed: have its files back that were collected while it was on its way."""
    for insert in change.inserts:
        if insert.table != "blobs":
            continue
        sha256 = insert.values["sha256"]
        try:
            if not await objects.exists(sha256):
                await restored(objects, sha256)
        except RetryableError as error:
            # What is written is written; if it is in the trash, the next pass finds it there.
            log.warning("could not look for %s: %s", sha256, error, extra={"action": "artifact_unseen"})


async def restored(objects: ObjectStore, sha256: str) -> bool:
    """Take bytes that something names out of the trash; `False` = they were not there, or not intact."""
    back = await objects.restore(sha256)
    if back:
        metrics.ARTIFACTS_RESTORED.inc()
        log.warning("took %s out of the trash: something names it", sha256, extra={"action": "artifact_restored"})
    return back
