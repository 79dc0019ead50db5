"""How fast we may speak to Slack, and who speaks first when not everybody can.

Two kinds of bucket: one post per second and channel, and one bucket per method for the whole team at Slack's
published tier. A call takes a token from each of its buckets before it is sent; when tokens are short, kills and
approvals go first, then questions and endings, then ticks of a plan, then heartbeats. What Slack answers with a
Retry-After pauses the bucket it is about. One instance per team and token; what is sent, and what happens to a
failure, is not decided here.

Tiers: https://docs.slack.dev/apis/web-api/rate-limits and each method's own page.
"""

import asyncio
import time
from bisect import insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol


class Priority(IntEnum):
    """Who goes first; a smaller number overtakes every larger one."""

    STOP = 0
    """Kills, approvals, and answers to a waiting person."""
    ENDING = 1
    """Questions, endings, first posts, files."""
    TICK = 2
    """A card whose plan moved on; a text that grows."""
    HEARTBEAT = 3
    """A card that only says the run is still there; what a thread's session says."""


TIER_2, TIER_3, TIER_4 = 20, 50, 100
"""Calls per minute, team and method."""

PER_MINUTE: Mapping[str, int] = {
    "chat.postMessage": 240,
    "chat.update": TIER_3,
    "chat.startStream": TIER_2,
    "chat.appendStream": TIER_4,
    "chat.stopStream": TIER_2,
    "chat.getPermalink": TIER_4,
    "chat.postEphemeral": TIER_4,
    "conversations.open": TIER_3,
    "conversations.info": TIER_3,
    "conversations.history": TIER_3,
    "conversations.replies": TIER_3,
    "reactions.add": TIER_3,
    "files.getUploadURLExternal": TIER_4,
    "files.completeUploadExternal": TIER_4,
    "files.info": TIER_4,
    "views.open": TIER_4,
    "views.update": TIER_4,
    "views.publish": TIER_4,
    "users.info": TIER_4,
    "usergroups.users.list": TIER_2,
    "agents.sessions.setStatus": TIER_3,
    "auth.test": TIER_4,
    "bots.info": TIER_3,
}
"""Calls per minute we allow ourselves. `chat.postMessage` has a workspace limit of "several hundred", not published."""

_UNKNOWN_PER_MINUTE = TIER_2
_POSTS_INTO_CHANNEL = frozenset({"chat.postMessage", "files.completeUploadExternal"})
_CHANNEL_INTERVAL_S = 1.05
"""One post per second; the rest is for jitter between our clock and Slack's."""

_BURST = 0.2
"""Part of a minute's calls that may go out at once; the other 80 % trickle, so no minute holds more than the tier."""

_KEEP_BACK: Mapping[Priority, float] = {Priority.TICK: 0.2, Priority.HEARTBEAT: 0.5}
"""Part of a bucket a priority leaves untouched, so that a kill finds a token at once."""

_MOST_CHANNELS = 1000
_EPSILON = 1e-6


class LimitsBusy(Exception):
    """The call could not be made within the time its caller has; nothing was sent."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"our own Slack limits are spent for {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class Handle(Protocol):
    """What a timer returns."""

    def cancel(self) -> None: ...


class Timer(Protocol):
    """The time, and a way to be called later; the event loop's unless a test passes its own."""

    def now_s(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Handle: ...


class LoopTimer:
    """The running loop's own timers."""

    def now_s(self) -> float:
        return time.monotonic()

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Handle:
        return asyncio.get_running_loop().call_later(delay_s, callback)


@dataclass
class _Bucket:
    capacity: float
    refill_per_s: float
    at_s: float
    """As of when `tokens` counts; in the future while the bucket is paused."""
    tokens: float = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = self.capacity

    def catch_up(self, now_s: float) -> None:
        if now_s > self.at_s:
            self.tokens = min(self.capacity, self.tokens + (now_s - self.at_s) * self.refill_per_s)
            self.at_s = now_s

    def pause(self, now_s: float, until_s: float) -> None:
        """Give nothing before `until_s`, then one token, then trickle: a burst would only be refused again."""
        self.catch_up(now_s)
        self.tokens = min(self.tokens, 1.0)
        self.at_s = max(self.at_s, until_s)

    def ready_in_s(self, priority: Priority, now_s: float) -> float:
        """Seconds until this priority may take a token; 0 = now."""
        wanted = min(1 + self.capacity * _KEEP_BACK.get(priority, 0.0), self.capacity)
        lacking_s = max(wanted - self.tokens, 0.0) / self.refill_per_s
        return max(self.at_s - now_s, 0.0) + lacking_s


@dataclass(order=True)
class _Waiter:
    priority: Priority
    arrival: int
    buckets: tuple[_Bucket, ...] = field(compare=False)
    turn: asyncio.Future[None] = field(compare=False)

    def ready_in_s(self, now_s: float) -> float:
        return max(bucket.ready_in_s(self.priority, now_s) for bucket in self.buckets)


class Limits:
    """The buckets of one team, and the queue before them.

    Args:
        timer: Clock and timers.
        per_minute: Calls per minute by method, instead of Slack's.
        channel_interval_s: Seconds between two posts into one channel.
    """

    def __init__(
        self,
        timer: Timer | None = None,
        *,
        per_minute: Mapping[str, int] = PER_MINUTE,
        channel_interval_s: float = _CHANNEL_INTERVAL_S,
    ) -> None:
        self._timer = timer or LoopTimer()
        self._per_minute = per_minute
        self._channel_interval_s = channel_interval_s
        self._methods: dict[str, _Bucket] = {}
        self._channels: dict[str, _Bucket] = {}
        self._queue: list[_Waiter] = []
        self._arrivals = 0
        self._alarm: Handle | None = None

    async def acquire(
        self, method: str, channel: str | None, priority: Priority, *, within_s: float | None = None
    ) -> None:
        """Wait for the right to make one call.

        Within a priority the first to arrive goes first, unless it waits for a channel others do not need. Cancelling
        gives the place, or a token already granted, to the next one.

        Args:
            method: Web API method.
            channel: Channel it posts into; ignored for methods that post nothing.
            priority: Who is overtaken.
            within_s: Give up after this many seconds, at once if it is clear that it would take longer.

        Raises:
            LimitsBusy: `within_s` was not enough.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        waiter = _Waiter(priority, self._arrivals, self._buckets(method, channel), turn)
        insort(self._queue, waiter)
        self._grant()
        give_up: Handle | None = None
        if within_s is not None and not turn.done():
            wait_s = waiter.ready_in_s(self._timer.now_s())
            if wait_s > within_s:
                self._leave(waiter)
                raise LimitsBusy(wait_s)
            give_up = self._timer.call_later(within_s, lambda: self._expire(waiter))
        try:
            await turn
        except asyncio.CancelledError:
            self._leave(waiter)
            raise
        finally:
            if give_up is not None:
                give_up.cancel()

    def pause(self, method: str, channel: str | None, retry_after_s: float) -> None:
        """Take a Retry-After: the channel's bucket if the call posted into one, else the method's.

        Slack does not say which limit was hit. When a second channel is told to wait during the same pause, it is the
        method.
        """
        now_s = self._timer.now_s()
        paused = self._buckets(method, channel)
        if len(paused) == 2 and not any(
            other is not paused[1] and other.at_s > now_s for other in self._channels.values()
        ):
            paused = paused[1:]
        for bucket in paused:
            bucket.pause(now_s, now_s + max(retry_after_s, 0.0))
        self._grant()

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return len(self._queue)

    def _buckets(self, method: str, channel: str | None) -> tuple[_Bucket, ...]:
        now_s = self._timer.now_s()
        if method not in self._methods:
            per_minute = self._per_minute.get(method, _UNKNOWN_PER_MINUTE)
            capacity = max(1.0, per_minute * _BURST)
            self._methods[method] = _Bucket(capacity, max(per_minute - capacity, 1) / 60, now_s)
        if channel is None or method not in _POSTS_INTO_CHANNEL:
            return (self._methods[method],)
        if channel not in self._channels:
            self._forget_idle_channels(now_s)
            self._channels[channel] = _Bucket(1.0, 1 / self._channel_interval_s, now_s)
        return self._methods[method], self._channels[channel]

    def _forget_idle_channels(self, now_s: float) -> None:
        if len(self._channels) < _MOST_CHANNELS:
            return
        needed = {id(bucket) for waiter in self._queue for bucket in waiter.buckets}
        for name, bucket in list(self._channels.items()):
            bucket.catch_up(now_s)
            if bucket.ready_in_s(Priority.STOP, now_s) == 0 and id(bucket) not in needed:
                del self._channels[name]

    def _grant(self) -> None:
        """Give every token there is to the first in the queue that can use it; set the alarm for the next one."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        now_s = self._timer.now_s()
        for bucket in {id(bucket): bucket for waiter in self._queue for bucket in waiter.buckets}.values():
            bucket.catch_up(now_s)
        still: list[_Waiter] = []
        next_s: float | None = None
        for waiter in self._queue:
            wait_s = waiter.ready_in_s(now_s)
            if wait_s <= _EPSILON:
                for bucket in waiter.buckets:
                    bucket.tokens -= 1
                waiter.turn.set_result(None)
            else:
                still.append(waiter)
                next_s = wait_s if next_s is None else min(next_s, wait_s)
        self._queue = still
        if next_s is not None:
            self._alarm = self._timer.call_later(next_s, self._grant)

    def _leave(self, waiter: _Waiter) -> None:
        if waiter in self._queue:
            self._queue.remove(waiter)
        elif waiter.turn.done() and not waiter.turn.cancelled() and waiter.turn.exception() is None:
            for bucket in waiter.buckets:
                bucket.tokens = min(bucket.capacity, bucket.tokens + 1)
        self._grant()

    def _expire(self, waiter: _Waiter) -> None:
        if waiter in self._queue:
            self._queue.remove(waiter)
            self._grant()
            waiter.turn.set_exception(LimitsBusy(waiter.ready_in_s(self._timer.now_s())))
