"""The worker process: one lease, one driver, and the loops that keep them honest.

arq's loop, the poll, the renewals, the sweeper and the stop listener run in one task group; only the first of them
needs Redis, and losing it costs latency. The host's reaper, which proves stops when this process cannot, is started
here if there is none. SIGTERM drains: nothing new is taken up, slices end at a step boundary, the
rest is ended and handed over.
"""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing

from core.announcements import listen
from core.metrics import RUNS_LOST
from core.ops.server import serving
from core.periodic import every
from core.runs.aftermath import EVERY_S as AFTERMATH_S
from core.runs.aftermath import Aftermath
from core.runs.leases import RENEW_S
from core.runs.sweeper import Sweeper, next_pass_s
from core.runs.takeover import Here
from core.runs.tidying import tidy
from worker.arq_loop import run_arq_loop
from worker.deaths import LOOK_S, Neighbours
from worker.driver import POLL_S, Driver
from worker.health import Pulses, health_of
from worker.neighbours import WATCH_S as WATCH_REAPER_S
from worker.wiring import Worker

log = logging.getLogger(__name__)

GRACE_S = 20.0
TIDY_S = 600.0
RELOAD_S = 2.0
"""How soon a changed file is looked at."""

RETRY_S = 0.5
WATCH_S = 0.25


async def serve(worker: Worker, *, stop: asyncio.Event) -> None:
    """Work until `stop`, then drain and leave nothing behind."""
    driver = Driver(worker.station, worker.lease, worker.doorbell, slots=worker.slots)
    sweeper = Sweeper(
        worker.station.database,
        worker.doorbell,
        worker.station.bench.objects,
        worker.station.clock,
        owner=worker.station.worker,
        boot_id=worker.lease.identity.boot_id,
    )
    station = worker.station
    aftermath = Aftermath(
        station.database,
        station.clock,
        station.bench,
        station.workspaces,
        worker.doorbell,
        owner=station.worker,
        boot_id=worker.lease.identity.boot_id,
        ends=stop,
    )
    here = Here(station.host, station.boot_id, station.fences)
    neighbours = Neighbours(station.database, station.clock, worker.home, here, own=station.worker, freed=driver.freed)
    stopped, pulses = asyncio.Event(), Pulses()
    health = health_of(worker, pulses, is_stopping=stop.is_set)
    async with serving(worker.metrics_at, health), _leased(worker), aclosing(neighbours), asyncio.TaskGroup() as group:
        group.create_task(_renewals(worker, driver, stopped, pulses))
        group.create_task(_watch_lease(worker, driver, stopped, pulses))
        group.create_task(every(stop, lambda: POLL_S, driver.poll, pulses.poll))
        group.create_task(every(stop, lambda: POLL_S, driver.check_stopped, pulses.stops))
        group.create_task(every(stop, lambda: LOOK_S, neighbours.look))
        group.create_task(every(stop, next_pass_s, sweeper.tick, pulses.sweeper))
        group.create_task(every(stop, lambda: AFTERMATH_S, aftermath.tick))
        group.create_task(every(stop, lambda: TIDY_S, lambda: _tidy(worker, neighbours)))
        group.create_task(every(stop, lambda: RELOAD_S, lambda: reload(worker)))
        group.create_task(every(stop, lambda: WATCH_REAPER_S, worker.keeper.look))
        if worker.redis_url is not None:
            group.create_task(
                run_arq_loop(worker.redis_url, driver.on_ring, max_jobs=worker.slots * 4, stop=stop, grace_s=GRACE_S)
            )
            group.create_task(_hear_stops(worker.redis_url, driver, stop))
        print(f"ready {os.getpid()}", flush=True)
        log.info("worker is ready", extra={"action": "worker_ready", "worker": worker.station.worker})
        await stop.wait()
        await driver.drain(GRACE_S)
        stopped.set()


@contextlib.asynccontextmanager
async def _leased(worker: Worker) -> AsyncIterator[None]:
    """The lease; given up in order, or left to run out if the body raises."""
    await worker.keeper.enter()
    await worker.keeper.look()
    await worker.lease.acquire(lock=worker.life.take())
    yield
    await worker.lease.give_up()
    worker.life.release()
    await worker.keeper.leave()


async def _tidy(worker: Worker, neighbours: Neighbours) -> None:
    station = worker.station
    await neighbours.tidy()
    await tidy(station.database, station.workspaces, station.bench.scratch, station.fences)


async def reload(worker: Worker) -> None:
    """Take up what the operator changed; a file that cannot be used changes nothing.

    Models are asked over new connections from then on: their addresses and keys may be others now.
    """
    if await asyncio.to_thread(worker.config.check):
        await worker.models.close()


async def _renewals(worker: Worker, driver: Driver, stopped: asyncio.Event, pulses: Pulses) -> None:
    """Renew the lease; a renewal that failed is tried again soon."""
    pause_s = RENEW_S

    async def renew() -> None:
        nonlocal pause_s
        pause_s = RETRY_S
        async with asyncio.timeout(RENEW_S):
            renewed = await worker.lease.renew(driver.driving)
        pause_s = RENEW_S
        await driver.compare(renewed)

    await every(stopped, lambda: pause_s, renew, pulses.renewals)


async def _watch_lease(worker: Worker, driver: Driver, stopped: asyncio.Event, pulses: Pulses) -> None:
    """End everything in time when nobody renews us: whoever claims these runs must find nothing of ours running."""

    async def watch() -> None:
        if driver.driving and not worker.lease.holds:
            log.error("the lease ran out; ending everything", extra={"action": "lease_lost"})
            RUNS_LOST.labels("ran-out").inc(len(driver.stop_lost(driver.driving)))

    await every(stopped, lambda: WATCH_S, watch, pulses.watch)


async def _hear_stops(redis_url: str, driver: Driver, stop: asyncio.Event) -> None:
    """End a stopped run the moment somebody announces it; the poll finds the same a second later."""
    heard: asyncio.Queue[str | None] = asyncio.Queue()
    listening = asyncio.create_task(
        listen(redis_url, "stop", heard.put_nowait, on_gap=lambda: heard.put_nowait(None), stop=stop)
    )

    async def check() -> None:
        with contextlib.suppress(TimeoutError):
            run_id = await asyncio.wait_for(heard.get(), POLL_S)
            await driver.check_stopped(run_id)

    try:
        await every(stop, lambda: 0.0, check)
    finally:
        listening.cancel()
        await asyncio.wait({listening})


async def run(worker: Worker) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(worker, stop=stop)
