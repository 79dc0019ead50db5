"""Vote on an action: one click counts once, on what was shown, by somebody who may, while it is still open.

Evaluated on the locked rows, so votes are counted by one decision at a time and a denial never loses to an approval
that came a moment before it, unless the call has started. The payload of a click is no authority: it names a question
and what was seen of it, and everything else is looked up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from core.actions import approvals
from core.actions.envelope import salted
from core.clock import rfc3339
from core.principals import Actor, Principal
from core.record.changes import Decided, Refusal
from core.record.freezes import FreezeRow, covering, sentence
from core.record.rows import ApprovalRow, CallRow, Snapshot, VoteRow
from core.runs import asks, halts
from core.runs.draft import Draft

MOST_REASON = 1_000


@dataclass(frozen=True)
class Ballot:
    """Somebody's decision as it reached us."""

    approval_id: str
    decision: Literal["approve", "deny"]
    by: Principal
    action: str
    """The beginning of the action digest, as the button or the command carried it."""
    seen_digest: str
    """Digest of what was shown to the voter."""
    received_ms: int
    """When it reached us: what counts for the expiry."""
    reason: str = ""
    inbox_key: str | None = None


def decide(
    runs: Sequence[Snapshot],
    ballot: Ballot,
    *,
    policy_digest: str,
    now_ms: int,
    freezes: Sequence[FreezeRow] = (),
) -> Decided | Refusal:
    """Count the vote, and close the question when that settles it.

    Args:
        policy_digest: Of the policy that holds now. A question asked under another one is asked anew instead.
        freezes: What is frozen. Under a freeze a question can only be denied.
    """
    found = _open_question(runs, ballot)
    if isinstance(found, Refusal):
        return found
    snapshot, approval, call = found
    run, by = snapshot.run, ballot.by
    refusal = approvals.why_not(
        by,
        approvers=approvals.approvers_of(approval.approvers_json),
        requester=run.requester,
        authors=run.authors,
        self_ok=bool(approval.self_ok),
    )
    if refusal is not None:
        return Refusal("not-allowed", refusal)
    if (
        closed := _why_closed(snapshot, approval, ballot) or _why_frozen(snapshot, approval, ballot, freezes)
    ) is not None:
        return closed
    draft = Draft(snapshot, Actor.of(by))
    if approval.policy_digest != policy_digest:
        asks.void(draft, approval, call, "policy", now_ms)
        asks.wake(draft)
        text = "The policy has changed since this was asked, so it is asked anew. Your click counted for nothing."
        return Decided((draft.seal(now_ms=now_ms),), text)
    _vote(draft, approval, ballot, now_ms)
    if ballot.decision == "deny":
        return _denied(draft, approval, call, ballot, now_ms)
    return _approved(draft, approval, ballot, now_ms)


def take_back(runs: Sequence[Snapshot], *, approval_id: str, by: Principal, now_ms: int) -> Decided | Refusal:
    """Take one's vote back while the call has not started; an approval that loses its quorum is open again."""
    found = _question(runs, approval_id)
    if isinstance(found, Refusal):
        return found
    snapshot, approval = found
    mine = next((vote for vote in _live(snapshot, approval) if vote.voter == by.id), None)
    if mine is None:
        return Refusal("invalid", "You have no vote on this to take back.")
    if approval.status not in ("pending", "approved"):
        return _decided_already(snapshot, approval)
    draft = Draft(snapshot, Actor.of(by))
    draft.update("votes", {"approval_id": approval.id, "voter": by.id}, {"revoked_at": now_ms})
    draft.fact("approval-voted", {"approval": approval.id, "decision": "taken-back"})
    if approval.status == "approved" and len(_live(snapshot, approval)) - 1 < approval.quorum:
        values: dict[str, Any] = {"status": "pending", "use_by": None, "decided_at": None}
        if approval.remaining_ms is not None:
            # What stands still is the time to decide again, as much as was left of it when it was frozen.
            values["remaining_ms"] = max(0, approval.expires_at - halts.parked_at(approval))
        draft.update("approvals", {"id": approval.id}, values)
        draft.run |= {"due_at": None}
    return Decided((draft.seal(now_ms=now_ms),), "Your vote is taken back.")


def _question(runs: Sequence[Snapshot], approval_id: str) -> tuple[Snapshot, ApprovalRow] | Refusal:
    for snapshot in runs:
        approval = snapshot.approval(approval_id)
        if approval is not None:
            return snapshot, approval
    return Refusal("not-found", "This question is not known here. It may belong to another installation.")


def _open_question(runs: Sequence[Snapshot], ballot: Ballot) -> tuple[Snapshot, ApprovalRow, CallRow] | Refusal:
    found = _question(runs, ballot.approval_id)
    if isinstance(found, Refusal):
        return found
    snapshot, approval = found
    shown = approval.action_digest.removeprefix("sha256:")
    asked = ballot.action.removeprefix("sha256:")
    if len(asked) < 16 or not shown.startswith(asked):
        return Refusal("invalid", "This card is stale: it shows another action than the one that is asked about now.")
    return snapshot, approval, snapshot.call(approval.call_id)


def _why_closed(snapshot: Snapshot, approval: ApprovalRow, ballot: Ballot) -> Refusal | None:
    run = snapshot.run
    if run.killed_at is not None:
        by, at = run.killed_by, rfc3339(run.killed_at)
        return Refusal("ended", f"Run {run.id} was already stopped by {by} at {at}; nothing of it starts any more.")
    open_to = ("pending", "approved") if ballot.decision == "deny" else ("pending",)
    if approval.status not in open_to:
        return _decided_already(snapshot, approval)
    if ballot.received_ms >= approval.expires_at and approval.status == "pending" and approval.remaining_ms is None:
        at = rfc3339(approval.expires_at)
        return Refusal("ended", f"This question expired at {at}. Ask again to have it decided.")
    mine = next((vote for vote in _live(snapshot, approval) if vote.voter == ballot.by.id), None)
    if mine is not None and mine.decision == ballot.decision:
        have = len(_live(snapshot, approval))
        return Refusal("already", f"You have approved this already: {have} of {approval.quorum} needed.")
    return None


def _why_frozen(
    snapshot: Snapshot, approval: ApprovalRow, ballot: Ballot, freezes: Sequence[FreezeRow]
) -> Refusal | None:
    """Why nobody can approve this now; a freeze parks its clock, so nothing is lost by waiting."""
    if ballot.decision == "deny":
        return None
    over = covering(freezes, snapshot.run, {snapshot.call(approval.call_id).tool})
    if approval.remaining_ms is None and not over:
        return None
    why = sentence(over[0]) if over else snapshot.run.blocked_detail or "It is frozen."
    return Refusal("frozen", f"Your click counted for nothing: {why} The time to decide stands still until then.")


def _decided_already(snapshot: Snapshot, approval: ApprovalRow) -> Refusal:
    votes = [vote for vote in snapshot.votes_on(approval.id) if vote.revoked_at is None]
    decision = "deny" if approval.status == "denied" else "approve"
    first = [f"{vote.voter} at {rfc3339(vote.at)}" for vote in votes if vote.decision == decision]
    match approval.status:
        case "approved" | "consumed":
            started = " It has started." if approval.status == "consumed" else ""
            return Refusal("already", f"This was already approved by {' and '.join(first)}.{started}")
        case "denied":
            return Refusal("already", f"This was already denied by {' and '.join(first)}.")
        case "expired":
            return Refusal("ended", "This question has expired. Ask again to have it decided.")
        case "superseded":
            return Refusal("ended", "This card is stale: the action was asked about anew. Decide on the newer card.")
        case _:
            return Refusal("ended", "This question was withdrawn, because its run was stopped or went another way.")


def _live(snapshot: Snapshot, approval: ApprovalRow) -> list[VoteRow]:
    return [vote for vote in snapshot.votes_on(approval.id) if vote.revoked_at is None and vote.decision == "approve"]


def _vote(draft: Draft, approval: ApprovalRow, ballot: Ballot, now_ms: int) -> None:
    run = draft.snapshot.run
    reason = ballot.reason.strip()[:MOST_REASON] or None
    values = {
        "decision": ballot.decision,
        "at": ballot.received_ms,
        "seen_digest": ballot.seen_digest,
        "reason": reason,
        "inbox_key": ballot.inbox_key,
        "via": ballot.by.via or None,
        "revoked_at": None,
    }
    if any(vote.voter == ballot.by.id for vote in draft.snapshot.votes_on(approval.id)):
        draft.update("votes", {"approval_id": approval.id, "voter": ballot.by.id}, values)
    else:
        who = {"tenant": run.tenant, "approval_id": approval.id, "voter": ballot.by.id, "run_id": run.id}
        draft.insert("votes", who | values)
    evidence = {"approval": approval.id, "decision": ballot.decision, "seen": ballot.seen_digest}
    why = {} if reason is None else {"reason": salted(run.salt, reason)}
    draft.fact("approval-voted", {**evidence, "action": approval.action_digest, **why})


def _denied(draft: Draft, approval: ApprovalRow, call: CallRow, ballot: Ballot, now_ms: int) -> Decided:
    reason = ballot.reason.strip()[:MOST_REASON]
    asks.close(draft, approval, "denied", now_ms)
    said = f": {reason}" if reason else ", without a reason"
    asks.withdraw(draft, call, now_ms, error=f"{ballot.by.id} denied it{said}", why="denied")
    asks.plan_on(draft, {"approval": approval.id})
    asks.wake(draft)
    draft.deliver("slack.decided", f"decided:{approval.id}:denied", {"approval_id": approval.id})
    return Decided((draft.seal(now_ms=now_ms),), "Denied. It will not be done.")


def _approved(draft: Draft, approval: ApprovalRow, ballot: Ballot, now_ms: int) -> Decided:
    voters = {vote.voter for vote in _live(draft.snapshot, approval)} | {ballot.by.id}
    if len(voters) < approval.quorum:
        missing = approval.quorum - len(voters)
        return Decided((draft.seal(now_ms=now_ms),), f"Your approval counts. {missing} more needed before it starts.")
    values = {"status": "approved", "decided_at": now_ms, "use_by": now_ms + approval.use_within_ms}
    draft.update("approvals", {"id": approval.id}, values)
    draft.fact("approval-decided", {"approval": approval.id, "status": "approved", "voters": sorted(voters)})
    asks.wake(draft)
    draft.deliver("slack.decided", f"decided:{approval.id}:approved", {"approval_id": approval.id})
    return Decided((draft.seal(now_ms=now_ms),), "Approved. It starts now, once, exactly as shown.")
