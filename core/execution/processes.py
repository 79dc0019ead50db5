"""The process table, read from /proc: who exists, whose child it is, and ending all of them.

A process is identified by pid and start time together, so that a recycled pid is never taken for its predecessor.
Which processes belong to a call is decided by the callers: the supervisor (its own children) and `labels.py`.

The supervisor imports this file before each call, so it stays with modules that load fast.
"""

from __future__ import annotations

import os
import signal

PROC = "/proc"


class Process:
    """One line of the process table. Two readings of one process are equal; a recycled pid is not."""

    __slots__ = ("parent", "pid", "started", "state")

    def __init__(self, pid: int, parent: int, state: str, started: int) -> None:
        self.pid = pid
        self.parent = parent
        self.state = state
        """One letter, as in proc(5)."""
        self.started = started
        """Clock ticks since boot."""

    @property
    def alive(self) -> bool:
        """Whether it can still run: a zombie only waits to be reaped."""
        return self.state not in "ZXx"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Process) and (self.pid, self.started) == (other.pid, other.started)

    def __hash__(self) -> int:
        return hash((self.pid, self.started))

    def __repr__(self) -> str:
        return f"Process(pid={self.pid}, parent={self.parent}, state={self.state!r}, started={self.started})"


def read(pid: int) -> Process | None:
    """Read one process; `None` if there is none of that pid (any more)."""
    try:
        with open(f"{PROC}/{pid}/stat", "rb") as file:  # noqa: PTH123 (pathlib costs the supervisor's start)
            text = file.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The name stands in parentheses and may contain anything, spaces and parentheses included.
    fields = text[text.rindex(b")") + 2 :].split()
    return Process(pid, int(fields[1]), fields[0].decode(), int(fields[19]))


def table() -> dict[int, Process]:
    """Read all processes this one can see, by pid."""
    found = (read(int(name)) for name in os.listdir(PROC) if name.isdigit())  # noqa: PTH208
    return {process.pid: process for process in found if process is not None}


def descendants(root: int, processes: dict[int, Process] | None = None) -> list[Process]:
    """List the children of `root`, their children and so on, parents first; `root` is not among them."""
    processes = table() if processes is None else processes
    children: dict[int, list[Process]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    frontier = [root]
    while frontier:
        nexts = [child for pid in frontier for child in children.get(pid, ()) if child.pid != root]
        found += nexts
        frontier = [child.pid for child in nexts]
    return found


def offspring(root: int) -> list[Process]:
    """What `descendants` lists, asked of the kernel process by process: much faster on a busy host.

    A process that starts or ends meanwhile can be missed, so a caller that must not miss one asks again until there is
    nothing left. Kernels without such lists (CONFIG_PROC_CHILDREN) are asked the slow way.
    """
    if not os.path.exists(f"{PROC}/{root}/task/{root}/children"):  # noqa: PTH110
        return descendants(root)
    found: list[Process] = []
    frontier = [root]
    while frontier:
        nexts = [process for pid in frontier for child in _children(pid) if (process := read(child)) is not None]
        found += nexts
        frontier = [process.pid for process in nexts]
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"{PROC}/{pid}/task"):  # noqa: PTH208
            with open(f"{PROC}/{pid}/task/{thread}/children", "rb") as file:  # noqa: PTH123
                found += [int(child) for child in file.read().split()]
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        pass
    return found


def send(process: Process, number: int) -> bool:
    """Signal exactly this process; `False` means that it is gone or not ours to signal.

    A pidfd is bound to the process before its start time is compared, so the pid cannot be recycled in between.
    """
    try:
        descriptor = os.pidfd_open(process.pid)
    except (ProcessLookupError, PermissionError):
        return False
    try:
        now = read(process.pid)
        if now is None or now != process:
            return False
        signal.pidfd_send_signal(descriptor, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(descriptor)
    return True


def threads_of_user(uid: int) -> int:
    """Count the threads of a real user id, which is what RLIMIT_NPROC counts."""
    total = 0
    for name in os.listdir(PROC):  # noqa: PTH208
        if not name.isdigit():
            continue
        try:
            if os.stat(f"{PROC}/{name}").st_uid == uid:  # noqa: PTH116
                total += len(os.listdir(f"{PROC}/{name}/task"))  # noqa: PTH208
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return total


def memory_bytes(pid: int) -> int:
    """A process's share of memory that no file on disk backs; 0 if it is gone or hidden.

    Shares, because children of a fork hold the same pages: they are counted once over all of them.
    """
    total = 0
    try:
        with open(f"{PROC}/{pid}/smaps_rollup", "rb") as file:  # noqa: PTH123
            for line in file:
                if line.startswith((b"Pss_Anon:", b"Pss_Shmem:")):
                    total += int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return total
