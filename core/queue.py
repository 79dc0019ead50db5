"""The doorbell: tells a worker or a listener, within milliseconds, to look at the database.

No truth is in here. A ring may arrive never, once or many times, and whoever hears it reads the database. So nothing in
this module raises because Redis is away: it is said once in the log, what could not be told is kept for a while, and
runs go on by the pollers. What a worker does when it hears a ring is `worker.arq_loop`'s part; raising a run's wake
counter and deciding to ring is the caller's, after its commit.
"""

import asyncio
import json
import re
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from arq.constants import job_key_prefix
from arq.jobs import serialize_job
from arq.utils import timestamp_ms
from redis.asyncio.client import Pipeline

from core.announcements import RUN_ID, Topic, channel_of
from core.redis_link import AWAY, Outage, connect

QUEUE_NAME = "banksman:rings"
BELL_KEY = "banksman:bell"
"""A list; a blocking pop of it wakes one worker."""
RING_FUNCTION = "ring"
RING_LIFE_MS = 3_600_000
"""How long a ring nobody picks up is kept past its due time; by then the pollers have long done its work."""

_BELLS_KEPT = 64
_CALLER_WAITS_S = 0.25
_SEND_TIMEOUT_S = 2.0  # longer, so that a distant server with TLS is reached at all
_BATCH_SIZE = 200
_HELD_IN_OUTAGE = 1_000
_MAX_WAKE = 2**53 - 1
_MAX_TIME_MS = 2**43  # the year 2248; arq fails on times no calendar has
RING_ID = re.compile(rf"{RUN_ID.pattern}:[0-9]{{1,16}}")
"""A job's id: run id, colon, wake."""

_Write = Callable[[Pipeline], object]


class Doorbell(Protocol):
    """Where to ring. Every method returns soon and none raises when nobody can hear."""

    async def ring(self, run_id: str, wake: int, *, delay_s: float = 0) -> None:
        """Ask some worker to advance the run, `delay_s` seconds from now; telling the same `wake` twice is one ring."""
        ...

    async def announce(self, topic: Topic, run_id: str) -> None:
        """Tell every process that listens to `topic` to look at the run."""
        ...

    async def close(self) -> None:
        """Say what is still to be said, if that is possible at once, and disconnect."""
        ...


class SilentDoorbell:
    """The doorbell of an installation without Redis: the pollers find everything."""

    async def ring(self, run_id: str, wake: int, *, delay_s: float = 0) -> None:
        return None

    async def announce(self, topic: Topic, run_id: str) -> None:
        return None

    async def close(self) -> None:
        return None


class ArqDoorbell:
    """Rings through Redis in arq's format, many rings in one round trip.

    A caller waits until Redis has its ring, at most 0.25 s. During an outage nobody waits: the newest 1,000 rings are
    held and told when Redis is back.
    """

    def __init__(self, redis_url: str) -> None:
        """Connects on first use.

        Raises:
            ConfigError: `redis_url` is not a `redis://`, `rediss://` or `unix://` URL.
        """
        self._redis = connect(redis_url)
        self._outage = Outage("The doorbell")
        self._waiting: deque[tuple[_Write, asyncio.Event]] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._is_slow = False
        """A caller has waited in vain since the last success; the next ones do not."""
        self._closed = False

    async def ring(self, run_id: str, wake: int, *, delay_s: float = 0) -> None:
        await self._tell(partial(_write_ring, run_id=run_id, wake=wake, due_ms=timestamp_ms() + round(delay_s * 1000)))

    async def announce(self, topic: Topic, run_id: str) -> None:
        await self._tell(lambda pipe: pipe.publish(channel_of(topic), run_id))

    async def close(self) -> None:
        self._closed = True
        if self._sender is not None and not self._sender.done():
            await asyncio.wait({self._sender}, timeout=0 if self._outage else _CALLER_WAITS_S)
            self._sender.cancel()
            await asyncio.wait({self._sender})
        self._let_go()
        await self._redis.aclose(close_connection_pool=True)

    async def _tell(self, write: _Write) -> None:
        if self._closed:
            return
        told = asyncio.Event()
        self._waiting.append((write, told))
        if self._sender is None or self._sender.done():
            # A task of its own, so that a caller who is canceled takes nobody else's ring with it.
            self._sender = asyncio.create_task(self._send_all())
        if self._outage or self._is_slow:
            while len(self._waiting) > _HELD_IN_OUTAGE:
                self._waiting.popleft()
            return
        try:
            async with asyncio.timeout(_CALLER_WAITS_S):
                await told.wait()
        except TimeoutError:
            self._is_slow = True

    async def _send_all(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _BATCH_SIZE))]
            try:
                async with asyncio.timeout(_SEND_TIMEOUT_S), self._redis.pipeline(transaction=True) as pipe:
                    for write, _ in batch:
                        write(pipe)
                    await pipe.execute()
            except AWAY as error:
                pause_s = self._outage.failed(error)
                self._waiting.extendleft(reversed(batch))
                self._let_go()
                await asyncio.sleep(pause_s)
            else:
                self._outage.over()
                self._is_slow = False
            finally:
                for _, told in batch:
                    told.set()

    def _let_go(self) -> None:
        for _, told in self._waiting:
            told.set()


def _write_ring(pipe: Pipeline, *, run_id: str, wake: int, due_ms: int) -> None:
    job_id = f"{run_id}:{wake}"
    now_ms = timestamp_ms()
    job = serialize_job(RING_FUNCTION, (), {"run_id": run_id, "wake": wake}, None, now_ms, serializer=encode_ring)
    pipe.set(job_key_prefix + job_id, job, px=max(due_ms - now_ms, 0) + RING_LIFE_MS, nx=True)
    pipe.zadd(QUEUE_NAME, {job_id: due_ms}, lt=True)  # rung twice: the earlier time counts
    ring_bell(pipe)  # for later too, so that the worker learns when to look next


def ring_bell(pipe: Pipeline) -> None:
    """Wake one worker that waits."""
    pipe.lpush(BELL_KEY, b"1")
    pipe.ltrim(BELL_KEY, 0, _BELLS_KEPT - 1)


def encode_ring(job: dict[str, Any]) -> bytes:
    """Write arq's job record as JSON."""
    return json.dumps(job).encode()


def decode_ring(data: bytes) -> dict[str, Any]:
    """Read arq's job record, if it is a ring of ours and nothing else; never runs or builds anything from `data`.

    Raises:
        ValueError: It is not. The text quotes nothing of `data`.
    """
    try:
        job = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("not a ring of ours: no JSON") from None
    match job:
        case {"f": "ring", "a": [], "t": None, "et": int(told_ms), "k": {"run_id": str(run_id), "wake": int(wake)}}:
            numbers_fit = not isinstance(wake, bool) and 0 <= wake <= _MAX_WAKE and 0 <= told_ms <= _MAX_TIME_MS
            if len(job) == 5 and len(job["k"]) == 2 and RUN_ID.fullmatch(run_id) and numbers_fit:
                return dict(job)
    raise ValueError("not a ring of ours: other fields")
