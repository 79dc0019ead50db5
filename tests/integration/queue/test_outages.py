"""What happens to rings, loops and doorbells while Redis dies, hangs and comes back."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from core.queue import QUEUE_NAME, ArqDoorbell
from tests.integration.queue.conftest import MortalRedis, StartLoop, eventually
from tests.patience import PATIENCE_S

DoorbellOf = Callable[[str], ArqDoorbell]


def actions(caplog: pytest.LogCaptureFixture) -> Counter[str]:
    """Count the stable keys logged so far."""
    return Counter(record.action for record in caplog.records if hasattr(record, "action"))


async def ring_until(doorbell: ArqDoorbell, heard: list[tuple[str, int]]) -> None:
    """Ring with ever new wakes, as a sweeper does, until one of them is heard."""
    wake = 1000
    already = len(heard)
    async with asyncio.timeout(PATIENCE_S):
        while len(heard) == already:
            wake += 1
            await doorbell.ring("run_again", wake)
            await asyncio.sleep(0.01)


async def test_a_server_killed_and_restarted_is_found_again_by_loop_and_doorbell(
    mortal_redis: MortalRedis, start_loop: StartLoop, doorbell_of: DoorbellOf, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    loop, doorbell = start_loop(mortal_redis.url), doorbell_of(mortal_redis.url)
    await doorbell.ring("run_a", 1)
    await eventually(lambda: bool(loop.heard))

    mortal_redis.sigkill()
    await doorbell.ring("run_b", 1)
    await eventually(lambda: actions(caplog)["doorbell_lost"] == 2)
    mortal_redis.start()
    await ring_until(doorbell, loop.heard)
    await eventually(lambda: actions(caplog)["doorbell_back"] == 2)
    await loop.end()

    assert 2 == actions(caplog)["doorbell_lost"], "said more than once by the loop or the doorbell"
    assert ("run_b", 1) in loop.heard, "held by the doorbell while the server was away"


async def test_a_ring_that_is_being_answered_does_not_notice_the_outage(
    mortal_redis: MortalRedis, start_loop: StartLoop, doorbell_of: DoorbellOf, caplog: pytest.LogCaptureFixture
) -> None:
    started, let_end, outcome = asyncio.Event(), asyncio.Event(), []

    async def on_ring(run_id: str, wake: int) -> None:
        started.set()
        try:
            await let_end.wait()
        except asyncio.CancelledError:
            outcome.append("canceled")
            raise
        outcome.append("ended")

    loop, doorbell = start_loop(mortal_redis.url, on_ring), doorbell_of(mortal_redis.url)
    await doorbell.ring("run_a", 1)
    await started.wait()

    mortal_redis.sigkill()
    await eventually(lambda: actions(caplog)["doorbell_lost"] >= 1)
    let_end.set()
    await eventually(lambda: outcome == ["ended"])
    mortal_redis.start()
    await loop.end()

    assert ["ended"] == outcome


async def test_ringing_a_server_that_is_down_neither_raises_nor_waits(
    mortal_redis: MortalRedis, doorbell_of: DoorbellOf, caplog: pytest.LogCaptureFixture
) -> None:
    mortal_redis.sigkill()
    doorbell = doorbell_of(mortal_redis.url)
    await doorbell.ring("run_first", 1)  # may find out

    before = asyncio.all_tasks()
    for number in range(5_000):
        ring = asyncio.ensure_future(doorbell.ring("run_a", number))
        await asyncio.sleep(0)
        assert ring.done(), "it waited"
    await doorbell.announce("stop", "run_a")
    await eventually(lambda: actions(caplog)["doorbell_lost"] == 1)

    assert len(asyncio.all_tasks()) <= len(before) + 1
    assert len(doorbell._waiting) <= 1_000


async def test_ringing_a_server_that_hangs_lets_the_caller_go(
    mortal_redis: MortalRedis, start_loop: StartLoop, doorbell_of: DoorbellOf
) -> None:
    loop, doorbell = start_loop(mortal_redis.url), doorbell_of(mortal_redis.url)
    await doorbell.ring("run_a", 1)
    await eventually(lambda: bool(loop.heard))

    mortal_redis.freeze()
    await doorbell.ring("run_b", 1)
    await doorbell.ring("run_c", 1)
    mortal_redis.thaw()
    await eventually(lambda: {("run_b", 1), ("run_c", 1)} <= set(loop.heard))


async def test_a_doorbell_closes_at_once_while_the_server_is_down(mortal_redis: MortalRedis) -> None:
    doorbell = ArqDoorbell(mortal_redis.url)
    mortal_redis.sigkill()
    await doorbell.ring("run_a", 1)

    await doorbell.close()
    await doorbell.ring("run_b", 1)

    assert [] == [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_a_ring_told_just_before_closing_is_not_lost(redis_url: str) -> None:
    doorbell = ArqDoorbell(redis_url)
    telling = asyncio.create_task(doorbell.ring("run_a", 1))
    await asyncio.sleep(0)
    await doorbell.close()
    await telling

    async with Redis.from_url(redis_url) as client:
        assert [b"run_a:1"] == await client.zrange(QUEUE_NAME, 0, -1)


async def test_a_loop_started_before_its_server_waits_for_it(
    mortal_redis: MortalRedis, start_loop: StartLoop, doorbell_of: DoorbellOf, caplog: pytest.LogCaptureFixture
) -> None:
    mortal_redis.sigkill()
    loop = start_loop(mortal_redis.url)
    await eventually(lambda: actions(caplog)["doorbell_lost"] == 1)

    mortal_redis.start()
    await ring_until(doorbell_of(mortal_redis.url), loop.heard)


async def test_a_loop_stops_while_its_server_is_down(
    mortal_redis: MortalRedis, start_loop: StartLoop, caplog: pytest.LogCaptureFixture
) -> None:
    mortal_redis.sigkill()
    loop = start_loop(mortal_redis.url)
    await eventually(lambda: actions(caplog)["doorbell_lost"] == 1)

    await loop.end()


async def test_a_loop_is_canceled_while_its_server_dies(
    mortal_redis: MortalRedis, start_loop: StartLoop, doorbell_of: DoorbellOf
) -> None:
    loop, doorbell = start_loop(mortal_redis.url), doorbell_of(mortal_redis.url)
    await doorbell.ring("run_a", 1)
    await eventually(lambda: bool(loop.heard))

    mortal_redis.sigkill()
    loop.task.cancel()
    await asyncio.wait({loop.task}, timeout=PATIENCE_S)

    assert loop.task.cancelled()


async def test_a_server_that_refuses_commands_is_an_outage_and_not_a_crash(
    redis_url: str, start_loop: StartLoop, doorbell_of: DoorbellOf, caplog: pytest.LogCaptureFixture
) -> None:
    loop, doorbell = start_loop(redis_url), doorbell_of(redis_url)
    async with Redis.from_url(redis_url) as client:
        await client.set(QUEUE_NAME, "not a queue")
        await doorbell.ring("run_a", 1)
        await eventually(lambda: actions(caplog)["doorbell_lost"] >= 2)
        await client.delete(QUEUE_NAME)
        await eventually(lambda: ("run_a", 1) in loop.heard)


async def test_what_a_killed_loop_had_claimed_is_tidied_up_by_the_next(
    redis_url: str, start_loop: StartLoop, doorbell_of: DoorbellOf
) -> None:
    """As left by SIGKILL: the claim has expired, the try is counted. The sweeper's next wake does the work."""
    await doorbell_of(redis_url).ring("run_a", 1)
    async with Redis.from_url(redis_url) as client:
        await client.set("arq:retry:run_a:1", 1)
        loop = start_loop(redis_url)

        async def is_tidy() -> bool:
            return not await client.keys("arq:*")

        await eventually(is_tidy)
        await loop.end()
        assert [] == await client.zrange(QUEUE_NAME, 0, -1)

    assert [] == loop.heard
