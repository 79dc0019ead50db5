"""The process between a worker and one call: starts the program confined, watches it, ends all of it, reports once.

Its standard input brings the request (one line of JSON, then the program's input) and stays open as the lifeline: a
line "kill", or the end of it because the worker died, ends the call. Its standard output carries the report (one line
of JSON, then the kept output). Whatever happens, nothing of the call is left when the report is written; should this
process itself be killed, the kernel ends the program, and the reaper finds the rest by its label.

The start of the program is in `launch.py`; sentences for people are made by the worker (`limits.py`) from the words
used here.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time

from core.execution import confine
from core.execution.callgroup import CallGroup
from core.execution.deputy import Deputy
from core.execution.hostfence import passed
from core.execution.launch import Program, StartFailed, launch
from core.execution.processes import Process, offspring, send
from core.execution.protected import Guard
from core.execution.streams import Stream
from core.execution.trees import remove_tree
from core.execution.watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.execution.request import Report, Request

_TICK_S = 0.25
_TICK_OF_THE_WATCH_S = 0.1
_LIFELINE = 0


class Call:
    """One call from its request to its report."""

    def __init__(self, request: Request, stdin: bytes, wake: int) -> None:
        self._request = request
        self._stdin = memoryview(stdin)
        self._wake = wake
        self._began_s = time.monotonic()
        self._program: Program | None = None
        self._groups: list[CallGroup] = []
        self._guard: Guard | None = None
        self._deputy: Deputy | None = None
        self._streams: list[Stream] = []
        self._ended_processes: set[Process] = set()
        self._exit_code: int | None = None
        self._cpu_s = 0.0
        self._peak_bytes = 0
        self.worker_is_gone = False
        self.report: Report = {
            "ended": "not-started",
            "exit_code": None,
            "signal": None,
            "limit": None,
            "duration_s": 0.0,
            "processes_ended": 0,
            "stdout_kept": 0,
            "stderr_kept": 0,
            "stdout_bytes": 0,
            "stderr_bytes": 0,
            "stdout_file": None,
            "stderr_file": None,
            "output_lost": False,
            "undone": [],
            "error": "",
        }

    def run(self, *, killed: bool) -> bytes:
        """Run the program to its end and everything it started to theirs; returns the kept output.

        Args:
            killed: The kill came before the start, so there is none. Neither is there one once the host's fence is
                past the call's: whoever raised it may have looked for processes of it already.
        """
        try:
            if killed or passed(self._request["fence_file"], self._request["fence"]):
                self._decide("killed")
            elif self._started():
                self._attend()
        finally:
            self._end_all()
            self._clean_up()
        return self._finish_report()

    def _started(self) -> bool:
        """Start the program; `False` with the reason in the report if it could not be."""
        try:
            self._start()
        except StartFailed as failure:
            self.report["error"] = str(failure)
        except OSError as error:
            self.report["error"] = f"{error.strerror} ({error.filename})"
        return not self.report["error"]

    def _start(self) -> None:
        request = self._request
        directory = request["directory"]
        for name in ("tmp", "protected"):
            os.mkdir(f"{directory}/{name}", 0o700)  # noqa: PTH102
        self._guard = Guard(request["workspace"], request["protected"], f"{directory}/protected")
        self._watch = Watch(
            [request["workspace"], directory],
            request["disk_bytes"],
            request["watch_memory_bytes"],
            request["watch_processes"],
        )
        for group in request["groups"]:
            self._groups.append(CallGroup(group["path"], group["settings"], group["counters"], group["freeze"]))
        self._began_s = time.monotonic()
        self._program = program = launch(request, [group.door for group in self._groups])
        for name, descriptor in (("stdout", program.stdout), ("stderr", program.stderr)):
            keep, most = request["keep_output_bytes"], request["max_output_bytes"]
            self._streams.append(Stream(descriptor, f"{directory}.{name}", keep, most))
        if program.listener is not None and request["landlock"] is not None:
            self._deputy = Deputy(program.listener, request["landlock"]["deputy_roots"])

    def _attend(self) -> None:
        """Serve the program until it ends by itself or has to be ended; the report then says how."""
        assert self._program is not None
        poll = select.poll()
        for descriptor in (_LIFELINE, self._wake):
            poll.register(descriptor, select.POLLIN)
        streams = {stream.descriptor: stream for stream in self._streams}
        for descriptor in streams:
            poll.register(descriptor, select.POLLIN)
        poll.register(self._program.stdin, select.POLLOUT)
        for descriptor in (self._program.status, self._deputy.listener if self._deputy else -1):
            if descriptor >= 0:
                poll.register(descriptor, select.POLLIN)
        deadline_s = self._began_s + self._request["wall_s"]
        tick_s = _TICK_OF_THE_WATCH_S if self._watch.needs_processes else _TICK_S
        next_look_s = self._began_s + tick_s
        while True:
            now_s = time.monotonic()
            if now_s >= deadline_s:
                return self._decide("timed-out", "wall")
            if now_s >= next_look_s:
                if exceeded := self._exceeded():
                    return self._decide("limit", exceeded)
                next_look_s = time.monotonic() + tick_s
            timeout_s = max(0.0, min(deadline_s, next_look_s) - time.monotonic())
            for descriptor, events in poll.poll(timeout_s * 1000 + 1):
                if descriptor in streams:
                    if not streams[descriptor].drain():
                        poll.unregister(descriptor)
                elif descriptor == _LIFELINE:
                    return self._stop(os.read(_LIFELINE, 64))
                elif descriptor == self._wake:
                    if os.read(self._wake, 4096).strip(bytes([signal.SIGCHLD])):
                        return self._decide("killed")
                elif descriptor == self._program.stdin:
                    if not self._feed(events):
                        poll.unregister(descriptor)
                        os.close(descriptor)
                        self._program.stdin = -1
                elif descriptor == self._program.status:
                    if not self._program.read_status():
                        poll.unregister(descriptor)
                elif self._deputy is not None:
                    if events & select.POLLIN:
                        self._deputy.answer()
                    else:  # no process with this filter is left
                        poll.unregister(descriptor)
            self._reap()
            if self._program.exit_code is not None:
                return self._exited(self._program.exit_code)

    def _feed(self, events: int) -> bool:
        """Pass on some of the input; `False` once all is passed, or the program reads no more."""
        assert self._program is not None
        if self._stdin and events & select.POLLOUT:
            try:
                self._stdin = self._stdin[os.write(self._program.stdin, self._stdin[:65536]) :]
            except BlockingIOError:
                return True
            except BrokenPipeError:
                return False
        return bool(self._stdin) and not events & select.POLLERR

    def _stop(self, word: bytes) -> None:
        self.worker_is_gone = not word
        self._decide("killed")

    def _exited(self, code: int) -> None:
        """The program ended by itself; say whether that was a limit's doing."""
        if exceeded := self._exceeded(final=True):
            return self._decide("limit", exceeded)
        most_bytes = self._request["watch_memory_bytes"]
        if code and most_bytes is not None and self._peak_bytes > most_bytes:
            # The rlimit refused it more between two looks of the watch.
            return self._decide("limit", "memory")
        number = -code if code < 0 else 0
        if number == signal.SIGXFSZ:
            return self._decide("limit", "file")
        if number == signal.SIGXCPU or (number == signal.SIGKILL and self._cpu_s >= self._request["cpu_s"]):
            return self._decide("limit", "cpu")
        if number:
            self.report["signal"] = number
            return self._decide("signaled")
        self.report["exit_code"] = code
        return self._decide("exited")

    def _decide(self, ended: str, limit: str | None = None) -> None:
        self.report["ended"] = ended  # type: ignore[typeddict-item]
        self.report["limit"] = limit  # type: ignore[typeddict-item]
        self.report["duration_s"] = time.monotonic() - self._began_s

    def _exceeded(self, *, final: bool = False) -> str | None:
        for group in self._groups:
            if limit := group.exceeded():
                return limit
        return self._watch.exceeded(self._alive(), final=final)

    def _alive(self) -> list[Process]:
        """The living processes of the call, without those that only hold the sandbox up."""
        ours = [process for process in offspring(os.getpid()) if process.alive]
        return [process for process in ours if self._program is None or not self._program.is_plumbing(process, ours)]

    def _reap(self) -> bool:
        """Reap every child that has ended; `False` if there is no child left at all."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if self._program is not None and pid == self._program.pid:
                self._cpu_s = usage.ru_utime + usage.ru_stime
                self._peak_bytes = usage.ru_maxrss * 1024
                self._program.ended(os.waitstatus_to_exitcode(status))

    def _end_all(self) -> None:
        """End the program and all its descendants; returns when not one is left, not even a zombie."""
        self._ended_processes.update(self._alive())
        for group in self._groups:
            group.stop_starting()
        pause_s = 0.001
        while True:
            for process in offspring(os.getpid()):
                if process.alive:
                    send(process, signal.SIGKILL)
            if not self._reap():
                return
            for stream in self._streams:
                stream.drain()
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, 0.05)
            self._ended_processes.update(self._alive())

    def _clean_up(self) -> None:
        if self._deputy is not None:
            self._deputy.close()
        if self._guard is not None:
            self.report["undone"] = self._guard.restore()
        for group in self._groups:
            group.remove()
        for stream in self._streams:
            stream.drain(most=1 << 30)
            stream.close()
        remove_tree(self._request["directory"])
        if self.worker_is_gone:
            self.forget_output()

    def forget_output(self) -> None:
        """Remove the files of output, for there is nobody to own them."""
        for stream in self._streams:
            if stream.path is not None:
                remove_tree(stream.path)

    def _finish_report(self) -> bytes:
        report = self.report
        report["processes_ended"] = len(self._ended_processes)
        if not self._streams:
            return b""
        stdout, stderr = self._streams
        report["stdout_kept"], report["stderr_kept"] = len(stdout.kept), len(stderr.kept)
        report["stdout_bytes"], report["stderr_bytes"] = stdout.total_bytes, stderr.total_bytes
        report["stdout_file"], report["stderr_file"] = stdout.path, stderr.path
        report["output_lost"] = stdout.file_failed or stderr.file_failed
        if report["ended"] in ("exited", "signaled") and self._program is not None and self._program.never_started:
            report["ended"], report["exit_code"] = "not-started", None
            report["error"] = bytes(stderr.kept[:500]).decode(errors="replace").strip()
        return bytes(stdout.kept + stderr.kept)


def read_request() -> tuple[Request, bytes, bool] | None:
    """Read the request from the lifeline; `None` if the worker died before it was complete.

    Returns:
        The request, the program's input, and whether the call is to be killed before it starts.
    """
    received = bytearray()
    needed: int | None = None
    request: Request | None = None
    while needed is None or len(received) < needed:
        chunk = os.read(_LIFELINE, 1 << 16)
        if not chunk:
            return None
        received += chunk
        if needed is None and b"\n" in chunk:
            line, _, rest = bytes(received).partition(b"\n")
            request = json.loads(line)
            assert request is not None
            needed = request["stdin_bytes"]
            received = bytearray(rest)
    assert request is not None
    return request, bytes(received[:needed]), len(received) > needed


def main() -> None:
    """Serve one call and exit."""
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    confine.become_subreaper()
    received = read_request()
    if received is None:
        return
    request, stdin, killed = received
    call = Call(request, stdin, wake_read)
    output = call.run(killed=killed)
    if not call.worker_is_gone:
        content = memoryview(json.dumps(call.report).encode() + b"\n" + output)
        try:
            while content:
                content = content[os.write(1, content) :]
        except BrokenPipeError:
            call.forget_output()
