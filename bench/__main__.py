"""`python -m bench`: every row on both databases. `RESULT {json}` lines as they come, one JSON document at the end.

`--rows sqlite|postgres|all` picks the database, `--only` the workloads, `--full` the larger numbers. Exit code 1 when a
row could not be measured.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from bench import accepts, deaths, kills, loops, mentions, parked, sandboxes, spending, steps, stops, turns
from bench.report import Report, say
from bench.servers import Servers, servers
from bench.site import ROOT, Site, site
from bench.sizes import FULL, SMALL, Sizes

Measure = Callable[[Site, Report, Sizes], Awaitable[None]]

WORKLOADS: Mapping[str, tuple[Measure, ...]] = {
    "W1": (steps.in_process, steps.across),
    "W2": (parked.measure,),
    "W3": (deaths.one_host, deaths.another_host),
    "W4": (accepts.measure,),
    "W5": (stops.measure, kills.measure),
    "mention": (mentions.measure,),
    "sandbox": (sandboxes.measure,),
    "turns": (turns.measure,),
    "spend": (spending.for_all, spending.for_some),
    "loops": (loops.measure,),
}
VARIANTS = ("sqlite", "postgres")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the real engine; see README.md.")
    parser.add_argument("--rows", choices=[*VARIANTS, "all"], default="all", help="on which database (default: both)")
    parser.add_argument("--only", default="", metavar="W1,W4", help=f"some of {', '.join(WORKLOADS)} (default: all)")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--small", dest="sizes", action="store_const", const=SMALL, help="some minutes (the default)")
    sizes.add_argument(
        "--full", dest="sizes", action="store_const", const=FULL, help="more of everything, many minutes"
    )
    parser.set_defaults(sizes=SMALL)
    arguments = parser.parse_args(argv)
    arguments.only = [name for name in arguments.only.split(",") if name] or list(WORKLOADS)
    if unknown := [name for name in arguments.only if name not in WORKLOADS]:
        parser.error(f"there is no workload {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    return arguments


async def _measure(there: Servers, work: Path, variant: str, name: str, sizes: Sizes, report: Report) -> None:
    for measure in WORKLOADS[name]:
        began = time.monotonic()
        try:
            async with asyncio.timeout(sizes.within_s), site(there, variant, work) as place:
                await measure(place, report, sizes)
        except Exception as error:
            # One row that cannot be had must not take the others with it; it is a row that says so.
            report.failed(variant, name, error)
        say(f"{variant} {name}: {time.monotonic() - began:.1f} s")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    arguments = _arguments(argv)
    variants = VARIANTS if arguments.rows == "all" else (arguments.rows,)
    base = Path(os.environ.get("BENCH_WORK") or ROOT / ".cache" / "bench")
    base.mkdir(parents=True, exist_ok=True)
    report = Report()
    with tempfile.TemporaryDirectory(prefix="run-", dir=base) as work, servers(Path(work), variants) as there:
        for variant in variants:
            for name in arguments.only:
                asyncio.run(_measure(there, Path(work), variant, name, arguments.sizes, report))
    print(report.document(), flush=True)
    return 1 if report.has_errors else 0


if __name__ == "__main__":
    sys.exit(main())
