"""Real Redis servers one can kill, and loops and doorbells that are always taken down again."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from bot.cli import lifeline
from bot.cli.embedded import find_servers
from core.queue import ArqDoorbell
from tests.patience import PATIENCE_S
from worker.arq_loop import run_arq_loop


async def eventually(holds: Callable[[], bool | Awaitable[bool]], *, within_s: float = PATIENCE_S) -> None:
    """Wait until `holds()`, or what it awaits, is true; a TimeoutError after `within_s` seconds."""
    async with asyncio.timeout(within_s):
        while True:
            result = holds()
            if await result if isinstance(result, Awaitable) else result:
                return
            await asyncio.sleep(0.005)


class MortalRedis:
    """A server at a fixed address that keeps nothing over a restart."""

    def __init__(self, listen_on: list[str], url: str, directory: Path) -> None:
        self.url = url
        self._argv = [
            str(find_servers()[0].path),
            *listen_on,
            "--dir",
            str(directory),
            "--save",
            "",
            "--logfile",
            "log",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            lifeline.command(self._argv), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
        )
        give_up_at = time.monotonic() + PATIENCE_S
        while True:
            try:
                with redis.Redis.from_url(self.url) as client:
                    self._pid = client.info("server")["process_id"]
                return
            except redis.ConnectionError:
                assert time.monotonic() < give_up_at
                time.sleep(0.005)

    def sigkill(self) -> None:
        assert self._process is not None
        os.kill(self._pid, signal.SIGKILL)
        self._reap()

    def freeze(self) -> None:
        """Keep accepting connections and answer nothing."""
        os.kill(self._pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            self.thaw()
            self._reap()

    def _reap(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE_S)
        self._process = None


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory whose path is short enough for a socket."""
    path = Path(tempfile.mkdtemp(prefix="bell-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def mortal_redis(directory: Path) -> Iterator[MortalRedis]:
    """A running server on a unix socket that the test may kill."""
    path = directory / "r.sock"
    server = MortalRedis(["--port", "0", "--unixsocket", str(path)], f"unix://{path}", directory)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def tcp_redis(directory: Path) -> Iterator[MortalRedis]:
    """A running server on a TCP port, with a password that needs percent-encoding."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    listen_on = ["--bind", "127.0.0.1", "--port", str(port), "--requirepass", "p@ss/word"]
    server = MortalRedis(listen_on, f"redis://:p%40ss%2Fword@127.0.0.1:{port}/3", directory)
    server.start()
    yield server
    server.stop()


class RunningLoop:
    """A `run_arq_loop` and what it was told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []
        self.stop = asyncio.Event()
        self.task: asyncio.Task[None]

    async def note(self, run_id: str, wake: int) -> None:
        self.heard.append((run_id, wake))

    async def end(self) -> None:
        """Ask it to stop and wait until it has."""
        self.stop.set()
        await self.task


StartLoop = Callable[..., RunningLoop]


@pytest.fixture
async def start_loop() -> AsyncIterator[StartLoop]:
    """Start a loop: `start_loop(url, on_ring=…, max_jobs=…)`; without `on_ring` it only notes."""
    loops: list[RunningLoop] = []

    def start(
        url: str, on_ring: Callable[[str, int], Awaitable[None]] | None = None, *, max_jobs: int = 10, **more: Any
    ) -> RunningLoop:
        loop = RunningLoop()
        loop.task = asyncio.create_task(
            run_arq_loop(url, on_ring or loop.note, max_jobs=max_jobs, stop=loop.stop, **more)
        )
        loops.append(loop)
        return loop

    yield start
    for loop in loops:
        loop.stop.set()
        if not loop.task.done():
            loop.task.cancel()
            await asyncio.wait({loop.task})


@pytest.fixture
async def doorbell_of() -> AsyncIterator[Callable[[str], ArqDoorbell]]:
    """Make a doorbell that is closed after the test: `doorbell_of(url)`."""
    made: list[ArqDoorbell] = []

    def make(url: str) -> ArqDoorbell:
        made.append(ArqDoorbell(url))
        return made[-1]

    yield make
    for doorbell in made:
        await doorbell.close()
