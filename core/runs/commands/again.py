"""Let a parked run ask again: somebody who may is there, or what was missing is."""

from collections.abc import Sequence

from core.actions import approvals
from core.principals import Actor, Principal
from core.record.changes import Decided, Refusal
from core.record.rows import Snapshot
from core.record.states import BlockedReason, RunState
from core.runs import allowance, asks, stalls
from core.runs.draft import Draft

REASONS = frozenset(
    {
        BlockedReason.APPROVAL_EXPIRED,
        BlockedReason.LOOP,
        BlockedReason.BUDGET,
        BlockedReason.MODEL_ERROR,
        BlockedReason.MISSING_SECRET,
        BlockedReason.DEPENDENCY_DOWN,
        BlockedReason.ARTIFACT_INTEGRITY,
    }
)
"""Blocks after which planning again makes sense."""

MORE_ASKS = 5


def ask_again(runs: Sequence[Snapshot], *, run_id: str, by: Principal, now_ms: int) -> Decided | Refusal:
    """Take a blocked run back to planning, where it asks its question anew."""
    snapshot = next((snapshot for snapshot in runs if snapshot.run.id == run_id), None)
    if snapshot is None:
        return Refusal("not-found", f"There is no run {run_id}.")
    run = snapshot.run
    if by.external:
        return Refusal("not-allowed", "Guests and people from other organisations cannot do this here.")
    if not (by.id == run.requester or by.is_operator or _was_asked(snapshot, by)):
        text = "Only the person who asked for this run, its approvers, or an operator can have it ask again."
        return Refusal("not-allowed", text)
    if run.run_state is not RunState.BLOCKED:
        return Refusal("already", f"Run {run.id} does not wait for this: it is {run.state}.")
    if run.blocked_reason not in REASONS:
        return Refusal("invalid", f"Run {run.id} is blocked for another reason: {run.blocked_detail}")
    draft = Draft(snapshot, Actor.of(by))
    go_on(draft, "ask-again")
    if run.blocked_reason == BlockedReason.BUDGET:
        draft.run["allowance_json"] = allowance.short_of(snapshot, None)
    return Decided((draft.seal(now_ms=now_ms),), f"Run {run.id} goes on and asks again.")


def go_on(draft: Draft, why: str) -> None:
    """Take a parked run back to planning, with room for more of what it was parked for."""
    snapshot = draft.snapshot
    draft.move(RunState.PLANNING, {"why": why})
    asks.wake(draft)
    draft.run |= {"retries": 0}
    if snapshot.run.blocked_reason == BlockedReason.LOOP:
        draft.run["stalls_json"] = stalls.let_go_on(snapshot)
    if len(snapshot.approvals) >= snapshot.run.ask_cap:
        draft.run |= {"ask_cap": len(snapshot.approvals) + MORE_ASKS}


def _was_asked(snapshot: Snapshot, by: Principal) -> bool:
    return any(approvals.approvers_of(row.approvers_json).admits(by.id, by.roles) for row in snapshot.approvals)
