"""How a loop ends: what runs may finish, nothing new begins, and a cancel is never swallowed."""

import asyncio
import signal
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from core.queue import BELL_KEY, QUEUE_NAME, ArqDoorbell
from tests.integration.queue.conftest import RunningLoop, StartLoop, eventually

DoorbellOf = Callable[[str], ArqDoorbell]


class Held:
    """Answers that last until they are let go."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()
        self.started: list[int] = []
        self.ended: list[int] = []
        self.canceled: list[int] = []

    async def on_ring(self, run_id: str, wake: int) -> None:
        self.started.append(wake)
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.canceled.append(wake)
            raise
        self.ended.append(wake)


@pytest.fixture
def held() -> Held:
    return Held()


async def begin(held: Held, doorbell: ArqDoorbell, count: int) -> None:
    for wake in range(count):
        await doorbell.ring("run_a", wake)
    await eventually(lambda: len(held.started) == count)


async def stopped_picking(loop: RunningLoop, url: str) -> None:
    """Ask the loop to stop; it has when it passes its bell on to others."""
    async with Redis.from_url(url) as client:

        async def was_rung() -> bool:
            return bool(await client.exists(BELL_KEY))

        await client.delete(BELL_KEY)
        loop.stop.set()
        await eventually(was_rung)


async def test_stop_lets_running_answers_end_and_begins_no_new_one(
    redis_url: str, start_loop: StartLoop, doorbell_of: DoorbellOf, held: Held
) -> None:
    loop, doorbell = start_loop(redis_url, held.on_ring), doorbell_of(redis_url)
    await begin(held, doorbell, 3)

    await stopped_picking(loop, redis_url)
    await doorbell.ring("run_a", 99)
    held.let_go.set()
    await loop.task

    assert [0, 1, 2] == held.started == sorted(held.ended)
    async with Redis.from_url(redis_url) as client:
        assert [b"run_a:99"] == await client.zrange(QUEUE_NAME, 0, -1)


async def test_answers_that_outlast_the_grace_are_canceled_and_awaited(
    redis_url: str, start_loop: StartLoop, doorbell_of: DoorbellOf, held: Held
) -> None:
    loop = start_loop(redis_url, held.on_ring, grace_s=0.05)
    await begin(held, doorbell_of(redis_url), 3)

    await loop.end()

    assert [0, 1, 2] == sorted(held.canceled)
    assert [] == held.ended


async def test_a_canceled_loop_cancels_its_answers_and_says_so(
    redis_url: str, start_loop: StartLoop, doorbell_of: DoorbellOf, held: Held
) -> None:
    loop = start_loop(redis_url, held.on_ring)
    await begin(held, doorbell_of(redis_url), 3)

    loop.task.cancel()
    await asyncio.wait({loop.task})

    assert loop.task.cancelled()
    assert [0, 1, 2] == sorted(held.canceled)


@pytest.mark.parametrize("after", range(12))
async def test_a_cancel_under_load_is_obeyed_whatever_it_hits(
    redis_url: str, start_loop: StartLoop, doorbell_of: DoorbellOf, after: int
) -> None:
    loop, doorbell = start_loop(redis_url, max_jobs=3), doorbell_of(redis_url)
    for wake in range(60):
        await doorbell.ring("run_a", wake)
    for _ in range(after * 7):
        await asyncio.sleep(0)

    loop.task.cancel()
    await asyncio.wait({loop.task})
    await doorbell.close()

    assert loop.task.cancelled()
    assert {asyncio.current_task()} == {task for task in asyncio.all_tasks() if not task.done()}


async def test_the_loop_leaves_the_process_its_signal_handlers(redis_url: str, start_loop: StartLoop) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    loop = start_loop(redis_url)
    await asyncio.sleep(0)

    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    await loop.end()
