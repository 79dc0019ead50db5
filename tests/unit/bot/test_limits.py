"""The queue before Slack, on a clock the tests own."""

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from bot.delivery.limits import PER_MINUTE, Limits, LimitsBusy, Priority
from bot.slack_call import METHODS

POST, UPDATE = "chat.postMessage", "chat.update"


@dataclass(order=True)
class Alarm:
    at_s: float
    number: int
    callback: Callable[[], None] = field(compare=False)
    is_off: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.is_off = True


class ManualTime:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.at_s = 1000.0
        self._alarms: list[Alarm] = []

    def now_s(self) -> float:
        return self.at_s

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Alarm:
        alarm = Alarm(self.at_s + delay_s, len(self._alarms), callback)
        heapq.heappush(self._alarms, alarm)
        return alarm

    async def pass_s(self, seconds: float) -> None:
        """Let time pass, ringing each alarm at its moment and letting everything that wakes up run."""
        end_s = self.at_s + seconds
        await settle()
        while self._alarms and self._alarms[0].at_s <= end_s:
            alarm = heapq.heappop(self._alarms)
            self.at_s = max(self.at_s, alarm.at_s)
            if not alarm.is_off:
                alarm.callback()
                await settle()
        self.at_s = end_s


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Callers:
    """Starts calls and notes in which order, and when, they may go."""

    def __init__(self, time: ManualTime, limits: Limits) -> None:
        self.went: list[str] = []
        self.at_s: dict[str, float] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._time = time
        self._limits = limits

    def start(self, name: str, method: str, channel: str | None, priority: Priority, **more: Any) -> None:
        async def call() -> None:
            await self._limits.acquire(method, channel, priority, **more)
            self.went.append(name)
            self.at_s[name] = self._time.now_s() - 1000.0

        self.tasks[name] = asyncio.ensure_future(call())


@pytest.fixture
def time() -> ManualTime:
    return ManualTime()


@pytest.fixture
def limits(time: ManualTime) -> Limits:
    return Limits(time, per_minute={UPDATE: 50, POST: 240, "one.a.minute": 1}, channel_interval_s=1.0)


@pytest.fixture
def callers(time: ManualTime, limits: Limits) -> Callers:
    return Callers(time, limits)


async def test_one_post_a_second_into_one_channel(time: ManualTime, callers: Callers) -> None:
    for at in range(4):
        callers.start(f"p{at}", POST, "C1", Priority.ENDING)
    await time.pass_s(10)

    assert {"p0": 0, "p1": 1, "p2": 2, "p3": 3} == pytest.approx(callers.at_s)


async def test_channels_do_not_wait_for_each_other(time: ManualTime, callers: Callers) -> None:
    callers.start("busy0", POST, "C1", Priority.ENDING)
    callers.start("busy1", POST, "C1", Priority.ENDING)
    callers.start("other", POST, "C2", Priority.HEARTBEAT)
    await time.pass_s(0)

    assert ["busy0", "other"] == callers.went


async def test_no_minute_holds_more_updates_than_the_tier(time: ManualTime, callers: Callers) -> None:
    for at in range(200):
        callers.start(f"u{at:03}", UPDATE, "C1", Priority.STOP)
    await time.pass_s(240)

    moments = sorted(callers.at_s.values())
    assert len(moments) > 140
    busiest = max(sum(start <= moment < start + 60 for moment in moments) for start in moments)
    assert busiest <= 50
    assert callers.went == sorted(callers.went)


async def test_a_kill_overtakes_everything_that_waits(time: ManualTime, callers: Callers) -> None:
    for at in range(20):
        callers.start(f"tick{at}", UPDATE, "C1", Priority.TICK)
    await time.pass_s(0)
    waiting_from = len(callers.went)
    callers.start("heartbeat", UPDATE, "C1", Priority.HEARTBEAT)
    callers.start("ending", UPDATE, "C1", Priority.ENDING)
    for at in range(4):
        callers.start(f"kill{at}", UPDATE, "C1", Priority.STOP)
    await time.pass_s(60)

    order = callers.went[waiting_from:]
    assert ["ending", "kill0", "kill1"] == sorted(order[:3])
    assert order.index("kill3") < order.index(f"tick{waiting_from}")
    assert order.index("heartbeat") == len(order) - 1


async def test_a_kill_finds_a_token_although_ticks_want_them_all(time: ManualTime, callers: Callers) -> None:
    for at in range(50):
        callers.start(f"tick{at}", UPDATE, "C1", Priority.TICK)
    await time.pass_s(30)
    callers.start("kill", UPDATE, "C1", Priority.STOP)
    await time.pass_s(0)

    assert 30.0 == callers.at_s["kill"]


async def test_the_first_to_come_goes_first_within_a_priority(time: ManualTime, callers: Callers) -> None:
    for at in range(30):
        callers.start(f"u{at:02}", UPDATE, None, Priority.ENDING)
    await time.pass_s(60)

    assert callers.went == sorted(callers.went)


async def test_retry_after_silences_the_channel_it_came_from(
    time: ManualTime, limits: Limits, callers: Callers
) -> None:
    limits.pause(POST, "C1", 30)
    callers.start("told", POST, "C1", Priority.STOP)
    callers.start("other", POST, "C2", Priority.STOP)
    callers.start("update", UPDATE, "C1", Priority.STOP)
    await time.pass_s(29)
    before = set(callers.went)
    await time.pass_s(2)

    assert {"other", "update"} == before
    assert 30 == pytest.approx(callers.at_s["told"])


async def test_a_second_channel_told_to_wait_means_the_method(
    time: ManualTime, limits: Limits, callers: Callers
) -> None:
    limits.pause(POST, "C1", 30)
    limits.pause(POST, "C2", 30)
    callers.start("third", POST, "C3", Priority.STOP)
    await time.pass_s(31)

    assert 30 <= callers.at_s["third"] <= 31


async def test_retry_after_without_a_channel_silences_the_method(
    time: ManualTime, limits: Limits, callers: Callers
) -> None:
    limits.pause(UPDATE, None, 5)
    for at in range(3):
        callers.start(f"u{at}", UPDATE, "C1", Priority.STOP)
    await time.pass_s(20)

    assert callers.at_s["u0"] >= 5
    assert callers.at_s["u0"] < callers.at_s["u1"] < callers.at_s["u2"], "a pause ends with a trickle, not a burst"


async def test_who_is_cancelled_leaves_the_queue_to_the_others(
    time: ManualTime, limits: Limits, callers: Callers
) -> None:
    for name in ("first", "second", "third"):
        callers.start(name, POST, "C1", Priority.ENDING)
    await settle()
    callers.tasks["second"].cancel()
    await time.pass_s(10)

    assert {"first": 0, "third": 1} == pytest.approx(callers.at_s)
    assert 0 == limits.waiting


async def test_a_token_given_to_somebody_already_cancelled_goes_back(
    time: ManualTime, limits: Limits, callers: Callers
) -> None:
    callers.start("first", POST, "C1", Priority.ENDING)
    callers.start("second", POST, "C1", Priority.ENDING)
    callers.start("third", POST, "C1", Priority.ENDING)
    await settle()
    alarm = time._alarms[0]
    time.at_s = alarm.at_s
    alarm.callback()  # grants `second`, which has not run yet
    callers.tasks["second"].cancel()
    await time.pass_s(0)

    assert ["first", "third"] == callers.went


async def test_who_cannot_wait_is_told_at_once(time: ManualTime, limits: Limits) -> None:
    limits.pause("views.open", None, 30)

    with pytest.raises(LimitsBusy) as busy:
        await limits.acquire("views.open", None, Priority.STOP, within_s=2)

    assert 30 == pytest.approx(busy.value.retry_after_s)
    assert 0 == limits.waiting


async def test_who_waited_as_long_as_it_could_gives_up(time: ManualTime, limits: Limits, callers: Callers) -> None:
    limits.pause("one.a.minute", None, 1)
    callers.start("patient", "one.a.minute", None, Priority.STOP)
    callers.start("hasty", "one.a.minute", None, Priority.ENDING, within_s=50)
    callers.start("last", "one.a.minute", None, Priority.TICK)
    await time.pass_s(120)

    assert {"patient": 1, "last": 61} == pytest.approx(callers.at_s)
    with pytest.raises(LimitsBusy):
        callers.tasks["hasty"].result()


async def test_a_thousand_channels_are_not_remembered_for_ever(time: ManualTime, limits: Limits) -> None:
    for at in range(3000):
        limits.pause(UPDATE, None, 0)
        await time.pass_s(1)
        await limits.acquire(POST, f"C{at}", Priority.STOP)

    assert len(limits._channels) <= 1001


def test_every_method_we_call_has_its_limit() -> None:
    assert set(METHODS) <= set(PER_MINUTE)
