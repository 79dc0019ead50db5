"""One step of a run, pure: what a planner's turn or a call's end means for the rows.

Each function takes a snapshot and an answer and returns the `RunChange` to commit. Driving them in order is the
engine's work; deciding what may start is policy's; what a crash left behind is `recovery`'s.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from core.actions.envelope import NotCanonical, canonical, digest, salted
from core.planners.base import Act, CallOutcome, Finish, GiveUp, PlanRequest, Think, Turn
from core.planners.dialogue import Answer
from core.record.changes import RunChange
from core.record.freezes import FreezeRow
from core.record.rows import ApprovalRow, CallRow, Snapshot, dumps
from core.record.states import BlockedReason, CallStatus, RunState
from core.runs import allowance, asks, contracts, halts, proposals, replies, run_again, waiting
from core.runs.commands.request import Pinned
from core.runs.draft import Draft
from core.runs.in_doubt import in_doubt
from core.runs.proposals import Proposed
from core.runs.stamps import GO_ON, Stamp, plan_line
from core.runs.stored import Stored
from core.runs.undoing import INSIDE
from core.tools.ask import TOOL as ASK

SLICE_S = 60.0
"""A slice ends at the first step boundary after this long and rings again."""
STAYING_SLICE_S = 900.0
"""The same for a slice in which programs stay between calls: they would lose what they remember."""

MAX_EVENTS = 5_000


@dataclass(frozen=True)
class CallEnd:
    """How one attempt of a call ended, after its files were stored."""

    status: Literal["succeeded", "failed", "failed-safe", "unknown"]
    out: Mapping[str, Any]
    stored: tuple[Stored, ...] = ()
    error: str | None = None
    retry_in_ms: int | None = None
    """Set when the attempt may be repeated: after this long."""
    resolved_by: str | None = None
    """Who says so, if it was not the attempt itself."""
    parked: BlockedReason | None = None
    """Set when the call may be made again once a person has helped: then it waits for that."""


def request(snapshot: Snapshot, document: str, *, answers: tuple[Answer, ...] = (), context: str = "") -> PlanRequest:
    """Everything a planner may know about this run.

    A step counts by its last call. One that was withdrawn without a reason was never decided on, so the planner will
    ask for it again, and so is one of which a person said that it did not run; one that was refused or denied has
    failed with the sentence that says so.
    """
    run = snapshot.run
    last = {call.step: call for call in snapshot.calls}
    outcomes = []
    for call in last.values():
        out = json.loads(call.result_json or "{}")
        match call.call_status:
            case CallStatus.SUCCEEDED:
                outcomes.append(CallOutcome(call.step, "succeeded", out, tool=call.tool))
            case CallStatus.FAILED if not call.said_not_run:
                outcomes.append(CallOutcome(call.step, "failed", out, call.error, call.tool))
            case CallStatus.CANCELED if call.error is not None:
                outcomes.append(CallOutcome(call.step, "failed", {}, call.error, call.tool))
            case _:
                pass
    kept = tuple(artifact.name for artifact in snapshot.artifacts if artifact.role == "output")
    told = allowance.of(snapshot).wrap_up
    return PlanRequest(
        run.agent,
        document,
        run.text,
        run.inputs,
        tuple(outcomes),
        answers,
        kept,
        context,
        wrap_up=None if told is None else told.answers,
        replies=replies.taken(snapshot),
    )


def is_between_compensations(snapshot: Snapshot, turn: Turn) -> bool:
    """Whether a rollback has taken something back already and is about to take back more."""
    done = any(call.call_status is CallStatus.SUCCEEDED for call in snapshot.calls)
    return snapshot.run.rolls_back is not None and done and isinstance(turn.move, Act)


def _where(snapshot: Snapshot, stamp: Stamp) -> dict[str, str]:
    """The host of the run's directory: this one, unless an earlier call has already worked in another's."""
    worked = any(call.call_status is CallStatus.SUCCEEDED for call in snapshot.calls)
    return {} if worked and snapshot.run.workspace_host else {"workspace_host": stamp.host}


def repin(snapshot: Snapshot, policy: Pinned, stamp: Stamp) -> RunChange:
    """Let the policy that decides here and now be the one the run names from here on."""
    draft = Draft(snapshot, stamp.actor)
    draft.run |= {"policy_digest": policy.digest}
    draft.fact("policy-changed", {"from": snapshot.run.policy_digest, "to": policy.digest})
    body = {"digest": policy.digest, "kind": policy.kind, "body": policy.body, "created_at": stamp.now_ms}
    draft.insert("documents", {"tenant": snapshot.run.tenant, **body})
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def begin_planning(snapshot: Snapshot, stamp: Stamp) -> RunChange:
    """Move a loaded run (or one whose last call is over) to `planning`."""
    draft = Draft(snapshot, stamp.actor)
    draft.move(RunState.PLANNING)
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def take_turn(
    snapshot: Snapshot, turn: Turn, proposed: Proposed | None, *, call_id: str, nonce: str, sandbox: str, stamp: Stamp
) -> RunChange:
    """Apply a planner's turn: start the call it asks for or ask people about it, or end the run.

    Args:
        proposed: What was found out about the turn's act, if it is one and its tool is declared.
    """
    draft = Draft(snapshot, stamp.actor)
    draft.run |= {
        "plan_json": dumps([plan_line(step) for step in turn.plan]),
        "sandbox": sandbox,
        **_where(snapshot, stamp),
    }
    match turn.move:
        case Finish(summary):
            draft.end(RunState.COMPLETED, summary, {"summary": salted(snapshot.run.salt, summary)}, now_ms=stamp.now_ms)
        case GiveUp(reason):
            _fail(draft, reason, stamp)
        case Think():
            raise AssertionError("a turn of a model is reserved, not taken")
        case Act() as act if proposed is None:
            _fail(draft, f"The plan asks for the tool `{act.tool}`, which this installation does not declare.", stamp)
        case Act():
            assert proposed is not None
            _act(draft, proposed, call_id=call_id, nonce=nonce, stamp=stamp)
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def give_up(snapshot: Snapshot, reason: str, stamp: Stamp) -> RunChange:
    """Fail a run between two calls with a reason for its thread."""
    draft = Draft(snapshot, stamp.actor)
    if draft.state is RunState.EXECUTING:
        draft.move(RunState.PLANNING)
    asks.drop_open(draft, stamp.now_ms)
    _fail(draft, reason, stamp)
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def block(
    snapshot: Snapshot,
    reason: BlockedReason,
    detail: str,
    stamp: Stamp,
    *evidence: Mapping[str, Any],
    run: Mapping[str, Any] | None = None,
) -> RunChange:
    """Block a run that only a person can help.

    Args:
        run: What else becomes of its row.
    """
    draft = Draft(snapshot, stamp.actor)
    draft.run |= run or {}
    draft.block(reason, detail, *evidence)
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def stand_still(snapshot: Snapshot, freezes: Sequence[FreezeRow], *, tool: str, stamp: Stamp) -> RunChange:
    """Stop before a start that a freeze forbids.

    A call that was cut off before stays started: it may have run, and whoever takes the run up when it is thawed (or
    stops it meanwhile) has to know.
    """
    draft = Draft(snapshot, stamp.actor)
    halts.hold(draft, freezes, tool=tool)
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def start_again(snapshot: Snapshot, call: CallRow, *, why: str, stamp: Stamp) -> RunChange:
    """Start another attempt of a call that is safe to repeat, under the same idempotency key."""
    draft = Draft(snapshot, stamp.actor)
    draft.freezable = call.tool
    if draft.state is RunState.PLANNING:
        # It was due when a freeze came, which has been thawed since.
        draft.move(RunState.EXECUTING, {"call": call.id})
    if call.call_status is CallStatus.STARTED:
        close_attempt(draft, call, "lost", why, stamp)
        draft.fact("call-retried", {"call": call.id, "attempt": call.attempts, "why": why})
    draft.run |= _where(snapshot, stamp)
    _attempt(draft, call, call.attempts + 1, stamp)
    started = {"status": CallStatus.STARTED.value, "attempts": call.attempts + 1, "start_fence": snapshot.run.fence}
    # A request of this attempt may still land when one of the first no longer can.
    draft.update("tool_calls", {"id": call.id}, started | {"started_at": stamp.now_ms})
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def end_call(snapshot: Snapshot, call: CallRow, end: CallEnd, stamp: Stamp) -> RunChange:
    """Record how an attempt ended; unless it will be repeated or nobody knows, planning goes on."""
    draft = Draft(snapshot, stamp.actor)
    end = storable(call, end)
    if end.retry_in_ms is not None:
        _retry_later(draft, call, end, stamp)
    elif end.parked is not None:
        _park(draft, call, end, stamp)
    elif end.status == "unknown":
        _unknown(draft, call, end, stamp)
    else:
        _close(draft, call, end, stamp)
        if draft.state is not RunState.PLANNING:
            draft.move(RunState.PLANNING, {"call": call.id})
        draft.run["retries"] = 0
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def storable(call: CallRow, end: CallEnd) -> CallEnd:
    """The end as it can be written down: an answer that has no canonical form is left out, and is no success.

    Of what acts outside it is no failure either: it happened, and only a person can say what came of it.
    """
    try:
        canonical(dict(end.out))
    except NotCanonical as error:
        lost: Literal["failed", "unknown"] = "failed" if call.tier in INSIDE else "unknown"
        status = lost if end.status == "succeeded" else end.status
        return replace(end, status=status, out={}, error=end.error or f"its answer cannot be kept: {error.user_text}")
    return end


def release(snapshot: Snapshot, stamp: Stamp, *, due_at: int) -> RunChange:
    """Give the lease back at a step boundary; the run is due again at `due_at`."""
    draft = Draft(snapshot, stamp.actor)
    draft.run |= {"lease_owner": None, "due_at": due_at, "wake": snapshot.run.wake + 1}
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def over_limits(snapshot: Snapshot, now_ms: int) -> str | None:
    """The sentence naming the cap this run has reached, if it has."""
    run = snapshot.run
    if (taken := allowance.steps_taken(snapshot)) >= run.step_cap:
        return f"The run has taken {taken} steps, which is its cap. Raise `limits.steps` or split the work."
    if run.event_seq >= MAX_EVENTS:
        return f"The run has recorded {run.event_seq} events, which is the cap. Split the work into several runs."
    if run.deadline_at is not None and now_ms >= run.deadline_at:
        return "The run has taken longer than a run may. Raise `limits.run-time` or split the work."
    return None


def _fail(draft: Draft, reason: str, stamp: Stamp) -> None:
    evidence = {"reason": salted(draft.snapshot.run.salt, reason)}
    draft.end(RunState.FAILED, reason, evidence, now_ms=stamp.now_ms)


def _act(draft: Draft, proposed: Proposed, *, call_id: str, nonce: str, stamp: Stamp) -> None:
    """Write the proposed call down, and start it, ask about it, or refuse it."""
    snapshot, decision, act = draft.snapshot, proposed.decision, proposed.act
    run = snapshot.run
    action = proposals.envelope(snapshot, proposed, nonce=nonce, policy=run.policy_digest, now_ms=stamp.now_ms)
    unfit = waiting.unfit(
        act.wait, proposed.tool, verdict=decision.verdict, tier=decision.tier, recovery=decision.recovery
    )
    failure = proposed.failure or unfit
    starts = decision.verdict == "allow" and failure is None and act.tool != ASK
    status = CallStatus.STARTED if starts else CallStatus.INTENT
    try:
        call = proposals.call_row(snapshot, proposed, action, call_id=call_id, status=status, now_ms=stamp.now_ms)
    except NotCanonical as error:
        _fail(draft, f"Step `{act.step}` cannot be run: {error.user_text}.", stamp)
        return
    draft.fact("call-proposed", {"call": call.id, "action": call.action_digest, "rule": decision.rule})
    draft.insert("tool_calls", {name: getattr(call, name) for name in call.__dataclass_fields__})
    for item in proposed.inputs:
        _keep(draft, call, item, stamp, role="context")
    draft.run["steps"] = run.steps + 1
    if starts:
        draft.freezable = call.tool
        draft.move(RunState.EXECUTING, {"call": call.id})
        _attempt(draft, call, 1, stamp)
        return
    refusal = failure or _refused(snapshot, proposed, call)
    if refusal is not None:
        asks.withdraw(draft, call, stamp.now_ms, error=refusal, rule=decision.rule)
    elif decision.verdict == "allow":
        draft.freezable = call.tool
        _question(draft, call, proposed)
    elif (crowded := _crowded(snapshot, proposed)) is not None:
        asks.withdraw(draft, call, stamp.now_ms, why="asks")
        draft.block(*crowded)
    else:
        draft.freezable = call.tool
        sentence = proposed.prepared.sentence if proposed.prepared is not None else ""
        asks.ask(draft, call, decision, approval_id=proposed.approval_id, sentence=sentence, now_ms=stamp.now_ms)


def _refused(snapshot: Snapshot, proposed: Proposed, call: CallRow) -> str | None:
    """Why nobody is asked about this action, if so."""
    decision = proposed.decision
    if decision.verdict == "deny" and decision.rule.startswith(contracts.RULE):
        return decision.why
    if decision.verdict == "deny":
        return f"The policy's rule `{decision.rule}` forbids it: {decision.why}"
    before = asks.denied_before(snapshot, call.effect_digest)
    if before is not None and run_again.disowned(snapshot, call.step) is None:
        who = next((vote.voter for vote in snapshot.votes_on(before.id) if vote.decision == "deny"), "an approver")
        return f"Exactly this was denied by {who} in this run already, and a denial is final."
    return None


def _crowded(snapshot: Snapshot, proposed: Proposed) -> tuple[BlockedReason, str] | None:
    """Whether people have been asked too much already."""
    run = snapshot.run
    if len(snapshot.approvals) >= run.ask_cap:
        asked = f"This run has asked {len(snapshot.approvals)} times, which is as often as it may."
        return BlockedReason.LOOP, f"{asked} Let it ask again, or stop it."
    if proposed.open_asks >= proposed.most_open_asks:
        waiting = f"{proposed.open_asks} questions wait for the same approvers already."
        return BlockedReason.BUDGET, f"{waiting} When they are answered, let this run ask again."
    return None


def _question(draft: Draft, call: CallRow, proposed: Proposed) -> None:
    """The run asks people something: the call waits as an intent until somebody has answered."""
    draft.fact("question-asked", {"call": call.id})
    draft.block(BlockedReason.QUESTION, str(proposed.args.get("question") or "It has a question."), {"call": call.id})
    draft.offer("slack.question", f"question:{call.id}", {"call_id": call.id})


def start_approved(
    snapshot: Snapshot,
    call: CallRow,
    approval: ApprovalRow,
    *,
    voters: tuple[str, ...],
    key_valid_until: int | None,
    stamp: Stamp,
) -> RunChange:
    """Start the call an approval was given for; the approval is used up in the same commit.

    Everything else has been checked on this very snapshot, and any decision since makes the commit stale.
    """
    draft = Draft(snapshot, stamp.actor)
    draft.freezable = call.tool
    consumed = {"status": "consumed", "consumed_by": call.id, "consumed_at": stamp.now_ms}
    draft.update("approvals", {"id": approval.id}, consumed)
    draft.fact("approval-consumed", {**asks.evidence_of(approval), "voters": list(voters), "call": call.id})
    draft.move(RunState.EXECUTING, {"call": call.id})
    _attempt(draft, call, 1, stamp)
    started = {"status": CallStatus.STARTED.value, "attempts": 1, "start_fence": snapshot.run.fence}
    times = {"started_at": stamp.now_ms, "idem_valid_until": key_valid_until}
    draft.update("tool_calls", {"id": call.id}, started | times)
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def ask_anew(snapshot: Snapshot, call: CallRow, approval: ApprovalRow, why: str, stamp: Stamp) -> RunChange:
    """What was approved is not what would run now: void it, and let the step be planned and asked about again."""
    draft = Draft(snapshot, stamp.actor)
    asks.void(draft, approval, call, why, stamp.now_ms)
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def too_late(snapshot: Snapshot, call: CallRow, approval: ApprovalRow, stamp: Stamp) -> RunChange:
    """The window in which an approved call may start has passed."""
    draft = Draft(snapshot, stamp.actor)
    lapse(draft, call, approval, stamp.now_ms)
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def lapse(draft: Draft, call: CallRow, approval: ApprovalRow, now_ms: int) -> None:
    """Close a question nobody answered in time, or an approval nobody used in time, and park the run."""
    draft.freezable = call.tool
    used = approval.status == "approved"
    asks.close(draft, approval, "expired", now_ms)
    asks.withdraw(draft, call, now_ms, why="expired")
    what = "The approval was not used in time" if used else "Nobody decided in time"
    draft.block(BlockedReason.APPROVAL_EXPIRED, f"{what}, so nothing was done. Ask again, or stop the run.")


def probe_later(snapshot: Snapshot, call: CallRow, end: CallEnd, stamp: Stamp, *, due_at: int) -> RunChange:
    """Nobody knows yet how an attempt ended: the call stays started until its probe says."""
    draft = Draft(snapshot, stamp.actor)
    close_attempt(draft, call, end.status, end.error, stamp)
    draft.fact("call-retried", {"call": call.id, "attempt": call.attempts, "why": "probe"})
    draft.update("tool_calls", {"id": call.id}, {"error": end.error})
    draft.run |= {"lease_owner": None, "due_at": due_at, "wake": snapshot.run.wake + 1}
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def try_later(snapshot: Snapshot, stamp: Stamp, *, due_at: int) -> RunChange:
    """Something needed for the next step does not answer: give the lease back and count the try."""
    draft = Draft(snapshot, stamp.actor)
    wake = snapshot.run.wake + 1
    draft.run |= {"lease_owner": None, "due_at": due_at, "wake": wake, "retries": snapshot.run.retries + 1}
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def _attempt(draft: Draft, call: CallRow, n: int, stamp: Stamp) -> None:
    run = draft.snapshot.run
    draft.fact("call-started", {"call": call.id, "attempt": n, "idempotency_key": call.idem_key})
    draft.insert(
        "call_attempts",
        {
            "tenant": run.tenant,
            "call_id": call.id,
            "n": n,
            "run_id": run.id,
            "worker": stamp.worker,
            "host": stamp.host,
            "boot_id": stamp.boot_id,
            "fence": run.fence,
            "started_at": stamp.now_ms,
        },
    )


def close_attempt(draft: Draft, call: CallRow, status: str, error: str | None, stamp: Stamp) -> None:
    """Write down how the attempt under way ended."""
    values = {"ended_at": stamp.now_ms, "status": status, "error": error}
    draft.update("call_attempts", {"call_id": call.id, "n": call.attempts}, values)


def _retry_later(draft: Draft, call: CallRow, end: CallEnd, stamp: Stamp) -> None:
    assert end.retry_in_ms is not None
    close_attempt(draft, call, end.status, end.error, stamp)
    draft.update("tool_calls", {"id": call.id}, {"status": CallStatus.INTENT.value, "error": end.error})
    draft.fact("call-retried", {"call": call.id, "attempt": call.attempts, "in_ms": end.retry_in_ms})
    wake = draft.snapshot.run.wake + 1
    draft.run |= {"lease_owner": None, "due_at": stamp.now_ms + end.retry_in_ms, "wake": wake}


def _park(draft: Draft, call: CallRow, end: CallEnd, stamp: Stamp) -> None:
    assert end.parked is not None
    close_attempt(draft, call, end.status, end.error, stamp)
    draft.update("tool_calls", {"id": call.id}, {"status": CallStatus.INTENT.value, "error": end.error})
    draft.fact("call-retried", {"call": call.id, "attempt": call.attempts, "why": end.parked.value})
    why = end.error or f"`{call.tool}` could not do its work."
    draft.block(end.parked, f"{why} {GO_ON}", {"call": call.id})


def _unknown(draft: Draft, call: CallRow, end: CallEnd, stamp: Stamp) -> None:
    _close(draft, call, end, stamp)
    draft.block(BlockedReason.AMBIGUOUS_EFFECT, in_doubt(call, end.error, end.stored), {"call": call.id})


def _close(draft: Draft, call: CallRow, end: CallEnd, stamp: Stamp) -> None:
    run = draft.snapshot.run
    status = "failed" if end.status == "failed-safe" else end.status
    out = canonical(dict(end.out))
    close_attempt(draft, call, end.status, end.error, stamp)
    draft.update(
        "tool_calls",
        {"id": call.id},
        {
            "status": status,
            "end_fence": run.fence,
            "ended_at": stamp.now_ms,
            "result_json": out.decode(),
            "result_digest": digest(out),
            "error": end.error,
            "resolved_by": end.resolved_by,
            "required_artifacts": len(end.stored) if status == "succeeded" else 0,
        },
    )
    artifacts = [{"artifact": item.artifact_id, "digest": salted(run.salt, item.sha256)} for item in end.stored]
    draft.fact("call-ended", {"call": call.id, "status": status, "result": salted(run.salt, out)}, *artifacts)
    for item in end.stored:
        _keep(draft, call, item, stamp)


def _keep(draft: Draft, call: CallRow, item: Stored, stamp: Stamp, *, role: str = "output") -> None:
    run = draft.snapshot.run
    blob = {"tenant": run.tenant, "sha256": item.sha256, "size": item.size, "created_at": stamp.now_ms}
    draft.insert("blobs", blob)
    draft.insert(
        "artifacts",
        {
            "tenant": run.tenant,
            "id": item.artifact_id,
            "run_id": run.id,
            "call_id": call.id,
            "role": role,
            "name": item.name,
            "sha256": item.sha256,
            "size": item.size,
            "media_type": item.media_type,
            "created_at": stamp.now_ms,
        },
    )
    if role == "output":
        draft.deliver("slack.file", f"file:{item.artifact_id}", {"artifact_id": item.artifact_id})
