"""What the processes of one host know of each other, by locks on files of the home that end with their holders.

One reaper is at work on a host and holds one lock; every worker holds a share of the other. So a worker can see to it
that its host has a reaper, and a reaper that nobody else looks after can see when the last worker is gone.
"""

import asyncio
import fcntl
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

from core.clock import host_name

log = logging.getLogger(__name__)


def reaper_lock(home: Path) -> Path:
    """The lock of this host's reaper; hosts that share a home have one each."""
    return home / f"reaper.{_here()}.lock"


def workers_lock(home: Path) -> Path:
    """The lock this host's workers share."""
    return home / f"workers.{_here()}.lock"


def _here() -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", host_name())


WATCH_S = 2.0
"""How soon a worker notices that its host has no reaper."""

STOP_S = 5.0


class Lock:
    """A lock on a file, held until `release` or the end of this process; no process it starts inherits it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self, *, shared: bool = False) -> bool:
        """Take it, or a share of it, if it is free."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def is_free(self) -> bool:
        """Whether nobody holds it now."""
        if self._descriptor is not None:
            return False
        free = self.take()
        self.release()
        return free

    def release(self) -> None:
        """Let go of it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class ReaperKeeper:
    """Sees to it that this worker's host has a reaper: adopts the one that is there, else starts one.

    What it starts is a session of its own and outlives this worker: a worker that was killed leaves its host's reaper
    behind, for the next one to adopt. It ends by itself when the host has no worker any more.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._reaper = Lock(reaper_lock(home))
        self._workers = Lock(workers_lock(home))
        self._started: subprocess.Popen[bytes] | None = None

    async def enter(self) -> None:
        """Count as a worker of this host. A reaper that looks whether there are any holds the lock for a moment."""
        while not self._workers.take(shared=True):  # noqa: ASYNC110 (a lock of the kernel)
            await asyncio.sleep(0.05)

    async def look(self) -> None:
        """Start a reaper if there is none."""
        if self._started is not None and self._started.poll() is not None:
            self._started = None
        if self._started is None and await asyncio.to_thread(self._reaper.is_free):
            self._started = self._start()
            log.info("started this host's reaper", extra={"action": "reaper_started", "pid": self._started.pid})

    def _start(self) -> "subprocess.Popen[bytes]":
        logs = self._home / "logs"
        logs.mkdir(exist_ok=True)
        with (logs / "reaper.log").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "worker.reaper", "--while-workers"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=output,
                start_new_session=True,
            )

    async def leave(self) -> None:
        """Count no longer; if this was the last worker, end the reaper it had started."""
        self._workers.release()
        if self._started is None or not await asyncio.to_thread(self._workers.is_free):
            return
        self._started.terminate()
        try:
            await asyncio.to_thread(self._started.wait, STOP_S)
        except subprocess.TimeoutExpired:
            self._started.kill()
            await asyncio.to_thread(self._started.wait)
