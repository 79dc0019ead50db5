"""Forks the program of one call and confines it: at the `bwrap` level through bwrap, else by ourselves.

Everything that belongs to the start is here, up to the moment the program runs or is known not to; attending to it is
`supervisor.py`. Loaded by the supervisor.
"""

from __future__ import annotations

import binascii
import fcntl
import os

from core.execution import confine
from core.execution.processes import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from core.execution.request import BwrapRequest, Request

_STATUS, _HOLD, _ARGUMENTS, _FILTER = 3, 4, 5, 6
_CHANNEL = 64  # `base.CHANNEL`, which would cost the supervisor's start
_ABOVE = 20  # where descriptors wait that are about to be moved to the numbers above

_WRAPPER = """\
exec 9>&2 2>/dev/null
echo started >&3
"$@" 2>&9 3>&- 4<&- 5<&- 6<&- 9>&-
echo $? >&3
read -r _ <&4
"""
"""Runs inside of bwrap as the program's parent: says how it ended, then waits. Without it, bwrap would end the stray
processes the moment the program does, and nobody could say how many there were."""


class StartFailed(Exception):
    """The program does not run; the message says why."""


class Program:
    """The started program, as its parent sees it.

    All descriptors are our ends: `stdin` to write to, `stdout`, `stderr` and `status` (the wrapper's, or -1) to read
    from, `listener` (the filter's, or `None`) for the deputy.
    """

    def __init__(self, pid: int, stdin: int, stdout: int, stderr: int) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.status = -1
        self.hold = -1
        """Kept open while the wrapper is to wait."""
        self.listener: int | None = None
        self.exit_code: int | None = None
        """Negative for a signal; `None` while it runs."""
        self._status = b""
        self._plumbing: set[Process] = set()

    @property
    def never_started(self) -> bool:
        """Whether bwrap gave up before the program ran."""
        return self.status >= 0 and not self._status and self.exit_code is not None

    def read_status(self) -> bool:
        """Read what the wrapper says; `False` when it will say no more."""
        chunk = os.read(self.status, 64)
        self._status += chunk
        words = self._status.split(b"\n")
        if len(words) > 2 and words[1].isdigit() and self.exit_code is None:
            self.exit_code = _unshell(int(words[1]))
        return bool(chunk)

    def ended(self, code: int) -> None:
        """The direct child has been reaped with this exit code (negative for a signal)."""
        if self.status >= 0:
            while self.read_status():
                pass
        if self.exit_code is None:
            self.exit_code = _unshell(code) if self.status >= 0 else code

    def is_plumbing(self, process: Process, alive: list[Process]) -> bool:
        """Whether a process is bwrap itself, its init, or the wrapper: not one that the program started."""
        if self.status < 0:
            return False
        inits = [other for other in alive if other.parent == self.pid]
        self._plumbing.update(other for other in alive if other.pid == self.pid)
        self._plumbing.update(inits)
        if inits and not any(other.parent == inits[0].pid for other in self._plumbing):
            siblings = [other for other in alive if other.parent == inits[0].pid]
            # The wrapper is the init's first child; orphans become its children later.
            self._plumbing.update(sorted(siblings, key=lambda other: (other.started, other.pid))[:1])
        return process in self._plumbing


def launch(request: Request, doors: list[str]) -> Program:
    """Start the program; when this returns it runs, or bwrap does and will say.

    Args:
        request: As the worker sent it.
        doors: The files by which the program enters its cgroups.

    Raises:
        StartFailed: It could not be confined or does not exist.
    """
    stdin, stdin_ours = os.pipe2(os.O_CLOEXEC)
    stdout_ours, stdout = os.pipe2(os.O_CLOEXEC)
    stderr_ours, stderr = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(stdin_ours, False)
    failed_ours, failed = os.pipe2(os.O_CLOEXEC)
    status_ours, status = os.pipe2(os.O_CLOEXEC)
    hold, hold_ours = os.pipe2(os.O_CLOEXEC)
    channel_ours, channel = confine.descriptor_channel()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        step = "preparing it"
        try:
            limits = [(name, value) for name, value in request["rlimits"]]
            confine.prepare(parent, (stdin, stdout, stderr), doors, limits, request["mark"])
            if request["channel"] >= 0:
                os.dup2(request["channel"], _CHANNEL)
            if request["bwrap"] is not None:
                step = "starting bwrap"
                _exec_bwrap(request, request["bwrap"], status, hold, failed)
            step = "confining it"
            _confine_here(request, channel, failed)
            step = "running it"
            os.execve(request["argv"][0], request["argv"], request["env"])
        except BaseException as error:
            os.write(failed, f"{step}: {error.strerror if isinstance(error, OSError) else error!r}".encode())
        finally:
            os._exit(127)
    for descriptor in (stdin, stdout, stderr, failed, status, hold, channel, request["channel"]):
        if descriptor >= 0:
            os.close(descriptor)
    program = Program(pid, stdin_ours, stdout_ours, stderr_ours)
    if request["bwrap"] is not None:
        program.status = status_ours
        program.hold = hold_ours
    elif request["filter"] and request["landlock"] is not None:
        program.listener = confine.receive_descriptor(channel_ours)
    os.close(channel_ours)
    failure = os.read(failed_ours, 4096).decode(errors="replace")
    os.close(failed_ours)
    if failure:
        raise StartFailed(failure)
    return program


def _exec_bwrap(request: Request, bwrap: BwrapRequest, status: int, hold: int, failed: int) -> NoReturn:
    arguments = os.memfd_create("arguments")
    if any("\0" in argument for argument in bwrap["arguments"]):
        raise ValueError("an argument of bwrap with a NUL would be two")
    os.write(arguments, b"\0".join(os.fsencode(argument) for argument in bwrap["arguments"]) + b"\0")
    compiled = os.memfd_create("filter")
    os.write(compiled, binascii.a2b_base64(request["filter"]))
    for descriptor in (arguments, compiled):
        os.lseek(descriptor, 0, os.SEEK_SET)
    places = {_STATUS: status, _HOLD: hold, _ARGUMENTS: arguments, _FILTER: compiled}
    moved = {place: fcntl.fcntl(descriptor, fcntl.F_DUPFD, _ABOVE) for place, descriptor in places.items()}
    failed = fcntl.fcntl(failed, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
    for place, descriptor in moved.items():
        os.dup2(descriptor, place)
    confine.close_above(max(places) + 1, keep=(failed, *_kept(request)))
    seccomp = ["--seccomp", str(_FILTER)] if request["filter"] else []
    argv = [bwrap["program"], "--args", str(_ARGUMENTS), *seccomp, "--", "/bin/sh", "-c", _WRAPPER, "call"]
    # bwrap itself runs outside of what it makes, where the program's variables (LD_PRELOAD) must not reach.
    os.execve(bwrap["program"], [*argv, *request["argv"]], bwrap["env"])


def _confine_here(request: Request, channel: int, failed: int) -> None:
    os.chdir(request["cwd"])
    landlock = request["landlock"]
    confine.no_new_privileges()
    if landlock is not None:
        confine.drop_privileges()
        confine.restrict(landlock["version"], [(path, rights) for path, rights in landlock["rules"]])
    confine.close_above(3, keep=(channel, failed, *_kept(request)))
    if request["filter"]:
        listener = confine.load_filter(binascii.a2b_base64(request["filter"]), listen=landlock is not None)
        if listener is not None:
            confine.send_descriptor(channel, listener)
            os.close(listener)


def _kept(request: Request) -> tuple[int, ...]:
    return (_CHANNEL,) if request["channel"] >= 0 else ()


def _unshell(code: int) -> int:
    """Undo how a shell reports a signal."""
    return 128 - code if 128 < code <= 128 + 64 else code
