"""Tell a run that thinks to finish with what it has: a person says so, and it is written down like any decision.

It is no stop: what is under way goes on to its end, calls that its model asked for and that have not begun are left
out, and its next turn is told. More money changes nothing of it.
"""

from collections.abc import Sequence

from core.actions.policy import Policy
from core.principals import Actor, Principal
from core.record.changes import Decided, Refusal
from core.record.rows import Snapshot
from core.record.states import TERMINAL, BlockedReason, RunState
from core.runs import allowance, asks
from core.runs.allowance import WrapUp
from core.runs.commands.kill import may_stop
from core.runs.draft import Draft


def wrap_up(
    runs: Sequence[Snapshot], *, run_id: str, by: Principal, policy: Policy | None, now_ms: int
) -> Decided | Refusal:
    """Have `run_id` finish with what it has, if `by` may and it has not ended; those may who may stop it.

    Args:
        policy: What holds now, which names the agent's approvers; without one they may not.
    """
    snapshot = next((snapshot for snapshot in runs if snapshot.run.id == run_id), None)
    if snapshot is None:
        return Refusal("not-found", f"There is no run {run_id}.")
    run = snapshot.run
    if may_stop(snapshot, by, policy) is not None:
        text = "Only the person who asked for this run, its agent's approvers, or an operator, can have it wrap up."
        return Refusal("not-allowed", text)
    if run.run_state in TERMINAL:
        return Refusal("ended", f"Run {run.id} is over: it is {run.state}.")
    if run.budget_micro_usd is None:
        return Refusal(
            "invalid", f"Run {run.id} thinks with no model, so there is nothing to wrap up. Stop it instead."
        )
    before = allowance.of(snapshot).wrap_up
    if before is not None:
        return Refusal("already", f"Run {run.id} was told to wrap up by {before.by} already.")
    draft = Draft(snapshot, Actor.of(by))
    # An answer that is under way was asked for without it, so it counts as one that came before.
    told = [turn for turn in snapshot.turns if turn.covers is None and turn.status in ("answered", "started")]
    wanted = WrapUp(by.id, by.slack_user, now_ms, len(told))
    draft.run["allowance_json"] = allowance.wrapping_up(snapshot, wanted)
    draft.fact("wrap-up-asked", {"answers": len(told)})
    draft.over("slack.budget")
    draft.deliver("slack.wrap-up", f"wrap-up:{run.id}", {})
    text = f"Run {run.id} is told to finish with what it has."
    if run.run_state is RunState.BLOCKED and run.blocked_reason == BlockedReason.BUDGET:
        draft.move(RunState.PLANNING, {"why": "wrap-up"})
        asks.wake(draft)
        draft.run |= {"retries": 0}
        text += " It goes on for that, as far as it may."
    return Decided((draft.seal(now_ms=now_ms),), text)
