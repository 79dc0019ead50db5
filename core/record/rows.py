"""Rows of a run as plain values: what a decision may look at.

Field names are the column names of `core.store.tables` (a test compares), so loading is a keyword call and a change to
a row is a mapping of names. JSON columns stay canonical text here and are parsed where they are used.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core.record.events import ChainHead
from core.record.states import MACHINES, CallStatus, RunState

if TYPE_CHECKING:
    from core.record.changes import RunChange


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def dumps(value: Any) -> str:
    """JSON text as the `*_json` columns hold it: sorted keys, no spaces."""
    return _ENCODER.encode(value)


@dataclass(frozen=True)
class RunRow:
    """One run."""

    tenant: str
    id: str
    root_id: str
    agent: str
    agent_digest: str
    requester: str
    salt: str
    policy_digest: str
    source_key: str
    state: str
    event_hash: str
    event_at: int
    created_at: int
    updated_at: int
    parent_id: str | None = None
    root_agent: str | None = None
    """Of the run at the top of its tree; `None` = it is that run."""
    rollback_id: str | None = None
    """The run that takes this one back: under way, or done."""
    depth: int = 0
    text: str = ""
    request_digest: str = ""
    inputs_json: str = "{}"
    plan_json: str = "[]"
    authors_json: str = "[]"
    """Principals whose messages are input of the run."""
    requester_slack: str | None = None
    team: str | None = None
    channel: str | None = None
    thread_ts: str | None = None
    message_ts: str | None = None
    version: int = 0
    fence: int = 0
    lease_owner: str | None = None
    wake: int = 0
    due_at: int | None = None
    deadline_at: int | None = None
    retries: int = 0
    event_seq: int = 0
    steps: int = 0
    step_cap: int = 200
    ask_cap: int = 5
    cost_micro_usd: int = 0
    budget_micro_usd: int | None = None
    """What it may spend on models; more only by a person's word."""
    stalls_json: str = "[]"
    """Where it was found to go round in circles: `{"calls", "answers", "why"}`; without `why` a person let it go on."""
    allowance_json: str = "{}"
    """Its caps beside money, what its thread was told of them, and who told it to wrap up (`core.runs.allowance`)."""
    steering: str = "ask"
    """Whose replies count: `off` nobody's, `ask` the requester's and what they take up, `auto` every member's."""
    blocked_reason: str | None = None
    blocked_detail: str | None = None
    outcome: str | None = None
    sandbox: str | None = None
    workspace_host: str | None = None
    holder_host: str | None = None
    """Of the worker that claimed it last."""
    killed_at: int | None = None
    killed_fence: int | None = None
    killed_by: str | None = None
    kill_reason: str | None = None
    kill_in_flight: int = 0
    stop_confirmed_at: int | None = None
    ended_at: int | None = None

    @property
    def run_state(self) -> RunState:
        return RunState(self.state)

    @property
    def head(self) -> ChainHead:
        """Where the run's next event links."""
        return ChainHead(self.event_seq, self.event_hash, self.event_at)

    @property
    def thinks(self) -> bool:
        """Whether a model plans it."""
        return self.budget_micro_usd is not None

    @property
    def rolls_back(self) -> str | None:
        """The run this one takes back, if it is a rollback."""
        return self.parent_id if self.source_key.startswith("rollback:") else None

    @property
    def inputs(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.inputs_json)
        return parsed

    @property
    def authors(self) -> list[str]:
        parsed: list[str] = json.loads(self.authors_json)
        return parsed


@dataclass(frozen=True)
class CallRow:
    """One tool call."""

    tenant: str
    id: str
    run_id: str
    step: str
    tool: str
    tool_digest: str
    action_digest: str
    effect_digest: str
    envelope: str
    tier: str
    recovery: str
    idem_key: str
    status: str
    created_at: int
    position: int = 0
    ordinal: int = 0
    generation: int = 0
    title: str = ""
    needs_approval: int = 0
    approval_id: str | None = None
    idem_valid_until: int | None = None
    timeout_ms: int = 60_000
    attempts: int = 0
    start_fence: int | None = None
    started_at: int | None = None
    end_fence: int | None = None
    ended_at: int | None = None
    result_json: str | None = None
    result_digest: str | None = None
    error: str | None = None
    required_artifacts: int = 0
    resolved_by: str | None = None
    wait_json: str | None = None
    """Of a call that is repeated until something is so: `core.runs.waiting` reads it."""

    @property
    def call_status(self) -> CallStatus:
        return CallStatus(self.status)

    @property
    def said_not_run(self) -> bool:
        """Whether a person looked and said that it had not happened."""
        by_person = self.resolved_by is not None and self.resolved_by not in MACHINES
        return self.call_status is CallStatus.FAILED and by_person


@dataclass(frozen=True)
class ArtifactRow:
    """One stored file of a run."""

    tenant: str
    id: str
    run_id: str
    role: str
    name: str
    sha256: str
    size: int
    media_type: str
    created_at: int
    call_id: str | None = None


@dataclass(frozen=True)
class ApprovalRow:
    """One question to approvers."""

    tenant: str
    id: str
    run_id: str
    call_id: str
    kind: str
    action_digest: str
    effect_digest: str
    policy_digest: str
    rule: str
    status: str
    quorum: int
    asked_at: int
    expires_at: int
    self_ok: int = 0
    approvers_json: str = "[]"
    use_by: int | None = None
    decided_at: int | None = None
    consumed_by: str | None = None
    consumed_at: int | None = None
    superseded_by: str | None = None
    remaining_ms: int | None = None
    use_within_ms: int = 900_000
    """How long after the last vote the call may still start."""
    sentence: str = ""
    """The effect in one sentence, as the tool put it; shown beside the exact action, never instead of it."""


@dataclass(frozen=True)
class VoteRow:
    """One person's vote."""

    tenant: str
    approval_id: str
    voter: str
    run_id: str
    decision: str
    at: int
    seen_digest: str
    reason: str | None = None
    inbox_key: str | None = None
    via: str | None = None
    revoked_at: int | None = None


UNSURE = ("lost", "unknown")
"""How an attempt ended of which nobody knows what it did; one without any status is still open, and no better known."""


@dataclass(frozen=True)
class AttemptRow:
    """One attempt of one call."""

    tenant: str
    call_id: str
    n: int
    run_id: str
    worker: str
    fence: int
    started_at: int
    host: str | None = None
    boot_id: str | None = None
    ended_at: int | None = None
    status: str | None = None
    error: str | None = None

    @property
    def may_have_run(self) -> bool:
        return self.status is None or self.status in UNSURE


@dataclass(frozen=True)
class TurnRow:
    """One request to a model: reserved before it is sent, settled when its answer is durable."""

    tenant: str
    run_id: str
    n: int
    requested_model: str
    started_at: int
    status: str
    """`started`, `answered`, `failed` (nothing usable came back) or `lost` (nobody knows what came of it)."""
    answering_model: str | None = None
    prompt_sha256: str | None = None
    answer_sha256: str | None = None
    format: int = 1
    """Of the stored answer."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_micro_usd: int = 0
    reserved_micro_usd: int = 0
    reserved_tokens: int = 0
    """More than it can take: a token is never shorter than a byte."""
    fence: int = 0
    covers: int | None = None
    """Of a turn that summarises: how many answers it stands for."""
    error: str | None = None
    ended_at: int | None = None


@dataclass(frozen=True)
class SteerRow:
    """What somebody wrote to a run under way."""

    tenant: str
    id: str
    """The run's, and what the message is known by."""
    run_id: str
    author: str
    """Principal id."""
    at: int
    """When it was written."""
    slack_user: str | None = None
    text: str = ""
    digest: str = ""
    """Of the text."""
    status: str = "taken"
    """`asked` (the requester has to say), `taken` or `left`."""
    decided_by: str | None = None
    """Who said so, if somebody had to."""
    noted_at: int | None = None
    """When it was taken up."""
    used_by: str | None = None
    """The number of the model's turn it was first given to."""


@dataclass(frozen=True)
class StopReportRow:
    """What one host found of a stopped run."""

    tenant: str
    run_id: str
    host: str
    killed_fence: int
    ended: int
    remaining: int
    at: int
    boot_id: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """A run with everything a decision about it looks at."""

    run: RunRow
    calls: tuple[CallRow, ...] = ()
    artifacts: tuple[ArtifactRow, ...] = ()
    approvals: tuple[ApprovalRow, ...] = ()
    votes: tuple[VoteRow, ...] = ()
    attempts: tuple[AttemptRow, ...] = ()
    """Only for commands; a lease holder knows its own."""
    reports: tuple[StopReportRow, ...] = ()
    """Only for commands."""
    turns: tuple[TurnRow, ...] = ()
    """What a model was asked, in order."""
    steers: tuple[SteerRow, ...] = ()
    """What people wrote to it, in the order in which they wrote it."""

    def call(self, call_id: str) -> CallRow:
        return next(call for call in self.calls if call.id == call_id)

    @property
    def open_call(self) -> CallRow | None:
        """The call that is planned or started and not over, if any."""
        waiting = (CallStatus.INTENT, CallStatus.STARTED)
        return next((call for call in self.calls if call.call_status in waiting), None)

    @property
    def open_turn(self) -> TurnRow | None:
        """The request to a model that is under way, or was when its worker died."""
        return next((turn for turn in self.turns if turn.status == "started"), None)

    def approval(self, approval_id: str | None) -> ApprovalRow | None:
        return next((approval for approval in self.approvals if approval.id == approval_id), None)

    def votes_on(self, approval_id: str) -> tuple[VoteRow, ...]:
        return tuple(vote for vote in self.votes if vote.approval_id == approval_id)

    def with_run(self, columns: Mapping[str, Any]) -> "Snapshot":
        return replace(self, run=replace(self.run, **columns))

    def folded(self, change: "RunChange") -> "Snapshot":
        """The snapshot as the database holds it after `change` landed."""
        run = replace(self.run, **change.run, version=self.run.version + 1)
        calls = {call.id: call for call in self.calls}
        artifacts = list(self.artifacts)
        approvals = {approval.id: approval for approval in self.approvals}
        votes = {(vote.approval_id, vote.voter): vote for vote in self.votes}
        turns = {turn.n: turn for turn in self.turns}
        steers = {steer.id: steer for steer in self.steers}
        for row in change.inserts:
            match row.table:
                case "tool_calls":
                    calls[row.values["id"]] = CallRow(**row.values)
                case "artifacts":
                    artifacts.append(ArtifactRow(**row.values))
                case "approvals":
                    approvals[row.values["id"]] = ApprovalRow(**row.values)
                case "votes":
                    votes[row.values["approval_id"], row.values["voter"]] = VoteRow(**row.values)
                case "model_turns":
                    turns[row.values["n"]] = TurnRow(**row.values)
                case "steers":
                    steers[row.values["id"]] = SteerRow(**row.values)
        for patch in change.updates:
            match patch.table:
                case "tool_calls":
                    calls[patch.key["id"]] = replace(calls[patch.key["id"]], **patch.values)
                case "approvals":
                    approvals[patch.key["id"]] = replace(approvals[patch.key["id"]], **patch.values)
                case "votes":
                    who = patch.key["approval_id"], patch.key["voter"]
                    votes[who] = replace(votes[who], **patch.values)
                case "model_turns":
                    turns[patch.key["n"]] = replace(turns[patch.key["n"]], **patch.values)
                case "steers":
                    steers[patch.key["id"]] = replace(steers[patch.key["id"]], **patch.values)
        folded = Snapshot(
            run,
            tuple(calls.values()),
            tuple(artifacts),
            tuple(approvals.values()),
            tuple(votes.values()),
            turns=tuple(turns.values()),
            steers=tuple(steers.values()),
        )
        return folded.ordered()

    def ordered(self) -> "Snapshot":
        """The same with its rows in the one order they are looked at in: calls as planned, the rest by id or name."""
        return replace(
            self,
            calls=tuple(sorted(self.calls, key=lambda call: (call.position, call.id))),
            artifacts=tuple(sorted(self.artifacts, key=lambda artifact: artifact.id)),
            approvals=tuple(sorted(self.approvals, key=lambda approval: approval.id)),
            votes=tuple(sorted(self.votes, key=lambda vote: (vote.approval_id, vote.voter))),
            turns=tuple(sorted(self.turns, key=lambda turn: turn.n)),
            steers=tuple(sorted(self.steers, key=lambda steer: (steer.at, steer.id))),
        )
