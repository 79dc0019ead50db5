"""Probes: one datagram from a tool's code that says "I got here, now", and the thread that collects them.

Times are CLOCK_MONOTONIC, which all processes of one machine share, so a probe sent by a worker can be compared with a
call made here; when the datagram is read does not matter.
"""

import asyncio
import json
import os
import shutil
import socket
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

VARIABLE = "BENCH_PROBE"
"""Environment variable with the socket's path; without it probes go nowhere."""


@dataclass(frozen=True)
class Probed:
    """One probe."""

    event: str
    run_id: str
    at_ns: int
    pid: int
    n: int


_sender: socket.socket | None = None


def probe(event: str, run_id: str, n: int = 0) -> None:
    """Say that the code of this run got to `event`."""
    global _sender
    path = os.environ.get(VARIABLE)
    if not path:
        return
    at_ns = time.monotonic_ns()
    if _sender is None:
        _sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    _sender.sendto(json.dumps([event, run_id, at_ns, os.getpid(), n]).encode(), path)


class Collector:
    """Everything probed since it was opened; used on one event loop, read by a thread of its own."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="banksman-bench-"))
        self.path = self._directory / "probe"
        self.seen: list[Probed] = []
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._changed = asyncio.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def count(self, event: str) -> int:
        """How many probes of this event there were."""
        return sum(1 for probed in self.seen if probed.event == event)

    async def wait(
        self, event: str, run_id: str | None = None, *, n: int | None = None, pid: int | None = None, within_s: float
    ) -> Probed:
        """The first probe that fits, past or future.

        Raises:
            TimeoutError: none came.
        """
        position = 0
        async with asyncio.timeout(within_s):
            while True:
                while position < len(self.seen):
                    probed = self.seen[position]
                    position += 1
                    if (
                        probed.event == event
                        and run_id in (None, probed.run_id)
                        and n in (None, probed.n)
                        and pid in (None, probed.pid)
                    ):
                        return probed
                changed = self._changed
                await changed.wait()

    def _read(self) -> None:
        while data := self._socket.recv(4096):
            event, run_id, at_ns, pid, n = json.loads(data)
            try:
                self._loop.call_soon_threadsafe(self._add, Probed(event, run_id, at_ns, pid, n))
            except RuntimeError:
                return  # the loop is closed: nobody measures any more

    def _add(self, probed: Probed) -> None:
        self.seen.append(probed)
        self._changed.set()
        self._changed = asyncio.Event()
