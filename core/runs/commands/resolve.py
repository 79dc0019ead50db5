"""Say what became of a call whose outcome nobody knows: a person looked, and their word is recorded as theirs."""

from collections.abc import Sequence

from core.actions.envelope import canonical, digest
from core.principals import Actor, Principal
from core.record.changes import Decided, Refusal
from core.record.rows import Snapshot
from core.record.states import TERMINAL, BlockedReason, CallStatus, RunState
from core.runs import asks
from core.runs.commands.answer import may_answer
from core.runs.draft import Draft


def resolve(
    runs: Sequence[Snapshot], *, run_id: str, call_id: str, by: Principal, ran: bool, now_ms: int
) -> Decided | Refusal:
    """Settle an ambiguous effect: it ran, so its step has succeeded without a result; or it did not.

    Then the call has failed, and its step is proposed again as a call of its own, which waits for a fresh approval. Of
    a run that has ended it is only written down.
    """
    snapshot = next((snapshot for snapshot in runs if snapshot.run.id == run_id), None)
    call = None if snapshot is None else next((call for call in snapshot.calls if call.id == call_id), None)
    if snapshot is None or call is None:
        return Refusal("not-found", "This call is not known here.")
    run = snapshot.run
    if may_answer(snapshot, by) is not None:
        return Refusal("not-allowed", "Only the person who asked for this run, or an operator, can say what happened.")
    over = run.run_state in TERMINAL
    if call.call_status is not CallStatus.UNKNOWN or not (over or run.blocked_reason == BlockedReason.AMBIGUOUS_EFFECT):
        who = "" if call.resolved_by is None else f" by {call.resolved_by}"
        return Refusal("already", f"This was already settled{who}, or nobody asks about it.")
    out = canonical({"resolved_by": by.id})
    status = CallStatus.SUCCEEDED if ran else CallStatus.FAILED
    draft = Draft(snapshot, Actor.of(by))
    values = {"status": status.value, "resolved_by": by.id, "result_json": out.decode(), "result_digest": digest(out)}
    error = None if ran else f"{by.id} looked and says that it did not happen"
    draft.update("tool_calls", {"id": call.id}, values | {"error": error})
    draft.fact("call-resolved", {"call": call.id, "status": status.value})
    if over:
        said = "it ran" if ran else "it did not run"
        return Decided((draft.seal(now_ms=now_ms),), f"Recorded: {said}. The run is over; nothing follows from it.")
    draft.move(RunState.PLANNING, {"call": call.id})
    asks.wake(draft)
    said = "it ran. The run goes on" if ran else "it did not run. It runs again once somebody approves that"
    return Decided((draft.seal(now_ms=now_ms),), f"Recorded: {said}.")
