"""arq's loop as one restartable task of our worker: from a ring in Redis to `on_ring`, within milliseconds.

arq keeps the job format, the time limit and the clean-up after a job. Waiting and claiming are ours: arq polls twice a
second and asks three times per job; this loop waits in a blocking pop and claims a batch in one round trip. Nothing is
retried here: a ring that gets lost is replaced by the sweeper's next one.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

from arq.connections import ArqRedis
from arq.worker import Worker, func
from redis.exceptions import ResponseError

from core.queue import BELL_KEY, QUEUE_NAME, RING_FUNCTION, decode_ring
from core.redis_link import AWAY, Outage, cancel_point, connect, until
from worker.claims import CLAIM_LIFE_S, RENEW_S, Claims

log = logging.getLogger(__name__)
OnRing = Callable[[str, int], Awaitable[None]]
JOB_TIMEOUT_S = 90.0
POLL_S = 1.0  # the net under the bell: how late a ring can be whose bell was lost
_REPLY_TIMEOUT_S = 2.0
_BELL_BLOCK_S = 2


async def run_arq_loop(
    redis_url: str,
    on_ring: OnRing,
    *,
    max_jobs: int,
    stop: asyncio.Event,
    grace_s: float = 30.0,
    job_timeout_s: float = JOB_TIMEOUT_S,
) -> None:
    """Call `on_ring(run_id, wake)` for every ring until `stop`, over any number of outages of Redis.

    When `stop` is set no ring is picked up any more, running ones have `grace_s` seconds to end, and what is left is
    canceled and awaited.

    Args:
        on_ring: Waits for the run's slice to be driven. It is canceled after `job_timeout_s`, so a slice that may take
            longer must be shielded. An error it raises is logged by arq and ends only that ring.
        max_jobs: Most rings answered at once.

    Raises:
        ConfigError: `redis_url` is not a Redis URL.
    """
    loop = RingLoop(redis_url, on_ring, max_jobs=max_jobs, job_timeout_s=job_timeout_s)
    try:
        await loop.serve(stop)
        await loop.drain(grace_s)
    finally:
        await loop.release()


class RingLoop(Worker):
    """A worker of arq's that is woken by the bell; one object for the life of the process, over all outages."""

    def __init__(self, redis_url: str, on_ring: OnRing, *, max_jobs: int, job_timeout_s: float) -> None:
        super().__init__(
            [func(self._ring, name=RING_FUNCTION)],
            queue_name=QUEUE_NAME,
            redis_pool=ArqRedis(connect(redis_url, reply_timeout_s=_REPLY_TIMEOUT_S).connection_pool),
            handle_signals=False,  # the process owns its signals
            max_jobs=max_jobs,
            job_timeout=job_timeout_s,
            keep_result=0,
            max_tries=1,
            retry_jobs=False,
            log_results=False,
            job_serializer=lambda _: b"",  # of results, and none is kept
            job_deserializer=decode_ring,
        )
        self.in_progress_timeout_s = CLAIM_LIFE_S
        self._claims = Claims(self.pool)
        self._bell = connect(redis_url)
        self._on_ring = on_ring
        self._answers: set[asyncio.Future[None]] = set()
        self._released = False
        self._look = asyncio.Event()  # set when there may be something to pick up
        self._room = asyncio.Event()
        self._room.set()
        self._outage = Outage("The worker's doorbell")

    async def serve(self, stop: asyncio.Event) -> None:
        """Pick up rings until `stop`; a lost connection starts this loop again, and running rings do not notice."""
        stopping = asyncio.create_task(stop.wait())
        stopping.add_done_callback(lambda _: self._look.set())  # rather than a cancel, which could cut a claim in half
        try:
            while not stop.is_set():
                cancel_point()
                pause_s = 0.0
                try:
                    await self._pick_up()
                    async with asyncio.TaskGroup() as group:
                        hearing = group.create_task(self._hear_bell())
                        await self._answer_bell(stop)
                        hearing.cancel()
                except* AWAY as errors:
                    pause_s = self._outage.failed(errors.exceptions[0])
                await until(stop, asyncio.sleep(pause_s))
        finally:
            stopping.cancel()

    async def drain(self, grace_s: float) -> None:
        """Wait at most `grace_s` seconds for the running rings."""
        give_up_at = time.monotonic() + grace_s
        with contextlib.suppress(*AWAY):
            await self._claims.pass_bell_on()  # the blocking pop that was cut off may have taken a bell
        while self.tasks and (left_s := give_up_at - time.monotonic()) > 0:
            cancel_point()
            await asyncio.wait(self.tasks.values(), timeout=min(left_s, RENEW_S))
            with contextlib.suppress(*AWAY):
                await self._claims.renew(self.tasks)

    async def release(self) -> None:
        """Cancel what still runs, wait for it, and disconnect."""
        self._released = True
        for answer in self._answers:
            answer.cancel()
        if left := {*self.tasks.values(), *self._answers}:
            await asyncio.wait(left)
        for redis in (self.pool, self._bell):
            await redis.aclose(close_connection_pool=True)

    async def _hear_bell(self) -> None:
        while True:
            cancel_point()
            await self._room.wait()
            async with asyncio.timeout(_BELL_BLOCK_S + _REPLY_TIMEOUT_S):
                bell = await cast(Awaitable[object], self._bell.blpop([BELL_KEY], timeout=_BELL_BLOCK_S))
            self._outage.over()
            if bell is not None and self._room.is_set():
                self._look.set()
            elif bell is not None:
                await self._claims.pass_bell_on()

    async def _answer_bell(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            cancel_point()
            self._look.clear()
            next_s = await self._pick_up()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(next_s):
                    await self._look.wait()

    async def _pick_up(self) -> float:
        """Start what is due and return the seconds until there may be more."""
        await self._claims.renew(self.tasks)
        seen = 0
        while (room := self.max_jobs - len(self.tasks)) > 0:
            due = await self._claims.due(room=room, mine=self.tasks, skip=seen)
            taken, ended = await self._claims.take(due.job_ids[:room], pass_on=len(due.job_ids) > room)
            for job_id, due_ms in taken:
                self.tasks[job_id] = task = asyncio.create_task(self.run_job(job_id, due_ms))
                task.add_done_callback(partial(self._ended, job_id))
            if len(taken) == room:
                self._room.clear()
            await self._claims.free(ended)
            seen += due.seen
            if due.is_last:
                return min(POLL_S, POLL_S if due.next_s is None else due.next_s)
        return POLL_S

    def _ended(self, job_id: str, _: asyncio.Task[None]) -> None:
        del self.tasks[job_id]
        if not self._room.is_set():
            self._room.set()
            self._look.set()

    async def run_job(self, job_id: str, score: int) -> None:
        """Let arq run one claimed job; what it cannot tidy up in an outage expires by itself."""
        try:
            try:
                await super().run_job(job_id, score)
            except ResponseError:
                log.warning("Dropped a ring whose record is no record.", extra={"action": "ring_refused"})
                await self.finish_failed_job(job_id, None)
        except AWAY as error:
            log.info("Redis went away under a ring (%s).", type(error).__name__, extra={"action": "ring_untidied"})

    async def _ring(self, ctx: dict[Any, Any], *, run_id: str, wake: int) -> None:
        if self._released:
            return
        answer = asyncio.ensure_future(self._on_ring(run_id, wake))
        self._answers.add(answer)
        answer.add_done_callback(self._answers.discard)
        try:
            await asyncio.wait({answer})
        finally:
            answer.cancel()  # by the time limit; means nothing once it has ended
        if not answer.cancelled():
            answer.result()
