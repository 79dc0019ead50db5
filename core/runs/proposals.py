"""A proposed call: from a planner's act to the exact bytes that are stored, hashed, shown and executed.

What can be written down here is all that is ever executed. What policy says about it is decided before; asking people
about it is `asks`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.actions.envelope import Envelope, digest, idempotency_key
from core.actions.policy import Decision, Proposal
from core.clock import rfc3339
from core.planners.base import Act
from core.record.rows import CallRow, RunRow, Snapshot
from core.record.states import CallStatus
from core.runs import run_again
from core.runs.stored import Stored
from core.runs.toolbox import DeclaredTool
from core.runs.waiting import Waiting
from core.tools.base import Prepared

IDEMPOTENCY_MARGIN = 0.9
"""Share of a key's lifetime in which repeating with it is still safe."""


@dataclass(frozen=True)
class Proposed:
    """An act with everything that was found out about it before anything is written."""

    act: Act
    tool: DeclaredTool
    decision: Decision
    prepared: Prepared | None = None
    inputs: tuple[Stored, ...] = ()
    """The prepared inputs, their bytes durable."""
    failure: str | None = None
    """Why nobody can be asked: the arguments do not fit, or something cannot be pinned."""
    approval_id: str = ""
    open_asks: int = 0
    """Questions that wait for the same people already."""
    most_open_asks: int = 20
    """How many may."""

    @property
    def args(self) -> Mapping[str, Any]:
        return self.act.args if self.prepared is None else self.prepared.args


def proposal(run: RunRow, tool: DeclaredTool, args: Mapping[str, Any]) -> Proposal:
    """What policy decides about."""
    name, environment = tool.tool.name, tool.reach.environment
    return Proposal(name, tool.tier, tool.recovery, run.agent, environment, args, tool.uses)


def envelope(snapshot: Snapshot, proposed: Proposed, *, nonce: str, policy: str, now_ms: int) -> Envelope:
    """The action, before it is turned into bytes."""
    run, decision, prepared = snapshot.run, proposed.decision, proposed.prepared
    asks = decision.verdict == "ask"
    ordinal, generation = run_again.place(snapshot, proposed.act.step)
    return Envelope(
        tenant=run.tenant,
        run=run.id,
        step=proposed.act.step,
        ordinal=ordinal,
        generation=generation,
        tool=proposed.act.tool,
        tool_def=proposed.tool.digest,
        args=proposed.args,
        tier=decision.tier,
        recovery=decision.recovery,
        policy=policy,
        nonce=nonce,
        inputs=tuple({"ref": item.name, "sha256": item.sha256} for item in proposed.inputs),
        environment=proposed.tool.reach.environment,
        network=() if prepared is None else prepared.network,
        creds=() if prepared is None else prepared.creds,
        quorum=decision.quorum if asks else 0,
        expires=rfc3339(now_ms + decision.expires_ms) if asks else None,
    )


def call_row(
    snapshot: Snapshot, proposed: Proposed, action: Envelope, *, call_id: str, status: CallStatus, now_ms: int
) -> CallRow:
    """The call as it is stored; a started one has its first attempt under way.

    Raises:
        NotCanonical: its arguments have no single form, so they can be neither shown nor executed exactly.
    """
    run, tool = snapshot.run, proposed.tool
    body = action.to_bytes()
    action_digest = digest(body)
    started = status is CallStatus.STARTED
    return CallRow(
        tenant=run.tenant,
        id=call_id,
        run_id=run.id,
        step=proposed.act.step,
        position=len(snapshot.calls) + 1,
        ordinal=action.ordinal,
        generation=action.generation,
        tool=proposed.act.tool,
        tool_digest=tool.digest,
        action_digest=action_digest,
        effect_digest=action.effect_digest(),
        envelope=body.decode(),
        title=proposed.act.title,
        tier=action.tier,
        recovery=action.recovery,
        needs_approval=int(proposed.decision.verdict == "ask"),
        approval_id=proposed.approval_id or None,
        idem_key=idempotency_key(
            tenant=run.tenant,
            run=run.id,
            step=proposed.act.step,
            ordinal=action.ordinal,
            generation=action.generation,
            action_digest=action_digest,
        ),
        idem_valid_until=key_valid_until(tool, now_ms) if started else None,
        timeout_ms=int((proposed.act.timeout_s or tool.timeout_s) * 1000),
        status=status.value,
        attempts=int(started),
        start_fence=run.fence if started else None,
        started_at=now_ms if started else None,
        wait_json=None if proposed.act.wait is None else Waiting.begun(proposed.act.wait, now_ms).to_json(),
        created_at=now_ms,
    )


def key_valid_until(tool: DeclaredTool, now_ms: int) -> int | None:
    """Until when repeating under the call's key is safe; `None` = the other side never forgets it."""
    lifetime = tool.key_ttl_s
    return None if lifetime is None else now_ms + int(lifetime * 1000 * IDEMPOTENCY_MARGIN)


def same_effect(call: CallRow, proposed: Proposed, *, policy: str) -> bool:
    """Whether what would run now is, to the byte, what was stored and approved."""
    stored = json.loads(call.envelope)
    now = Envelope(
        tenant=stored["tenant"],
        run=stored["run"],
        step=stored["step"],
        ordinal=stored["ordinal"],
        generation=stored["generation"],
        tool=proposed.act.tool,
        tool_def=proposed.tool.digest,
        args=proposed.args,
        tier=proposed.decision.tier,
        recovery=proposed.decision.recovery,
        policy=policy,
        nonce=stored["nonce"],
        inputs=tuple({"ref": item.name, "sha256": item.sha256} for item in proposed.inputs),
        environment=proposed.tool.reach.environment,
        network=() if proposed.prepared is None else proposed.prepared.network,
        creds=() if proposed.prepared is None else proposed.prepared.creds,
        quorum=proposed.decision.quorum,
        expires=stored["expires"],
    )
    return now.to_bytes().decode() == call.envelope
