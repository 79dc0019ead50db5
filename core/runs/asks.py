"""Asking people for one exact action, and taking the question back: what goes into a draft, wherever it is decided.

Steps ask, commands decide, the sweeper lets expire, a stop revokes: each of them closes a question the same way, by
the functions here. Who may vote and when it is enough is `core.actions.approvals`.
"""

from collections.abc import Mapping

from core.actions.policy import Decision
from core.record.rows import ApprovalRow, CallRow, Snapshot, dumps
from core.record.states import DUE_NOW, BlockedReason, CallStatus, RunState
from core.runs.draft import Draft

CONSUMED_FOR_MS = 3_600_000
"""How long after its approval was used a call may be tried again under it."""

_REMINDERS = (50, 90)
"""Shares of the window, in percent, after which approvers are reminded."""


def ask(draft: Draft, call: CallRow, decision: Decision, *, approval_id: str, sentence: str, now_ms: int) -> None:
    """Put the question: the row, the transition, and everything that has to be said about it."""
    run = draft.snapshot.run
    row = ApprovalRow(
        tenant=run.tenant,
        id=approval_id,
        run_id=run.id,
        call_id=call.id,
        kind="ask",
        action_digest=call.action_digest,
        effect_digest=call.effect_digest,
        policy_digest=run.policy_digest,
        rule=decision.rule,
        status="pending",
        quorum=decision.quorum,
        self_ok=int(decision.self_ok),
        approvers_json=dumps(decision.approvers.to_json()),
        asked_at=now_ms,
        expires_at=now_ms + decision.expires_ms,
        use_within_ms=decision.use_within_ms,
        sentence=sentence,
    )
    draft.insert("approvals", {name: getattr(row, name) for name in row.__dataclass_fields__})
    before = replaced_by(draft.snapshot, call)
    if before is not None:
        draft.update("approvals", {"id": before.id}, {"superseded_by": row.id})
    asked = {"approval": row.id, "call": call.id, "action": call.action_digest, "rule": row.rule, "quorum": row.quorum}
    draft.fact("approval-asked", asked)
    draft.move(RunState.WAITING_FOR_APPROVAL, {"approval": row.id})
    draft.run |= {"lease_owner": None, "due_at": None, "retries": 0}
    draft.deliver("slack.approval", f"approval:{row.id}", {"approval_id": row.id})
    lane = f"approval:{row.id}"
    draft.tell("slack.approvers", f"approvers:{row.id}", {"approval_id": row.id}, lane=lane)
    remind(draft, row)


def remind(draft: Draft, approval: ApprovalRow, *, stood_ms: int = 0, asked_ago_ms: int = 0) -> None:
    """Queue what reminds approvers; each reminder holds for the end it was written for, and is not said after another.

    Args:
        stood_ms: By how much the end of the time to decide has moved, if it stood still.
        asked_ago_ms: How much of that time has passed; shares that were reached are left out.
    """
    end = approval.expires_at + stood_ms
    again = f":{end}" if stood_ms else ""
    for share in _REMINDERS:
        after_ms = (approval.expires_at - approval.asked_at) * share // 100 - asked_ago_ms
        if after_ms > 0:
            body = {"approval_id": approval.id, "share": share, "expires_at": end}
            key = f"reminder:{approval.id}:{share}{again}"
            draft.tell("slack.reminder", key, body, lane=f"approval:{approval.id}:{share}{again}", after_ms=after_ms)


def replaced_by(snapshot: Snapshot, call: CallRow) -> ApprovalRow | None:
    """The question a new one for the same step replaces: the last that was closed without a decision of people."""
    same = {other.id for other in snapshot.calls if other.step == call.step}
    closed = [a for a in snapshot.approvals if a.call_id in same and a.status in ("superseded", "expired", "revoked")]
    latest = max(closed, key=lambda approval: approval.asked_at, default=None)
    return latest if latest is not None and latest.superseded_by is None else None


def close(draft: Draft, approval: ApprovalRow, status: str, now_ms: int, **evidence: object) -> None:
    """Record that a question is closed."""
    values = {"status": status, "decided_at": approval.decided_at or now_ms, "remaining_ms": None}
    draft.update("approvals", {"id": approval.id}, values)
    draft.fact("approval-decided", {"approval": approval.id, "status": status, **evidence})


def withdraw(draft: Draft, call: CallRow, now_ms: int, *, error: str | None = None, **evidence: object) -> None:
    """Cancel a call that never started. With an `error` its step has failed; without, it will be planned again."""
    values = {"status": CallStatus.CANCELED.value, "ended_at": now_ms, "error": error}
    draft.update("tool_calls", {"id": call.id}, values)
    draft.fact("call-canceled", {"call": call.id, **evidence})


def void(draft: Draft, approval: ApprovalRow, call: CallRow, why: str, now_ms: int) -> None:
    """What was approved is no longer what would run: close the question; the step is planned and asked about anew.

    Args:
        why: A word for the log: `policy`, `tool`, `inputs`, `voters`, `digest`.
    """
    close(draft, approval, "superseded", now_ms, why=why)
    withdraw(draft, call, now_ms, why=why)
    plan_on(draft, {"approval": approval.id, "why": why})


def plan_on(draft: Draft, *evidence: Mapping[str, object]) -> None:
    """Go back to planning; a run that stands still under a freeze does so when it is thawed."""
    if draft.snapshot.run.blocked_reason != BlockedReason.FROZEN:
        draft.move(RunState.PLANNING, *evidence)


def drop_open(draft: Draft, now_ms: int) -> None:
    """The run ends or goes another way: nothing it planned may start, nothing it asked may be decided."""
    for call in draft.snapshot.calls:
        if call.call_status is CallStatus.INTENT and _may_have_run(draft.snapshot, call):
            values = {"status": CallStatus.UNKNOWN.value, "ended_at": now_ms, "error": call.error}
            draft.update("tool_calls", {"id": call.id}, values)
            draft.fact("call-ended", {"call": call.id, "status": CallStatus.UNKNOWN.value})
        elif call.call_status is CallStatus.INTENT:
            withdraw(draft, call, now_ms)
    for approval in draft.snapshot.approvals:
        if approval.status in ("pending", "approved"):
            close(draft, approval, "revoked", now_ms)


def _may_have_run(snapshot: Snapshot, call: CallRow) -> bool:
    """Whether a call that is due again had an attempt nobody knows the outcome of."""
    mine = [attempt for attempt in snapshot.attempts if attempt.call_id == call.id]
    return call.recovery == "idempotent" and any(attempt.may_have_run for attempt in mine)


def wake(draft: Draft) -> None:
    """There is something to do for a worker now, unless the run stands still under a freeze."""
    if draft.state is RunState.BLOCKED:
        return
    draft.run |= {"due_at": DUE_NOW, "wake": draft.snapshot.run.wake + 1}


def denied_before(snapshot: Snapshot, effect_digest: str) -> ApprovalRow | None:
    """The denial of this very effect in this run, if there was one: it is final."""
    denied = (a for a in snapshot.approvals if a.status == "denied" and a.effect_digest == effect_digest)
    return next(denied, None)


def evidence_of(approval: ApprovalRow) -> Mapping[str, object]:
    """What the start of an approved call records of its approval."""
    return {"approval": approval.id, "action": approval.action_digest, "quorum": approval.quorum}
