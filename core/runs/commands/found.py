"""Write down what a probe found out about a call that a stop had cut off; the run itself does not move."""

from collections.abc import Sequence

from core.actions.envelope import canonical, digest
from core.principals import Actor
from core.record.changes import Decided, Refusal
from core.record.rows import Snapshot
from core.record.states import CallStatus
from core.runs.draft import Draft
from core.runs.steps import CallEnd, storable


def found_out(
    runs: Sequence[Snapshot], *, run_id: str, call_id: str, end: CallEnd, finder: str, now_ms: int
) -> Decided | Refusal:
    """Settle a call of a stopped run, or note that looking does not tell: it stays unknown, and a person may settle it.

    Args:
        end: What was found, with `resolved_by`.
        finder: The part of the system that looked.
    """
    snapshot = next((snapshot for snapshot in runs if snapshot.run.id == run_id), None)
    call = None if snapshot is None else next((call for call in snapshot.calls if call.id == call_id), None)
    if snapshot is None or call is None or snapshot.run.killed_at is None:
        return Refusal("not-found", "There is no such call of a stopped run.")
    if call.call_status is not CallStatus.UNKNOWN or call.resolved_by is not None:
        return Refusal("already", "This was already settled.")
    end = storable(call, end)
    out = canonical(dict(end.out))
    draft = Draft(snapshot, Actor.system(finder))
    values = {"status": end.status, "resolved_by": end.resolved_by, "error": end.error or call.error}
    if end.status == "succeeded":
        values |= {"result_json": out.decode(), "result_digest": digest(out), "error": None}
    draft.update("tool_calls", {"id": call.id}, values)
    draft.fact("call-resolved", {"call": call.id, "status": end.status})
    return Decided((draft.seal(now_ms=now_ms),), "found out")
