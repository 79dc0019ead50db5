"""A loop with a stop: call something again and again, and keep going whatever it raises; and how what runs ends."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from core.metrics import PASSES

log = logging.getLogger(__name__)


@dataclass
class Pulse:
    """When a loop last came round: what tells one that is busy failing from one that is stuck."""

    name: str
    within_s: float
    """A loop that has not come round for longer is stuck."""
    passed_at_s: float = field(default_factory=time.monotonic)
    good_at_s: float = field(default_factory=time.monotonic)
    """When a pass last ended without an error."""
    over: bool = False
    """The loop was told to end, and did; or it has not begun yet."""

    def begin(self) -> None:
        """Note that the loop begins now."""
        self.passed_at_s = self.good_at_s = time.monotonic()
        self.over = False

    def passed(self, *, ok: bool) -> None:
        """Note the end of a pass."""
        self.passed_at_s = time.monotonic()
        if ok:
            self.good_at_s = self.passed_at_s
        PASSES.labels(self.name, "ok" if ok else "failed").inc()

    @property
    def is_stuck(self) -> bool:
        return not self.over and time.monotonic() - self.passed_at_s > self.within_s

    @property
    def good_s_ago(self) -> float:
        return time.monotonic() - self.good_at_s


async def every(
    stop: asyncio.Event, pause_s: Callable[[], float], tick: Callable[[], Awaitable[object]], pulse: Pulse | None = None
) -> None:
    """Call `tick` until `stop`, with a pause after each; an error is logged and the next pass tries again.

    Args:
        pause_s: Seconds until the next pass, asked after each one.
        pulse: Told of every pass.
    """
    while not stop.is_set():
        ok = False
        try:
            await tick()
            ok = True
        except Exception:
            log.exception("a pass failed", extra={"action": "pass_failed"})
        if pulse is not None:
            pulse.passed(ok=ok)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause_s())
    if pulse is not None:
        pulse.over = True


async def let_end(tasks: Iterable[asyncio.Task[Any]], *, within_s: float) -> None:
    """Wait for tasks to end by themselves for so long, then cancel those that have not and wait for that."""
    if open_ := set(tasks):
        _, late = await asyncio.wait(open_, timeout=within_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
