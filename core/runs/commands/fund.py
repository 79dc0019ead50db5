"""Let a run spend more on models: a person who may decide says so, and it is written down like any decision."""

from collections.abc import Sequence

from core.actions.policy import Approvers
from core.budgets import MAX_USD, MILLION, usd_text
from core.principals import Actor, Principal
from core.record.changes import Decided, Refusal
from core.record.rows import Snapshot
from core.record.states import TERMINAL, BlockedReason, RunState
from core.runs import asks
from core.runs.draft import Draft

MOST_MICRO_USD = MAX_USD * MILLION


def fund(
    runs: Sequence[Snapshot],
    *,
    run_id: str,
    by: Principal,
    approvers: Approvers,
    add_micro_usd: int | None,
    seen_micro_usd: int | None,
    now_ms: int,
) -> Decided | Refusal:
    """Raise a run's budget, and let it go on if that is what it waits for.

    Args:
        approvers: Whom the operator's policy asks if no rule says otherwise: they and operators may do this, but not
            for a run of their own.
        add_micro_usd: How much more; `None` = as much again.
        seen_micro_usd: The budget that was shown; if it has been raised since, this was about another one.
    """
    snapshot = next((snapshot for snapshot in runs if snapshot.run.id == run_id), None)
    if snapshot is None:
        return Refusal("not-found", f"There is no run {run_id}.")
    run = snapshot.run
    if by.external:
        return Refusal("not-allowed", "Guests and people from other organisations cannot do this here.")
    if by.id == run.requester and not by.is_operator:
        return Refusal("not-allowed", "Somebody else has to let your own run spend more.")
    if not (by.is_operator or approvers.admits(by.id, by.roles)):
        return Refusal("not-allowed", "Only approvers and operators can let a run spend more.")
    if run.budget_micro_usd is None:
        return Refusal("invalid", f"Run {run.id} thinks with no model, so it has no budget.")
    if run.run_state in TERMINAL:
        return Refusal("ended", f"Run {run.id} is over: it is {run.state}.")
    if seen_micro_usd is not None and seen_micro_usd != run.budget_micro_usd:
        return Refusal("already", f"The budget of this run is {usd_text(run.budget_micro_usd)} by now.")
    add = run.budget_micro_usd if add_micro_usd is None else add_micro_usd
    budget = run.budget_micro_usd + add
    if add <= 0 or budget > MOST_MICRO_USD:
        return Refusal("invalid", f"A budget can be raised to {usd_text(MOST_MICRO_USD)} at most, and never lowered.")
    draft = Draft(snapshot, Actor.of(by))
    draft.run["budget_micro_usd"] = budget
    draft.fact("budget-raised", {"from_micro_usd": run.budget_micro_usd, "to_micro_usd": budget})
    text = f"Run {run.id} may spend {usd_text(budget)} now."
    if run.run_state is RunState.BLOCKED and run.blocked_reason == BlockedReason.BUDGET:
        draft.move(RunState.PLANNING, {"why": "budget-raised"})
        asks.wake(draft)
        draft.run |= {"retries": 0}
        text += " It goes on."
    return Decided((draft.seal(now_ms=now_ms),), text)
