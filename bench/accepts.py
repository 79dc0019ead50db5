"""W4: a request is accepted durably: what a Slack listener does before its ack, without Slack."""

from bench.crowd import crowd
from bench.report import Report
from bench.site import Site
from bench.sizes import Sizes
from bench.stats import latencies, rate
from bench.work import ask

_WARM_UP = 5


async def measure(site: Site, report: Report, sizes: Sizes) -> None:
    """One request at a time, and 50 at once; nobody works on them meanwhile."""

    async def one() -> None:
        await ask(site.database, "noops")

    await crowd(_WARM_UP, 1, one)
    for at_once, times in sizes.accepts:
        durations, total_ns = await crowd(times, at_once, one)
        report.add(site.variant, "W4", f"C={at_once}", per_s=rate(times, total_ns), **latencies(durations))
