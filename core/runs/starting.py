"""What must still hold when an approved call starts: the last check before the commit that uses its approval up.

Everything people approved is compared, to the byte, with what would run now; their votes are counted anew among those
who may vote now. Whatever differs voids the approval. Pure; what has to be fetched is fetched before and passed in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from core.actions import approvals
from core.actions.envelope import digest
from core.principals import Principal
from core.record.rows import ApprovalRow, CallRow, Snapshot, VoteRow
from core.runs.proposals import Proposed, same_effect
from core.runs.rulebook import Rulebook
from core.store.people import Standing

FRESH_MS = 60_000
"""How old what is known of a voter may be."""


@dataclass(frozen=True)
class Verdict:
    """Whether the call may start."""

    do: Literal["start", "void", "late", "wait"]
    why: str = ""
    voters: tuple[str, ...] = ()
    """Whose votes count."""


def may_start(
    snapshot: Snapshot,
    call: CallRow,
    approval: ApprovalRow,
    proposed: Proposed | None,
    *,
    shown_digest: str | None,
    standings: Mapping[str, Standing],
    rules: Rulebook,
    now_ms: int,
) -> Verdict:
    """Decide it on the rows as they are.

    Args:
        proposed: The call prepared anew; `None` if its tool is not declared any more.
        shown_digest: Digest of what the stored action and its inputs, derived anew, look like to a reader.
    """
    if approval.status != "approved" or approval.consumed_by is not None:
        return Verdict("void", "status")
    if approval.use_by is None or now_ms >= approval.use_by:
        return Verdict("late", "use-by")
    if not call.action_digest == approval.action_digest == digest(call.envelope.encode()):
        return Verdict("void", "digest")
    if not approval.policy_digest == snapshot.run.policy_digest == rules.pinned.digest:
        return Verdict("void", "policy")
    if proposed is None or proposed.tool.digest != call.tool_digest:
        return Verdict("void", "tool")
    if proposed.failure is not None or proposed.decision.verdict != "ask":
        return Verdict("void", "inputs" if proposed.failure is not None else "policy")
    if approvals.approvers_of(approval.approvers_json).within != proposed.decision.approvers.within:
        return Verdict("void", "policy")
    if not same_effect(call, proposed, policy=approval.policy_digest):
        return Verdict("void", "inputs")
    return _counted(snapshot, approval, shown_digest, standings, rules, now_ms)


def _counted(
    snapshot: Snapshot,
    approval: ApprovalRow,
    shown_digest: str | None,
    standings: Mapping[str, Standing],
    rules: Rulebook,
    now_ms: int,
) -> Verdict:
    votes = [vote for vote in snapshot.votes_on(approval.id) if vote.decision == "approve" and vote.revoked_at is None]
    if any(vote.seen_digest != shown_digest for vote in votes):
        return Verdict("void", "shown")
    good, unsure = [], []
    for vote in votes:
        match _stands(snapshot, approval, vote, standings.get(vote.voter), rules, now_ms):
            case True:
                good.append(vote.voter)
            case None:
                unsure.append(vote.voter)
            case False:
                pass
    if len(good) >= approval.quorum:
        return Verdict("start", voters=tuple(sorted(good)))
    if len(good) + len(unsure) >= approval.quorum:
        return Verdict("wait", "voters")
    return Verdict("void", "voters")


def _stands(
    snapshot: Snapshot,
    approval: ApprovalRow,
    vote: VoteRow,
    standing: Standing | None,
    rules: Rulebook,
    now_ms: int,
) -> bool | None:
    """Whether somebody who voted may vote now; `None` = nobody has asked Slack lately."""
    if vote.via is not None:
        roles = rules.roles.get(vote.voter)
        if roles is None:
            return False
    elif standing is None or now_ms - standing.checked_at > FRESH_MS:
        return None
    elif not standing.usable:
        return False
    else:
        roles = standing.roles
    refusal = approvals.why_not(
        Principal(vote.voter, roles),
        approvers=approvals.approvers_of(approval.approvers_json),
        requester=snapshot.run.requester,
        authors=snapshot.run.authors,
        self_ok=bool(approval.self_ok),
    )
    return refusal is None
