"""Decisions that come at the same moment: released together, on two connections, and exactly one of them holds.

Here the worker's own driver is one of the sides or goes on afterwards; two commands on one question race in
`tests/integration/store/test_decision_races.py`. Both sides must have been first at least once, or it was no race.
`ROUNDS` runs more of them, `SEED` repeats a run.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from core.principals import Principal
from core.record.changes import Decided, Refusal
from core.record.freezes import FreezeChange
from core.store.session import Database
from tests.integration.worker.conftest import Rig, step, succeed
from tests.integration.worker.operating import frozen, spread, thawed
from tests.integration.worker.voting import BEN, CAT, asked, cast, known

ROUNDS = int(os.environ.get("ROUNDS", "8"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 2**31)

pytestmark = pytest.mark.timeout(300 + ROUNDS * 2)

QUORUM_TWO = '{"policy":{"rules":[{"decision":"ask","name":"two","quorum":2,"tools":["push"]}]}}'

Side = Callable[[], Awaitable[Any]]


def rounds(winners: Counter[str]) -> Iterator[int]:
    """So many races, and more of them until each side has been first once."""
    for number in range(ROUNDS + 60):
        if number >= ROUNDS and len(winners) >= 2:
            return
        yield number


@pytest.fixture
def rng() -> random.Random:
    print(f"seed {SEED}")
    return random.Random(SEED)


@pytest.fixture
async def elsewhere(rig: Rig, database_url: str) -> AsyncIterator[Database]:
    """Another process' way into the same database."""
    other = Database(database_url)
    yield other
    await other.close()


async def waiting(rig: Rig) -> str:
    if rig.driver is None:
        rig.tool("push", succeed, tier="compensable", recovery="opaque")
        await rig.start()
    await known(rig, BEN, CAT)
    await renewed(rig)
    run_id = await rig.ask(step("push", "push"))
    assert "waiting-for-approval" == (await rig.drive(run_id)).state
    return run_id


async def renewed(rig: Rig) -> None:
    """Many rounds take longer than a lease."""
    assert rig.lease is not None
    await rig.lease.renew([])


async def released(rng: random.Random, *sides: Side) -> list[Any]:
    """Let all sides go at the same moment, in any order."""
    barrier = asyncio.Barrier(len(sides))

    async def go(side: Side) -> Any:
        await barrier.wait()
        for _ in range(rng.randrange(3)):
            await asyncio.sleep(0)
        return await side()

    order = list(range(len(sides)))
    rng.shuffle(order)
    tasks = {n: asyncio.create_task(go(sides[n])) for n in order}
    return [await tasks[n] for n in range(len(sides))]


class Pause:
    """How long one side waits before it goes: longer each time it was first, shorter each time it was not."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._most_s = 0.02

    def next(self) -> float:
        return self._rng.uniform(0, self._most_s)

    def was_first(self, first: bool) -> None:
        self._most_s = min(1.0, self._most_s * 1.3) if first else max(0.002, self._most_s / 1.3)


def either(rng: random.Random, *databases: Database) -> list[Database]:
    """The ways into the database, in any order: a warm connection must not win every race."""
    return rng.sample(databases, len(databases))


def voter(rig: Rig, database: Database, ask: Any, who: Principal, decision: Any = "approve", **fields: Any) -> Side:
    digest = rig.rules().pinned.digest
    return lambda: cast(database, rig.clock, ask, who, decision, policy_digest=digest, reason="no", **fields)


async def test_a_start_and_a_denial(rig: Rig, elsewhere: Database, rng: random.Random) -> None:
    seen: Counter[str] = Counter()
    pause = Pause(rng)
    for _ in rounds(seen):
        run_id = await waiting(rig)
        ask = await asked(rig, run_id)
        assert isinstance(await voter(rig, rig.database, ask, BEN)(), Decided)
        pause_s = pause.next()

        async def deny(ask: Any = ask, pause_s: float = pause_s) -> Any:
            await asyncio.sleep(pause_s)
            return await voter(rig, elsewhere, ask, CAT, "deny")()

        _, no = await released(rng, lambda run_id=run_id: rig.drive(run_id), deny)
        shown = await rig.drive(run_id)
        started = shown.actions[0].attempts
        pause.was_first(isinstance(no, Decided))
        if isinstance(no, Decided):
            assert ("failed", 0) == (shown.state, started), "denied in time"
            seen["denied"] += 1
        else:
            assert ("completed", 1) == (shown.state, started), "started in time"
            assert "It has started" in no.text
            seen["started"] += 1
    assert {"denied", "started"} == set(seen), seen


async def test_an_approval_and_a_changed_policy(rig: Rig, elsewhere: Database, rng: random.Random) -> None:
    before, after = "{}", QUORUM_TWO.replace('"quorum":2', '"quorum":1')
    seen: Counter[str] = Counter()
    pause = Pause(rng)
    for _ in rounds(seen):
        rig.policy = before
        run_id = await waiting(rig)
        ask = await asked(rig, run_id)

        async def reload(pause_s: float = pause.next()) -> None:
            await asyncio.sleep(pause_s)
            rig.policy = after

        async def approve(ask: Any = ask) -> Any:
            done = await voter(rig, elsewhere, ask, BEN)()
            return done, await rig.drive(ask.approval.run_id)

        (_, _), _ = await released(rng, approve, reload)
        shown = await rig.drive(run_id)
        used = [approval.status for approval in shown.approvals]
        assert used in (["consumed"], ["superseded", "pending"]), used
        assert (1 if used == ["consumed"] else 0) == sum(action.attempts for action in shown.actions)
        seen[used[0]] += 1
        pause.was_first(used[0] == "superseded")
    assert {"consumed", "superseded"} == set(seen), seen


async def test_a_start_and_a_freeze(rig: Rig, elsewhere: Database, rng: random.Random) -> None:
    rig.tool("work", succeed)
    await rig.start()
    seen: Counter[str] = Counter()
    pause = Pause(rng)
    for _ in rounds(seen):
        await renewed(rig)
        run_id = await rig.ask(step("work", "work"))
        pause_s = pause.next()

        async def freeze(run_id: str = run_id, pause_s: float = pause_s) -> int:
            await asyncio.sleep(pause_s)
            assert isinstance(await frozen(rig, f"run:{run_id}", told=False, database=elsewhere), FreezeChange)
            return len((await rig.row(run_id)).calls)

        _, started = await released(rng, lambda run_id=run_id: rig.drive(run_id), freeze)
        shown = await rig.drive(run_id)
        assert started == len(shown.actions), "nothing has started since the freeze was committed"
        expected = ("completed", 1) if started else ("blocked", 0)
        assert expected == (shown.state, len(shown.actions))
        seen["started" if started else "frozen"] += 1
        pause.was_first(not started)
        await thawed(rig, f"run:{run_id}")
        assert "completed" == (await rig.drive(run_id)).state
    assert {"started", "frozen"} == set(seen), seen


async def test_the_start_of_what_was_approved_and_a_freeze(rig: Rig, elsewhere: Database, rng: random.Random) -> None:
    seen: Counter[str] = Counter()
    pause = Pause(rng)
    for _ in rounds(seen):
        run_id = await waiting(rig)
        ask = await asked(rig, run_id)
        assert isinstance(await voter(rig, rig.database, ask, BEN)(), Decided)
        pause_s = pause.next()

        async def freeze(run_id: str = run_id, pause_s: float = pause_s) -> int:
            await asyncio.sleep(pause_s)
            assert isinstance(await frozen(rig, "tool:push", told=False, database=elsewhere), FreezeChange)
            return (await rig.row(run_id)).calls[0].attempts

        _, started = await released(rng, lambda run_id=run_id: rig.drive(run_id), freeze)
        await spread(rig)
        shown = await rig.drive(run_id)
        expected = ("completed", "consumed", 1) if started else ("blocked", "approved", 0)
        assert expected == (shown.state, shown.approvals[0].status, shown.actions[0].attempts)
        seen["started" if started else "frozen"] += 1
        pause.was_first(not started)
        await thawed(rig, "tool:push")
        shown = await rig.drive(run_id)
        assert ("completed", 1) == (shown.state, shown.actions[0].attempts)
    assert {"started", "frozen"} == set(seen), seen


async def test_an_approval_and_a_freeze(rig: Rig, elsewhere: Database, rng: random.Random) -> None:
    """However they come, what was approved waits, and starts once when it is thawed."""
    seen: Counter[str] = Counter()
    pause = Pause(rng)
    for _ in rounds(seen):
        run_id = await waiting(rig)
        ask = await asked(rig, run_id)
        one, other = either(rng, rig.database, elsewhere)
        pause_s = pause.next()

        async def approve(one: Database = one, ask: Any = ask, pause_s: float = pause_s) -> Any:
            await asyncio.sleep(pause_s)
            return await voter(rig, one, ask, BEN)()

        yes, cold = await released(rng, approve, lambda other=other: frozen(rig, "tool:push", database=other))
        assert isinstance(cold, FreezeChange)
        shown = await rig.drive(run_id)
        assert ("blocked", 0) == (shown.state, shown.actions[0].attempts)
        seen["approve" if isinstance(yes, Decided) else "freeze"] += 1
        pause.was_first(isinstance(yes, Decided))
        await thawed(rig, "tool:push")
        if isinstance(yes, Refusal):
            assert isinstance(await voter(rig, one, ask, BEN)(), Decided)
        shown = await rig.drive(run_id)
        assert ("completed", 1) == (shown.state, shown.actions[0].attempts)
    assert {"approve", "freeze"} == set(seen), seen
