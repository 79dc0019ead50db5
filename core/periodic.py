"""A loop with a stop: call something again and again, and keep going whatever it raises."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)


async def every(stop: asyncio.Event, pause_s: Callable[[], float], tick: Callable[[], Awaitable[object]]) -> None:
    """Call `tick` until `stop`, with a pause after each; an error is logged and the next pass tries again.

    Args:
        pause_s: Seconds until the next pass, asked after each one.
    """
    while not stop.is_set():
        try:
            await tick()
        except Exception:
            log.exception("a pass failed", extra={"action": "pass_failed"})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause_s())
