"""From a ring to the function that answers it, on a server that stays up."""

import asyncio
import json
import pickle
import time
from collections import Counter
from collections.abc import Callable

import pytest
from arq.connections import ArqRedis
from redis.asyncio import Redis

from core.errors import ConfigError
from core.queue import BELL_KEY, QUEUE_NAME, ArqDoorbell, Doorbell, SilentDoorbell, decode_ring
from core.redis_link import connect
from tests.integration.queue.conftest import MortalRedis, StartLoop, eventually
from tests.patience import PATIENCE_S

DoorbellOf = Callable[[str], ArqDoorbell]


async def left_behind(url: str) -> set[bytes]:
    """The keys in Redis, bells excepted."""
    async with Redis.from_url(url) as client:
        return {key for key in await client.keys() if key != BELL_KEY.encode()}


async def test_a_ring_reaches_the_function_and_leaves_nothing_behind(
    redis_url: str, start_loop: StartLoop, doorbell_of: DoorbellOf
) -> None:
    loop = start_loop(redis_url)

    await doorbell_of(redis_url).ring("run_a", 1)
    await eventually(lambda: bool(loop.heard))
    await loop.end()

    assert [("run_a", 1)] == loop.heard
    assert set() == await left_behind(redis_url)


async def test_a_ring_before_any_worker_is_heard_by_the_first_one(
    redis_url: str, start_loop: StartLoop, doorbell_of: DoorbellOf
) -> None:
    await doorbell_of(redis_url).ring("run_a", 1)

    loop = start_loop(redis_url)
    await eventually(lambda: bool(loop.heard))

    assert [("run_a", 1)] == loop.heard


async def test_the_next_wake_is_heard_while_the_last_is_still_being_answered(
    redis_url: str, start_loop: StartLoop, doorbell_of: DoorbellOf
) -> None:
    started: list[int] = []
    let_end = asyncio.Event()

    async def on_ring(run_id: str, wake: int) -> None:
        started.append(wake)
        await let_end.wait()

    start_loop(redis_url, on_ring)
    doorbell = doorbell_of(redis_url)
    await doorbell.ring("run_a", 1)
    await eventually(lambda: started == [1])

    await doorbell.ring("run_a", 2)
    await eventually(lambda: started == [1, 2])
    let_end.set()


async def test_the_same_wake_told_again_before_and_during_its_answer_is_one_ring(
    redis_url: str, start_loop: StartLoop, doorbell_of: DoorbellOf
) -> None:
    started: list[tuple[str, int]] = []
    let_end = asyncio.Event()

    async def on_ring(run_id: str, wake: int) -> None:
        started.append((run_id, wake))
        if wake == 1:
            await let_end.wait()

    doorbell = doorbell_of(redis_url)
    await doorbell.ring("run_a", 1)
    await doorbell.ring("run_a", 1)
    loop = start_loop(redis_url, on_ring)
    await eventually(lambda: bool(started))
    await doorbell.ring("run_a", 1)
    await doorbell.ring("run_z", 2)  # answered after everything told before it was looked at
    await eventually(lambda: ("run_z", 2) in started)
    let_end.set()
    await loop.end()

    assert [("run_a", 1), ("run_z", 2)] == started


async def test_a_ring_for_later_is_heard_later_and_not_before(
    redis_url: str, start_loop: StartLoop, doorbell_of: DoorbellOf
) -> None:
    heard_at: dict[str, float] = {}

    async def on_ring(run_id: str, wake: int) -> None:
        heard_at[run_id] = time.time()

    start_loop(redis_url, on_ring)
    told_at = time.time()
    doorbell = doorbell_of(redis_url)
    await doorbell.ring("run_later", 1, delay_s=0.4)
    await doorbell.ring("run_now", 1)
    await eventually(lambda: len(heard_at) == 2)

    assert ["run_now", "run_later"] == list(heard_at)
    assert heard_at["run_later"] - told_at >= 0.399  # the queue counts whole milliseconds


async def test_a_ring_for_later_is_brought_forward_by_one_for_now(
    redis_url: str, start_loop: StartLoop, doorbell_of: DoorbellOf
) -> None:
    loop = start_loop(redis_url)
    doorbell = doorbell_of(redis_url)

    await doorbell.ring("run_a", 1, delay_s=3600)
    await doorbell.ring("run_a", 1)
    await doorbell.ring("run_a", 1, delay_s=3600)
    await eventually(lambda: bool(loop.heard))
    await loop.end()

    assert [("run_a", 1)] == loop.heard


async def test_a_thousand_rings_over_two_loops_are_each_answered_once(
    redis_url: str, start_loop: StartLoop, doorbell_of: DoorbellOf
) -> None:
    loops = [start_loop(redis_url, max_jobs=20) for _ in range(2)]
    doorbell = doorbell_of(redis_url)
    rings = [(f"run_{number}", number) for number in range(1000)]

    await asyncio.gather(*(doorbell.ring(*ring) for ring in rings))
    await eventually(lambda: sum(len(loop.heard) for loop in loops) >= 1000, within_s=PATIENCE_S)
    for loop in loops:
        await loop.end()

    assert Counter(rings) == Counter(ring for loop in loops for ring in loop.heard)
    assert all(loop.heard for loop in loops)
    assert set() == await left_behind(redis_url)


async def test_no_more_rings_are_answered_at_once_than_max_jobs(
    redis_url: str, start_loop: StartLoop, doorbell_of: DoorbellOf
) -> None:
    running, most, ended = 0, 0, 0

    async def on_ring(run_id: str, wake: int) -> None:
        nonlocal running, most, ended
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        ended += 1

    doorbell = doorbell_of(redis_url)
    for number in range(30):
        await doorbell.ring("run_a", number)
    start_loop(redis_url, on_ring, max_jobs=3)
    await eventually(lambda: ended == 30)

    assert most <= 3


async def test_a_loop_without_room_leaves_rings_to_the_one_that_has(
    redis_url: str, start_loop: StartLoop, doorbell_of: DoorbellOf
) -> None:
    busy = asyncio.Event()
    let_end = asyncio.Event()

    async def hold(run_id: str, wake: int) -> None:
        busy.set()
        await let_end.wait()

    doorbell = doorbell_of(redis_url)
    start_loop(redis_url, hold, max_jobs=1)
    await doorbell.ring("run_a", 1)
    await busy.wait()
    free = start_loop(redis_url)
    for number in range(5):
        await doorbell.ring("run_b", number)
    await eventually(lambda: len(free.heard) == 5)
    let_end.set()

    assert [("run_b", number) for number in range(5)] == sorted(free.heard)


class Bomb:
    """Calls `detonate` when somebody unpickles it."""

    went_off = False

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return detonate, ()


def detonate() -> None:
    Bomb.went_off = True


@pytest.mark.parametrize("job_id", ["run_a:1", "3f2504e04f8941d39a0c0305e82c3301"])
async def test_a_planted_pickle_is_dropped_unread_and_the_loop_lives_on(
    redis_url: str, start_loop: StartLoop, doorbell_of: DoorbellOf, job_id: str
) -> None:
    Bomb.went_off = False
    async with ArqRedis(connect(redis_url).connection_pool) as attacker:
        await attacker.enqueue_job("ring", Bomb(), _job_id=job_id, _queue_name=QUEUE_NAME)
        await attacker.connection_pool.disconnect()
    loop = start_loop(redis_url)

    await doorbell_of(redis_url).ring("run_b", 1)
    await eventually(lambda: ("run_b", 1) in loop.heard)
    await loop.end()

    assert not Bomb.went_off
    assert [("run_b", 1)] == loop.heard
    assert set() == await left_behind(redis_url)
    pickle.loads(pickle.dumps(Bomb()))
    assert Bomb.went_off, "the bomb would not have gone off anyway"


async def test_records_no_doorbell_writes_do_not_stop_the_loop(
    redis_url: str, start_loop: StartLoop, doorbell_of: DoorbellOf
) -> None:
    async with Redis.from_url(redis_url) as client:
        await client.zadd(QUEUE_NAME, {b"\xff\xfe": 1, "run_a:1": 2, "run_b:1": 3})
        await client.rpush("arq:job:run_b:1", "a list where text belongs")
    loop = start_loop(redis_url)

    await doorbell_of(redis_url).ring("run_c", 1)
    await eventually(lambda: ("run_c", 1) in loop.heard)
    await loop.end()

    assert [("run_c", 1)] == loop.heard
    assert set() == await left_behind(redis_url)


async def test_an_error_in_an_answer_is_logged_and_ends_only_that_ring(
    redis_url: str, start_loop: StartLoop, doorbell_of: DoorbellOf, caplog: pytest.LogCaptureFixture
) -> None:
    heard = []

    async def on_ring(run_id: str, wake: int) -> None:
        heard.append(run_id)
        if run_id == "run_bad":
            raise LookupError("no such thing")

    loop = start_loop(redis_url, on_ring)
    doorbell = doorbell_of(redis_url)
    await doorbell.ring("run_bad", 1)
    await eventually(lambda: "run_bad" in heard)
    await doorbell.ring("run_good", 1)
    await eventually(lambda: "run_good" in heard)
    await loop.end()

    assert ["LookupError"] == [
        record.exc_info[0].__name__ for record in caplog.records if record.exc_info and record.exc_info[0]
    ]
    assert set() == await left_behind(redis_url)


async def test_an_answer_over_its_time_limit_is_canceled(
    redis_url: str, start_loop: StartLoop, doorbell_of: DoorbellOf
) -> None:
    canceled = asyncio.Event()

    async def on_ring(run_id: str, wake: int) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            canceled.set()
            raise

    start_loop(redis_url, on_ring, job_timeout_s=0.05)
    await doorbell_of(redis_url).ring("run_a", 1)

    async with asyncio.timeout(PATIENCE_S):
        await canceled.wait()


async def test_it_all_works_over_tcp_with_a_password_and_a_database_number(
    tcp_redis: MortalRedis, start_loop: StartLoop, doorbell_of: DoorbellOf
) -> None:
    loop = start_loop(tcp_redis.url)

    await doorbell_of(tcp_redis.url).ring("run_a", 1)
    await eventually(lambda: bool(loop.heard))

    assert [("run_a", 1)] == loop.heard


async def test_a_canceled_caller_takes_nobody_elses_ring_with_it(
    redis_url: str, start_loop: StartLoop, doorbell_of: DoorbellOf
) -> None:
    doorbell = doorbell_of(redis_url)
    callers = [asyncio.create_task(doorbell.ring("run_a", number)) for number in range(20)]
    await asyncio.sleep(0)
    callers[0].cancel()
    await asyncio.wait(callers)

    loop = start_loop(redis_url)
    await eventually(lambda: len(loop.heard) == 20)

    assert callers[0].cancelled()


@pytest.mark.parametrize(
    "planted",
    [
        {"f": "ring", "a": [], "t": None, "et": 1, "k": {"run_id": "run_a"}},
        {"f": "ring", "a": [], "t": None, "et": 1, "k": {"run_id": "run_a", "wake": True}},
        {"f": "ring", "a": [], "t": None, "et": 1, "k": {"run_id": "run_a", "wake": -1}},
        {"f": "ring", "a": [], "t": None, "et": 1, "k": {"run_id": "run a; rm", "wake": 1}},
        {"f": "ring", "a": [], "t": None, "et": 1, "k": {"run_id": "run_a", "wake": 1, "more": 1}},
        {"f": "ring", "a": [1], "t": None, "et": 1, "k": {"run_id": "run_a", "wake": 1}},
        {"f": "ring", "a": [], "t": 7, "et": 1, "k": {"run_id": "run_a", "wake": 1}},
        {"f": "ring", "a": [], "t": None, "et": 10**30, "k": {"run_id": "run_a", "wake": 1}},
        {"f": "other", "a": [], "t": None, "et": 1, "k": {"run_id": "run_a", "wake": 1}},
        [[]] * 3,
    ],
)
def test_a_record_that_is_not_exactly_a_ring_is_refused(planted: object) -> None:
    with pytest.raises(ValueError, match="not a ring of ours"):
        decode_ring(json.dumps(planted).encode())


@pytest.mark.parametrize("data", [b"", b"\x80\x04.", b"[" * 100_000, b"\xff"])
def test_bytes_that_are_no_json_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a ring of ours"):
        decode_ring(data)


def test_an_unreadable_url_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigError, match="redis://") as refused:
        ArqDoorbell("http://user:hush@host")

    assert "hush" not in str(refused.value)


async def test_without_redis_the_doorbell_is_silent() -> None:
    doorbell: Doorbell = SilentDoorbell()

    await doorbell.ring("run_a", 1, delay_s=1)
    await doorbell.announce("stop", "run_a")
    await doorbell.close()
