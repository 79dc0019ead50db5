"""How to talk to a Redis that may go away at any time: connecting, waiting, and saying so once.

What is said over the connection belongs to `core.queue` and `worker.arq_loop`.
"""

import asyncio
import logging
import random
from collections.abc import Coroutine

from redis.asyncio.client import Redis
from redis.asyncio.connection import ConnectionPool
from redis.exceptions import RedisError

from core.errors import ConfigError

log = logging.getLogger(__name__)

AWAY = (RedisError, OSError, TimeoutError)
"""What a command raises when Redis is away, or is there and refuses."""

_CONNECT_TIMEOUT_S = 1.0
_RETRY_MIN_S, _RETRY_MAX_S = 0.1, 2.0


def connect(redis_url: str, *, reply_timeout_s: float | None = None) -> Redis:
    """Return a client of `redis_url` that connects when it is first used, and again after each loss.

    Args:
        redis_url: `redis://`, `rediss://` or `unix://`; user and password are percent-decoded.
        reply_timeout_s: Most seconds for each reply. With it, redis-py may swallow a cancellation, see `cancel_point`;
            prefer `asyncio.timeout` around the commands where that is possible.

    Raises:
        ConfigError: Not such a URL. The URL itself, which may hold a password, is not repeated.
    """
    try:
        pool = ConnectionPool.from_url(
            redis_url, socket_timeout=reply_timeout_s, socket_connect_timeout=_CONNECT_TIMEOUT_S
        )
    except ValueError as error:
        raise ConfigError(
            "The Redis URL cannot be read. Write it like redis://127.0.0.1:6379/0, rediss://user:password@host:6379/0 "
            "or unix:///run/redis.sock; in a password, percent-encode @ : / and ?."
        ) from error
    return Redis(connection_pool=pool)


class Outage:
    """Whether Redis is away for one user of it, said once when it goes and once when it is back.

    True while it is away. The first failure after a success is often only a stale connection: it is retried at once and
    logged as an outage when it fails again.
    """

    def __init__(self, who: str) -> None:
        """`who` begins the sentences in the log."""
        self._who = who
        self._failures = 0

    def __bool__(self) -> bool:
        return self._failures > 0

    def failed(self, error: Exception) -> float:
        """Count a failure and return the seconds to wait before the next try, jittered."""
        self._failures += 1
        if self._failures == 1:
            return 0.0
        if self._failures == 2:
            log.warning(
                "%s: Redis is away (%s: %s). Runs go on, found by polling the database.",
                self._who,
                type(error).__name__,
                error,
                extra={"action": "doorbell_lost"},
            )
        return min(_RETRY_MAX_S, _RETRY_MIN_S * 2.0 ** min(self._failures - 2, 10)) * random.uniform(0.5, 1.0)

    def over(self) -> None:
        """Note a success."""
        if self._failures > 1:
            log.info("%s: Redis is back.", self._who, extra={"action": "doorbell_back"})
        self._failures = 0


def cancel_point() -> None:
    """Raise the cancellation of this task that a command may have swallowed; loops of commands begin with this.

    redis-py sends through `asyncio.wait_for`, which before Python 3.12 drops a cancel that arrives together with
    the result.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def until(stop: asyncio.Event, work: Coroutine[object, object, object]) -> None:
    """Await `work`, or cancel it as soon as `stop` is set; either way it has ended when this returns.

    Raises:
        Exception: What `work` raised.
    """
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
    if not working.cancelled():
        working.result()
