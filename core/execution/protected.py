"""Paths in a workspace that a program must not leave changed: hooks and configuration that someone trusts later.

A path is protected even if it does not exist: creating it is the attack. Where the sandbox can mount, the program never
gets to change them (`recipe.py`); here, at every level, what it changed all the same is put back when nothing of it is
left. The topmost missing directory of a missing path is what is protected, so that no link can stand in for it.

Loaded by the supervisor before each call.
"""

from __future__ import annotations

import os
import stat

from core.execution.trees import remove_tree

PATHS = (
    *(".git/config", ".git/config.worktree", ".git/commondir", ".git/hooks", ".git/info/attributes"),
    *(".banksman", "banksman.yml", "banksman.yaml"),
)
"""What a program may not change in its workspace: git's ways to run programs, and our own names."""


def resolve(workspace: str, path: str) -> tuple[str, bool]:
    """Find what of a protected path to guard: the path itself, or its first part that is not a directory.

    Returns:
        The relative path, and whether something is there.
    """
    parts = path.split("/")
    for length in range(1, len(parts) + 1):
        prefix = "/".join(parts[:length])
        try:
            mode = os.lstat(f"{workspace}/{prefix}").st_mode
        except FileNotFoundError:
            return prefix, False
        if not stat.S_ISDIR(mode):
            return prefix, True
    return path, True


class Guard:
    """Remembers the protected paths of one workspace and puts them back.

    Args:
        workspace: Its absolute path.
        paths: Relative to it.
        keep: An empty directory of ours, out of the program's reach, for the copies.
    """

    def __init__(self, workspace: str, paths: list[str], keep: str) -> None:
        self._workspace = workspace
        self._keep = keep
        self._mode = stat.S_IMODE(os.stat(workspace).st_mode)  # noqa: PTH116
        self._guarded: dict[str, bool] = {}
        self._parents: dict[str, tuple[int, int, int]] = {}
        for path in paths:
            guarded, present = resolve(workspace, path)
            self._guarded[guarded] = present
        for index, (path, present) in enumerate(self._guarded.items()):
            for parent in _parents(path):
                status = os.lstat(f"{workspace}/{parent}")
                self._parents[parent] = (status.st_dev, status.st_ino, stat.S_IMODE(status.st_mode))
            if present:
                _copy(f"{workspace}/{path}", f"{keep}/{index}")

    def restore(self) -> list[str]:
        """Undo every change and name the paths that had one."""
        os.chmod(self._workspace, self._mode)  # noqa: PTH101 (pathlib costs the supervisor's start)
        undone = [path for path in sorted(self._parents, key=len) if not self._same_directory(path)]
        for parent in undone:
            # The program moved the directory away and made another one, or a link, in its place.
            remove_tree(f"{self._workspace}/{parent}")
            os.mkdir(f"{self._workspace}/{parent}", self._parents[parent][2])  # noqa: PTH102
        for index, (path, present) in enumerate(self._guarded.items()):
            current, copy = f"{self._workspace}/{path}", f"{self._keep}/{index}"
            if not present and os.path.lexists(current):
                remove_tree(current)
                undone.append(path)
            elif present and not _equal(current, copy):
                remove_tree(current)
                _copy(copy, current)
                undone.append(path)
        return undone

    def _same_directory(self, parent: str) -> bool:
        """Whether it is the directory it was; its permissions are made so again."""
        path = f"{self._workspace}/{parent}"
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        device, number, mode = self._parents[parent]
        if (status.st_dev, status.st_ino) != (device, number):
            return False
        os.chmod(path, mode)  # noqa: PTH101
        return True


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]


def _copy(source: str, target: str) -> None:
    import shutil  # costs ten milliseconds, and most workspaces have nothing to copy

    if os.path.isdir(source) and not os.path.islink(source):  # noqa: PTH112, PTH114
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target, follow_symlinks=False)


def _equal(left: str, right: str) -> bool:
    """Whether two trees have the same names, kinds, permissions and content."""
    try:
        one, other = os.lstat(left), os.lstat(right)
    except (FileNotFoundError, NotADirectoryError):
        return False
    if one.st_mode != other.st_mode:
        return False
    if stat.S_ISLNK(one.st_mode):
        return os.readlink(left) == os.readlink(right)  # noqa: PTH115
    if stat.S_ISDIR(one.st_mode):
        names = sorted(os.listdir(left))  # noqa: PTH208
        return names == sorted(os.listdir(right)) and all(_equal(f"{left}/{n}", f"{right}/{n}") for n in names)  # noqa: PTH208
    if not stat.S_ISREG(one.st_mode):
        return False
    if one.st_size != other.st_size:
        return False
    with open(left, "rb") as first, open(right, "rb") as second:  # noqa: PTH123
        return first.read() == second.read()
