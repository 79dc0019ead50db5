"""Holding trials: on each database at every crash point, then under whatever a seed says, and judged after each lot."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.store.session import Database
from tests.acceptance.team import Team
from tests.chaos.rig.checker import history, transitions, violations
from tests.chaos.rig.configuration import CLASSES
from tests.chaos.rig.installation import installed
from tests.chaos.rig.mind import AGENTS
from tests.chaos.rig.nemesis import Nemesis
from tests.chaos.rig.people import People
from tests.chaos.rig.trials import ONE_AT_A_TIME, POINTS, Field, Trial

BOTS = ("CP01", "CP02", "CP03", "CP04", "CP10", "CP11", "CP12", "CP20")
WORKERS = tuple(point for point in POINTS if point not in (*BOTS, *ONE_AT_A_TIME))
"""Crash points by whom they kill, apart from those where it has to be a certain call's."""

LOT = 40
"""Trials under random faults in one installation; a new one is made after that."""
AT_ONCE = 6
"""Runs under way at once."""
REST_S = 1.5
"""How long after the last run has ended what follows from it may still be under way."""


@dataclass
class Held:
    """What came of trials."""

    trials: list[Trial] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)
    """Passes of labels, and refusals."""
    fired: Counter[str] = field(default_factory=Counter)
    """Deaths and standstills at labels."""
    transitions: Counter[str] = field(default_factory=Counter)
    """As `planning -> executing`."""
    deaths: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Held") -> None:
        """Take in what came of others."""
        self.trials += other.trials
        self.violations += other.violations
        for mine, theirs in (
            (self.faults, other.faults),
            (self.reached, other.reached),
            (self.fired, other.fired),
            (self.transitions, other.transitions),
            (self.deaths, other.deaths),
        ):
            mine.update(theirs)


@asynccontextmanager
async def ground(database: str, *, keep: Path | None = None) -> AsyncIterator[Field]:
    """An installation with people in it, and a way into its database."""
    async with installed(database, keep=keep) as house, Team(house.url) as team:
        opened = Database(house.database_url)
        people = People(house, team)
        living = asyncio.create_task(people.live())
        try:
            yield Field(house, people, team, opened)
        finally:
            living.cancel()
            await asyncio.gather(living, return_exceptions=True)
            await opened.close()


async def judged(where: Field, *, steady: bool = True) -> Held:
    """Everything there is to say about what was held here.

    Args:
        steady: Whether the wall clock never jumped, so that times can be compared.
    """
    await where.at_rest()
    await asyncio.sleep(REST_S)
    seen = await history(where.house, (await where.team.state())["messages"])
    house = where.house
    return Held(
        where.trials,
        await violations(house, seen, steady=steady),
        where.faults,
        house.counted("passed"),
        house.counted("fired"),
        await transitions(house),
        house.deaths,
    )


async def every_point(database: str, points: Sequence[str], *, keep: Path | None = None) -> Held:
    """Each class at each crash point once: the bot's and the workers' side by side, then what needs quiet."""
    async with ground(database, keep=keep) as where:

        async def at_each(some: Sequence[str]) -> None:
            for point in some:
                await where.at(point)

        async with asyncio.TaskGroup() as group:
            for of in (BOTS, WORKERS):
                group.create_task(at_each([point for point in points if point in of]))
        await at_each([point for point in points if point not in (*BOTS, *WORKERS)])
        return await judged(where)


async def under_fire(
    database: str, count: int, rng: random.Random, *, shifts: bool = False, keep: Path | None = None
) -> Held:
    """So many runs of random classes while one thing after another breaks; then everything is mended, and judged.

    Args:
        shifts: Whether the wall clock jumps too.
    """
    async with ground(database, keep=keep) as where:
        nemesis = Nemesis(where, rng, shifts)
        breaking = asyncio.create_task(nemesis.live())
        under_way: list[Trial] = []
        try:
            for _ in range(count):
                kind = rng.choice((*CLASSES, *CLASSES, *AGENTS, "busy"))
                trial = Trial("fire", kind, await where.ask(kind), time.monotonic())
                if kind == "busy":
                    where.people.unwanted.add(trial.root)
                where.trials.append(trial)
                under_way = [each for each in (*under_way, trial) if not await where.is_over(each)]
                while len(under_way) >= AT_ONCE and not breaking.done():
                    await asyncio.sleep(0.3)
                    under_way = [each for each in under_way if not await where.is_over(each)]
        finally:
            breaking.cancel()
            broke = await asyncio.gather(breaking, return_exceptions=True)
            await nemesis.mend()
        if isinstance(broke[0], Exception):
            raise broke[0]
        for trial in where.trials:
            if not trial.ended:
                trial.ended = (await where.settled(trial.root)).state.value
                trial.settled_s = time.monotonic()
        where.faults.update(nemesis.struck)
        return await judged(where, steady=not shifts)
