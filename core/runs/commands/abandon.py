"""Let go of a run whose slice broke off: the lease goes back, and after a pause somebody tries again.

What a call was doing stays `started`, so whoever claims the run next decides by its recovery class. A run that keeps
breaking off blocks with the reason, instead of being tried for ever.
"""

from collections.abc import Sequence

from core.principals import Actor
from core.record.changes import Decided, Refusal
from core.record.rows import Snapshot
from core.record.states import BlockedReason, RunState, allowed
from core.runs.draft import Draft

MOST = 5
"""Times a run may break off in a row without finishing a call."""

_PAUSE_MS = 1_000


def abandon(runs: Sequence[Snapshot], *, run_id: str, worker: str, why: str, now_ms: int) -> Decided | Refusal:
    """Give back the lease `worker` has on a run it no longer drives."""
    snapshot = next((snapshot for snapshot in runs if snapshot.run.id == run_id), None)
    if snapshot is None or snapshot.run.lease_owner != worker:
        return Refusal("not-found", f"Run {run_id} is not held by {worker}.")
    run = snapshot.run
    draft = Draft(snapshot, Actor.system(f"worker:{worker}"))
    tries = run.retries + 1
    if tries >= MOST and allowed(run.run_state, RunState.BLOCKED):
        detail = (
            f"Working on this run broke off {tries} times, last with: {why}. Look at the worker's log, then stop it."
        )
        draft.block(BlockedReason.DEPENDENCY_DOWN, detail)
    else:
        draft.run |= {"due_at": now_ms + _PAUSE_MS * 2**run.retries, "wake": run.wake + 1}
    draft.run |= {"lease_owner": None, "retries": tries}
    return Decided((draft.seal(now_ms=now_ms),), "abandoned")
