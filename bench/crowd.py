"""Many at once: the same piece of work a number of times, so many at a time."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable


async def timed(work: Callable[[], Awaitable[object]]) -> int:
    """How long one piece of work took, in nanoseconds."""
    began = time.monotonic_ns()
    await work()
    return time.monotonic_ns() - began


async def crowd(times: int, at_once: int, work: Callable[[], Awaitable[object]]) -> tuple[list[int], int]:
    """Do `work` `times` times, `at_once` at a time; each duration, and that of all together, in nanoseconds."""
    durations: list[int] = []
    left = iter(range(times))

    async def one() -> None:
        durations.extend([await timed(work) for _ in left])

    async def everybody() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(one())

    return durations, await timed(everybody)


async def human_pause(most_s: float = 0.3) -> None:
    """Wait a random while: clicks do not come in step with anybody's loop."""
    await asyncio.sleep(random.uniform(0.02, most_s))
