"""Read models of what waits for people: approvals with their votes, whole actions to decide on, questions.

Made from rows, free of rows. What an approver reads is the box, generated from the stored bytes alone; everything else
here is words around it, never authority.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.actions.approvals import approvers_of
from core.actions.policy import Approvers
from core.actions.shown import Box, Change, ShownMismatch, box, changes
from core.clock import rfc3339
from core.planners.definition import InputSpec
from core.record.rows import ApprovalRow, CallRow, Snapshot
from core.record.states import BlockedReason, CallStatus, RunState
from core.runs import material
from core.tools.ask import TOOL, answers_wanted


@dataclass(frozen=True)
class VoteView:
    """One person's vote."""

    voter: str
    """Principal id."""
    decision: Literal["approve", "deny"]
    at_ms: int
    seen_digest: str
    """Digest of the text that was shown to the voter."""
    reason: str = ""
    """A person's text."""
    via: str | None = None
    """Set when it did not come from Slack, e.g. `cli:1000@host`."""
    taken_back: bool = False

    def as_json(self) -> dict[str, Any]:
        """One entry of `votes` in `show` and `approval show`."""
        return {
            "voter": self.voter,
            "decision": self.decision,
            "at": rfc3339(self.at_ms),
            "seen_digest": self.seen_digest,
            "reason": self.reason,
            "via": self.via,
            "taken_back": self.taken_back,
        }


@dataclass(frozen=True)
class ApprovalView:
    """One question to approvers."""

    id: str
    run_id: str
    action_id: str
    """The call it is about."""
    digest: str
    """Of the action, `sha256:…`."""
    status: str
    """`pending`, `approved`, `denied`, `expired`, `revoked`, `superseded` or `consumed`."""
    quorum: int
    votes: tuple[VoteView, ...]
    asked_at_ms: int
    expires_at_ms: int
    use_by_ms: int | None
    decided_at_ms: int | None
    consumed_at_ms: int | None
    tool: str
    tier: str
    rule: str
    """The policy's rule that made it ask."""
    approvers: Approvers
    self_ok: bool
    sentence: str
    """The effect in one sentence, in the tool's words; empty if it has none."""
    title: str
    """The step in the planner's words: foreign text."""
    superseded_by: str | None = None
    parked_ms: int | None = None
    """What is left of its time, while that stands still under a freeze."""

    @property
    def live(self) -> tuple[VoteView, ...]:
        """Approving votes that count."""
        return tuple(vote for vote in self.votes if vote.decision == "approve" and not vote.taken_back)

    def as_json(self) -> dict[str, Any]:
        """One entry of `approvals` in `show`, and of `pending`."""
        return {
            "id": self.id,
            "run_id": self.run_id,
            "action_id": self.action_id,
            "digest": self.digest,
            "status": self.status,
            "quorum": self.quorum,
            "votes": [vote.as_json() for vote in self.votes],
            "asked_at": rfc3339(self.asked_at_ms),
            "expires_at": rfc3339(self.expires_at_ms),
            "use_by": rfc3339(self.use_by_ms),
            "decided_at": rfc3339(self.decided_at_ms),
            "consumed_at": rfc3339(self.consumed_at_ms),
            "tool": self.tool,
            "tier": self.tier,
            "rule": self.rule,
            "approvers": self.approvers.to_json(),
            "sentence": self.sentence,
            "superseded_by": self.superseded_by,
            "parked_ms": self.parked_ms,
        }


@dataclass(frozen=True)
class AskView:
    """One question with the whole action it is about, as an approver reads it."""

    approval: ApprovalView
    run_state: RunState
    agent: str
    requester: str
    requester_slack: str | None
    team: str | None
    channel: str | None
    thread_ts: str | None
    envelope: str
    """The stored canonical bytes, as text."""
    box: Box
    replaces: str | None = None
    """The question this one was asked anew for."""
    changed: tuple[Change, ...] = ()
    """What differs from it."""
    given: tuple[str, ...] = ()
    """What of the world outside the model works from that asks for this; names of others, to be escaped."""


@dataclass(frozen=True)
class QuestionView:
    """What a run wants to be told."""

    call_id: str
    run_id: str
    question: str
    """The agent's text."""
    wanted: Mapping[str, InputSpec]
    """The answers, by name, in order; `description` of each is the agent's text."""
    asked_at_ms: int


def approval_views(found: Snapshot) -> tuple[ApprovalView, ...]:
    """Every question of a run, in the order they were asked."""
    views = [approval_view(found, approval) for approval in found.approvals]
    return tuple(sorted(views, key=lambda view: (view.asked_at_ms, view.id)))


def approval_view(found: Snapshot, approval: ApprovalRow) -> ApprovalView:
    """One question of a run."""
    call = found.call(approval.call_id)
    return ApprovalView(
        id=approval.id,
        run_id=approval.run_id,
        action_id=approval.call_id,
        digest=approval.action_digest,
        status=approval.status,
        quorum=approval.quorum,
        votes=tuple(
            VoteView(
                vote.voter,
                "approve" if vote.decision == "approve" else "deny",
                vote.at,
                vote.seen_digest,
                vote.reason or "",
                vote.via,
                vote.revoked_at is not None,
            )
            for vote in sorted(found.votes_on(approval.id), key=lambda vote: (vote.at, vote.voter))
        ),
        asked_at_ms=approval.asked_at,
        expires_at_ms=approval.expires_at,
        use_by_ms=approval.use_by,
        decided_at_ms=approval.decided_at,
        consumed_at_ms=approval.consumed_at,
        tool=call.tool,
        tier=call.tier,
        rule=approval.rule,
        approvers=approvers_of(approval.approvers_json),
        self_ok=bool(approval.self_ok),
        sentence=approval.sentence,
        title=call.title,
        superseded_by=approval.superseded_by,
        parked_ms=approval.remaining_ms,
    )


def ask_view(found: Snapshot, approval: ApprovalRow, inputs: Mapping[str, bytes]) -> AskView:
    """A question with its whole action.

    Args:
        inputs: Bytes of the action's inputs by their sha256.

    Raises:
        ShownMismatch: the bytes are not those the action names.
    """
    run, call = found.run, found.call(approval.call_id)
    shown = box(call.envelope, inputs)
    if not shown.action_digest == call.action_digest == approval.action_digest:
        raise ShownMismatch("The stored action is not the one that was asked about.")
    before = next((other for other in found.approvals if other.superseded_by == approval.id), None)
    return AskView(
        approval=approval_view(found, approval),
        run_state=run.run_state,
        agent=run.agent,
        requester=run.requester,
        requester_slack=run.requester_slack,
        team=run.team,
        channel=run.channel,
        thread_ts=run.thread_ts,
        envelope=call.envelope,
        box=shown,
        replaces=None if before is None else before.id,
        changed=() if before is None else changes(found.call(before.call_id).envelope, call.envelope),
        given=material.given(found),
    )


def inputs_of(call: CallRow) -> tuple[str, ...]:
    """The sha256 of everything an action carries beyond its arguments; raises `ShownMismatch` if it is unreadable."""
    try:
        return tuple(item["sha256"] for item in json.loads(call.envelope)["inputs"])
    except (ValueError, KeyError, TypeError) as error:
        raise ShownMismatch("The stored action cannot be read.") from error


def question_view(found: Snapshot) -> QuestionView | None:
    """What a run waits to be told, if it is blocked with a question."""
    if found.run.blocked_reason != BlockedReason.QUESTION:
        return None
    for call in found.calls:
        if call.tool == TOOL and call.call_status is CallStatus.INTENT:
            args = json.loads(call.envelope)["args"]
            return QuestionView(call.id, call.run_id, args["question"], answers_wanted(args), call.created_at)
    return None
