"""Taking up the operator's changed file, and the alarm when it cannot be used."""

import asyncio
import hashlib

from bot.desk import Desk
from core.record.changes import Insert
from core.runs.draft import delivery


async def reload_config(desk: Desk) -> None:
    """Look whether the file has changed; tell every operator, once, when what it says cannot be used."""
    before = desk.live.problem
    await asyncio.to_thread(desk.live.check)
    problem = desk.live.problem
    if problem is not None and problem != before:
        await desk.database.journal.record(_alarms(desk, problem))


def _alarms(desk: Desk, problem: str) -> list[Insert]:
    mark = hashlib.sha256(problem.encode()).hexdigest()[:16]
    text = f"{desk.config.path.name} was changed and cannot be used, so the old one still holds. {problem}"
    now_ms = desk.clock.wall_ms()
    rows = []
    for name, person in desk.config.principals.items():
        user = desk.known.get(name)
        if user is not None and "operator" in person.roles:
            body = {"text": text, "dm": True, "user": user}
            # The minute keeps the same mistake from being silent when it is made again.
            key = f"config:{mark}:{now_ms // 60_000}:{user}"
            rows.append(delivery(desk.tenant, None, None, f"dm:{user}", None, "slack.reply", key, body, now_ms))
    return rows
