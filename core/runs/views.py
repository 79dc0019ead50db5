"""Read models: a run as people and scripts see it, free of rows and sessions.

Cards, the CLI and the JSON of the outside contract are all rendered from these values, so they cannot disagree. Loading
them is `core.store`'s work; wording them is the surface's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from core.actions.contract import Contract
from core.clock import rfc3339
from core.planners.base import PlanStep
from core.record.states import BlockedReason, CallStatus, RunState
from core.runs.allowance import Lack, Usage, WrapUp
from core.runs.approval_views import ApprovalView, QuestionView
from core.runs.rollback_views import Undoable


@dataclass(frozen=True)
class LateView:
    """How an attempt ended by its own word, after it had lost its run: kept, never used."""

    at_ms: int
    status: str
    fence: int
    """The one it ran under."""
    error: str | None
    """Text from a tool."""


@dataclass(frozen=True)
class ActionView:
    """One tool call."""

    id: str
    step: str
    tool: str
    tier: str
    recovery: str
    digest: str
    status: CallStatus
    attempts: int
    idempotency_key: str
    error: str | None = None
    """Why it failed, as a sentence; text from a tool, to be escaped wherever it is shown."""
    late: tuple[LateView, ...] = ()
    """Results that came too late, the oldest first."""


@dataclass(frozen=True)
class ArtifactView:
    """A stored and verified file of a run."""

    id: str
    name: str
    sha256: str
    size: int
    """Bytes."""
    media_type: str
    role: Literal["input", "output", "context"]


@dataclass(frozen=True)
class CutOff:
    """A call that was in flight when its run was stopped, and what became of it."""

    action_id: str
    tool: str
    tier: str
    status: CallStatus
    """`started` until the stop is proved, then `unknown`, or what somebody found out."""
    late: str | None
    """How it ended by its own word, if that came after the stop: kept, never used."""
    resolved_by: str | None
    """Who looked for what became of it: somebody by name, or `probe`; with `unknown`, looking did not tell."""


@dataclass(frozen=True)
class StopView:
    """A stop that was asked for, and how far it is proved."""

    requested_at_ms: int
    confirmed_at_ms: int | None
    by: str
    reason: str
    processes_ended: int
    in_flight: int
    """Calls that were started when the stop was committed."""
    unconfirmed_hosts: tuple[str, ...] = ()
    calls: tuple[CutOff, ...] = ()
    """Those calls."""
    restarted_hosts: tuple[str, ...] = ()
    """Hosts that have booted since they worked on the run."""


@dataclass(frozen=True)
class FreezeView:
    """Something an operator has frozen."""

    id: str
    scope: str
    """As commands take it: `agent:checkup`, `everything`."""
    by: str
    reason: str
    """A person's text."""
    frozen_at_ms: int
    thawed_at_ms: int | None = None
    thawed_by: str | None = None

    def as_json(self) -> dict[str, Any]:
        """One entry of `banksman freezes --json`, and of `freezes` in `show`."""
        return {
            "id": self.id,
            "scope": self.scope,
            "by": self.by,
            "reason": self.reason,
            "frozen_at": rfc3339(self.frozen_at_ms),
            "thawed_at": rfc3339(self.thawed_at_ms),
            "thawed_by": self.thawed_by,
        }


@dataclass(frozen=True)
class TurnView:
    """One request to a model."""

    n: int
    status: str
    requested: str
    answered_by: str | None
    input_tokens: int
    output_tokens: int
    reserved_micro_usd: int
    cost_micro_usd: int
    error: str | None
    started_at_ms: int
    ended_at_ms: int | None

    def as_json(self) -> dict[str, Any]:
        """One entry of `turns` in `show`."""
        return {
            "n": self.n,
            "status": self.status,
            "requested_model": self.requested,
            "answering_model": self.answered_by,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "reserved_micro_usd": self.reserved_micro_usd,
            "cost_micro_usd": self.cost_micro_usd,
            "error": self.error,
            "started_at": rfc3339(self.started_at_ms),
            "ended_at": None if self.ended_at_ms is None else rfc3339(self.ended_at_ms),
        }


@dataclass(frozen=True)
class ReplyView:
    """What somebody wrote to the run while it was under way."""

    id: str
    author: str
    """Principal id."""
    slack_user: str | None
    text: str
    """A person's text."""
    digest: str
    at_ms: int
    status: str
    """`asked`, `taken` or `left`."""
    decided_by: str | None
    turn: int | None
    """The turn of the model it was first given to."""

    def as_json(self) -> dict[str, Any]:
        """One entry of `replies` in `show`."""
        return {
            "id": self.id,
            "by": self.author,
            "text": self.text,
            "digest": self.digest,
            "at": rfc3339(self.at_ms),
            "status": self.status,
            "decided_by": self.decided_by,
            "turn": self.turn,
        }


@dataclass(frozen=True)
class WaitView:
    """What a run waits for by itself, looking again and again."""

    title: str
    """The step's."""
    condition: str
    since_ms: int
    until_ms: int
    next_ms: int | None
    """When it looks again; `None` = it is looking."""
    looks: int
    seen: str
    """What it saw last; text from a tool."""

    def as_json(self) -> dict[str, Any]:
        """`waiting` in `show`."""
        return {
            "condition": self.condition,
            "since": rfc3339(self.since_ms),
            "until": rfc3339(self.until_ms),
            "next_look": rfc3339(self.next_ms),
            "looks": self.looks,
            "seen": self.seen,
        }


@dataclass(frozen=True)
class RunView:
    """A run, whole."""

    id: str
    tenant: str
    state: RunState
    agent: str
    agent_digest: str
    """Digest of the pinned playbook or agent text."""
    text: str
    """What the person asked, without the agent's name; a person's text."""
    requester: str
    """Principal id."""
    requester_slack: str | None
    """Slack user id to mention, when the requester has one."""
    team: str | None
    channel: str | None
    thread_ts: str | None
    created_at_ms: int
    updated_at_ms: int
    ended_at_ms: int | None
    version: int
    blocked_reason: BlockedReason | None
    blocked_detail: str | None
    """A sentence with the remedy."""
    outcome: str | None
    """The planner's summary, or why the run failed; text from a tool or agent."""
    plan: tuple[PlanStep, ...]
    actions: tuple[ActionView, ...]
    approvals: tuple[ApprovalView, ...]
    artifacts: tuple[ArtifactView, ...]
    stop: StopView | None
    sandbox: str | None
    """Level its tools ran under, once a worker has driven it."""
    question: QuestionView | None = None
    """What it waits to be told, while it is blocked with a question."""
    freezes: tuple[FreezeView, ...] = ()
    """Open freezes that cover it, the earliest first: nothing of it starts."""
    undoing: Undoable = field(default_factory=Undoable)
    """What it did outside, and how far that was undone."""
    cost_micro_usd: int = 0
    budget_micro_usd: int | None = None
    """What it may spend on models; `None` = it thinks with none."""
    turns: tuple[TurnView, ...] = ()
    """What a model was asked, in order."""
    steps: int = 0
    usages: tuple[Usage, ...] = ()
    """How much of each of its caps is used, money first; empty if it thinks with no model."""
    short: Lack | None = None
    """What there was not enough of when it was blocked for that last."""
    goes_round: bool = False
    """Whether it is blocked because its model repeats itself."""
    wrap_up: WrapUp | None = None
    """Who told it to finish with what it has, if anybody did."""
    tree_cost_micro_usd: int | None = None
    """What it cost with everything it started; `None` = it started nothing."""
    contract: Contract | None = None
    """Of the channel it was asked for in, as it was then."""
    steering: str = "ask"
    """Whose replies count: `off`, `ask` or `auto`."""
    given: tuple[str, ...] = ()
    """What a model works from that came from outside; names of others, to be escaped."""
    replies: tuple[ReplyView, ...] = ()
    """What people wrote to it, in order."""
    waiting: WaitView | None = None
    """What it waits for at the moment, if it does."""

    @property
    def duration_ms(self) -> int:
        """From acceptance to the end, or to the last change while it runs."""
        return (self.ended_at_ms or self.updated_at_ms) - self.created_at_ms

    def line(self) -> "RunLine":
        """The run as one row of a list."""
        return RunLine(
            id=self.id,
            state=self.state,
            agent=self.agent,
            requester=self.requester,
            channel=self.channel,
            thread_ts=self.thread_ts,
            created_at_ms=self.created_at_ms,
            updated_at_ms=self.updated_at_ms,
            blocked_reason=self.blocked_reason,
            cost_micro_usd=self.cost_micro_usd,
            frozen=bool(self.freezes),
            rolls_back=self.undoing.rolls_back,
        )

    def full_json(self) -> dict[str, Any]:
        """The shape of `banksman show RUN --json`."""
        run = self.line().as_json() | {
            "team": self.team,
            "text": self.text,
            "blocked_detail": self.blocked_detail,
            "outcome": self.outcome,
            "ended_at": rfc3339(self.ended_at_ms),
            "duration_ms": self.duration_ms,
            "sandbox": self.sandbox,
            "steps": self.steps,
            "can_roll_back": self.undoing.possible,
            "budget_micro_usd": self.budget_micro_usd,
            "tree_cost_micro_usd": self.tree_cost_micro_usd,
            "usage": [{"unit": each.unit, "used": each.used, "cap": each.cap} for each in self.usages],
            "wrap_up": None
            if self.wrap_up is None
            else {"by": self.wrap_up.by, "at": rfc3339(self.wrap_up.at_ms), "answers": self.wrap_up.answers},
            "contract": None
            if self.contract is None
            else {
                "channel": self.contract.channel,
                "digest": self.contract.digest,
                "agents": None if self.contract.agents is None else list(self.contract.agents),
                "tools": None if self.contract.tools is None else list(self.contract.tools),
                "network": None if self.contract.network is None else list(self.contract.network),
                "budget": self.contract.budget,
                "approvers": None if self.contract.approvers is None else self.contract.approvers.to_json(),
            },
            "steering": self.steering,
        }
        return {
            "run": run,
            "plan": [{"id": s.id, "title": s.title, "status": s.status, "note": s.note} for s in self.plan],
            "actions": [
                {
                    "id": a.id,
                    "step": a.step,
                    "tool": a.tool,
                    "tier": a.tier,
                    "recovery": a.recovery,
                    "digest": a.digest,
                    "status": a.status.value,
                    "attempts": a.attempts,
                    "idempotency_key": a.idempotency_key,
                    "error": a.error,
                    "late_results": [
                        {"at": rfc3339(late.at_ms), "status": late.status, "fence": late.fence, "error": late.error}
                        for late in a.late
                    ],
                }
                for a in self.actions
            ],
            "effects": [effect.as_json() for effect in self.undoing.effects],
            "rollback": None if self.undoing.rollback is None else self.undoing.rollback.as_json(),
            "approvals": [approval.as_json() for approval in self.approvals],
            "freezes": [freeze.as_json() for freeze in self.freezes],
            "artifacts": [
                {
                    "id": a.id,
                    "name": a.name,
                    "sha256": a.sha256,
                    "size": a.size,
                    "media_type": a.media_type,
                    "role": a.role,
                }
                for a in self.artifacts
            ],
            "turns": [each.as_json() for each in self.turns],
            "replies": [each.as_json() for each in self.replies],
            "waiting": None if self.waiting is None else self.waiting.as_json(),
            "stop": None
            if self.stop is None
            else {
                "requested_at": rfc3339(self.stop.requested_at_ms),
                "confirmed_at": rfc3339(self.stop.confirmed_at_ms),
                "by": self.stop.by,
                "reason": self.stop.reason,
                "processes_ended": self.stop.processes_ended,
                "in_flight": self.stop.in_flight,
                "unconfirmed_hosts": list(self.stop.unconfirmed_hosts),
                "restarted_hosts": list(self.stop.restarted_hosts),
                "calls": [
                    {
                        "action_id": c.action_id,
                        "tool": c.tool,
                        "status": c.status.value,
                        "late_result": c.late,
                        "resolved_by": c.resolved_by,
                    }
                    for c in self.stop.calls
                ],
            },
        }


@dataclass(frozen=True)
class RunLine:
    """One row of a list of runs."""

    id: str
    state: RunState
    agent: str
    requester: str
    channel: str | None
    thread_ts: str | None
    created_at_ms: int
    updated_at_ms: int
    blocked_reason: BlockedReason | None
    cost_micro_usd: int
    frozen: bool = False
    """Whether a freeze covers it: nothing of it starts."""
    rolls_back: str | None = None
    """The run it undoes, if it is a rollback."""

    def as_json(self) -> dict[str, Any]:
        """The shape of one entry of `banksman runs --json`."""
        return {
            "id": self.id,
            "state": self.state.value,
            "agent": self.agent,
            "requester": self.requester,
            "channel": self.channel,
            "thread_ts": self.thread_ts,
            "created_at": rfc3339(self.created_at_ms),
            "updated_at": rfc3339(self.updated_at_ms),
            "blocked_reason": self.blocked_reason.value if self.blocked_reason else None,
            "cost_micro_usd": self.cost_micro_usd,
            "frozen": self.frozen,
            "rolls_back": self.rolls_back,
        }


@dataclass(frozen=True)
class EventView:
    """One line of a run's log."""

    seq: int
    at_ms: int
    type: str
    from_state: str | None
    to_state: str | None
    actor: str
    model_version: str | None
    policy_version: str | None
    fence: int
    evidence: tuple[Mapping[str, Any], ...]
    hash: str
    prev_hash: str

    def as_json(self) -> dict[str, Any]:
        """The shape of one entry of `banksman events RUN --json`."""
        return {
            "seq": self.seq,
            "at": rfc3339(self.at_ms),
            "type": self.type,
            "from": self.from_state,
            "to": self.to_state,
            "actor": self.actor,
            "model_version": self.model_version,
            "policy_version": self.policy_version,
            "fence": self.fence,
            "evidence": [dict(item) for item in self.evidence],
            "hash": self.hash,
            "prev_hash": self.prev_hash,
        }
