"""Two sides released at the same moment, on two connections, so often that each is first several times.

`ROUNDS` runs more of them, `SEED` repeats a run.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from core.record.rows import Snapshot
from core.runs import steps
from core.store.session import Database
from tests.factories import (
    IDS,
    a_created_run,
    a_tool,
    a_worker,
    act,
    call_started,
    claimed_by,
    landed,
    proposed,
    stamp,
)

ROUNDS = int(os.environ.get("ROUNDS", "200"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
LEAST = max(1, ROUNDS // 20)
"""How often each side has to be first."""

Side = Callable[[], Awaitable[Any]]


@pytest.fixture
def rng() -> random.Random:
    print(f"seed {SEED}")
    return random.Random(SEED)


@pytest.fixture
async def elsewhere(database_url: str) -> AsyncIterator[Database]:
    """Another process' way into the same database."""
    other = Database(database_url)
    yield other
    await other.close()


class Race:
    """Lets two sides go at the same moment, a little off towards whoever was first less often."""

    def __init__(self, rng: random.Random, one: str, other: str) -> None:
        self._rng = rng
        self._names = one, other
        self._lead_s = 0.0
        self.first: Counter[str] = Counter()

    async def run(self, one: Side, other: Side) -> tuple[Any, Any]:
        barrier = asyncio.Barrier(2)

        async def go(side: Side, wait_s: float) -> Any:
            await barrier.wait()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            return await side()

        lead_s = self._lead_s + self._rng.uniform(-0.001, 0.001)
        return tuple(await asyncio.gather(go(one, lead_s), go(other, -lead_s)))  # type: ignore[return-value]

    def won(self, who: str) -> None:
        """Count a round; whoever was first starts a little later from now on."""
        self.first[who] += 1
        self._lead_s += 0.0002 if who == self._names[0] else -0.0002

    def was_one(self) -> None:
        """Each side was first often enough, or nothing has raced."""
        assert ROUNDS == self.first.total()
        assert all(self.first[name] >= LEAST for name in self._names), self.first


async def held(database: Database) -> list[Snapshot]:
    """A run for each round, just claimed by `w1`; made together, for a commit of its own for each takes longer."""
    await a_worker(database)
    await asyncio.gather(*(a_created_run(database) for _ in range(ROUNDS)))
    runs: list[Snapshot] = []
    while claimed := await claimed_by(database, "w1"):
        runs += claimed
    assert ROUNDS == len(runs)
    return runs


async def executing(database: Database) -> list[Snapshot]:
    """The same with an opaque call under way."""
    runs = await held(database)
    changes = [call_started(run, recovery="opaque") for run in runs]
    await asyncio.gather(*(landed(database, change) for change in changes))
    return [run.folded(change) for run, change in zip(runs, changes, strict=True)]


async def waiting(database: Database, quorum: int = 1) -> list[Snapshot]:
    """The same with a question that waits for so many votes, and held by nobody."""
    return await asyncio.gather(*(_asking(database, run, quorum) for run in await held(database)))


async def _asking(database: Database, run: Snapshot, quorum: int) -> Snapshot:
    begun = steps.begin_planning(run, stamp())
    await landed(database, begun)
    run = run.folded(begun)
    turn, tool, policy = act(), a_tool("compensable", "opaque"), f'{{"policy":{{"quorum":{quorum}}}}}'
    about = proposed(run, turn, tool, policy=policy)
    asked = steps.take_turn(run, turn, about, call_id=IDS.call(), nonce=IDS.salt(), sandbox="none", stamp=stamp())
    await landed(database, asked)
    return run.folded(asked)
