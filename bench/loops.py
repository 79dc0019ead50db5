"""Agents that get nowhere: after how many calls their model is told, and after how many they are parked.

And those that work: whether they are left alone. Scripts in place of models, through the real engine.
"""

from collections.abc import Callable, Mapping
from typing import Any

from bench.report import Report
from bench.site import Site
from bench.sizes import Sizes
from bench.steps import engine
from bench.work import accepted, thinking
from core.ids import TENANT
from core.runs import stalls
from core.store import runs

MOST = 40
"""Calls each of them would make."""

WORDS = [
    f"{first}{second}"
    for first in ("ba", "co", "du", "fe", "gi")
    for second in ("l", "m", "n", "p", "r", "s", "t", "x")
]

CASES: Mapping[str, Callable[[int], dict[str, Any]]] = {
    "the same, which fails": lambda n: {"text": "no such table", "fails": True},
    "the same, which succeeds": lambda n: {"text": "queued"},
    "ABAB": lambda n: {"text": "ab"[n % 2]},
    "ABC": lambda n: {"text": "abc"[n % 3]},
    "the same with a nonce": lambda n: {"text": "queued", "nonce": f"{n * 2654435761 % 2**32:08x}a"},
    "polling, and only a counter moves": lambda n: {"text": f"{n} % done"},
    "40 honest steps": lambda n: {"text": WORDS[n]},
    "polling, and each look shows something new": lambda n: {"text": f"state {WORDS[n]}", "nonce": f"{n}"},
}
"""Arguments of each call, by what it is an example of."""


async def measure(site: Site, report: Report, sizes: Sizes) -> None:
    """One run of each."""
    async with engine(site) as (driver, database, _):
        for case, arguments in CASES.items():
            turns = [{"calls": [{"tool": "bench.echo", "with": arguments(n)}]} for n in range(MOST)]
            run_id = await accepted(database, thinking({}, {"turns": [*turns, {"text": "Done."}]}))
            await driver.on_ring(run_id, 0)
            snapshot = await runs.snapshot(database, TENANT, run_id)
            if snapshot is None:
                raise RuntimeError(f"run {run_id} is gone")
            told = [entry["calls"] for entry in stalls.entries(snapshot)]
            parked = snapshot.run.blocked_reason == "loop"
            calls = len(snapshot.calls)
            report.add(
                site.variant,
                "loops",
                case,
                calls=calls,
                told_after=told[0] if told else None,
                parked_after=calls if parked else None,
                ended=snapshot.run.state,
            )
