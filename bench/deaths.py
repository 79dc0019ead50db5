"""W3: a worker dies. SIGKILL inside step 5 while another worker is up, everything at its defaults.

Once on one host, once on two: there the worker that dies has processes and a home of its own, which only the database
connects to the other's. Nobody tells the other worker by any way of the bench's.
"""

import asyncio
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path

from bench.probe import VARIABLE, Collector
from bench.report import Report
from bench.site import Site
from bench.sizes import Sizes
from bench.stats import latencies
from bench.tools import HANG_AT, HANG_VARIABLE
from bench.work import STEPS, ask_and_ring
from bot.cli.parts import Part
from core.execution.processes import descendants, send
from core.runs.leases import RENEW_S

_STEP_WITHIN_S = 30.0
_AGAIN_WITHIN_S = 60.0
_REAPER_WITHIN_S = 30.0

Dying = Callable[[int, dict[str, str]], AbstractAsyncContextManager[int]]
"""Starts the worker that is going to die, given a number and an environment; its pid here."""


async def one_host(site: Site, report: Report, sizes: Sizes) -> None:
    """Kill to step 5 again in another worker of the same host, and how many finished steps ran twice."""

    @asynccontextmanager
    async def dying(number: int, env: dict[str, str]) -> AsyncIterator[int]:
        async with site.worker(f"dying-{number}", **env) as part:
            yield int(part.ready)

    await _measure(site, report, sizes, "one host", "numbered", dying)


async def another_host(site: Site, report: Report, sizes: Sizes) -> None:
    """The same with the worker that dies on a host of its own, where its reaper stays."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if site.variant == "sqlite" or not await _works([*command, "true"]):
        return  # one file is one host's; and not every machine lets us make a host
    # The first process of a host must outlive the worker, or everything would end with it.
    host = [*command, "sh", "-c", '"$0" -m bench.worker & exec sleep infinity', sys.executable]

    @asynccontextmanager
    async def dying(number: int, env: dict[str, str]) -> AsyncIterator[int]:
        home = site.home / f"host-{number}"
        env = {**env, "BANKSMAN_HOME": str(home), "BANKSMAN_ARTIFACTS_URL": f"file://{site.home / 'artifacts'}"}
        part = Part(f"dying-{number}", host, site.environment(**env), site.home / "logs" / f"dying-{number}.log")
        home.mkdir()
        try:
            await part.start()
            assert part.process is not None
            async with asyncio.timeout(_REAPER_WITHIN_S):
                while not _is_at_work(home / "logs" / "reaper.log"):  # noqa: ASYNC110 (a process, not a task)
                    await asyncio.sleep(0.05)
            yield _worker_below(part.process.pid)
        finally:
            for process in descendants(part.process.pid) if part.process is not None else ():
                send(process, signal.SIGKILL)
            await part.stop()
            shutil.rmtree(home, ignore_errors=True)

    await _measure(site, report, sizes, "another host", "numbered-from-5", dying)


async def _measure(site: Site, report: Report, sizes: Sizes, case: str, playbook: str, dying: Dying) -> None:
    durations_ns, repeated = [], 0
    with Collector() as collector:
        env = {VARIABLE: str(collector.path)}
        async with site.worker("other", **env) as other:
            for number in range(sizes.deaths):
                async with dying(number, {**env, HANG_VARIABLE: "1"}) as pid:
                    took_ns, again = await _one(site, collector, playbook, pid, int(other.ready))
                durations_ns.append(took_ns)
                repeated += again
    report.add(site.variant, "W3", case, **latencies(durations_ns), steps_repeated=repeated)


async def _one(site: Site, collector: Collector, playbook: str, dying: int, other: int) -> tuple[int, int]:
    with _asleep(other):  # so that the one that is going to die gets the run
        run_id = await ask_and_ring(site.database, site.doorbell, playbook)
        await collector.wait("step", run_id, n=HANG_AT, within_s=_STEP_WITHIN_S)
    await asyncio.sleep(random.uniform(0, RENEW_S))  # not in step with the renewals
    killed_ns = time.monotonic_ns()
    os.kill(dying, signal.SIGKILL)
    again = await collector.wait("step", run_id, n=HANG_AT, pid=other, within_s=_AGAIN_WITHIN_S)
    await collector.wait("step", run_id, n=STEPS, pid=other, within_s=_STEP_WITHIN_S)
    of_it = [probed for probed in collector.seen if probed.run_id == run_id and probed.pid == other]
    return again.at_ns - killed_ns, sum(1 for probed in of_it if probed.n < HANG_AT)


@contextmanager
def _asleep(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _is_at_work(log: Path) -> bool:
    return log.exists() and "reaper_ready" in log.read_text()


def _worker_below(pid: int) -> int:
    """Our pid of the worker among the descendants of a process."""
    return next(
        process.pid
        for process in descendants(pid)
        if Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")[1:3] == [b"-m", b"bench.worker"]
    )


async def _works(command: list[str]) -> bool:
    try:
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    except FileNotFoundError:
        return False
    return await process.wait() == 0
