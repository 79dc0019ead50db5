"""Files of a workspace, touched from outside the sandbox without being led out of it.

Sandboxed code can plant symbolic links, pipes, devices and hard links, and can swap a directory while we look. So
every path is walked from the workspace's own descriptor, one name at a time, without following a link and without
`..`; only regular files with one name are opened, never waiting for a pipe; and what is written replaces a name, never
the content of a file that is already there. Errors are sentences about a path as the caller wrote it.
"""

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from core.artifacts import megabytes
from core.errors import RetryableError, TerminalError
from core.execution import protected

MAX_PATH_BYTES = 1024
_BLOCK_BYTES = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

EntryKind = Literal["file", "directory", "link", "other"]


class PathRefused(TerminalError):
    """A path leads out of the workspace, or to something that is no ordinary file."""


@dataclass(frozen=True)
class Entry:
    """One name in a listing."""

    path: str
    """Relative to the workspace; characters that are no text are replaced."""
    kind: EntryKind
    size: int
    """Bytes, for files; else 0."""


@dataclass(frozen=True)
class Copied:
    """A file that was copied out."""

    size: int
    sha256: str
    head: bytes
    """Its first 4 KiB."""


def parts_of(path: str) -> tuple[str, ...]:
    """Split a relative path into its names; `.` and doubled slashes vanish.

    Raises:
        PathRefused: It is absolute, goes up, or is not a possible path.
    """
    if path.startswith("/"):
        raise PathRefused(f"{shown(path)} is an absolute path; write it relative to the workspace, e.g. `data/x.csv`.")
    names = tuple(name for name in path.split("/") if name not in ("", "."))
    if ".." in names:
        raise PathRefused(f"{shown(path)} leads out of the workspace; `..` is not allowed in a path.")
    if "\0" in path or len(path.encode("utf-8", "surrogateescape")) > MAX_PATH_BYTES:
        raise PathRefused(f"{shown(path)} is not a possible path: it is too long or contains a NUL character.")
    return names


@contextlib.contextmanager
def open_regular(root: Path, path: str, *, max_bytes: int) -> Iterator[int]:
    """Open a regular file for reading and yield its descriptor.

    Raises:
        PathRefused: It is missing, no regular file, behind a link, has a second name, or is larger than `max_bytes`.
        RetryableError: The disk failed.
    """
    *folders, name = parts_of(path) or ("",)
    if not name:
        raise PathRefused(f"{shown(path)} is the workspace itself; name a file in it.")
    with _sentences(path), _walk(root, folders, path) as folder:
        _refuse_unless_regular(os.stat(name, dir_fd=folder, follow_symlinks=False), path, max_bytes)
        descriptor = os.open(name, _READ, dir_fd=folder)
        try:
            # Again, for it may have been swapped between looking and opening.
            _refuse_unless_regular(os.fstat(descriptor), path, max_bytes)
            yield descriptor
        finally:
            os.close(descriptor)


def read_file(root: Path, path: str, *, max_bytes: int) -> bytes:
    """Return the content of a regular file; raises as `open_regular`."""
    with open_regular(root, path, max_bytes=max_bytes) as descriptor:
        return b"".join(_blocks(descriptor, max_bytes, path))


def copy_out(root: Path, path: str, destination: Path, *, max_bytes: int) -> Copied:
    """Copy a regular file to `destination`, which must not exist; raises as `open_regular`.

    Whatever happens to the original afterwards, the copy stays as it was read.
    """
    digest = hashlib.sha256()
    size = 0
    head = b""
    with open_regular(root, path, max_bytes=max_bytes) as descriptor, _private(destination) as copy:
        for block in _blocks(descriptor, max_bytes, path):
            head = head or block[:4096]
            size += len(block)
            digest.update(block)
            copy.write(block)
    return Copied(size, digest.hexdigest(), head)


def write_file(root: Path, path: str, data: bytes, *, overwrite: bool = True, mode: int = 0o600) -> bool:
    """Put `data` under a name, whole or not at all, making the directories on the way.

    Returns:
        Whether the name is new.

    Raises:
        PathRefused: The name is protected, is a directory, leads through a link, or exists and `overwrite` is false.
        RetryableError: The disk failed or is full.
    """
    *folders, name = parts_of(path) or ("",)
    if not name:
        raise PathRefused(f"{shown(path)} is the workspace itself; name a file in it.")
    refuse_protected(path)
    with _sentences(path), _walk(root, folders, path, create=True) as folder:
        new = not _exists(name, folder)
        if not new and not overwrite:
            raise PathRefused(f"{shown(path)} exists already; choose another name or allow overwriting.")
        temporary = f".{secrets.token_hex(8)}.part"
        descriptor = os.open(temporary, _CREATE, mode, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb") as opened:
                os.fchmod(opened.fileno(), mode)
                opened.write(data)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            raise
        return new


def delete_file(root: Path, path: str) -> None:
    """Delete one name that is no directory; what a link points to stays.

    Raises:
        PathRefused: It is missing, protected or a directory.
    """
    *folders, name = parts_of(path) or ("",)
    if not name:
        raise PathRefused(f"{shown(path)} is the workspace itself and stays.")
    refuse_protected(path)
    with _sentences(path), _walk(root, folders, path) as folder:
        os.unlink(name, dir_fd=folder)


def list_entries(root: Path, path: str, *, recursive: bool, max_entries: int) -> tuple[list[Entry], bool]:
    """List a directory, sorted; links are listed, never followed.

    Returns:
        At most `max_entries` entries, and whether there were more.
    """
    names = parts_of(path)
    found: list[Entry] = []
    with _sentences(path), _walk(root, names, path) as folder:
        waiting = [(os.dup(folder), "/".join(names))]
        try:
            while waiting:
                descriptor, prefix = waiting.pop()
                try:
                    for name in sorted(os.listdir(descriptor)):  # noqa: PTH208 - of a descriptor
                        if len(found) >= max_entries:
                            return found, True
                        entry = _entry(descriptor, name, prefix)
                        if entry is None:
                            continue
                        found.append(entry)
                        if recursive and entry.kind == "directory" and len(waiting) < 64:
                            with contextlib.suppress(OSError):  # gone, swapped for a link, or not readable
                                waiting.append((os.open(name, _DIRECTORY, dir_fd=descriptor), entry.path))
                finally:
                    os.close(descriptor)
        finally:
            for descriptor, _ in waiting:
                os.close(descriptor)
    return sorted(found, key=lambda entry: entry.path), False


def refuse_protected(path: str) -> None:
    """Refuse a path that somebody trusts later, such as a git hook, whether it exists or not."""
    written = "/".join(parts_of(path))
    for guarded in protected.PATHS:
        if written == guarded or written.startswith(f"{guarded}/") or guarded.startswith(f"{written}/"):
            raise PathRefused(f"{shown(path)} is protected, because programs would be run or configured from it.")


def shown(path: str) -> str:
    """Write a path for a sentence: in backticks, printable, at most 120 characters."""
    clean = "".join(character if character.isprintable() and character != "`" else "\ufffd" for character in path)
    return f"`{clean if len(clean) <= 120 else clean[:119] + '…'}`"


@contextlib.contextmanager
def _walk(root: Path, names: list[str] | tuple[str, ...], path: str, *, create: bool = False) -> Iterator[int]:
    descriptor = os.open(root, _DIRECTORY)
    try:
        for name in names:
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=descriptor)
            _refuse_links(os.stat(name, dir_fd=descriptor, follow_symlinks=False))
            below = os.open(name, _DIRECTORY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _sentences(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        match error.errno:
            case errno.ENOENT:
                reason = "does not exist in the workspace; `files.list` shows what is there."
            case errno.ENOTDIR:
                reason = "leads through something that is not a directory."
            case errno.ELOOP:
                reason = "is a link or lies behind one; only real files and directories can be used."
            case errno.EISDIR | errno.EPERM | errno.EEXIST | errno.ENOTEMPTY:
                reason = "is a directory, where a file is expected."
            case errno.EACCES:
                reason = "cannot be opened: its permissions forbid it."
            case errno.ENAMETOOLONG:
                reason = "has a name that is too long."
            case errno.ENOSPC | errno.EDQUOT:
                sentence = "The disk is full; nothing was written. An operator has to free space."
                raise RetryableError(f"workspace: {error!r}", user_text=sentence) from error
            case _:
                name = errno.errorcode.get(error.errno or 0, "unknown error")
                sentence = f"{shown(path)} could not be used ({name})."
                raise RetryableError(f"workspace: {error!r}", user_text=sentence) from error
        raise PathRefused(f"{shown(path)} {reason}") from error


def _refuse_links(status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, "a link")


def _refuse_unless_regular(status: os.stat_result, path: str, max_bytes: int) -> None:
    _refuse_links(status)
    if stat.S_ISDIR(status.st_mode):
        raise PathRefused(f"{shown(path)} is a directory, where a file is expected.")
    if not stat.S_ISREG(status.st_mode):
        raise PathRefused(f"{shown(path)} is a pipe, socket or device; only regular files can be used.")
    if status.st_nlink > 1:
        raise PathRefused(f"{shown(path)} has a second name (a hard link); copy it to a file of its own first.")
    if status.st_size > max_bytes:
        raise PathRefused(_too_large(path, megabytes(status.st_size), max_bytes))


def _too_large(path: str, size: str, max_bytes: int) -> str:
    return f"{shown(path)} has {size}; at most {megabytes(max_bytes)} can be used here. Make it smaller or split it."


def _blocks(descriptor: int, max_bytes: int, path: str) -> Iterator[bytes]:
    """The file's content, which may have grown since it was opened."""
    size = 0
    while block := os.read(descriptor, _BLOCK_BYTES):
        size += len(block)
        if size > max_bytes:
            raise PathRefused(_too_large(path, f"more than {megabytes(max_bytes)}", max_bytes))
        yield block


def _entry(folder: int, name: str, prefix: str) -> Entry | None:
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISREG(status.st_mode):
        kind: EntryKind = "file"
    elif stat.S_ISDIR(status.st_mode):
        kind = "directory"
    else:
        kind = "link" if stat.S_ISLNK(status.st_mode) else "other"
    path = f"{prefix}/{name}" if prefix else name
    text = os.fsencode(path).decode(errors="replace")
    return Entry(text, kind, status.st_size if kind == "file" else 0)


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, _CREATE, 0o600), "wb")
