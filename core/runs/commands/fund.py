"""Let a run have more of what it may use: a person who may decide says so, and it is written down as decisions are."""

from collections.abc import Mapping, Sequence

from core.actions.policy import Approvers
from core.budgets import MAX_USD, MILLION, usd_text
from core.principals import Actor, Principal
from core.record.changes import Decided, Refusal
from core.record.rows import Snapshot
from core.record.states import TERMINAL, BlockedReason, RunState
from core.runs import allowance, asks
from core.runs.allowance import Unit, Usage
from core.runs.draft import Draft

MOST_MICRO_USD = MAX_USD * MILLION

MOST = 2**53 - 1
"""Of anything else, which is no limit but that of its form."""

_NAMES: Mapping[str, str] = {"calls": "tool calls"}


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
    snapshot = next((snapshot for snapshot in runs if snapshot.run.id == run_id), None)
    if snapshot is None:
        return Refusal("not-found", f"There is no run {run_id}.")
    run = snapshot.run
    refusal = _may_not(snapshot, by, approvers)
    if refusal is not None:
        return refusal
    usage = next((usage for usage in allowance.usages(snapshot, now_ms) if usage.unit == unit), None)
    if unit == "money" and run.budget_micro_usd == 0:
        usage = Usage("money", run.cost_micro_usd, 0)  # nothing is used of it, and still it can be raised
    if usage is None:
        return Refusal("invalid", f"Run {run.id} has no cap on its {_NAMES.get(unit, unit)}.")
    if run.run_state in TERMINAL:
        return Refusal("ended", f"Run {run.id} is over: it is {run.state}.")
    if seen is not None and seen != usage.cap:
        return Refusal("already", f"This cap of the run is {allowance.amount(unit, usage.cap)} by now.")
    more = usage.cap if add is None else add
    cap = (max(usage.cap, usage.used) if unit == "time" else usage.cap) + more
    most = MOST_MICRO_USD if unit == "money" else MOST
    if more <= 0 or cap > most:
        to = f"to {usd_text(most)} at most" if unit == "money" else "within reason"
        return Refusal("invalid", f"A cap can be raised {to}, and never lowered.")
    draft = Draft(snapshot, Actor.of(by))
    if unit == "money":
        draft.run["budget_micro_usd"] = cap
        draft.fact("budget-raised", {"from_micro_usd": usage.cap, "to_micro_usd": cap})
    else:
        draft.run["allowance_json"] = allowance.raised(snapshot, unit, cap)
        draft.fact("budget-raised", {"unit": unit, "from": usage.cap, "to": cap})
    draft.over("slack.budget")
    may = "spend" if unit == "money" else "use"
    return _goes_on(draft, f"Run {run.id} may {may} {allowance.amount(unit, cap)} now.", now_ms)


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
