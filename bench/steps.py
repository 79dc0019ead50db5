"""W1: durable steps. Ten no-op tool calls per run, through the real engine, journal, planner and toolbox.

Once with the engine in this process, from the request to the committed ending; once with requests here and a worker
process over there, from the request to the first line of the last step.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from bench.crowd import crowd
from bench.probe import VARIABLE, Collector
from bench.report import Report
from bench.site import Site
from bench.sizes import Sizes
from bench.stats import latencies, rate
from bench.work import STEPS, ask, ask_and_ring
from bench.worker import bench_worker
from core.ids import TENANT
from core.periodic import every
from core.record.changes import Answer, Decided, Insert, Refusal, RunChange, Update
from core.record.rows import Snapshot
from core.runs.leases import RENEW_S
from core.runs.turns import Caps as SpendCaps
from core.store import runs
from core.store.lane import Claim, Decide, Lane, Target
from core.store.session import Database
from worker.driver import POLL_S, Driver

WARM_UP = 3
RUN_WITHIN_S = 60.0


class CountingLane:
    """A lane that counts the transactions it commits, claims included."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self.committers = lane.committers
        self.commits = 0

    async def open(self) -> None:
        await self._lane.open()

    async def apply(self, changes: Sequence[RunChange]) -> list[Answer | None]:
        self.commits += 1
        return await self._lane.apply(changes)

    async def command(self, tenant: str, target: Target, decide: Decide) -> Decided | Refusal:
        self.commits += 1
        return await self._lane.command(tenant, target, decide)

    async def record(self, writes: Sequence[Insert | Update]) -> list[int]:
        self.commits += 1
        return await self._lane.record(writes)

    async def claim(self, claim: Claim) -> list[Snapshot]:
        self.commits += 1
        return await self._lane.claim(claim)

    async def settle_unknown(self, change: RunChange) -> Answer | None:
        return await self._lane.settle_unknown(change)

    async def close(self) -> None:
        await self._lane.close()


@asynccontextmanager
async def engine(
    site: Site, *, slots: int | None = None, caps: SpendCaps | None = None
) -> AsyncIterator[tuple[Driver, Database, CountingLane]]:
    """A driver in this process, holding its lease.

    Args:
        slots: How many runs it drives at once; `None` = as many as ever.
        caps: What may be spent beside what a run may; `None` = what the bench's file says.
    """
    async with bench_worker(site.settings) as made:
        worker = made
        if caps is not None:
            mind = replace(worker.station.mind, caps=lambda: caps)
            worker = replace(worker, station=replace(worker.station, mind=mind))
        database = worker.station.database
        lane = CountingLane(database.lane)
        database.journal.lane = lane
        driver = Driver(worker.station, worker.lease, worker.doorbell, slots=slots or worker.slots)
        await worker.lease.acquire()
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(every(stop, lambda: RENEW_S, lambda: worker.lease.renew(driver.driving)))
            group.create_task(every(stop, lambda: POLL_S, driver.poll))
            try:
                yield driver, database, lane
            finally:
                stop.set()
        await worker.lease.give_up()


async def in_process(site: Site, report: Report, sizes: Sizes) -> None:
    """Request to committed ending, one at a time and 20 at once."""
    async with engine(site) as (driver, database, lane):
        asked: list[str] = []

        async def one() -> None:
            run_id = await ask(database, "noops")
            await driver.on_ring(run_id, 0)
            asked.append(run_id)

        await crowd(WARM_UP, 1, one)
        for at_once, times in sizes.steps:
            commits, cpu_s = lane.commits, time.process_time()
            durations, total_ns = await crowd(times, at_once, one)
            cpu_s = time.process_time() - cpu_s
            figures: dict[str, Any] = {
                "runs": times,
                "steps_per_s": rate(times * STEPS, total_ns),
                "commit_per_step": round((lane.commits - commits) / (times * STEPS), 3),
                "cpu_ms_per_step": round(cpu_s * 1000 / (times * STEPS), 2),
                **latencies(durations),
            }
            report.add(site.variant, "W1", f"C={at_once}", **figures)
        await _check(database, asked)


async def across(site: Site, report: Report, sizes: Sizes) -> None:
    """Request here, ring, last step in a worker process."""
    at_once, times = sizes.steps[-1]
    with Collector() as collector:
        async with site.worker(**{VARIABLE: str(collector.path)}):

            async def one() -> None:
                run_id = await ask_and_ring(site.database, site.doorbell, "marked")
                await collector.wait("last-step", run_id, within_s=RUN_WITHIN_S)

            await crowd(WARM_UP, 1, one)
            durations, total_ns = await crowd(times, at_once, one)
    figures = {"runs": times, "steps_per_s": rate(times * STEPS, total_ns), **latencies(durations)}
    report.add(site.variant, "W1", f"C={at_once}, worker process", **figures)


async def _check(database: Database, asked: Sequence[str]) -> None:
    """Speed of runs that did not do their work would be no figure."""
    for run_id in asked:
        snapshot = await runs.snapshot(database, TENANT, run_id)
        if snapshot is None or snapshot.run.state != "completed" or len(snapshot.calls) != STEPS:
            raise RuntimeError(f"run {run_id} did not do its {STEPS} steps")
