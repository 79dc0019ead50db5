"""Whether Redis answers: never a reason not to work, for without it everything is found by polling."""

import asyncio
from collections.abc import Awaitable
from typing import cast

from core.ops.health import OK, Check, Finding
from core.redis_link import AWAY, connect

_WITHIN_S = 1.5


def doorbell_check(redis_url: str | None) -> Check:
    """A check that asks Redis and finds at worst `degraded`."""

    async def check() -> Finding:
        if redis_url is None:
            return Finding("degraded", "none is configured; what is due is found by polling")
        client = connect(redis_url)
        try:
            async with asyncio.timeout(_WITHIN_S):
                await cast(Awaitable[object], client.ping())
        except AWAY:
            return Finding("degraded", "it does not answer; what is due is found by polling")
        finally:
            await client.aclose(close_connection_pool=True)
        return OK

    return check
