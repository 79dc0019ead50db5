"""A stored file that is damaged or gone, said so that a person can act: which file of which run, and what helps."""

from core.artifacts import REMEDY
from core.errors import ArtifactCorrupt
from core.record.changes import RunChange
from core.record.rows import ApprovalRow, CallRow, Snapshot
from core.record.states import BlockedReason
from core.runs import asks
from core.runs.draft import Draft
from core.runs.stamps import GO_ON, Stamp


def said(snapshot: Snapshot, error: ArtifactCorrupt) -> str:
    """The file by the name people know it under, what is wrong with it, and what mends it."""
    names = (file.name for file in snapshot.artifacts if file.sha256 == error.sha256)
    name = next(names, None)
    file = f"The file {name!r}" if name else "A file"
    return f"{file} ({error.sha256[:12]}…) {error.what}, so it is not used. {REMEDY}"


def lay_down(draft: Draft, approval: ApprovalRow, call: CallRow, error: ArtifactCorrupt, now_ms: int) -> None:
    """Close a question whose action can no longer be read, and block; planned anew, the step asks again."""
    asks.void(draft, approval, call, "damaged", now_ms)
    draft.block(BlockedReason.ARTIFACT_INTEGRITY, f"{said(draft.snapshot, error)} {GO_ON}", {"call": call.id})


def before_start(
    snapshot: Snapshot, call: CallRow, approval: ApprovalRow, error: ArtifactCorrupt, stamp: Stamp
) -> RunChange:
    """A file an approved call works on is damaged: nothing has started, and nothing will by this approval."""
    draft = Draft(snapshot, stamp.actor)
    lay_down(draft, approval, call, error, stamp.now_ms)
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)
