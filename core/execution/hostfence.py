"""The fences of a host: below which fence no process of a run may start here any more, whoever still wants to.

A worker can be stopped between the commit that starts a call and the start of its process, and wake up after the run
was stopped or taken over. Whoever ends what is left of a run on this host first raises the fence here and then looks
at the process table; a supervisor, which can be seen in that table from its first moment on, looks at the fence before
it starts anything. So either the look finds the supervisor, or the supervisor finds the fence: there is no third case.

One small file for each run that was ever fenced off. `passed` is loaded by the supervisor before each call.
"""

from __future__ import annotations

import contextlib
import os

FENCES = "fences"
"""The directory of a home that holds its host's fences."""

_LOCK = ".lock"

KEPT_S = 7 * 24 * 3600.0
"""How long a fence is kept after its last rise. A worker that sleeps longer has lost its lease many times over."""


def fence_file(directory: str, run_id: str) -> str:
    """Where the fence of a run is written."""
    name = "".join(char if char.isalnum() or char in "_-" else f"%{ord(char):x}" for char in run_id)
    return f"{directory}/{name}"


def raise_fence(directory: str, run_id: str, fence: int) -> None:
    """Let nothing of the run below `fence` start on this host from now on; a fence is never lowered."""
    import fcntl  # the supervisor, which only reads, starts without it

    path = fence_file(directory, run_id)
    os.makedirs(directory, mode=0o700, exist_ok=True)  # noqa: PTH103 (pathlib costs the supervisor's start)
    with open(f"{directory}/{_LOCK}", "w") as lock:  # noqa: PTH123
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _read(path) >= fence:
            return
        temporary = f"{directory}/{_LOCK}.{os.getpid()}"
        with open(temporary, "w") as file:  # noqa: PTH123
            file.write(str(fence))
        os.replace(temporary, path)  # noqa: PTH105


def passed(path: str, fence: int) -> bool:
    """Whether a call under `fence` may not start any more, by the fence written at `path`."""
    return fence < _read(path)


def forget_old(directory: str, *, now_s: float) -> int:
    """Remove fences nobody can be behind any more; how many."""
    removed = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if not entry.name.startswith(_LOCK) and entry.stat().st_mtime < now_s - KEPT_S:
                    os.unlink(entry.path)  # noqa: PTH108
                    removed += 1
    return removed


def _read(path: str) -> int:
    try:
        with open(path) as file:  # noqa: PTH123
            return int(file.read())
    except (FileNotFoundError, ValueError):
        return 0
