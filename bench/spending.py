"""Money: a thousand runs ask a model at the same moment and share one budget, which is watched all the while.

Once with money for all of them, and once for a part. The server that answers them holds every answer back until nobody
more asks, so they are all under way together; what it has been asked for is its own count, and what was settled is
compared with that to the micro-dollar.
"""

import asyncio
import contextlib
import random
import resource
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from bench.crowd import timed
from bench.report import Report
from bench.site import Site
from bench.sizes import Sizes
from bench.stats import rate
from bench.steps import engine
from bench.work import accepted, thinking
from core.runs.turns import Caps
from core.store.session import Database
from tests.vendors import Say, Vendor, openai_server

INPUT, OUTPUT = 2, 10
"""Micro-dollars for a token, as the bench's models are priced."""

ROOMY, TIGHT = 1_000_000_000, 5_000_000

_QUIET_S = 3.0
_LOOK_S = 0.002
_FILES = 8_192

_SQL = """SELECT b.used, (SELECT SUM(COALESCE(s.settled, s.reserved)) FROM spend s
    WHERE s.tenant = b.tenant AND s.budget_id = b.id) AS held FROM budgets b WHERE b.scope = 'team'"""


_UNDER_WAY = "SELECT COUNT(*) FROM runs WHERE state NOT IN ('completed', 'blocked')"


@dataclass
class Watch:
    """What was seen of the budget."""

    cap: int
    looks: int = 0
    over: int = 0
    """Looks at which more was taken than there is, by the row or by the sum of its reservations."""
    apart: int = 0
    """Looks at which the two differed."""
    most: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    async def keep(self, url: str) -> None:
        """Look until told to stop, on a connection of its own."""
        database = Database(url)
        try:
            while not self.stop.is_set():
                async with database.read() as connection:
                    rows = (await connection.execute(text(_SQL))).all()
                for used, held in rows:
                    self.looks += 1
                    self.over += used > self.cap or (held or 0) > self.cap
                    self.apart += used != (held or 0)
                    self.most = max(self.most, used)
                await asyncio.sleep(_LOOK_S)
        finally:
            await database.close()


async def for_all(site: Site, report: Report, sizes: Sizes) -> None:
    """There is money for everybody, so all of them are under way at once."""
    await _together(site, report, sizes.spends, "money for all", ROOMY)


async def for_some(site: Site, report: Report, sizes: Sizes) -> None:
    """There is money for a part; the others are parked."""
    await _together(site, report, sizes.spends, "money for some", TIGHT)


async def _together(site: Site, report: Report, times: int, case: str, cap: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, _FILES), hard), hard))
    rng = random.Random(times)
    says = [Say("So.", usage=(rng.randrange(50, 900), rng.randrange(1, 900))) for _ in range(times)]
    async with (
        openai_server(*says) as vendor,
        engine(site, slots=times, caps=Caps(team_day=cap)) as (driver, database, _),
    ):
        model = {"provider": "openai-compatible", "model": "bench", "url": vendor.url}
        vendor.gate = asyncio.Event()
        ids = [await accepted(database, thinking({"tools": []}, model)) for _ in range(times)]

        async def everybody() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(_open(vendor, times))
                for run_id in ids:
                    group.create_task(driver.on_ring(run_id, 0))
            # A worker that was too busy to renew its lease in time drives what it lost once more.
            while await _number(database, _UNDER_WAY):  # noqa: ASYNC110  # what it waits for is in a database
                await asyncio.sleep(0.1)

        with _watched(site.database_url, cap) as watch:
            total_ns = await timed(everybody)
        tally = sum(INPUT * said.usage[0] + OUTPUT * said.usage[1] for said in vendor.served if said.usage)
        settled = await _number(database, "SELECT used FROM budgets WHERE scope = 'team'")
        charged = await _number(database, "SELECT SUM(cost_micro_usd) FROM runs")
        figures: dict[str, Any] = {
            "runs": times,
            "in_flight": len(vendor.asked),
            "cap_micro_usd": cap,
            "most_micro_usd": watch.most,
            "looks": watch.looks,
            "over_cap_looks": watch.over,
            "row_differs_from_its_reservations": watch.apart,
            "vendor_micro_usd": tally,
            "settled_micro_usd": settled,
            "off_by_micro_usd": abs(settled - tally) + abs(charged - tally),
            "lost": await _number(database, "SELECT COUNT(*) FROM spend WHERE lost = 1"),
            "unsettled": await _number(database, "SELECT COUNT(*) FROM spend WHERE settled IS NULL"),
            "parked": await _number(database, "SELECT COUNT(*) FROM runs WHERE blocked_reason = 'budget'"),
            "turns_per_s": rate(len(vendor.asked), total_ns),
        }
        report.add(site.variant, "spend", f"{times} at once, {case}", **figures)


async def _open(vendor: Vendor, times: int) -> None:
    """Let the answers go once everybody has asked, or nobody has for a while."""
    assert vendor.gate is not None
    seen, since_s = -1, time.monotonic()
    while len(vendor.asked) < times and (seen <= 0 or time.monotonic() - since_s < _QUIET_S):
        if len(vendor.asked) != seen:
            seen, since_s = len(vendor.asked), time.monotonic()
        await asyncio.sleep(0.05)
    vendor.gate.set()


@contextlib.contextmanager
def _watched(url: str, cap: int) -> Iterator[Watch]:
    """Look at the budget from a thread of its own, or this one's work would be in the way."""
    watch = Watch(cap)
    thread = threading.Thread(target=lambda: asyncio.run(watch.keep(url)), daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.stop.set()
        thread.join(10)


async def _number(database: Database, sql: str) -> int:
    async with database.read() as connection:
        return int((await connection.execute(text(sql))).scalar_one() or 0)
