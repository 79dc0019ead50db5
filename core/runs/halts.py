"""Standing still under a freeze, and going on: what goes into a draft, whoever notices the freeze first.

A slice that is refused a start, and the pass over waiting runs, do the same here: the run is blocked, and every clock
of an approval is parked with what was left of it when the freeze began. Going on gives exactly that much back.
"""

from collections.abc import Sequence

from core.principals import Actor
from core.record.freezes import FreezeRow, sentence
from core.record.rows import ApprovalRow, CallRow
from core.record.states import DUE_NOW, BlockedReason, CallStatus, RunState
from core.runs import asks
from core.runs.draft import Draft


def is_held(draft: Draft) -> bool:
    """Whether the run stands still under a freeze."""
    return draft.state is RunState.BLOCKED and draft.snapshot.run.blocked_reason == BlockedReason.FROZEN


def hold(draft: Draft, freezes: Sequence[FreezeRow], *, tool: str | None) -> None:
    """Bring the run to a standstill and park its approvals, as of the moment each of them was frozen.

    Args:
        freezes: Those that cover it, the earliest first; not empty.
        tool: Of the call that would have started or been asked about.
    """
    for approval in draft.snapshot.approvals:
        if approval.status in ("pending", "approved") and approval.remaining_ms is None:
            draft.update("approvals", {"id": approval.id}, {"remaining_ms": left_ms(approval, freezes[0].frozen_at)})
    first = freezes[0]
    draft.move(RunState.BLOCKED, {"reason": BlockedReason.FROZEN.value, "freeze": first.id}, actor=frozen_by(first))
    draft.run |= {
        "blocked_reason": BlockedReason.FROZEN.value,
        "blocked_detail": sentence(first),
        "due_at": None,
        "lease_owner": None,
    }
    for freeze in freezes:
        draft.fact("run-frozen", {"freeze": freeze.id, "holds": tool or "*"}, actor=frozen_by(freeze))


def let_go(draft: Draft, thaw: FreezeRow | None, *, held_at: int | None, now_ms: int) -> None:
    """Let the run go on where it stood: at its question with the time that was left, or with planning.

    Args:
        thaw: The freeze whose end lets it go, if that is known.
        held_at: When it was brought to a standstill; what was written down since has moved `updated_at` on.
    """
    run = draft.snapshot.run
    parked = [approval for approval in draft.snapshot.approvals if approval.remaining_ms is not None]
    for approval in parked:
        draft.update("approvals", {"id": approval.id}, _restored(approval, now_ms))
        if approval.status == "pending":
            passed_ms = parked_at(approval) - approval.asked_at
            asks.remind(draft, approval, stood_ms=now_ms - parked_at(approval), asked_ago_ms=passed_ms)
    actor = None if thaw is None else thawed_by(thaw)
    evidence = {"why": "thawed"} if thaw is None else {"why": "thawed", "freeze": thaw.id}
    draft.move(RunState.WAITING_FOR_APPROVAL if parked else RunState.PLANNING, evidence, actor=actor)
    draft.run |= {"retries": 0}
    if run.deadline_at is not None:
        # Standing still is not working: the time it may take stands still with it.
        since = run.updated_at if held_at is None else held_at
        draft.run |= {"deadline_at": run.deadline_at + max(0, now_ms - since)}
    if not parked or any(approval.status == "approved" for approval in parked):
        draft.run |= {"due_at": DUE_NOW, "wake": run.wake + 1}


def left_ms(approval: ApprovalRow, frozen_at: int) -> int:
    """What is left of an approval's clock at that moment: of the time to decide, or of the time to start."""
    if approval.status == "approved" and approval.use_by is not None:
        return max(0, approval.use_by - max(frozen_at, approval.decided_at or 0))
    return max(0, approval.expires_at - max(frozen_at, approval.asked_at))


def parked_at(approval: ApprovalRow) -> int:
    """When the clock of a parked approval was stopped."""
    end = approval.use_by if approval.status == "approved" and approval.use_by is not None else approval.expires_at
    return end - (approval.remaining_ms or 0)


def open_tools(calls: Sequence[CallRow]) -> frozenset[str]:
    """The tools of the calls that are planned or under way."""
    return frozenset(call.tool for call in calls if call.call_status in (CallStatus.INTENT, CallStatus.STARTED))


def frozen_by(freeze: FreezeRow) -> Actor:
    """Whoever froze it, as events name them."""
    return Actor("human", freeze.frozen_by)


def thawed_by(freeze: FreezeRow) -> Actor:
    """Whoever thawed it, as events name them."""
    return Actor("human", freeze.thawed_by or freeze.frozen_by)


def _restored(approval: ApprovalRow, now_ms: int) -> dict[str, int | None]:
    stood_ms = now_ms - parked_at(approval)
    moved: dict[str, int | None] = {"remaining_ms": None, "expires_at": approval.expires_at + stood_ms}
    if approval.status == "approved" and approval.use_by is not None:
        moved["use_by"] = approval.use_by + stood_ms
    return moved
