"""A result that came after its attempt had lost the run: kept and shown, never applied."""

from collections.abc import Sequence

from core.actions.envelope import canonical, salted
from core.principals import Actor
from core.record.changes import Decided, Refusal
from core.record.rows import CallRow, Snapshot
from core.record.states import CallStatus
from core.runs.draft import Draft
from core.runs.steps import CallEnd, storable


def late_result(
    runs: Sequence[Snapshot],
    call: CallRow,
    end: CallEnd,
    *,
    run_id: str,
    fence: int,
    worker: str,
    row_id: str,
    now_ms: int,
) -> Decided | Refusal:
    """Record what a fenced-off attempt found out.

    A call still `started` under that fence when the run was stopped becomes `unknown`: the platform stopped watching
    it. If the late result says how it ended, that is kept beside it as a fact.
    """
    snapshot = next((snapshot for snapshot in runs if snapshot.run.id == run_id), None)
    if snapshot is None:
        return Refusal("not-found", f"There is no run {run_id}.")
    draft = Draft(snapshot, Actor.system(f"worker:{worker}"))
    end = storable(call, end)
    out = canonical(dict(end.out))
    draft.fact(
        "late-result", {"call": call.id, "status": end.status, "fence": fence, "result": salted(snapshot.run.salt, out)}
    )
    draft.insert(
        "late_results",
        {
            "tenant": call.tenant,
            "id": row_id,
            "run_id": call.run_id,
            "call_id": call.id,
            "fence": fence,
            "status": end.status,
            "result_json": out.decode(),
            "error": end.error,
            "at": now_ms,
        },
    )
    current = snapshot.call(call.id)
    if snapshot.run.killed_at is not None and current.call_status is CallStatus.STARTED:
        draft.fact("call-ended", {"call": call.id, "status": CallStatus.UNKNOWN.value})
        values = {"status": CallStatus.UNKNOWN.value, "ended_at": now_ms, "end_fence": fence, "error": end.error}
        draft.update("tool_calls", {"id": call.id}, values)
    return Decided((draft.seal(now_ms=now_ms),), "kept")
