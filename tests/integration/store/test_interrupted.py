"""Whoever is cancelled while it writes leaves no lock behind."""

import asyncio
import random

from core.store import workers
from core.store.session import Database

ROUNDS = 60


async def test_cancelled_writers_leave_the_database_writable(database: Database) -> None:
    chance = random.Random(7)
    for n in range(ROUNDS):
        writing = asyncio.create_task(workers.lead(database, "a", "me", boot_ms=1_000 + n, lease_ms=10))
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(0)
        await asyncio.sleep(chance.random() * 0.003)
        writing.cancel()
        await asyncio.wait({writing})

        assert await workers.lead(database, "b", "me", boot_ms=1_000 + n, lease_ms=10)
