"""Let a parked run ask again: somebody who may is there, or what was missing is. One that goes round in circles may be
let continue as it does for some steps.
"""

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

FEWEST_STEPS = 6
"""A run is let continue for: in fewer nobody can see that it still does the same."""

MOST_STEPS = 1_000


def ask_again(runs: Sequence[Snapshot], *, run_id: str, by: Principal, now_ms: int) -> Decided | Refusal:
    """Take a blocked run back to planning, where it asks its question anew."""
    snapshot = _parked(runs, run_id, by, "have it ask again")
    if isinstance(snapshot, Refusal):
        return snapshot
    run = snapshot.run
    if run.blocked_reason not in REASONS:
        return Refusal("invalid", f"Run {run.id} is blocked for another reason: {run.blocked_detail}")
    draft = Draft(snapshot, Actor.of(by))
    go_on(draft, "ask-again")
    if run.blocked_reason == BlockedReason.BUDGET:
        draft.run["allowance_json"] = allowance.short_of(snapshot, None)
    return Decided((draft.seal(now_ms=now_ms),), f"Run {run.id} goes on and asks again.")


def continue_for(runs: Sequence[Snapshot], *, run_id: str, by: Principal, steps: int, now_ms: int) -> Decided | Refusal:
    """Let a run that goes round in circles do so for some more steps, after which it is parked if it still does.

    Args:
        steps: How many, of turns and calls together.
    """
    snapshot = _parked(runs, run_id, by, "let it continue")
    if isinstance(snapshot, Refusal):
        return snapshot
    run = snapshot.run
    if not goes_round(snapshot):
        return Refusal("invalid", f"Run {run.id} does not go round in circles. It is blocked: {run.blocked_detail}")
    if not FEWEST_STEPS <= steps <= MOST_STEPS:
        return Refusal("invalid", f"A run can be let continue for {FEWEST_STEPS} to {MOST_STEPS:,} steps.")
    draft = Draft(snapshot, Actor.of(by))
    go_on(draft, "continue", steps)
    return Decided((draft.seal(now_ms=now_ms),), f"Run {run.id} continues for {steps} steps.")


def goes_round(snapshot: Snapshot) -> bool:
    """Whether a run is parked because its model repeats itself, and not because it has asked too often."""
    run = snapshot.run
    return run.thinks and run.blocked_reason == BlockedReason.LOOP and len(snapshot.approvals) < run.ask_cap


def go_on(draft: Draft, why: str, steps: int = 0) -> None:
    """Take a parked run back to planning, with room for more of what it was parked for.

    Args:
        steps: For how many it may go round in circles before that is looked at.
    """
    snapshot = draft.snapshot
    draft.move(RunState.PLANNING, {"why": why} | ({"steps": steps} if steps else {}))
    asks.wake(draft)
    draft.run |= {"retries": 0}
    if snapshot.run.blocked_reason == BlockedReason.LOOP:
        draft.run["stalls_json"] = stalls.let_go_on(snapshot, steps)
    if len(snapshot.approvals) >= snapshot.run.ask_cap:
        draft.run |= {"ask_cap": len(snapshot.approvals) + MORE_ASKS}


def _parked(runs: Sequence[Snapshot], run_id: str, by: Principal, to_do: str) -> Snapshot | Refusal:
    """The parked run, if this person may let it go on."""
    snapshot = next((snapshot for snapshot in runs if snapshot.run.id == run_id), None)
    if snapshot is None:
        return Refusal("not-found", f"There is no run {run_id}.")
    run = snapshot.run
    if by.external:
        return Refusal("not-allowed", "Guests and people from other organisations cannot do this here.")
    if not (by.id == run.requester or by.is_operator or _was_asked(snapshot, by)):
        text = f"Only the person who asked for this run, its approvers, or an operator can {to_do}."
        return Refusal("not-allowed", text)
    if run.run_state is not RunState.BLOCKED:
        return Refusal("already", f"Run {run.id} does not wait for this: it is {run.state}.")
    return snapshot


def _was_asked(snapshot: Snapshot, by: Principal) -> bool:
    return any(approvals.approvers_of(row.approvers_json).admits(by.id, by.roles) for row in snapshot.approvals)
