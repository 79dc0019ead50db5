"""A question that can no longer be shown: what its action carries is damaged or gone, and somebody has just seen it."""

from collections.abc import Sequence

from core.errors import ArtifactCorrupt
from core.principals import Actor
from core.record.changes import Decided, Refusal
from core.record.rows import Snapshot
from core.record.states import RunState
from core.runs.damage import lay_down
from core.runs.draft import Draft


def damaged(
    runs: Sequence[Snapshot], *, approval_id: str, error: ArtifactCorrupt, by: str, now_ms: int
) -> Decided | Refusal:
    """Close the question, for nobody may decide what nobody can read, and block its run with the way on.

    An approval that was given stays: its start derives everything anew, which mends the file or refuses the start.

    Args:
        by: Which part of ours has seen it.
    """
    for snapshot in runs:
        approval = snapshot.approval(approval_id)
        if approval is None or snapshot.run.run_state is not RunState.WAITING_FOR_APPROVAL:
            continue
        if approval.status == "pending":
            draft = Draft(snapshot, Actor.system(by))
            lay_down(draft, approval, snapshot.call(approval.call_id), error, now_ms)
            return Decided((draft.seal(now_ms=now_ms),), "It waits until the file is mended.")
    return Refusal("already", "That question is not open any more.")
