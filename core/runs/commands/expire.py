"""Time runs out: a question nobody answered, or an approval nobody used, is closed and parks its run."""

from collections.abc import Sequence

from core.principals import Actor
from core.record.changes import Decided, Refusal
from core.record.rows import Snapshot
from core.runs.draft import Draft
from core.runs.steps import lapse


def expire(runs: Sequence[Snapshot], *, approval_id: str, now_ms: int) -> Decided | Refusal:
    """Close an overdue question; a click that came before it was counted before it.

    One that is parked is not overdue, and the change says which tool it is about: it does not land under a freeze that
    came before anybody has parked it.
    """
    for snapshot in runs:
        approval = snapshot.approval(approval_id)
        if approval is None:
            continue
        overdue = (approval.status == "pending" and approval.expires_at <= now_ms) or (
            approval.status == "approved" and approval.use_by is not None and approval.use_by <= now_ms
        )
        if not overdue or approval.remaining_ms is not None:
            return Refusal("already", "It is not overdue.")
        draft = Draft(snapshot, Actor.system("sweeper"))
        lapse(draft, snapshot.call(approval.call_id), approval, now_ms)
        return Decided((draft.seal(now_ms=now_ms),), "expired")
    return Refusal("not-found", f"There is no approval {approval_id}.")
