"""Let a run have more of what it may use: a person who may decide says so, and it is written down as decisions are."""

from collections.abc import Mapping, Sequence

from core.actions.policy import Approvers
from core.budgets import MAX_USD, MILLION, usd_text
from core.principals import Actor, Principal
from core.record.changes import Decided, Refusal
from core.record.rows import Snapshot
from core.record.states import TERMINAL, BlockedReason, RunState
from core.runs import allowance, asks
from core.runs.allowance import Unit
from core.runs.draft import Draft

MOST_MICRO_USD = MAX_USD * MILLION

MOST = 2**53 - 1
"""Of anything else, which is no limit but that of its form."""

_NAMES: Mapping[str, str] = {"calls": "tool calls"}


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
    refusal = _may_not(snapshot, by, approvers)
    if refusal is not None:
        return refusal
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
    return _goes_on(draft, f"Run {run.id} may spend {usd_text(budget)} now.", now_ms)


def allow_more(
    runs: Sequence[Snapshot],
    *,
    run_id: str,
    by: Principal,
    approvers: Approvers,
    unit: Unit,
    add: int | None,
    seen: int | None,
    now_ms: int,
) -> Decided | Refusal:
    """Raise a cap of a run, on money or on something else, and let it go on if that is what it waits for.

    Args:
        approvers: As for money: they and operators, and nobody for a run of their own.
        add: How much more, in micro-USD or milliseconds where the unit has one; time that is over counts from now on.
            `None` = as much again.
        seen: The cap that was shown; if it has been raised since, this was about another one.
    """
    if unit == "money":
        return fund(
            runs, run_id=run_id, by=by, approvers=approvers, add_micro_usd=add, seen_micro_usd=seen, now_ms=now_ms
        )
    snapshot = next((snapshot for snapshot in runs if snapshot.run.id == run_id), None)
    if snapshot is None:
        return Refusal("not-found", f"There is no run {run_id}.")
    run = snapshot.run
    refusal = _may_not(snapshot, by, approvers)
    if refusal is not None:
        return refusal
    usage = next((usage for usage in allowance.usages(snapshot, now_ms) if usage.unit == unit), None)
    if usage is None:
        return Refusal("invalid", f"Run {run.id} has no cap on its {_NAMES.get(unit, unit)}.")
    if run.run_state in TERMINAL:
        return Refusal("ended", f"Run {run.id} is over: it is {run.state}.")
    if seen is not None and seen != usage.cap:
        return Refusal("already", f"This cap of the run is {allowance.amount(unit, usage.cap)} by now.")
    more = usage.cap if add is None else add
    cap = (max(usage.cap, usage.used) if unit == "time" else usage.cap) + more
    if more <= 0 or cap > MOST:
        return Refusal("invalid", "A cap can be raised within reason, and never lowered.")
    draft = Draft(snapshot, Actor.of(by))
    draft.run["allowance_json"] = allowance.raised(snapshot, unit, cap)
    draft.fact("budget-raised", {"unit": unit, "from": usage.cap, "to": cap})
    return _goes_on(draft, f"Run {run.id} may use {allowance.amount(unit, cap)} now.", now_ms)


def _may_not(snapshot: Snapshot, by: Principal, approvers: Approvers) -> Refusal | None:
    if by.external:
        return Refusal("not-allowed", "Guests and people from other organisations cannot do this here.")
    if by.id == snapshot.run.requester and not by.is_operator:
        return Refusal("not-allowed", "Somebody else has to let your own run spend more.")
    if not (by.is_operator or approvers.admits(by.id, by.roles)):
        return Refusal("not-allowed", "Only approvers and operators can let a run spend more.")
    return None


def _goes_on(draft: Draft, text: str, now_ms: int) -> Decided:
    run = draft.snapshot.run
    if run.run_state is RunState.BLOCKED and run.blocked_reason == BlockedReason.BUDGET:
        if allowance.of(draft.snapshot).short == "shared":
            text += " It still waits for a budget that it shares with others."
            return Decided((draft.seal(now_ms=now_ms),), text)
        draft.move(RunState.PLANNING, {"why": "budget-raised"})
        asks.wake(draft)
        draft.run |= {"retries": 0}
        told = allowance.of(draft.snapshot).wrap_up
        text += " It goes on." if told is None else " It goes on, and wraps up as it was told to."
    return Decided((draft.seal(now_ms=now_ms),), text)
