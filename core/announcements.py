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

    def take(data: bytes) -> None:
        run_id = data.decode(errors="replace")
        if RUN_ID.fullmatch(run_id):
            on_message(run_id)

    await hear(redis_url, channel_of(topic), f"The {topic} announcements", take, on_gap=on_gap, stop=stop)


async def hear(
    redis_url: str,
    channel: str,
    who: str,
    on_data: Callable[[bytes], None],
    *,
    on_gap: Callable[[], object],
    stop: asyncio.Event,
) -> None:
    """Hear a pub/sub channel until `stop`, over any number of outages.

    Args:
        who: Begins the sentences in the log.
        on_data: Called with what was published. Must not block; an error it raises ends the listening.
        on_gap: Called after each subscription.

    Raises:
        ConfigError: `redis_url` is not a Redis URL.
    """
    redis = connect(redis_url)
    outage = Outage(who)
    try:
        while not stop.is_set():
            try:
                async with redis.pubsub() as subscription:
                    await until(stop, _hear(subscription, channel, on_data, on_gap, outage))
            except AWAY as error:
                await until(stop, asyncio.sleep(outage.failed(error)))
    finally:
        await redis.aclose(close_connection_pool=True)


async def _hear(
    subscription: PubSub,
    channel: str,
    on_data: Callable[[bytes], None],
    on_gap: Callable[[], object],
    outage: Outage,
) -> None:
    async with asyncio.timeout(_PING_S):
        await subscription.subscribe(channel)
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
            on_data(message["data"])
