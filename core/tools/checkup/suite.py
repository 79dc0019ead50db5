"""Runs a suite: to its end or to its time, keeping the beginning and the end of what it printed.

The output goes to this program's own standard error as it comes, up to `HEAD_BYTES`; after that only the end is kept.
Everything that a suite leaves running is ended by whoever runs the sandbox.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HEAD_BYTES = 10_000_000
TAIL_BYTES = 1_000_000
_CHUNK_BYTES = 1 << 18
_LAST_WORDS_S = 2.0
"""How long a runner that was interrupted may say where it was, or a quarter of its time if that is less."""
_DRAIN_S = 0.5


@dataclass(frozen=True)
class Ended:
    """How a suite ended."""

    exit_code: int | None
    """`None` when a signal or the time ended it."""
    signal: int | None
    timed_out: bool
    output_bytes: int
    tail: bytes
    """The last `TAIL_BYTES`, or everything."""


class Output:
    """What a suite prints: passed on at first, then only remembered.

    Args:
        descriptor: Where it is passed on to.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._passed_on = 0
        self._tail = bytearray()
        self.total_bytes = 0

    @property
    def tail(self) -> bytes:
        return bytes(self._tail[-TAIL_BYTES:])

    def take(self, chunk: bytes) -> None:
        """Add what was printed."""
        self.total_bytes += len(chunk)
        self._tail += chunk
        if len(self._tail) > 4 * TAIL_BYTES:
            del self._tail[:-TAIL_BYTES]
        now = chunk[: max(0, HEAD_BYTES - self._passed_on)]
        self._passed_on += len(now)
        _write_all(self._descriptor, now)

    def finish(self) -> None:
        """Pass on the end of what was too long."""
        unseen = self.total_bytes - self._passed_on
        if unseen > TAIL_BYTES:
            _write_all(self._descriptor, f"\n\n… {unseen - TAIL_BYTES} bytes left out …\n\n".encode())
        if unseen:
            _write_all(self._descriptor, self.tail[-unseen:])


def run(argv: tuple[str, ...], *, cwd: Path, env: Mapping[str, str], seconds: float, output: Output) -> Ended:
    """Run one program with its whole output in one stream.

    Raises:
        OSError: It could not be started.
    """
    deadline = time.monotonic() + seconds
    with subprocess.Popen(
        argv,
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        pipe = process.stdout.fileno()
        os.set_blocking(pipe, False)
        timed_out = not _attend(process, pipe, output, deadline)
        if timed_out:
            # Asked first, for a runner that is interrupted names the test it was in.
            _signal(process, signal.SIGINT)
            _attend(process, pipe, output, time.monotonic() + min(_LAST_WORDS_S, seconds / 4))
        _signal(process, signal.SIGKILL)
        code = process.wait()
        _drain(pipe, output)
    plain = not timed_out and code >= 0
    return Ended(
        exit_code=code if plain else None,
        signal=-code if code < 0 and not timed_out else None,
        timed_out=timed_out,
        output_bytes=output.total_bytes,
        tail=output.tail,
    )


def _attend(process: "subprocess.Popen[bytes]", pipe: int, output: Output, deadline: float) -> bool:
    """Pass on output until the program ends; `False` if the deadline comes first.

    Not until the end of the stream: something it left running may hold that open.
    """
    open_ = True
    while process.poll() is None:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        if not open_:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(left)
        elif select.select([pipe], [], [], min(left, 0.05))[0]:
            open_ = _take(pipe, output)
    return True


def _drain(pipe: int, output: Output) -> None:
    deadline = time.monotonic() + _DRAIN_S
    while time.monotonic() < deadline and select.select([pipe], [], [], 0)[0] and _take(pipe, output):
        pass


def _take(pipe: int, output: Output) -> bool:
    try:
        chunk = os.read(pipe, _CHUNK_BYTES)
    except BlockingIOError:
        return True
    output.take(chunk)
    return bool(chunk)


def _signal(process: "subprocess.Popen[bytes]", number: int) -> None:
    """Signal the program and what is in its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
