"""Turns of a model, without the model: what a worker process adds to each, with a server here that answers at once.

A turn's overhead is what passes from the last byte of an answer until the next request has arrived whole: reading and
storing the answer, settling it, carrying out what it asks for, reserving the next one and building its prompt.
"""

import asyncio
from itertools import pairwise

import psutil  # type: ignore[import-untyped]

from bench.loops import WORDS
from bench.report import Report
from bench.site import Site
from bench.sizes import Sizes
from bench.stats import latencies
from bench.work import accepted, thinking
from core.ids import TENANT
from core.store import runs
from tests.vendors import Say, Vendor, openai_server

WITHIN_S = 120.0


async def measure(site: Site, report: Report, sizes: Sizes) -> None:
    """Runs one after another, each of so many turns: some that only publish a plan, and some that call a tool."""
    times, turns = sizes.turns
    async with openai_server() as vendor, site.worker() as worker:
        process = psutil.Process(int(worker.ready))
        for case, story in (("a plan", _plans(turns)), ("a tool call", _calls(turns))):
            await _run(site, vendor, story)
            gaps: list[int] = []
            before = process.cpu_times()
            for _ in range(times):
                gaps += await _run(site, vendor, story)
            after = process.cpu_times()
            cpu_s = after.user + after.system - before.user - before.system
            cpu_ms = round(cpu_s * 1000 / (times * turns), 2)
            figures = {"runs": times, "turns_each": turns, "cpu_ms_per_turn": cpu_ms}
            report.add(site.variant, "turns", case, **figures, **latencies(gaps))


async def _run(site: Site, vendor: Vendor, story: list[Say]) -> list[int]:
    """One run of these answers; the time between each and the next request, in nanoseconds."""
    vendor.answers[:], vendor.times_ns[:] = list(story), []
    model = {"provider": "openai-compatible", "model": "bench", "url": vendor.url}
    run_id = await accepted(site.database, thinking({"tools": ["bench.echo"]}, model))
    await site.doorbell.ring(run_id, 0)
    try:
        async with asyncio.timeout(WITHIN_S):
            while len(vendor.times_ns) < len(story):  # noqa: ASYNC110  # it is the worker's work, in another process
                await asyncio.sleep(0.01)
    except TimeoutError:
        found = await runs.snapshot(site.database, TENANT, run_id)
        why = "" if found is None else f"it is {found.run.state}: {found.run.blocked_detail or found.run.outcome}"
        raise RuntimeError(f"a run thought {len(vendor.times_ns)} times: {why}") from None
    return [later[0] - earlier[1] for earlier, later in pairwise(vendor.times_ns)]


def _plans(turns: int) -> list[Say]:
    steps = [("plan", {"steps": [{"title": f"Turn {n}", "status": "running"}]}) for n in range(turns - 1)]
    return [*(Say("", [step]) for step in steps), Say("Done.")]


def _calls(turns: int) -> list[Say]:
    """Each call is of another word, so that none is taken for a circle."""
    calls = [("bench-echo", {"text": WORDS[n % len(WORDS)]}) for n in range(turns - 1)]
    return [*(Say("", [call]) for call in calls), Say("Done.")]
