"""What becomes of a run whose rollback has ended: written down at once by whoever ended it, and by the sweeper if that
one is gone.
"""

from functools import partial

from core.queue import Doorbell
from core.record.changes import Decided
from core.runs.commands.rolled_back import close
from core.store import runs
from core.store.lane import Target
from core.store.session import Database


async def close_one(database: Database, doorbell: Doorbell, tenant: str, child_id: str, *, now_ms: int) -> bool:
    """Write down on its run how a rollback ended, unless that is done; whether it had to be."""
    decide = partial(close, child_id=child_id, now_ms=now_ms)
    answer = await database.journal.command(tenant, Target(run_id=child_id), decide)
    if not isinstance(answer, Decided):
        return False
    await doorbell.announce("delivery", answer.changes[0].run_id)
    return True


async def close_all(database: Database, doorbell: Doorbell, *, now_ms: int, limit: int) -> int:
    """The same for every rollback that has ended and that nobody has written down; how many."""
    closed = 0
    for tenant, child_id in await runs.ended_rollbacks(database, limit=limit):
        closed += await close_one(database, doorbell, tenant, child_id, now_ms=now_ms)
    return closed
