"""Looks at a running call from outside, for the limits that no mechanism of the kernel enforces here.

Disk growth always; memory and the number of processes only where there is no cgroup for them. A look is a sample, so a
limit is noticed a moment late: what bounds the damage until then are the rlimits. Loaded by the supervisor.
"""

from __future__ import annotations

import os
import stat
import time

from core.execution.processes import PROC, Process, memory_bytes
from core.execution.trees import size_bytes

_DISK_EVERY_S = 0.5


class Watch:
    """The samples of one call.

    Args:
        roots: Directories whose growth counts.
        disk_bytes: How much they may grow together.
        memory_bytes: Of all processes together, or `None` where a cgroup enforces it.
        processes: Threads of all processes together, or `None` where a cgroup enforces it.
    """

    def __init__(self, roots: list[str], disk_bytes: int, memory_bytes: int | None, processes: int | None) -> None:
        self._roots = roots
        self._disk_bytes = disk_bytes
        self._memory_bytes = memory_bytes
        self._processes = processes
        self._devices = {os.stat(root).st_dev for root in roots}  # noqa: PTH116 (pathlib costs the supervisor's start)
        self._at_start_bytes = sum(size_bytes(root) for root in roots)
        self._next_disk_s = time.monotonic() + _DISK_EVERY_S

    @property
    def needs_processes(self) -> bool:
        """Whether it stands in for a cgroup, and so has to look often."""
        return self._memory_bytes is not None or self._processes is not None

    def exceeded(self, processes: list[Process], *, final: bool = False) -> str | None:
        """Name the limit that is exceeded now, if any.

        Args:
            processes: The living ones of the call.
            final: Look at everything, whether it is due or not.
        """
        if self._processes is not None and sum(_threads(process.pid) for process in processes) > self._processes:
            return "processes"
        if self._memory_bytes is not None and sum(memory_bytes(p.pid) for p in processes) > self._memory_bytes:
            return "memory"
        now_s = time.monotonic()
        if now_s < self._next_disk_s and not final:
            return None
        grown = sum(size_bytes(root) for root in self._roots) - self._at_start_bytes
        grown += sum(_nameless_bytes(process.pid, self._devices) for process in processes)
        # A look at a large tree takes long: never spend more than a tenth of the time on looking.
        self._next_disk_s = time.monotonic() + max(_DISK_EVERY_S, 10 * (time.monotonic() - now_s))
        return "disk" if grown > self._disk_bytes else None


def _threads(pid: int) -> int:
    try:
        return len(os.listdir(f"{PROC}/{pid}/task"))  # noqa: PTH208
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0


def _nameless_bytes(pid: int, devices: set[int]) -> int:
    """The space on these devices of files that a process still holds open after removing them."""
    files: dict[int, int] = {}
    try:
        names = os.listdir(f"{PROC}/{pid}/fd")  # noqa: PTH208
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    for name in names:
        try:
            status = os.stat(f"{PROC}/{pid}/fd/{name}")  # noqa: PTH116
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 0 and status.st_dev in devices:
            files[status.st_ino] = status.st_blocks * 512
    return sum(files.values())
