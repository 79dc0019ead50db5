"""Removing and measuring directory trees that a program has made, whatever permissions and links it left in them.

Loaded by the supervisor before each call, so it stays with modules that load fast.
"""

from __future__ import annotations

import os


def remove_tree(path: str) -> None:
    """Remove a file or a directory and all below it, without following links; nothing there is fine."""
    try:
        os.unlink(path)  # noqa: PTH108 (pathlib costs the supervisor's start)
        return
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        pass  # a directory, which the two systems we run on refuse by different errors
    os.chmod(path, 0o700)  # noqa: PTH101
    with os.scandir(path) as entries:
        for entry in entries:
            remove_tree(entry.path)
    os.rmdir(path)  # noqa: PTH106


def size_bytes(root: str) -> int:
    """The disk space of everything below a directory; what vanishes meanwhile counts as nothing."""
    total = 0
    waiting = [root]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    try:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                    except FileNotFoundError:
                        continue
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
    return total
