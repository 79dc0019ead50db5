"""Announcements: one-to-many hints ("look at this run") over Redis pub/sub.

An announcement is heard by those who listen at that moment and by nobody else, so a listener reads the database after
every gap. Announcing goes through `core.queue.Doorbell`; what is done about an announcement is the listener's.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Literal

from redis.asyncio.client import PubSub

from core.redis_link import AWAY, Outage, connect, until

Topic = Literal["stop", "delivery"]
RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

_PING_S = 5.0


def channel_of(topic: Topic) -> str:
    """Name the pub/sub channel of a topic."""
    return f"banksman:{topic}"


async def listen(
    redis_url: str,
    topic: Topic,
    on_message: Callable[[str], None],
    *,
    on_gap: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    """Hear announcements until `stop`, over any number of outages.

    Args:
        on_message: Called with a run id. Must not block; an error it raises ends the listening.
        on_gap: Called after each subscription, the first included: what was announced before it was not heard, so read
            the database.

    Raises:
        ConfigError: `redis_url` is not a Redis URL.
    """
    redis = connect(redis_url)
    outage = Outage(f"The {topic} announcements")
    try:
        while not stop.is_set():
            try:
                async with redis.pubsub() as subscription:
                    await until(stop, _hear(subscription, topic, on_message, on_gap, outage))
            except AWAY as error:
                await until(stop, asyncio.sleep(outage.failed(error)))
    finally:
        await redis.aclose(close_connection_pool=True)


async def _hear(
    subscription: PubSub, topic: Topic, on_message: Callable[[str], None], on_gap: Callable[[], None], outage: Outage
) -> None:
    async with asyncio.timeout(_PING_S):
        await subscription.subscribe(channel_of(topic))
    pinged = False
    while True:
        message = await subscription.get_message(timeout=_PING_S)
        if message is None:
            if pinged:
                raise TimeoutError("no answer to a ping")  # a host that vanished without closing the connection
            await subscription.ping()
            pinged = True
            continue
        pinged = False
        if message["type"] == "subscribe":
            outage.over()
            on_gap()
        elif message["type"] == "message":
            run_id = message["data"].decode(errors="replace")
            if RUN_ID.fullmatch(run_id):
                on_message(run_id)
