"""The port through which every tool's process runs, and the values that cross it.

An `Environment` runs one call and answers only when nothing of it is left. What it confines with (the sandbox
level), what it could not enforce and how the call ended are values, so that a card, a receipt and `doctor` can
repeat them. How a process is confined is decided in `recipe.py`; how it is run and ended, in `supervisor.py`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol

CHANNEL = 64
"""Above everything the start of a program needs for itself."""

Ended = Literal["exited", "signaled", "timed-out", "limit", "killed", "not-started"]


class ExecutionError(Exception):
    """Base of the errors this room raises on purpose."""

    user_text = "The tool could not be run. The run's log has the details."


class SandboxUnavailable(ExecutionError):
    """This host holds none of the sandbox levels, and the config does not allow running without one.

    The message is a sentence with the remedy.
    """

    user_text = (
        "Tools that run programs are refused on this host, because it offers no sandbox. `banksman doctor` says why."
    )


class SandboxLevel(StrEnum):
    """How a tool's processes are confined, strongest first."""

    BWRAP = "bwrap"
    LANDLOCK = "landlock"
    SEATBELT = "seatbelt"
    NONE = "none"


@dataclass(frozen=True)
class CallLabel:
    """Whose process this is. It stands on every process of a call, so that a call is ended by label, never by name."""

    tenant: str
    run_id: str
    call_id: str
    fence: int


@dataclass(frozen=True)
class Limits:
    """What one call may use. Memory, disk and processes are of the whole tree, the rest of each process."""

    wall_s: float = 60.0
    cpu_s: int = 60
    """CPU seconds of one process, all its threads together."""
    memory_bytes: int = 1 << 30
    file_bytes: int = 200 << 20
    """The largest file a process may write."""
    disk_bytes: int = 1 << 30
    """How much the workspace and the call's temporary directory may grow."""
    processes: int = 128
    """Threads count, as the kernel counts them."""
    open_files: int = 256
    keep_output_bytes: int = 1 << 20
    """How much of each stream is returned."""
    max_output_bytes: int = 50 << 20
    """How much of each stream is kept in a file when it is longer than that; what follows is counted only."""


@dataclass(frozen=True)
class ProcessSpec:
    """One program to run, by argument vector; there is no shell unless `argv` names one."""

    argv: tuple[str, ...]
    """The program is looked up on the sandbox's own PATH. Use paths relative to the workspace: its absolute path
    differs from level to level."""
    workspace: Path
    """The run's working directory on this host: the only place the program may write and keep."""
    label: CallLabel
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Added to PATH, HOME, LANG, TMPDIR, the XDG cache and config homes, GIT_CONFIG_NOSYSTEM and the label; nothing
    else of ours is passed on. Never a secret."""
    stdin: bytes = b""
    readable: tuple[Path, ...] = ()
    """More paths the program may read, at the same place as on this host."""
    limits: Limits = field(default_factory=Limits)
    cwd: str = "."
    """Relative to the workspace, and inside it."""
    channel: socket.socket | None = None
    """What the program finds as descriptor `CHANNEL`, to be spoken to while it runs. It is given away: `run` closes it
    here, so whoever holds the other end reads to an end once nothing of the call is left."""


@dataclass(frozen=True)
class ProcessResult:
    """How a call ended. When this value exists, no process of the call does."""

    ended: Ended
    exit_code: int | None
    signal: int | None
    stdout: bytes
    stderr: bytes
    stdout_bytes: int
    """Everything that was written, kept or not."""
    stderr_bytes: int
    stdout_file: Path | None
    """Up to `max_output_bytes` of a stream longer than what is kept. The caller owns the file and removes it."""
    stderr_file: Path | None
    duration_s: float
    limit: str | None
    """The sentence that names the limit, when `ended` is "limit" or "timed-out"."""
    processes_ended: int
    """How many processes were still alive at the end and had to be ended, strays included."""
    level: SandboxLevel
    enforced: tuple[str, ...]
    """Which mechanism enforced which limit, such as "memory:cgroup-v1"."""
    detail: str
    """How it ended, in a sentence for people."""


def discard_files(result: ProcessResult) -> None:
    """Remove the files of a result's long streams."""
    for path in (result.stdout_file, result.stderr_file):
        if path is not None:
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class SandboxReport:
    """What `doctor` and the card say about the sandbox."""

    level: SandboxLevel
    summary: str
    lacks: tuple[str, ...]
    """What this level leaves open on this host, a sentence each; empty = nothing known."""
    remedies: tuple[str, ...]
    """How to get a better level, a sentence each; empty = this is the best one."""
    enforced: tuple[str, ...]


class Environment(Protocol):
    """Where a tool's processes run."""

    @property
    def level(self) -> SandboxLevel: ...

    def describe(self) -> SandboxReport:
        """Say what confines the programs, what that lacks and how to get more."""
        ...

    async def run(self, spec: ProcessSpec, *, kill: asyncio.Event | None = None) -> ProcessResult:
        """Run one program to its end and end everything it started.

        Args:
            kill: Once set, the whole tree is ended and the result says "killed".

        Returns:
            How it ended; a program that could not start is a result ("not-started"), not an error.

        Raises:
            asyncio.CancelledError: The task was cancelled; it is raised after the tree is gone.
        """
        ...
