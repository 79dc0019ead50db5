"""W3: a worker dies. SIGKILL inside step 5 while another worker is up, everything at its defaults.

Nobody tells the other one: it takes the run over when the dead worker's lease has run out.
"""

import asyncio
import os
import random
import signal
import statistics
import time

from bench.probe import VARIABLE, Collector
from bench.report import Report
from bench.site import Site
from bench.sizes import Sizes
from bench.tools import HANG_AT, HANG_VARIABLE
from bench.work import STEPS, ask_and_ring
from core.runs.leases import RENEW_S

_STEP_WITHIN_S = 30.0
_AGAIN_WITHIN_S = 60.0


async def measure(site: Site, report: Report, sizes: Sizes) -> None:
    """Kill to step 5 again, and how many finished steps ran twice."""
    seconds, repeated = [], 0
    for number in range(sizes.deaths):
        with Collector() as collector:
            took_s, again = await _one(site, collector, number)
        seconds.append(took_s)
        repeated += again
    report.add(
        site.variant,
        "W3",
        "default: lease only",
        seconds=round(statistics.median(seconds), 3),
        max_seconds=round(max(seconds), 3),
        n=len(seconds),
        steps_repeated=repeated,
    )


async def _one(site: Site, collector: Collector, number: int) -> tuple[float, int]:
    env = {VARIABLE: str(collector.path)}
    async with site.worker(f"dying-{number}", **env, **{HANG_VARIABLE: "1"}) as dying:
        run_id = await ask_and_ring(site.database, site.doorbell, "numbered")
        await collector.wait("step", run_id, n=HANG_AT, pid=int(dying.ready), within_s=_STEP_WITHIN_S)
        async with site.worker(f"other-{number}", **env) as other:
            await asyncio.sleep(random.uniform(0, RENEW_S))  # not in step with the renewals
            killed_ns = time.monotonic_ns()
            os.kill(int(dying.ready), signal.SIGKILL)
            pid = int(other.ready)
            again = await collector.wait("step", run_id, n=HANG_AT, pid=pid, within_s=_AGAIN_WITHIN_S)
            await collector.wait("step", run_id, n=STEPS, pid=pid, within_s=_STEP_WITHIN_S)
            repeated = sum(1 for probed in collector.seen if probed.pid == pid and probed.n < HANG_AT)
    return (again.at_ns - killed_ns) / 1e9, repeated
