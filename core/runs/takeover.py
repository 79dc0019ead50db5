"""A worker of this host that is known to be dead: what it left running is ended, then its lease, and its runs are free.

That it is dead is for the caller to be sure of (`worker/deaths.py`). The order is what makes it safe to do without the
lease's ten seconds: whoever claims one of these runs, on this host or another, may start the same call again, so it
must not be free while a process of the old attempt is alive. What cannot be ended leaves the lease alone, and it runs
out.
"""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from core.clock import Clock
from core.execution.reaper import end_runs
from core.store import workers
from core.store.session import Database

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Here:
    """The host whose workers are meant."""

    host: str
    boot_id: str
    fences: Path
    """Where it keeps its fences."""


async def take_over(database: Database, clock: Clock, here: Here, worker: str) -> dict[str, int]:
    """Free what a dead worker of this host held.

    Returns:
        The runs of which nothing is left here, with the fence they were held under; none if something cannot be ended.
    """
    held = await workers.held_by(database, worker)
    found = await asyncio.to_thread(end_runs, held, here.fences)
    facts = {"worker": worker, "runs": len(held), "ended": found.ended}
    if found.unproved:
        log.error("a dead worker's processes cannot be ended", extra={"action": "takeover_failed", **facts})
        return {}
    await workers.depose(database, worker)
    if await workers.end_lease(database, worker, host=here.host, boot_id=here.boot_id, boot_ms=clock.boot_ms()):
        log.warning("a worker of this host is dead; its runs are free", extra={"action": "worker_died", **facts})
    return held
