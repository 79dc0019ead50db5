"""One step of a run, pure: what a planner's turn or a call's end means for the rows.

Each function takes a snapshot and an answer and returns the `RunChange` to commit. Driving them in order is the
engine's work; deciding what may start is policy's; what a crash left behind is `recovery`'s.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from core.actions import policy
from core.actions.envelope import Envelope, NotCanonical, canonical, digest, idempotency_key, salted
from core.errors import TerminalError
from core.planners.base import Act, CallOutcome, Finish, GiveUp, PlanRequest, PlanStep, Turn
from core.principals import Actor
from core.record.changes import RunChange
from core.record.rows import CallRow, Snapshot, dumps
from core.record.states import BlockedReason, CallStatus, RunState
from core.runs.commands.request import Pinned
from core.runs.draft import Draft
from core.runs.toolbox import DeclaredTool

SLICE_S = 60.0
"""A slice ends at the first step boundary after this long and rings again."""

MAX_EVENTS = 5_000
IDEMPOTENCY_MARGIN = 0.9
"""Share of a key's lifetime in which repeating with it is still safe."""


@dataclass(frozen=True)
class Stamp:
    """What makes a change this worker's: who, where and when."""

    worker: str
    host: str
    now_ms: int

    @property
    def actor(self) -> Actor:
        return Actor.system(f"worker:{self.worker}")


@dataclass(frozen=True)
class Stored:
    """A produced file, once its bytes are durable and verified."""

    artifact_id: str
    name: str
    sha256: str
    size: int
    media_type: str


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


def request(snapshot: Snapshot, document: str) -> PlanRequest:
    """Everything a planner may know about this run."""
    run = snapshot.run
    outcomes = []
    for call in snapshot.calls:
        match call.call_status:
            case CallStatus.SUCCEEDED:
                outcomes.append(CallOutcome(call.step, "succeeded", json.loads(call.result_json or "{}")))
            case CallStatus.FAILED:
                outcomes.append(CallOutcome(call.step, "failed", json.loads(call.result_json or "{}"), call.error))
            case _:
                pass
    return PlanRequest(run.agent, document, run.text, run.inputs, tuple(outcomes))


def _plan_line(step: PlanStep) -> dict[str, str]:
    return {"id": step.id, "title": step.title, "status": step.status, "note": step.note}


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
    snapshot: Snapshot, turn: Turn, tool: DeclaredTool | None, *, call_id: str, nonce: str, sandbox: str, stamp: Stamp
) -> RunChange:
    """Apply a planner's turn: start the call it asks for, or end the run.

    Args:
        tool: The tool the turn names, if the turn is an `Act` and the tool is declared.
    """
    draft = Draft(snapshot, stamp.actor)
    draft.run |= {
        "plan_json": dumps([_plan_line(step) for step in turn.plan]),
        "sandbox": sandbox,
        **_where(snapshot, stamp),
    }
    match turn.move:
        case Finish(summary):
            draft.end(RunState.COMPLETED, summary, {"summary": salted(snapshot.run.salt, summary)}, now_ms=stamp.now_ms)
        case GiveUp(reason):
            _fail(draft, reason, stamp)
        case Act() as act:
            _act(draft, act, tool, call_id=call_id, nonce=nonce, stamp=stamp)
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def give_up(snapshot: Snapshot, reason: str, stamp: Stamp) -> RunChange:
    """Fail a run between two calls with a reason for its thread."""
    draft = Draft(snapshot, stamp.actor)
    if draft.state is RunState.EXECUTING:
        draft.move(RunState.PLANNING)
    _fail(draft, reason, stamp)
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def block(snapshot: Snapshot, reason: BlockedReason, detail: str, stamp: Stamp) -> RunChange:
    """Block a run that only a person can help."""
    draft = Draft(snapshot, stamp.actor)
    draft.block(reason, detail)
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def start_again(snapshot: Snapshot, call: CallRow, *, why: str, stamp: Stamp) -> RunChange:
    """Start another attempt of a call that is safe to repeat, under the same idempotency key."""
    draft = Draft(snapshot, stamp.actor)
    if call.call_status is CallStatus.STARTED:
        _close_attempt(draft, call, "lost", why, stamp)
        draft.fact("call-retried", {"call": call.id, "attempt": call.attempts, "why": why})
    draft.run |= _where(snapshot, stamp)
    _attempt(draft, call, call.attempts + 1, stamp)
    draft.update(
        "tool_calls",
        {"id": call.id},
        {"status": CallStatus.STARTED.value, "attempts": call.attempts + 1, "start_fence": snapshot.run.fence},
    )
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def end_call(snapshot: Snapshot, call: CallRow, end: CallEnd, stamp: Stamp) -> RunChange:
    """Record how an attempt ended; unless it will be repeated or nobody knows, planning goes on."""
    draft = Draft(snapshot, stamp.actor)
    end = storable(end)
    if end.retry_in_ms is not None:
        _retry_later(draft, call, end, stamp)
    elif end.status == "unknown":
        _unknown(draft, call, end, stamp)
    else:
        _close(draft, call, end, stamp)
        draft.move(RunState.PLANNING, {"call": call.id})
        draft.run["retries"] = 0
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def storable(end: CallEnd) -> CallEnd:
    """The end as it can be written down: an answer that has no canonical form is left out, and is no success."""
    try:
        canonical(dict(end.out))
    except NotCanonical as error:
        status = "failed" if end.status == "succeeded" else end.status
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
    if run.steps >= run.step_cap:
        return f"The run has taken {run.steps} steps, which is its cap. Raise `limits.steps` or split the work."
    if run.event_seq >= MAX_EVENTS:
        return f"The run has recorded {run.event_seq} events, which is the cap. Split the work into several runs."
    if run.deadline_at is not None and now_ms >= run.deadline_at:
        return "The run has taken longer than a run may. Raise `limits.run-time` or split the work."
    return None


def _fail(draft: Draft, reason: str, stamp: Stamp) -> None:
    evidence = {"reason": salted(draft.snapshot.run.salt, reason)}
    draft.end(RunState.FAILED, reason, evidence, now_ms=stamp.now_ms)


def _act(draft: Draft, act: Act, tool: DeclaredTool | None, *, call_id: str, nonce: str, stamp: Stamp) -> None:
    run = draft.snapshot.run
    if tool is None:
        _fail(draft, f"The plan asks for the tool `{act.tool}`, which this installation does not declare.", stamp)
        return
    decision = policy.decide(tool.tier)
    if decision.verdict != "allow":
        draft.block(
            BlockedReason.POLICY_ERROR,
            f"`{act.tool}` is {tool.tier or 'not classified'}, so it needs an approval, and nobody can be asked yet. "
            "Classify it as `read` or `workspace` in banksman.yml if that is what it is, or stop the run.",
            {"rule": decision.rule},
        )
        return
    ordinal = sum(1 for call in draft.snapshot.calls if call.step == act.step)
    try:
        envelope = Envelope(
            tenant=run.tenant,
            run=run.id,
            step=act.step,
            ordinal=ordinal,
            generation=1,
            tool=act.tool,
            tool_def=tool.digest,
            args=act.args,
            tier=tool.tier or "unclassified",
            recovery=tool.recovery,
            policy=run.policy_digest,
            nonce=nonce,
        )
        body = envelope.to_bytes()
    except TerminalError as error:
        _fail(draft, f"Step `{act.step}` cannot be run: {error.user_text}.", stamp)
        return
    call = _call_row(draft.snapshot, act, tool, envelope, body, call_id=call_id, stamp=stamp)
    proposed = {"call": call.id, "action": call.action_digest, "rule": decision.rule}
    draft.fact("call-proposed", proposed)
    draft.move(RunState.EXECUTING, {"call": call.id})
    draft.insert("tool_calls", {name: getattr(call, name) for name in call.__dataclass_fields__})
    _attempt(draft, call, 1, stamp)
    draft.run["steps"] = run.steps + 1


def _call_row(
    snapshot: Snapshot, act: Act, tool: DeclaredTool, envelope: Envelope, body: bytes, *, call_id: str, stamp: Stamp
) -> CallRow:
    action_digest = digest(body)
    lifetime = tool.key_ttl_s
    return CallRow(
        tenant=snapshot.run.tenant,
        id=call_id,
        run_id=snapshot.run.id,
        step=act.step,
        position=len(snapshot.calls) + 1,
        ordinal=envelope.ordinal,
        generation=envelope.generation,
        tool=act.tool,
        tool_digest=tool.digest,
        action_digest=action_digest,
        effect_digest=envelope.effect_digest(),
        envelope=body.decode(),
        title=act.title,
        tier=envelope.tier,
        recovery=tool.recovery,
        idem_key=idempotency_key(
            tenant=snapshot.run.tenant,
            run=snapshot.run.id,
            step=act.step,
            ordinal=envelope.ordinal,
            generation=envelope.generation,
            action_digest=action_digest,
        ),
        idem_valid_until=None if lifetime is None else stamp.now_ms + int(lifetime * 1000 * IDEMPOTENCY_MARGIN),
        timeout_ms=int((act.timeout_s or tool.timeout_s) * 1000),
        status=CallStatus.STARTED.value,
        attempts=1,
        start_fence=snapshot.run.fence,
        started_at=stamp.now_ms,
        created_at=stamp.now_ms,
    )


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
            "fence": run.fence,
            "started_at": stamp.now_ms,
        },
    )


def _close_attempt(draft: Draft, call: CallRow, status: str, error: str | None, stamp: Stamp) -> None:
    values = {"ended_at": stamp.now_ms, "status": status, "error": error}
    draft.update("call_attempts", {"call_id": call.id, "n": call.attempts}, values)


def _retry_later(draft: Draft, call: CallRow, end: CallEnd, stamp: Stamp) -> None:
    assert end.retry_in_ms is not None
    _close_attempt(draft, call, end.status, end.error, stamp)
    draft.update("tool_calls", {"id": call.id}, {"status": CallStatus.INTENT.value, "error": end.error})
    draft.fact("call-retried", {"call": call.id, "attempt": call.attempts, "in_ms": end.retry_in_ms})
    wake = draft.snapshot.run.wake + 1
    draft.run |= {"lease_owner": None, "due_at": stamp.now_ms + end.retry_in_ms, "wake": wake}


def _unknown(draft: Draft, call: CallRow, end: CallEnd, stamp: Stamp) -> None:
    _close(draft, call, end, stamp)
    draft.block(
        BlockedReason.AMBIGUOUS_EFFECT,
        f"`{call.tool}` may or may not have run: {end.error or 'its outcome was lost'}. Look at what it works on, "
        "then stop this run or ask again.",
        {"call": call.id},
    )


def _close(draft: Draft, call: CallRow, end: CallEnd, stamp: Stamp) -> None:
    run = draft.snapshot.run
    status = "failed" if end.status == "failed-safe" else end.status
    out = canonical(dict(end.out))
    _close_attempt(draft, call, end.status, end.error, stamp)
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
        },
    )
    artifacts = [{"artifact": item.artifact_id, "digest": salted(run.salt, item.sha256)} for item in end.stored]
    draft.fact("call-ended", {"call": call.id, "status": status, "result": salted(run.salt, out)}, *artifacts)
    for item in end.stored:
        _keep(draft, call, item, stamp)


def _keep(draft: Draft, call: CallRow, item: Stored, stamp: Stamp) -> None:
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
            "role": "output",
            "name": item.name,
            "sha256": item.sha256,
            "size": item.size,
            "media_type": item.media_type,
            "created_at": stamp.now_ms,
        },
    )
    draft.deliver("slack.file", f"file:{item.artifact_id}", {"artifact_id": item.artifact_id})
