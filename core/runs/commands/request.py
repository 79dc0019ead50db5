"""Ask for a run: the one way a run comes to be, whatever surface it was asked on.

A request has a source key (the Slack message, or the caller's idempotency key), unique per tenant: asking twice finds
the first run. The same key with another request is a mistake that is said out loud, never a second run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.actions.contract import Contract
from core.actions.envelope import canonical, digest, salted
from core.ids import RunId
from core.principals import Actor, Principal
from core.record.changes import Insert, Refusal, RunChange, creation
from core.record.events import GENESIS, EventDraft
from core.record.rows import ArtifactRow, RunRow, Snapshot, dumps
from core.record.states import DUE_NOW, RunState
from core.runs.allowance import Allowance, Unit
from core.runs.draft import delivery


@dataclass(frozen=True)
class Surface:
    """Where in Slack a run was asked for and shows itself."""

    team: str
    channel: str
    thread_ts: str
    message_ts: str


def surface_of(run: RunRow) -> Surface | None:
    """Where a run below this one shows itself: in the same thread; `None` if this one has none."""
    if run.team is None or run.channel is None or run.thread_ts is None:
        return None
    return Surface(run.team, run.channel, run.thread_ts, run.message_ts or run.thread_ts)


@dataclass(frozen=True)
class Pinned:
    """A text the run keeps as it is now."""

    kind: str
    body: str

    @property
    def digest(self) -> str:
        return digest(self.body.encode())


@dataclass(frozen=True)
class Limits:
    """Caps a run is accepted with."""

    steps: int = 200
    wall_clock_ms: int = 24 * 3600 * 1000
    asks: int = 5
    """Questions to approvers before somebody has to let it go on."""
    budget_micro_usd: int | None = None
    """What it may spend on models."""
    caps: Mapping[Unit, int] = field(default_factory=dict)
    """What it may use beside money; time in milliseconds."""


@dataclass(frozen=True)
class Request:
    """What was asked for, by whom."""

    tenant: str
    source_key: str
    agent: str
    document: Pinned
    policy: Pinned
    text: str
    inputs: Mapping[str, Any]
    requester: Principal
    surface: Surface | None = None
    files: tuple[ArtifactRow, ...] = ()
    """Input files already stored; their `run_id` is the run's."""
    loaded: bool = False
    """Everything it needs is stored already (runs not from Slack): born `context-loaded`."""
    limits: Limits = Limits()
    contract: Contract | None = None
    """Of the channel it is asked for in."""
    authors: tuple[str, ...] = ()
    """Principals whose messages are input of the run already."""
    inbox: Insert | None = None
    """The row of the Slack event it came with."""

    def digest(self) -> str:
        """What makes two requests the same request."""
        files = [{"name": file.name, "sha256": file.sha256} for file in self.files]
        # Where a file was put and how it is named inside follows from the request; it is not part of it.
        inputs = {name: _identity(value) for name, value in self.inputs.items()}
        asked = {"agent": self.agent, "text": self.text, "inputs": inputs, "files": files, "by": self.requester.id}
        return digest(canonical(asked))


def _identity(value: Any) -> Any:
    if isinstance(value, Mapping) and "sha256" in value:
        return {"sha256": value["sha256"]}
    return value


def accept(request: Request, *, run_id: RunId, salt: str, now_ms: int, below: RunRow | None = None) -> RunChange:
    """Describe the new run: one commit holds the run, what it pinned and the event it came with.

    Args:
        below: The run it belongs to, if it is part of another one's tree.
    """
    surface = request.surface
    row = RunRow(
        tenant=request.tenant,
        id=run_id,
        root_id=run_id if below is None else below.root_id,
        parent_id=None if below is None else below.id,
        root_agent=None if below is None else below.root_agent or below.agent,
        depth=0 if below is None else below.depth + 1,
        source_key=request.source_key,
        request_digest=request.digest(),
        agent=request.agent,
        agent_digest=request.document.digest,
        text=request.text,
        inputs_json=dumps(dict(request.inputs)),
        authors_json=dumps(list(request.authors)),
        requester=request.requester.id,
        requester_slack=request.requester.slack_user,
        salt=salt,
        policy_digest=request.policy.digest,
        team=surface.team if surface else None,
        channel=surface.channel if surface else None,
        thread_ts=surface.thread_ts if surface else None,
        message_ts=surface.message_ts if surface else None,
        state=RunState.CREATED.value,
        due_at=DUE_NOW,
        deadline_at=now_ms + request.limits.wall_clock_ms,
        step_cap=request.limits.steps,
        ask_cap=request.limits.asks,
        budget_micro_usd=request.limits.budget_micro_usd,
        allowance_json=Allowance(request.limits.caps, contract=request.contract).to_json(),
        event_hash=GENESIS,
        event_at=now_ms,
        created_at=now_ms,
        updated_at=now_ms,
    )
    evidence = (
        {"request": salted(salt, request.text), "document": request.document.digest},
        *({"artifact": file.id, "digest": salted(salt, file.sha256)} for file in request.files),
    )
    bound = () if request.contract is None else ({"contract": request.contract.digest},)
    actor = Actor.of(request.requester)
    drafts = [EventDraft("state", actor, row.policy_digest, None, RunState.CREATED, None, (*evidence, *bound))]
    if request.loaded:
        loaded = EventDraft(
            "state", actor, row.policy_digest, RunState.CREATED, RunState.CONTEXT_LOADED, None, evidence[1:]
        )
        drafts.append(loaded)
    return creation(row, tuple(drafts), now_ms=now_ms, inserts=_rows(request, row, now_ms))


def repeated(request: Request, existing: Snapshot) -> Refusal | None:
    """What to say when the source key is taken: nothing if it is the same request, else why it is refused."""
    if existing.run.request_digest == request.digest():
        return None
    return Refusal(
        "already",
        f"The key of this request already belongs to run {existing.run.id}, which was asked for something else. "
        "Use another key, or leave it out.",
    )


def _rows(request: Request, row: RunRow, now_ms: int) -> tuple[Insert, ...]:
    documents = [request.document, request.policy]
    if request.contract is not None:
        documents.append(Pinned("contract", request.contract.text))
    inserts = [
        Insert(
            "documents",
            {
                "tenant": row.tenant,
                "digest": pinned.digest,
                "kind": pinned.kind,
                "body": pinned.body,
                "created_at": now_ms,
            },
        )
        for pinned in documents
    ]
    for file in request.files:
        blob = {"tenant": row.tenant, "sha256": file.sha256, "size": file.size, "created_at": now_ms}
        inserts.append(Insert("blobs", blob))
        inserts.append(Insert("artifacts", {name: getattr(file, name) for name in file.__dataclass_fields__}))
    if request.inbox is not None:
        inserts.append(request.inbox)
    if row.channel is not None:
        key = f"card:{row.id}"
        inserts.append(
            delivery(row.tenant, row.id, row.team, row.channel, row.thread_ts, "slack.card", key, {}, now_ms)
        )
    return tuple(inserts)
