"""The port of the object store: what is asked of a place that keeps the bytes of artifacts."""

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

CAP_BYTES = 50_000_000
"""Default cap of one artifact."""
RUN_CAP_BYTES = 200_000_000
"""Default cap of a run's artifacts together."""
RUN_CAP_FILES = 200


@dataclass(frozen=True)
class Stored:
    """Bytes that are durable."""

    sha256: str
    """64 lower-case hex digits."""
    size: int


class ObjectStore(Protocol):
    """Where the bytes of artifacts are."""

    async def put(self, source: AsyncIterable[bytes] | Path | int, *, cap_bytes: int) -> Stored:
        """Store bytes durably; storing the same bytes again changes nothing.

        Args:
            source: A stream, a regular file, or a descriptor open for reading at its start (the caller closes it).
            cap_bytes: More than this is refused and leaves nothing behind.

        Raises:
            ArtifactTooLarge: The source is longer than `cap_bytes`.
            RetryableError: The store cannot take it now (disk full, input/output error).
            TerminalError: The source is not a regular file or cannot be read.
        """
        ...

    def open(self, sha256: str) -> AsyncIterator[bytes]:
        """Stream the bytes, verified before the first one is handed out.

        Raises:
            ArtifactCorrupt: They are missing or no longer have this digest.
            RetryableError: The store cannot be read now.
        """
        ...

    async def read(self, sha256: str, max_bytes: int) -> bytes:
        """Return all the bytes, verified; raises as `open`, and `ArtifactTooLarge` beyond `max_bytes`."""
        ...

    async def exists(self, sha256: str) -> bool:
        """Whether the bytes are here (not whether they are intact). Writers ask again after their row is written."""
        ...

    async def aged(self, after: str, *, older_than_s: float, limit: int) -> tuple[list[Stored], str | None]:
        """Look at the next blobs by digest, for those that were stored at least so long ago.

        Args:
            after: The digest to go on behind; empty = from the beginning.
            limit: How many are looked at, old or not.

        Returns:
            The old ones, unverified, and the digest to go on behind; `None` = that was all.
        """
        ...

    async def trash(self, sha256: str, *, older_than_s: float = 0) -> bool:
        """Put the bytes out of reach, if they were stored at least so long ago; `False` = they were not, or not here.

        Only after the commit that deleted their row.
        """
        ...

    async def trashed(self, after: str, *, limit: int) -> list[str]:
        """The next so many digests of what is in the trash, behind `after`; empty = from the beginning."""
        ...

    async def restore(self, sha256: str) -> bool:
        """Take the bytes out of the trash again, if they are there and intact."""
        ...

    async def drop(self, sha256: str, *, older_than_s: float = 0) -> bool:
        """Delete from the trash what was put there at least so long ago; `False` = it was not, or not there."""
        ...

    async def sweep_temp(self, older_than_s: float) -> int:
        """Delete what crashed writers left behind; returns how many."""
        ...


def megabytes(size: int) -> str:
    """Write a size for people: `50 MB`, `1.5 MB`, `12 kB`, `7 bytes`."""
    for unit, name in ((1_000_000, "MB"), (1_000, "kB")):
        if size >= unit:
            return f"{size / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{size} bytes"
