"""What becomes of money that was reserved for a request whose run was stopped meanwhile: it counts as spent.

Stopping settles nothing early, for the vendor may still be at work. Ten minutes later nobody will hear of it any more.
"""

from collections.abc import Sequence
from functools import partial

from core.record.changes import Decided, Refusal
from core.record.rows import Snapshot
from core.runs import turns
from core.runs.stamps import Stamp
from core.store.lane import Target
from core.store.session import Database
from core.store.turns import unsettled


async def settle_all(database: Database, *, now_ms: int, limit: int) -> int:
    """Charge such requests at their reserve; how many."""
    settled = 0
    for tenant, run_id in await unsettled(database, before_ms=now_ms - turns.LOST_AFTER_MS, limit=limit):
        decide = partial(_settle, run_id=run_id, now_ms=now_ms)
        answer = await database.journal.command(tenant, Target(run_id=run_id), decide)
        settled += isinstance(answer, Decided)
    return settled


def _settle(runs: Sequence[Snapshot], *, run_id: str, now_ms: int) -> Decided | Refusal:
    snapshot = next((each for each in runs if each.run.id == run_id), None)
    turn = None if snapshot is None else snapshot.open_turn
    if snapshot is None or turn is None or snapshot.run.ended_at is None:
        return Refusal("already", "Nothing is left to settle.")
    stamp = Stamp("sweeper", "", now_ms)
    return Decided((turns.lost(snapshot, turn, stamp, owner=None),), "Settled at its reserve.")
