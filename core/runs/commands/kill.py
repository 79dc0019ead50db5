"""Stop a run and its whole tree: one commit, whatever else is broken.

The commit raises the fence, so nothing of the run can be written or started any more, revokes what was approved and
withdraws what was planned. Ending the processes follows from it and is proved separately (`confirm`).
"""

from collections.abc import Sequence

from core.actions.envelope import salted
from core.actions.policy import Policy
from core.clock import rfc3339
from core.principals import Actor, Principal
from core.record.changes import Decided, Refusal, RunChange
from core.record.rows import Snapshot
from core.record.states import TERMINAL, CallStatus, RunState
from core.runs import asks
from core.runs.commands.rolled_back import let_go_by_stop
from core.runs.draft import Draft


def kill(
    runs: Sequence[Snapshot], *, run_id: str, by: Principal, reason: str, now_ms: int, policy: Policy | None = None
) -> Decided | Refusal:
    """Stop `run_id` and every run below it, if `by` may and it has not ended.

    Args:
        policy: What holds now, which names the agent's approvers; without one they may not stop it.
    """
    target = next((snapshot for snapshot in runs if snapshot.run.id == run_id), None)
    if target is None:
        return Refusal("not-found", f"There is no run {run_id}.")
    refusal = may_stop(target, by, policy)
    if refusal is not None:
        return refusal
    below = [snapshot for snapshot in _tree(runs, run_id) if snapshot.run.run_state not in TERMINAL]
    if not below:
        return _already(target)
    stops = tuple(_stop(snapshot, by, reason, now_ms) for snapshot in below)
    in_flight = sum(change.run["kill_in_flight"] for change in stops)
    calls = "" if not in_flight else f" {in_flight} tool call{'s were' if in_flight > 1 else ' was'} in flight."
    # What has ended is stopped no more, but what takes it back is.
    named = run_id if target in below else ", ".join(snapshot.run.id for snapshot in below)
    return Decided((*stops, *let_go_by_stop(runs, below, now_ms=now_ms)), f"Stop requested for run {named}.{calls}")


def may_stop(snapshot: Snapshot, by: Principal, policy: Policy | None) -> Refusal | None:
    """Who may stop a run: whoever asked for it, who may be asked about what its agent does, and operators."""
    if by.external:
        return Refusal("not-allowed", "Guests and people from other organisations cannot stop runs here.")
    if by.id == snapshot.run.requester or by.is_operator:
        return None
    deciders = () if policy is None else policy.deciders(snapshot.run.agent)
    if any(approvers.admits(by.id, by.roles) for approvers in deciders):
        return None
    return Refusal(
        "not-allowed", "Only the person who asked for this run, its agent's approvers, or an operator, can stop it."
    )


def _already(target: Snapshot) -> Refusal:
    run = target.run
    if run.killed_by is not None:
        return Refusal("ended", f"Run {run.id} was already stopped by {run.killed_by} at {rfc3339(run.killed_at)}.")
    return Refusal("ended", f"Run {run.id} has already ended: it is {run.state}.")


def _tree(runs: Sequence[Snapshot], top: str) -> list[Snapshot]:
    found = {top}
    while True:
        below = {snapshot.run.id for snapshot in runs if snapshot.run.parent_id in found} - found
        if not below:
            return [snapshot for snapshot in runs if snapshot.run.id in found]
        found |= below


def _stop(snapshot: Snapshot, by: Principal, reason: str, now_ms: int) -> RunChange:
    run = snapshot.run
    draft = Draft(snapshot, Actor.of(by))
    in_flight = [call for call in snapshot.calls if call.call_status is CallStatus.STARTED]
    unsure = any(attempt.may_have_run for attempt in snapshot.attempts)
    draft.run |= {
        "fence": run.fence + 1,
        "killed_at": now_ms,
        "killed_fence": run.fence + 1,
        "killed_by": by.id,
        "kill_reason": reason,
        "kill_in_flight": len(in_flight),
    }
    why = {} if not reason else {"reason": salted(run.salt, reason)}
    draft.fact("stop-requested", {"fence": run.fence + 1, **why}, *({"call": call.id} for call in in_flight))
    asks.drop_open(draft, now_ms)
    draft.end(RunState.CANCELED, reason or "Stopped.", now_ms=now_ms)
    # A worker of the version before has not said where it is when it claimed the run.
    holder = (run.holder_host or run.workspace_host) if run.lease_owner is not None else None
    draft.run["holder_host"] = holder
    if holder is None and not in_flight and not unsure:
        # Nobody holds it, and whatever it started has ended by its worker's own word: there is nothing left to prove.
        draft.run["stop_confirmed_at"] = now_ms
        draft.fact("stop-confirmed", {"processes_ended": 0}, actor=Actor.system("journal"))
    return draft.seal(now_ms=now_ms)
