"""Artifacts in a directory tree of this machine, or of a disk that several share.

Written to a temporary file, hashed on the way, synced and renamed into place; what goes, goes through a trash from
which it can come back. Whatever is not as it was stored is refused, counted and said in the log, here, because all
bytes leave through here.

Source: PROTOCOL 2.9, crash points CP16 and CP17 of 2.8.
"""

import asyncio
import contextlib
import errno
import hashlib
import heapq
import logging
import os
import re
import secrets
import stat
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

from core import metrics
from core.artifacts.port import Stored, megabytes
from core.errors import ArtifactCorrupt, ArtifactTooLarge, StoreTrouble, TerminalError

log = logging.getLogger(__name__)

_BLOCK_BYTES = 1 << 20
_HOP_BYTES = 4 << 20
"""A stream is handed to a thread in pieces of this size, not chunk by chunk."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

T = TypeVar("T")

REMEDY = "Restore it from a backup, or let the same bytes be stored again: that mends it."


class FileStore:
    """`file://`: blobs in a directory tree only this user can enter.

    `root/sha256/ab/cdef…` holds blobs, `root/tmp` half-written ones, `root/trash` those about to go. Nothing in it
    is followed if it is a symbolic link; where anything lies is told to nobody.
    """

    def __init__(self, root: Path, *, crashpoint: Callable[[str], None] = lambda _label: None) -> None:
        self._root = root
        self._crashpoint = crashpoint
        self._durable: set[str] = set()
        """Prefix directories whose own entry this process has made durable."""

    async def put(self, source: AsyncIterable[bytes] | Path | int, *, cap_bytes: int) -> Stored:
        if isinstance(source, (Path, int)):
            return await _in_thread(self._put_file, source, cap_bytes)
        writer = await _in_thread(self._begin, cap_bytes)
        try:
            pending = bytearray()
            async for chunk in source:
                pending += chunk
                if len(pending) >= _HOP_BYTES:
                    await _in_thread(writer.write, bytes(pending))
                    pending.clear()
            return await _in_thread(self._finish, writer, bytes(pending))
        finally:
            await _in_thread(writer.discard)

    async def open(self, sha256: str) -> AsyncIterator[bytes]:
        blob = await _in_thread(self._open_verified, sha256)
        try:
            digest = hashlib.sha256()
            while block := await _in_thread(_read_block, blob, _HOP_BYTES):
                digest.update(block)
                if len(block) < _HOP_BYTES and digest.hexdigest() != sha256:
                    raise _corrupt(sha256, "changed while it was being read")
                yield block
            if digest.hexdigest() != sha256:
                raise _corrupt(sha256, "changed while it was being read")
        finally:
            os.close(blob)

    async def read(self, sha256: str, max_bytes: int) -> bytes:
        return await _in_thread(self._read, sha256, max_bytes)

    async def exists(self, sha256: str) -> bool:
        return await _in_thread(self._exists, sha256)

    async def aged(self, after: str, *, older_than_s: float, limit: int) -> tuple[list[Stored], str | None]:
        return await _in_thread(self._aged, after, older_than_s, limit)

    async def trash(self, sha256: str, *, older_than_s: float = 0) -> bool:
        return await _in_thread(self._trash, sha256, older_than_s)

    async def trashed(self, after: str, *, limit: int) -> list[str]:
        return await _in_thread(self._trashed, after, limit)

    async def restore(self, sha256: str) -> bool:
        return await _in_thread(self._restore, sha256)

    async def drop(self, sha256: str, *, older_than_s: float = 0) -> bool:
        return await _in_thread(self._drop, sha256, older_than_s)

    async def sweep_temp(self, older_than_s: float) -> int:
        return await _in_thread(self._sweep_temp, older_than_s)

    def _put_file(self, source: Path | int, cap_bytes: int) -> Stored:
        with contextlib.ExitStack() as stack:
            if isinstance(source, Path):
                try:
                    descriptor = os.open(source, _READ)
                except OSError as error:
                    raise _unreadable(error) from error
                stack.callback(os.close, descriptor)
            else:
                descriptor = source
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise TerminalError("Only a regular file can be stored as an artifact.")
            writer = self._begin(cap_bytes)
            stack.callback(writer.discard)
            while True:
                try:
                    block = os.read(descriptor, _BLOCK_BYTES)
                except OSError as error:
                    raise _unreadable(error) from error
                if not block:
                    return self._finish(writer, b"")
                writer.write(block)

    def _begin(self, cap_bytes: int) -> "_Writer":
        with _storage_errors(), self._directory("tmp", create=True) as tmp:
            return _Writer(os.dup(tmp), cap_bytes)

    def _finish(self, writer: "_Writer", last: bytes) -> Stored:
        writer.write(last)
        self._crashpoint("CP16")
        with _storage_errors():
            stored = writer.flush()
            prefix, name = stored.sha256[:2], stored.sha256[2:]
            with self._directory("sha256", create=True) as blobs, _subdirectory(blobs, prefix, create=True) as home:
                # Renaming over an equal blob costs nothing and heals one that was damaged.
                os.rename(writer.name, name, src_dir_fd=writer.directory, dst_dir_fd=home)
                os.fsync(home)
                if prefix not in self._durable:
                    os.fsync(blobs)
                    with self._base() as root, _parent_of(self._root) as parent:
                        os.fsync(root)
                        os.fsync(parent)
                    self._durable.add(prefix)
        self._crashpoint("CP17")
        return stored

    def _open_verified(self, sha256: str) -> int:
        blob = self._open_blob(sha256)
        try:
            with _storage_errors():
                digest = _digest_of(blob)
                os.lseek(blob, 0, os.SEEK_SET)
            if digest != sha256:
                raise _corrupt(sha256, "no longer has the digest it was stored under")
        except BaseException:
            os.close(blob)
            raise
        return blob

    def _read(self, sha256: str, max_bytes: int) -> bytes:
        blob = self._open_blob(sha256)
        try:
            with _storage_errors():
                if (size := os.fstat(blob).st_size) > max_bytes:
                    raise ArtifactTooLarge(f"This artifact has {size} bytes; at most {max_bytes} can be read at once.")
                data = b"".join(iter(lambda: os.read(blob, _BLOCK_BYTES), b""))
        finally:
            os.close(blob)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise _corrupt(sha256, "no longer has the digest it was stored under")
        return data

    def _open_blob(self, sha256: str) -> int:
        prefix, name = _split(sha256)
        try:
            with _storage_errors(), self._directory("sha256") as blobs, _subdirectory(blobs, prefix) as home:
                blob = os.open(name, _READ, dir_fd=home)
        except FileNotFoundError:
            raise _corrupt(sha256, "is missing from the artifact store") from None
        if not stat.S_ISREG(os.fstat(blob).st_mode):
            os.close(blob)
            raise _corrupt(sha256, "is no regular file in the artifact store")
        return blob

    def _exists(self, sha256: str) -> bool:
        prefix, name = _split(sha256)
        try:
            with _storage_errors(), self._directory("sha256") as blobs, _subdirectory(blobs, prefix) as home:
                return stat.S_ISREG(os.stat(name, dir_fd=home, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            return False

    def _aged(self, after: str, older_than_s: float, limit: int) -> tuple[list[Stored], str | None]:
        found: list[Stored] = []
        seen, last, newest = 0, after, time.time() - older_than_s
        with contextlib.suppress(FileNotFoundError), _storage_errors(), self._directory("sha256") as blobs:
            for prefix in sorted(name for name in os.listdir(blobs) if name >= after[:2]):  # noqa: PTH208
                with _subdirectory(blobs, prefix) as home:
                    for name in sorted(os.listdir(home)):  # noqa: PTH208
                        sha256 = prefix + name
                        if sha256 <= after or not _DIGEST.fullmatch(sha256):
                            continue
                        if seen == limit:
                            return found, last
                        seen, last = seen + 1, sha256
                        with contextlib.suppress(FileNotFoundError):
                            about = os.stat(name, dir_fd=home, follow_symlinks=False)
                            if about.st_mtime <= newest:
                                found.append(Stored(sha256, about.st_size))
        return found, None

    def _trashed(self, after: str, limit: int) -> list[str]:
        with contextlib.suppress(FileNotFoundError), _storage_errors(), self._directory("trash") as bin_:
            names = (name for name in os.listdir(bin_) if name > after and _DIGEST.fullmatch(name))  # noqa: PTH208
            return heapq.nsmallest(limit, names)
        return []

    def _restore(self, sha256: str) -> bool:
        prefix, name = _split(sha256)
        try:
            with (
                _storage_errors(),
                self._directory("trash") as bin_,
                self._directory("sha256", create=True) as blobs,
                _subdirectory(blobs, prefix, create=True) as home,
            ):
                blob = os.open(sha256, _READ, dir_fd=bin_)
                try:
                    # Only the very bytes may take the place of what is, perhaps, there again.
                    if _digest_of(blob) != sha256:
                        return False
                finally:
                    os.close(blob)
                os.rename(sha256, name, src_dir_fd=bin_, dst_dir_fd=home)
                os.utime(name, dir_fd=home, follow_symlinks=False)
                os.fsync(home)
                return True
        except FileNotFoundError:
            return False

    def _trash(self, sha256: str, older_than_s: float) -> bool:
        prefix, name = _split(sha256)
        try:
            with (
                _storage_errors(),
                self._directory("trash", create=True) as bin_,
                self._directory("sha256") as blobs,
                _subdirectory(blobs, prefix) as home,
            ):
                stored_s = os.stat(name, dir_fd=home, follow_symlinks=False).st_mtime
                if older_than_s and stored_s > time.time() - older_than_s:
                    return False
                # The time it was trashed, not written, decides when it goes.
                os.utime(name, dir_fd=home, follow_symlinks=False)
                os.rename(name, sha256, src_dir_fd=home, dst_dir_fd=bin_)
                os.fsync(home)
                return True
        except FileNotFoundError:
            return False

    def _drop(self, sha256: str, older_than_s: float) -> bool:
        _split(sha256)
        with contextlib.suppress(FileNotFoundError), _storage_errors(), self._directory("trash") as bin_:
            return _delete_older(bin_, sha256, older_than_s)
        return False

    def _sweep_temp(self, older_than_s: float) -> int:
        with contextlib.suppress(FileNotFoundError), _storage_errors(), self._directory("tmp") as tmp:
            return sum(_delete_older(tmp, name, older_than_s) for name in os.listdir(tmp))  # noqa: PTH208
        return 0

    @contextlib.contextmanager
    def _base(self) -> Iterator[int]:
        # The operator may have put the root behind a symbolic link; nothing below it may be one.
        descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _directory(self, name: str, *, create: bool = False) -> Iterator[int]:
        if create:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._base() as root, _subdirectory(root, name, create=create) as descriptor:
            yield descriptor


class _Writer:
    """One temporary file being filled; used by one thread at a time."""

    def __init__(self, directory: int, cap_bytes: int) -> None:
        self.directory = directory
        self.name = secrets.token_hex(16)
        self._cap_bytes = cap_bytes
        self._digest = hashlib.sha256()
        self._size = 0
        try:
            self._file = os.open(self.name, _CREATE, 0o600, dir_fd=directory)
        except BaseException:
            os.close(directory)
            raise
        self._closed = False

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._cap_bytes:
            raise ArtifactTooLarge(
                f"This file is larger than {megabytes(self._cap_bytes)}, the most one artifact may have. "
                "Split or compress it, or ask an operator to raise the cap."
            )
        self._digest.update(data)
        with _storage_errors():
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._file, rest) :]

    def flush(self) -> Stored:
        os.fsync(self._file)
        return Stored(self._digest.hexdigest(), self._size)

    def discard(self) -> None:
        """Close, and remove the temporary file unless it became a blob. Calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            with contextlib.suppress(FileNotFoundError), _storage_errors():
                os.unlink(self.name, dir_fd=self.directory)
        finally:
            os.close(self._file)
            os.close(self.directory)


async def _in_thread(function: Callable[..., T], *args: object) -> T:
    """Run blocking work in a thread; when cancelled, wait for the thread first, because the descriptors are its own."""
    work = asyncio.ensure_future(asyncio.to_thread(function, *args))
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return work.result()
    if not work.cancelled():
        work.exception()  # seen, so that the loop does not report it as lost
    raise cancelled


@contextlib.contextmanager
def _subdirectory(parent: int, name: str, *, create: bool = False) -> Iterator[int]:
    if create:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
    descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _parent_of(path: Path) -> Iterator[int]:
    descriptor = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _storage_errors() -> Iterator[None]:
    """Turn the store's own failures into sentences; a missing file is the caller's to judge."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            sentence = (
                "The disk of the artifact store is full, so nothing was stored. An operator has to make room on it."
            )
        else:
            name = errno.errorcode.get(error.errno or 0, "unknown error")
            sentence = f"The artifact store could not be used ({name}). Its disk and permissions need an operator."
        raise StoreTrouble(f"artifact store: {error!r}", user_text=sentence) from error


def _read_block(descriptor: int, size: int) -> bytes:
    with _storage_errors():
        blocks = []
        while size and (block := os.read(descriptor, size)):
            blocks.append(block)
            size -= len(block)
        return b"".join(blocks)


def _delete_older(directory: int, name: str, older_than_s: float) -> bool:
    with contextlib.suppress(FileNotFoundError):
        if os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime <= time.time() - older_than_s:
            os.unlink(name, dir_fd=directory)
            return True
    return False


def _digest_of(descriptor: int) -> str:
    digest = hashlib.sha256()
    while block := os.read(descriptor, _BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()


def _split(sha256: str) -> tuple[str, str]:
    if not _DIGEST.fullmatch(sha256):
        raise TerminalError(f"{sha256[:80]!r} is not a SHA-256 digest: 64 lower-case hex digits are expected.")
    return sha256[:2], sha256[2:]


def _corrupt(sha256: str, what: str) -> ArtifactCorrupt:
    metrics.ARTIFACTS_DAMAGED.inc()
    log.error("blob %s %s", sha256, what, extra={"action": "artifact_damaged", "sha256": sha256})
    return ArtifactCorrupt(
        f"blob {sha256} {what}",
        sha256=sha256,
        what=what,
        user_text=f"The stored file {sha256[:12]}… {what}, so it is not used. {REMEDY}",
    )


def _unreadable(error: OSError) -> TerminalError:
    name = errno.errorcode.get(error.errno or 0, "unknown error")
    return TerminalError(f"artifact source: {error!r}", user_text=f"The file to store could not be read ({name}).")
