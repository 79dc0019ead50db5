"""Reading back what a model has answered so far, before its run is planned on; what to write where that cannot be."""

from core.errors import ArtifactCorrupt, RetryableError
from core.record.changes import RunChange
from core.record.rows import Snapshot
from core.record.states import BlockedReason
from core.runs import damage, steps
from core.runs.again import MOST_LOOKS
from core.runs.mind import Thinker
from core.runs.stamps import GO_ON, Stamp

_PAUSE_MS = 1_000


async def recalled(thinker: Thinker, snapshot: Snapshot, stamp: Stamp) -> RunChange | None:
    """Read the answers back; what to write instead if they are damaged or the store does not answer."""
    try:
        await thinker.recall(snapshot)
    except ArtifactCorrupt as error:
        why = f"{damage.said(snapshot, error)} {GO_ON}"
        return steps.block(snapshot, BlockedReason.ARTIFACT_INTEGRITY, why, stamp)
    except RetryableError as error:
        if snapshot.run.retries >= MOST_LOOKS:
            return steps.block(snapshot, BlockedReason.DEPENDENCY_DOWN, f"{error.user_text} {GO_ON}", stamp)
        return steps.try_later(snapshot, stamp, due_at=stamp.now_ms + _PAUSE_MS * 2**snapshot.run.retries)
    return None
