"""W5: a run is stopped. From the stop command to the tool's code being interrupted, or its processes being gone.

Once with code that waits in the worker's event loop, once with a busy process tree in the sandbox, one process of
which hides in a session of its own and ignores being asked to stop.
"""

import asyncio
import time

from bench.crowd import human_pause
from bench.probe import VARIABLE, Collector
from bench.report import Report
from bench.site import Site
from bench.sizes import Sizes
from bench.stats import latencies
from bench.work import ask_and_ring, stop
from core.execution.labels import labelled

_START_WITHIN_S = 30.0
_STOP_WITHIN_S = 10.0
_TREE = 3
"""Supervisor, busy shell, hidden shell: with fewer processes the tree is not up."""


async def measure(site: Site, report: Report, sizes: Sizes) -> None:
    """Both kinds of code, each run stopped on its own."""
    with Collector() as collector:
        async with site.worker(**{VARIABLE: str(collector.path)}):
            await _waiting_code(site, report, collector, sizes.stops)
            await _busy_trees(site, report, collector, sizes.busy_stops)


async def _waiting_code(site: Site, report: Report, collector: Collector, number: int) -> None:
    run_ids = [await ask_and_ring(site.database, site.doorbell, "sleep") for _ in range(number)]
    for run_id in run_ids:
        await collector.wait("in-step", run_id, within_s=_START_WITHIN_S)
    durations: list[int] = []
    for run_id in run_ids:
        await human_pause()
        await _stop(site, collector, run_id, "interrupted", durations)
    missed = number - len(durations)
    report.add(site.variant, "W5", "waiting code", not_interrupted=missed, **latencies(durations))


async def _busy_trees(site: Site, report: Report, collector: Collector, number: int) -> None:
    durations: list[int] = []
    survivors = 0
    for _ in range(number):
        run_id = await ask_and_ring(site.database, site.doorbell, "busy")
        await _tree_is_up(run_id)
        await human_pause()
        await _stop(site, collector, run_id, "ended", durations)
        survivors += len(await asyncio.to_thread(labelled, run_id=run_id))
    missed = number - len(durations)
    report.add(
        site.variant,
        "W5",
        "busy process tree in the sandbox, all ended",
        not_interrupted=missed,
        processes_left=survivors,
        **latencies(durations),
    )


async def _stop(site: Site, collector: Collector, run_id: str, event: str, durations: list[int]) -> None:
    began_ns = time.monotonic_ns()
    await stop(site.database, site.doorbell, run_id)
    try:
        reached = await collector.wait(event, run_id, within_s=_STOP_WITHIN_S)
    except TimeoutError:
        return  # counted as not interrupted
    durations.append(reached.at_ns - began_ns)


async def _tree_is_up(run_id: str) -> None:
    async with asyncio.timeout(_START_WITHIN_S):
        while len(await asyncio.to_thread(labelled, run_id=run_id)) < _TREE:  # noqa: ASYNC110 (processes, not tasks)
            await asyncio.sleep(0.05)
