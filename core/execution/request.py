"""What a worker and its supervisor tell each other: the shapes of the two JSON lines.

Only the type checker and the worker read this file; the supervisor starts faster without it.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from core.execution.base import Ended


class BwrapRequest(TypedDict):
    """How to call bwrap."""

    program: str
    arguments: list[str]
    """None may contain a NUL."""
    env: dict[str, str]
    """Of bwrap itself; the program's is among the arguments."""


class LandlockRequest(TypedDict):
    """What Landlock grants."""

    version: int
    rules: list[tuple[str, int]]
    """Path and rights each; `/proc/self` is that of the program."""
    deputy_roots: list[str]
    """Where the supervisor changes modes and times for the program."""


class GroupRequest(TypedDict):
    """One cgroup to make, see `callgroup.CallGroup`."""

    path: str
    settings: list[list[str]]
    counters: dict[str, list[str]]
    freeze: list[str] | None


class Request(TypedDict):
    """The worker's line; `stdin_bytes` bytes of input follow it."""

    argv: list[str]
    env: dict[str, str]
    cwd: str
    """Absolute on this host; ignored at the bwrap level, whose arguments say it."""
    stdin_bytes: int
    bwrap: BwrapRequest | None
    landlock: LandlockRequest | None
    filter: str
    """The compiled system call filter in base64, or empty for none."""
    rlimits: list[tuple[str, int]]
    mark: int
    """Stands on every process of the call, see `marks.py`."""
    channel: int
    """A descriptor of the supervisor that becomes `base.CHANNEL` of the program; -1 = none."""
    groups: list[GroupRequest]
    wall_s: float
    cpu_s: int
    disk_bytes: int
    watch_memory_bytes: int | None
    watch_processes: int | None
    keep_output_bytes: int
    max_output_bytes: int
    workspace: str
    directory: str
    """A directory of this call alone; the supervisor removes it."""
    protected: list[str]
    fence: int
    fence_file: str
    """Where this host says that the run is beyond that fence (`hostfence.py`); empty for calls of no run."""


class Report(TypedDict):
    """The supervisor's line; `stdout_kept` and then `stderr_kept` bytes follow it."""

    ended: Ended
    exit_code: int | None
    signal: int | None
    limit: Literal["wall", "cpu", "memory", "processes", "file", "disk"] | None
    duration_s: float
    processes_ended: int
    stdout_kept: int
    stderr_kept: int
    stdout_bytes: int
    stderr_bytes: int
    stdout_file: str | None
    stderr_file: str | None
    output_lost: bool
    """A file of output could not be written to its end."""
    undone: list[str]
    """Protected paths that the program had changed."""
    error: str
    """Why it did not start."""
