"""A run's working directory: made with its inputs in it, and removed whatever a program left there.

It is on this host only and belongs to nobody's record: everything worth keeping is an artifact, and after a crash
another worker makes the directory again from those. Programs write in it, so it is entered and removed without
following anything they planted.
"""

import asyncio
import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.artifacts import ObjectStore
from core.errors import StoreTrouble, TerminalError
from core.ids import RunId
from core.names import display_name

INPUTS = "inputs"

_RUN_ID = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_ONLY = 0o400
_MAX_INPUT_BYTES = 1 << 30
"""What may be stored was decided when it was; this only bounds memory."""


@dataclass(frozen=True)
class Input:
    """A stored file that a run starts with."""

    name: str
    """As people call it; never used as a path as it is."""
    sha256: str


@dataclass(frozen=True)
class PlacedInput:
    """An input in the workspace."""

    name: str
    path: str
    """Relative to the workspace, e.g. `inputs/sales.csv`."""
    sha256: str
    size: int


async def prepare_workspace(
    root: Path, run_id: RunId, inputs: Sequence[Input], store: ObjectStore
) -> tuple[Path, tuple[PlacedInput, ...]]:
    """Make a run's directory, or enter it again, and put the inputs into it as they were stored.

    What else is there already stays; an input that a program changed is put back. Inputs with equal names get a
    number, in the order given, so that doing it twice gives the same paths.

    Returns:
        The workspace and, in order, where each input is.

    Raises:
        ArtifactCorrupt: An input is missing from the store or was changed there.
        RetryableError: The disk is full or failed.
    """
    workspace = root / _checked(run_id)
    await asyncio.to_thread(_make, root, workspace)
    placed: list[PlacedInput] = []
    taken: set[str] = set()
    for item in inputs:
        path = input_path(item.name, taken)
        data = await store.read(item.sha256, _MAX_INPUT_BYTES)
        await asyncio.to_thread(_place, workspace, path.removeprefix(f"{INPUTS}/"), data)
        placed.append(PlacedInput(item.name, path, item.sha256, len(data)))
    return workspace, tuple(placed)


async def remove_workspace(root: Path, run_id: RunId) -> bool:
    """Remove a run's directory with all that is in it; only after its last process is gone.

    Returns:
        Whether there was one.

    Raises:
        RetryableError: Something in it could not be removed, or kept appearing.
    """
    return await asyncio.to_thread(_remove, root, _checked(run_id))


def input_path(name: str, taken: set[str]) -> str:
    """Where an input of this name is put, relative to the workspace.

    Args:
        taken: File names of earlier inputs of the run, in one letter case; this one's is added. Inputs are given in
            the same order as to `prepare_workspace`.
    """
    return f"{INPUTS}/{_free(display_name(name), taken)}"


def _checked(run_id: str) -> str:
    if not _RUN_ID.fullmatch(run_id):
        raise TerminalError(f"{run_id!r} is no run id, so it names no workspace.")
    return run_id


def _free(name: str, taken: set[str]) -> str:
    """A name no other input has, also where upper and lower case are one."""
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    free, number = name, 2
    while free.casefold() in taken:
        # Shortened again, for the number may have made it too long.
        free = display_name(f"{stem[:40]}-{number}{dot}{suffix}")
        number += 1
    taken.add(free.casefold())
    return free


def _make(root: Path, workspace: Path) -> None:
    with _disk_errors():
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _opened(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as base:
            _real_directory(base, workspace.name)
            with _opened(os.open(workspace.name, _DIRECTORY, dir_fd=base)) as folder:
                os.fchmod(folder, 0o700)
                _real_directory(folder, INPUTS)


def _place(workspace: Path, name: str, data: bytes) -> None:
    with (
        _disk_errors(),
        _opened(os.open(workspace, _DIRECTORY)) as folder,
        _opened(os.open(INPUTS, _DIRECTORY, dir_fd=folder)) as inputs,
    ):
        os.fchmod(inputs, 0o700)
        temporary = f".{secrets.token_hex(8)}.part"
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=inputs
        )
        try:
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(data)
                os.fchmod(opened.fileno(), _READ_ONLY)
            _clear(inputs, name)
            os.rename(temporary, name, src_dir_fd=inputs, dst_dir_fd=inputs)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=inputs)
            raise


def _real_directory(parent: int, name: str) -> None:
    """Make sure that `name` is a directory of its own, not a link to another one."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent)
        return
    if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=parent)
        os.mkdir(name, 0o700, dir_fd=parent)


def _clear(parent: int, name: str) -> None:
    """Remove a directory that stands where a file is to go."""
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(status.st_mode):
        _remove_tree(parent, name)


def _remove(root: Path, name: str) -> bool:
    with _disk_errors():
        try:
            base = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        with _opened(base):
            try:
                status = os.stat(name, dir_fd=base, follow_symlinks=False)
            except FileNotFoundError:
                return False
            if not stat.S_ISDIR(status.st_mode):
                os.unlink(name, dir_fd=base)
                return True
            _remove_tree(base, name)
            return True


def _remove_tree(parent: int, name: str) -> None:
    """Remove a directory however deep it is and whatever its permissions are.

    Directories below are moved up to its first level one by one and emptied there, so two descriptors and no recursion
    are enough.
    """
    with _opened(_unlocked(parent, name)) as top:
        while entries := _names(top):
            for entry in entries:
                _remove_entry(top, entry)
    os.rmdir(name, dir_fd=parent)


def _remove_entry(top: int, name: str) -> None:
    if not _is_directory(top, name):
        _unlink(top, name)
        return
    with _opened(_unlocked(top, name)) as folder:
        for below in _names(folder):
            if _is_directory(folder, below):
                # Moving a directory changes its `..`, for which it must be writable.
                os.close(_unlocked(folder, below))
                os.rename(below, f".{secrets.token_hex(12)}", src_dir_fd=folder, dst_dir_fd=top)
            else:
                _unlink(folder, below)
    os.rmdir(name, dir_fd=top)


def _unlocked(parent: int, name: str) -> int:
    """Open a directory, first giving ourselves the permissions we need; a link in its place is an error."""
    if hasattr(os, "O_PATH"):
        handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        with _opened(handle):
            Path(f"/proc/self/fd/{handle}").chmod(0o700)
    else:
        os.chmod(name, 0o700, dir_fd=parent, follow_symlinks=False)
    return os.open(name, _DIRECTORY, dir_fd=parent)


def _names(folder: int) -> list[str]:
    return os.listdir(folder)


def _is_directory(folder: int, name: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _unlink(folder: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


@contextlib.contextmanager
def _opened(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "is full" if full else f"could not be used ({errno.errorcode.get(error.errno or 0, 'unknown error')})"
        raise StoreTrouble(
            f"workspace: {error!r}",
            user_text=f"The disk of the runs' working directories {why}. An operator has to "
            f"{'make room on it' if full else 'look at it'}.",
        ) from error
