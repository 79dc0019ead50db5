"""Claims: which rings are due, and which of them this loop answers.

A claim is a key with a short life that its holder renews. It only keeps other loops from picking up the same ring; who
may advance a run is decided by its lease in the database, so a wrong claim costs a look and nothing else.
"""

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass

from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix
from arq.utils import timestamp_ms

from core.queue import QUEUE_NAME, RING_ID, ring_bell

log = logging.getLogger(__name__)

CLAIM_LIFE_S = 15.0
RENEW_S = CLAIM_LIFE_S / 3
_LIFE_MS = round(CLAIM_LIFE_S * 1000)
_LOOK_AHEAD = 32


@dataclass(frozen=True)
class Due:
    """One page of the queue's head."""

    job_ids: list[str]
    """Due and not yet ours, the oldest first; another loop may be at them."""
    seen: int
    """Queue entries this page covered."""
    is_last: bool
    next_s: float | None
    """Seconds until the next ring that is not due yet, at least a millisecond; None if there is none."""


class Claims:
    """This loop's view of the shared queue. Every method raises what redis-py raises when Redis is away."""

    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis
        self._renewed_at_s = 0.0

    async def due(self, *, room: int, mine: Collection[str], skip: int) -> Due:
        """Read a page of due rings that is long enough for `room` more, after the first `skip` entries."""
        now_ms, page = timestamp_ms(), room + len(mine) + _LOOK_AHEAD
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.zrangebyscore(QUEUE_NAME, 0, now_ms, start=skip, num=page)
            pipe.zrangebyscore(QUEUE_NAME, f"({now_ms}", "+inf", start=0, num=1, withscores=True)
            members, later = await pipe.execute()
        job_ids = [job_id for job_id in await self._ours(members) if job_id not in mine]
        if len(job_ids) > room:
            held = await self._redis.mget([in_progress_key_prefix + job_id for job_id in job_ids])
            job_ids = [job_id for job_id, holder in zip(job_ids, held, strict=True) if holder is None]
        next_s = max((later[0][1] - timestamp_ms()) / 1000, 0.001) if later else None
        return Due(job_ids, len(members), len(members) < page, next_s)

    async def take(self, job_ids: list[str], *, pass_on: bool) -> tuple[list[tuple[str, int]], list[str]]:
        """Claim rings in one round trip.

        Args:
            pass_on: There are more than we take: wake another loop.

        Returns:
            What is ours now, as (job id, due time in ms), and the ids of rings another loop ended since we looked; give
            those to `free`.
        """
        if not job_ids:
            return [], []
        async with self._redis.pipeline(transaction=True) as pipe:
            for job_id in job_ids:
                pipe.set(in_progress_key_prefix + job_id, b"1", px=_LIFE_MS, nx=True)
                pipe.zscore(QUEUE_NAME, job_id)
            if pass_on:
                ring_bell(pipe)
            replies = (await pipe.execute())[: 2 * len(job_ids)]
        answers = list(zip(job_ids, replies[0::2], replies[1::2], strict=True))
        taken = [(job_id, int(score)) for job_id, claimed, score in answers if claimed and score is not None]
        return taken, [job_id for job_id, claimed, score in answers if claimed and score is None]

    async def free(self, job_ids: list[str]) -> None:
        """Give claims back."""
        if job_ids:
            await self._redis.delete(*(in_progress_key_prefix + job_id for job_id in job_ids))

    async def renew(self, mine: Collection[str]) -> None:
        """Keep our claims alive; cheap to call often."""
        if mine and time.monotonic() - self._renewed_at_s > RENEW_S:
            async with self._redis.pipeline(transaction=False) as pipe:
                for job_id in mine:
                    pipe.pexpire(in_progress_key_prefix + job_id, _LIFE_MS)
                await pipe.execute()
            self._renewed_at_s = time.monotonic()

    async def pass_bell_on(self) -> None:
        """Wake another loop, one that has room."""
        async with self._redis.pipeline(transaction=True) as pipe:
            ring_bell(pipe)
            await pipe.execute()

    async def _ours(self, members: list[bytes]) -> list[str]:
        """Decode queue entries; those that no doorbell of ours writes are deleted."""
        decoded = [member.decode(errors="replace") for member in members]
        foreign = [member for member, text in zip(members, decoded, strict=True) if not RING_ID.fullmatch(text)]
        if foreign:
            log.warning("Dropped %d foreign entries from the queue.", len(foreign), extra={"action": "ring_refused"})
            await self._redis.zrem(QUEUE_NAME, *foreign)
            await self._redis.delete(*(job_key_prefix.encode() + member for member in foreign))
        return [text for text in decoded if RING_ID.fullmatch(text)]
