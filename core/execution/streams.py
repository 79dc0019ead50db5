"""One output stream of a call: its beginning is kept, a long one goes to a file, and all of it is counted.

Reading never stops, whatever the program writes: a full pipe would turn a talkative program into a hanging one, and
keeping everything would turn it into our memory. Loaded by the supervisor.
"""

from __future__ import annotations

import os

_CHUNK_BYTES = 1 << 18


class Stream:
    """The reading end of a pipe from the program.

    Args:
        descriptor: Owned from here on; reading never blocks.
        path: Where a stream longer than `keep_bytes` is written, up to `max_bytes`.
    """

    def __init__(self, descriptor: int, path: str, keep_bytes: int, max_bytes: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.kept = bytearray()
        self.total_bytes = 0
        self.file_failed = False
        """Whether the file could not be made, or not be written to its end: the disk is full, as a rule."""
        self._path = path
        self._keep_bytes = keep_bytes
        self._max_bytes = max_bytes
        self._file = -1
        self._written_bytes = 0

    @property
    def path(self) -> str | None:
        """The file, if the stream grew beyond what is kept."""
        return self._path if self._file >= 0 or self._written_bytes else None

    def drain(self, *, most: int = 64) -> bool:
        """Read what is there, in at most so many chunks; `False` at the end of the stream."""
        for _ in range(most):
            try:
                chunk = os.read(self.descriptor, _CHUNK_BYTES)
            except BlockingIOError:
                return True
            if not chunk:
                return False
            self._take(chunk)
        return True

    def close(self) -> None:
        """Read no more, and finish the file."""
        os.close(self.descriptor)
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _take(self, chunk: bytes) -> None:
        before_bytes = self.total_bytes
        self.total_bytes += len(chunk)
        if before_bytes < self._keep_bytes:
            self.kept += chunk[: self._keep_bytes - before_bytes]
        if self.total_bytes > self._keep_bytes and not self.file_failed:
            if self._file < 0:
                try:
                    self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                except OSError:
                    self.file_failed = True
                    return
                self._write(bytes(self.kept[: self._max_bytes]))
                chunk = chunk[max(0, self._keep_bytes - before_bytes) :]
            self._write(chunk[: max(0, self._max_bytes - self._written_bytes)])

    def _write(self, content: bytes) -> None:
        while content:
            try:
                count = os.write(self._file, content)
            except OSError:
                self.file_failed = True
                return
            self._written_bytes += count
            content = content[count:]
