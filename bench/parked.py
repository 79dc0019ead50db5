"""W2: from a click to the start. N runs wait for a decision; one after another is approved from another process.

A run waits as every run does: `waiting-for-approval`, no due time, no lease, no slot. The clock runs from the click
(reading the action, noting the voter, the vote's commit, the ring) to the first line of the tool.
"""

import asyncio
import random
import time

from bench.crowd import crowd, human_pause
from bench.probe import VARIABLE, Collector
from bench.report import Report
from bench.site import Site, pss_mb
from bench.sizes import Sizes
from bench.stats import latencies, per_1000
from bench.work import approve, ask_and_ring, parked_count

_BASE = 64
"""Parked before the first look at memory, so that code, pools and buffers are all there: twice the slots."""
_AT_ONCE = 50
_PARK_WITHIN_S = 300.0
_WAKE_WITHIN_S = 20.0
_SETTLE_S = 3.0


async def measure(site: Site, report: Report, sizes: Sizes) -> None:
    """One worker process; memory and wake-ups at each number of parked runs."""
    with Collector() as collector:
        async with site.worker(**{VARIABLE: str(collector.path)}) as part:
            pid = int(part.ready)
            parked: list[str] = []

            async def park() -> None:
                parked.append(await ask_and_ring(site.database, site.doorbell, "gated"))

            async def settle() -> tuple[float, float]:
                await _all_parked(site, len(parked))
                await asyncio.sleep(_SETTLE_S)
                return pss_mb(pid), pss_mb(pid, *site.server_pids)

            await crowd(_BASE, _AT_ONCE, park)
            worker_mb, all_mb = await settle()
            for number in sizes.parked:
                began = time.monotonic()
                await crowd(number - len(parked), _AT_ONCE, park)
                worker_now_mb, all_now_mb = await settle()
                park_s = time.monotonic() - began - _SETTLE_S
                chosen = random.sample(parked, sizes.wakes)
                calls, wakes = await _wake(site, collector, chosen)
                report.add(
                    site.variant,
                    "W2",
                    f"N={number}, from the click to the start",
                    **latencies(wakes),
                    call_p50_ms=latencies(calls)["p50_ms"],
                    worker_mb_per_1000=per_1000(worker_mb, worker_now_mb, number - _BASE),
                    mb_per_1000=per_1000(all_mb, all_now_mb, number - _BASE),
                    worker_mb_idle=round(worker_now_mb, 1),
                    park_s=round(park_s, 1),
                )
                parked = [run_id for run_id in parked if run_id not in chosen]


async def _wake(site: Site, collector: Collector, run_ids: list[str]) -> tuple[list[int], list[int]]:
    calls, wakes = [], []
    for run_id in run_ids:
        await human_pause()
        began_ns = time.monotonic_ns()
        await approve(site.database, site.doorbell, run_id)
        calls.append(time.monotonic_ns() - began_ns)
        resumed = await collector.wait("resumed", run_id, within_s=_WAKE_WITHIN_S)
        wakes.append(resumed.at_ns - began_ns)
    return calls, wakes


async def _all_parked(site: Site, number: int) -> None:
    """Wait until so many runs are blocked and nobody holds them."""
    async with asyncio.timeout(_PARK_WITHIN_S):
        while await parked_count(site.database) < number:  # noqa: ASYNC110 (another process does it)
            await asyncio.sleep(0.2)
