"""Questions to people, loaded: what a card, a modal or the command line shows of one."""

from core.artifacts import ObjectStore
from core.record.rows import Snapshot
from core.runs.approval_views import ApprovalView, AskView, approval_view, ask_view, inputs_of
from core.runs.preparing import MOST_INPUT_BYTES
from core.store import approvals, runs
from core.store.session import Database


async def ask(database: Database, objects: ObjectStore, tenant: str, approval_id: str) -> AskView | None:
    """One question with its whole action, read and verified; `None` if there is none of that id.

    Raises:
        ShownMismatch: what is stored is not what the action names.
        ArtifactCorrupt: an input no longer has its digest.
    """
    row = await approvals.find(database, tenant, approval_id)
    found = None if row is None else await runs.snapshot(database, tenant, row.run_id)
    approval = None if found is None else found.approval(approval_id)
    if found is None or approval is None:
        return None
    wanted = inputs_of(found.call(approval.call_id))
    inputs = {sha256: await objects.read(sha256, MOST_INPUT_BYTES) for sha256 in wanted}
    return ask_view(found, approval, inputs)


async def pending(database: Database, tenant: str, *, limit: int = 50) -> list[tuple[ApprovalView, Snapshot]]:
    """Questions that wait for people, the longest waiting first, each with its run."""
    found = []
    for row in await approvals.pending(database, tenant, limit=limit):
        snapshot = await runs.snapshot(database, tenant, row.run_id)
        if snapshot is not None and (approval := snapshot.approval(row.id)) is not None:
            found.append((approval_view(snapshot, approval), snapshot))
    return found
