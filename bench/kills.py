"""W5, while something is broken: from the stop command to the last process of the run being gone.

A busy process tree in the sandbox, as `stops` has it, with the worker suspended, without Redis, with a slow database.
The tool's code cannot say anything then, so the processes themselves are watched.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from sqlalchemy import make_url

from bench.crowd import human_pause
from bench.report import Report
from bench.site import ROOT, Site
from bench.sizes import Sizes
from bench.stats import latencies
from bench.work import ask_and_ring, stop
from core.execution.labels import labelled
from core.execution.processes import Process, read
from core.queue import SilentDoorbell

_UP_WITHIN_S = 60.0
_GONE_WITHIN_S = 30.0
_TREE = 3
_LOOK_S = 0.001
_NOBODY = "redis://127.0.0.1:1/0"
"""An address where no Redis answers."""

_SLOW_MS = 25
"""On PostgreSQL: how much later each message arrives, in each direction."""
_SOCKET = ".s.PGSQL.5432"

_HOLD = """
import random, sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
print("ready", flush=True)
while True:
    connection.execute("BEGIN IMMEDIATE")
    time.sleep(random.uniform(0.1, 0.3))
    connection.execute("COMMIT")
    time.sleep(0.02)
"""
"""On SQLite: somebody who holds the write lock nine tenths of the time."""


async def measure(site: Site, report: Report, sizes: Sizes) -> None:
    """Every condition, each run stopped on its own."""
    await _condition(site, report, sizes, "nothing broken")
    await _condition(site, report, sizes, "worker suspended", suspended=True)
    silent = replace(site, doorbell=SilentDoorbell(), redis_url=_NOBODY)  # type: ignore[arg-type]
    await _condition(silent, report, sizes, "no Redis")
    await _condition(silent, report, sizes, "no Redis, worker suspended", suspended=True)
    async with _slow(site) as slowed:
        await _condition(slowed, report, sizes, "slow database", asked_on=site)


async def _condition(
    site: Site, report: Report, sizes: Sizes, name: str, *, suspended: bool = False, asked_on: Site | None = None
) -> None:
    """Args:
    asked_on: Where to stop, if that way is not the broken one.
    """
    durations: list[int] = []
    async with site.worker() as worker:
        for _ in range(sizes.busy_stops):
            run_id = await ask_and_ring(site.database, site.doorbell, "busy")
            tree = await _tree(run_id)
            await human_pause()
            if suspended:
                os.kill(int(worker.ready), signal.SIGSTOP)
            began_ns = time.monotonic_ns()
            await stop((asked_on or site).database, site.doorbell, run_id)
            if await _gone(tree):
                durations.append(time.monotonic_ns() - began_ns)
            if suspended:
                os.kill(int(worker.ready), signal.SIGCONT)
    missed = sizes.busy_stops - len(durations)
    report.add(site.variant, "W5", f"last process gone: {name}", not_ended=missed, **latencies(durations))


async def _tree(run_id: str) -> list[Process]:
    async with asyncio.timeout(_UP_WITHIN_S):
        while len(found := await asyncio.to_thread(labelled, run_id=run_id)) < _TREE:  # noqa: ASYNC110 (processes)
            await asyncio.sleep(0.05)
    return list(found)


async def _gone(tree: list[Process]) -> bool:
    deadline = time.monotonic() + _GONE_WITHIN_S
    while time.monotonic() < deadline:
        tree = [process for process in tree if (now := read(process.pid)) == process and now is not None and now.alive]
        if not tree:
            return True
        await asyncio.sleep(_LOOK_S)
    return False


@asynccontextmanager
async def _slow(site: Site) -> AsyncIterator[Site]:
    """The same site for a worker whose database is slow."""
    there = make_url(site.database_url)
    with tempfile.TemporaryDirectory(prefix="slow-") as directory:  # a socket's path has at most 107 bytes
        if site.variant == "sqlite":
            command, slowed = [sys.executable, "-I", "-c", _HOLD, str(there.database)], site
        elif "host" not in there.query:
            raise RuntimeError("a slow way to a server that is not ours is not built; unset BENCH_PG_PORT")
        else:
            real, own = Path(str(there.query["host"])) / _SOCKET, Path(directory) / _SOCKET
            command = [sys.executable, "-m", "tests.acceptance.slow_wire", str(real), str(own), str(_SLOW_MS)]
            url = there.set(query={"host": directory}).render_as_string(hide_password=False)
            slowed = replace(site, database_url=url)
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as slowing:  # noqa: ASYNC220 (at the start)
            assert slowing.stdout is not None
            await asyncio.to_thread(slowing.stdout.readline)
            try:
                yield slowed
            finally:
                slowing.kill()
