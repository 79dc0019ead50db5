"""`make chaos`: everything under fire, judged. `SEED=…` repeats a run's choices, `TRIALS=…` holds more of them.

First each class at each crash point on both databases, then trials under random faults, then the simulation, then the
mutants. The last line on stdout is one JSON document.
"""

import argparse
import asyncio
import os
import random
import sys
from pathlib import Path

from tests.chaos.mutants.running import run
from tests.chaos.mutants.table import MUTANTS
from tests.chaos.report import Report
from tests.chaos.rig.holding import LOT, every_point, under_fire
from tests.chaos.rig.trials import POINTS
from tests.chaos.simulation import simulate

DATABASES = ("sqlite", "postgres")
TRIALS = 200
HISTORIES = 2_000


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Banksman under fire, and judged.")
    parser.add_argument("--trials", type=int, default=int(os.environ.get("TRIALS", TRIALS)), help="under random faults")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "0")) or None)
    parser.add_argument("--points", default=",".join(POINTS), help="crash points to stand at; an empty text = none")
    parser.add_argument("--histories", type=int, default=HISTORIES, help="to simulate")
    parser.add_argument("--no-mutants", action="store_true", help="leave the mutants out")
    parser.add_argument("--keep", type=Path, help="where logs and ledgers go of an installation that fails")
    return parser.parse_args()


async def _held(report: Report, asked: argparse.Namespace) -> None:
    for database in DATABASES if report.points else ():
        _say(f"every class at {len(report.points)} crash points on {database}")
        report.held.add(await every_point(database, report.points, keep=_keep(asked, database)))
    left, lot = asked.trials, 0
    while left > 0:
        database, count = DATABASES[lot % 2], min(LOT, left)
        _say(f"lot {lot}: {count} trials on {database}; {len(report.held.violations)} violations so far")
        rng = random.Random(f"{report.seed}:{lot}")
        shifts = lot % 4 == 2 or lot % 4 == 3
        report.held.add(await under_fire(database, count, rng, shifts=shifts, keep=_keep(asked, f"lot-{lot}")))
        left, lot = left - count, lot + 1


def _keep(asked: argparse.Namespace, name: str) -> Path | None:
    return None if asked.keep is None else asked.keep / name


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Hold what was asked for; 1 if anything is wrong."""
    asked = _arguments()
    seed = asked.seed or random.SystemRandom().randrange(1, 2**31)
    points = [point for point in asked.points.split(",") if point]
    report = Report(seed, with_mutants=not asked.no_mutants, points=points)
    _say(f"SEED={report.seed} make chaos")
    asyncio.run(_held(report, asked))
    if asked.histories:
        _say(f"{asked.histories} simulated histories")
        report.add_simulated(simulate(asked.histories, report.seed))
    if not asked.no_mutants:
        _say(f"{len(MUTANTS)} planted bugs")
        report.mutants = {each.mutant.name: each.mutant.test if each.caught else None for each in run(MUTANTS)}
    report.print()
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
