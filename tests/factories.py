"""Rows, snapshots and stored runs for tests: complete and plausible by default, so that a test says only what matters.

Functions without `async` build values and touch nothing. Those that take a `database` go the way the product goes
(`accept`, the journal, a claim), so what they leave behind is what production would have. Databases come from
`tests/databases.py`.
"""

import itertools
import os
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from core.actions.envelope import digest
from core.actions.policy import parse
from core.clock import Clock
from core.ids import TENANT, Ids, RunId
from core.planners.base import Act, PlanStep, Turn
from core.principals import Principal
from core.record.changes import Insert, Landed, RunChange
from core.record.events import GENESIS
from core.record.rows import ApprovalRow, ArtifactRow, CallRow, RunRow, Snapshot, VoteRow
from core.record.workers import Identity
from core.runs import steps
from core.runs.commands.request import Pinned, Request, Surface, accept
from core.runs.draft import merged
from core.runs.leases import Lease
from core.runs.proposals import Proposed, proposal
from core.runs.steps import CallEnd, Stamp
from core.runs.toolbox import DeclaredTool
from core.store import runs
from core.store.lane import Claim
from core.store.session import Database
from core.tools.base import EffectTier, RecoveryClass, ToolContext, ToolResult

NOW_MS = 1_800_000_000_000
"""The instant at which everything here happens unless said."""

REQUESTER = Principal("ana")
OPERATOR = Principal("omar", frozenset({"operator"}))
MEMBER = Principal("mia")
GUEST = Principal("slack:T9/U9", external=True)

SHA = "ab" * 32
"""A blob's digest, hex."""
SALT = "5a" * 16
BOOT_ID = "boot-1"


class FixedClock:
    """A clock that moves only when told to."""

    def __init__(self, wall_ms: int = NOW_MS, boot_ms: int = 1_000_000) -> None:
        self._wall_ms = wall_ms
        self._boot_ms = boot_ms

    def wall_ms(self) -> int:
        return self._wall_ms

    def boot_ms(self) -> int:
        return self._boot_ms

    def advance(self, ms: int) -> None:
        """Let time pass on both clocks."""
        self._wall_ms += ms
        self._boot_ms += ms

    def jump_wall(self, ms: int) -> None:
        """Set the wall clock forward or back, as an administrator may; the boot clock does not notice."""
        self._wall_ms += ms


_entropy = itertools.count(1)
IDS = Ids(FixedClock(), lambda size: (os.getpid() << 40 | next(_entropy)).to_bytes(size, "big"))
"""Ids that grow, and that no other process of the same test makes."""


# --- values ----------


def run_row(**columns: Any) -> RunRow:
    """A run in `planning`, asked for by `REQUESTER`, held by nobody; `columns` override."""
    run_id = columns.pop("id", None) or IDS.run()
    values: dict[str, Any] = {
        "tenant": TENANT,
        "id": run_id,
        "root_id": run_id,
        "agent": "report",
        "agent_digest": digest(b"document"),
        "requester": REQUESTER.id,
        "salt": SALT,
        "policy_digest": digest(b"policy"),
        "source_key": f"test:{run_id}",
        "state": "planning",
        "event_hash": GENESIS,
        "event_at": NOW_MS,
        "created_at": NOW_MS,
        "updated_at": NOW_MS,
        "due_at": NOW_MS,
    }
    return RunRow(**(values | columns))


def call_row(run: RunRow, **columns: Any) -> CallRow:
    """A planned call of `run`, of class `pure`, not started."""
    call_id = columns.pop("id", None) or IDS.call()
    values: dict[str, Any] = {
        "tenant": run.tenant,
        "id": call_id,
        "run_id": run.id,
        "step": "s1",
        "position": 1,
        "generation": 1,
        "tool": "files.read",
        "tool_digest": digest(b"tool"),
        "action_digest": digest(call_id.encode()),
        "effect_digest": digest(b"effect"),
        "envelope": '{"args":{}}',
        "tier": "read",
        "recovery": "pure",
        "idem_key": f"v1.{call_id}",
        "status": "intent",
        "created_at": NOW_MS,
    }
    return CallRow(**(values | columns))


def started_call(run: RunRow, **columns: Any) -> CallRow:
    """A call of `run` whose first attempt is under way."""
    started: dict[str, Any] = {"status": "started", "attempts": 1, "start_fence": run.fence, "started_at": NOW_MS}
    return call_row(run, **(started | columns))


def artifact_row(run_id: str, **columns: Any) -> ArtifactRow:
    """A small CSV given with the request."""
    values: dict[str, Any] = {
        "tenant": TENANT,
        "id": IDS.artifact(),
        "run_id": run_id,
        "role": "input",
        "name": "sales.csv",
        "sha256": SHA,
        "size": 12,
        "media_type": "text/csv",
        "created_at": NOW_MS,
    }
    return ArtifactRow(**(values | columns))


def approval_row(call: CallRow, **columns: Any) -> ApprovalRow:
    """A pending question about `call`, one approver needed."""
    values: dict[str, Any] = {
        "tenant": call.tenant,
        "id": IDS.approval(),
        "run_id": call.run_id,
        "call_id": call.id,
        "kind": "ask",
        "action_digest": call.action_digest,
        "effect_digest": call.effect_digest,
        "policy_digest": digest(b"policy"),
        "rule": "tier:compensable",
        "status": "pending",
        "quorum": 1,
        "asked_at": NOW_MS,
        "expires_at": NOW_MS + 3_600_000,
    }
    return ApprovalRow(**(values | columns))


def vote_row(approval: ApprovalRow, **columns: Any) -> VoteRow:
    """An approver's yes to exactly what `approval` asks."""
    values: dict[str, Any] = {
        "tenant": approval.tenant,
        "approval_id": approval.id,
        "voter": "alex",
        "run_id": approval.run_id,
        "decision": "approve",
        "at": NOW_MS,
        "seen_digest": approval.action_digest,
    }
    return VoteRow(**(values | columns))


def inserted(table: str, row: CallRow | ArtifactRow | ApprovalRow | VoteRow, **more: Any) -> Insert:
    """The insert that stores `row`."""
    return Insert(table, {name: getattr(row, name) for name in row.__dataclass_fields__} | more)


def snapshot(run: RunRow | None = None, *calls: CallRow, **parts: Any) -> Snapshot:
    """A run with calls; `artifacts`, `approvals` and `votes` by keyword."""
    return Snapshot(run or run_row(), calls, **parts)


def stamp(now_ms: int = NOW_MS, *, worker: str = "w1", host: str = "host-1", boot_id: str | None = None) -> Stamp:
    """A worker, its host and the time."""
    return Stamp(worker, host, now_ms, boot_id)


def surface(**parts: str) -> Surface:
    """The thread in #data a run was asked for in."""
    values = {"team": "T1", "channel": "C1", "thread_ts": "1700000000.000100", "message_ts": "1700000000.000100"}
    return Surface(**(values | parts))


def a_request(**fields: Any) -> Request:
    """A request for the playbook `report`, complete without Slack."""
    values: dict[str, Any] = {
        "tenant": TENANT,
        "source_key": f"test:{IDS.new('key')}",
        "agent": "report",
        "document": Pinned("playbook", "name: report"),
        "policy": Pinned("policy", "v: 1"),
        "text": "the numbers, please",
        "inputs": {},
        "requester": REQUESTER,
        "loaded": True,
    }
    return Request(**(values | fields))


class NoArguments(BaseModel):
    """Arguments of a tool that takes none."""


class StillTool:
    """A tool for decisions that only look at what a tool is declared to be; it cannot be performed."""

    name = "files.read"
    description = "Stands for any tool."
    arguments = NoArguments

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        raise AssertionError("this test decides about a tool and never runs it")


def a_tool(
    tier: EffectTier | None = "read", recovery: RecoveryClass = "pure", *, key_ttl_s: float | None = None
) -> DeclaredTool:
    """What an operator declared of a tool."""
    return DeclaredTool(StillTool(), digest(b"tool"), tier, recovery, 60.0, key_ttl_s)


def proposed(
    at: Snapshot, turn: Turn, tool: DeclaredTool | None = None, *, policy: str = "{}", **fields: Any
) -> Proposed | None:
    """What was found out about a turn's act before it is written down; `None` if its tool is not declared."""
    if not isinstance(turn.move, Act) or tool is None:
        return None
    decision = parse(policy).decide(proposal(at.run, tool, turn.move.args))
    asks = {"approval_id": IDS.new("apr")} if decision.verdict == "ask" else {}
    return Proposed(turn.move, tool, decision, **(asks | fields))


def act(step: str = "s1", *, tool: str = "files.read", args: Mapping[str, Any] | None = None) -> Turn:
    """A planner's turn that calls a tool."""
    plan = (PlanStep(step, f"Step {step}", "running"),)
    return Turn(plan, Act(step, tool, args or {"path": "sales.csv"}, f"Step {step}"))


def ended(status: Any = "succeeded", **fields: Any) -> CallEnd:
    """How an attempt ended."""
    return CallEnd(status, fields.pop("out", {"rows": 3}), **fields)


# --- what a run goes through, as changes ----------


def call_started(
    at: Snapshot,
    step: str = "s1",
    *,
    recovery: RecoveryClass = "pure",
    now_ms: int = NOW_MS,
    worker: str = "w1",
    boot_id: str | None = None,
) -> RunChange:
    """The change that starts a call, from `context-loaded`, `planning`, or (with its end) from a call under way."""
    by = stamp(now_ms, worker=worker, boot_id=boot_id)
    first, now = None, at
    if at.run.state == "executing":
        first = steps.end_call(at, next(call for call in at.calls if call.status == "started"), ended(), by)
    elif at.run.state == "context-loaded":
        first = steps.begin_planning(at, by)
    if first is not None:
        now = at.folded(first)
    turn = steps.take_turn(
        now,
        act(step),
        proposed(now, act(step), a_tool(recovery=recovery)),
        call_id=IDS.call(),
        nonce=IDS.salt(),
        sandbox="none",
        stamp=by,
    )
    return turn if first is None else merged(first, turn)


# --- stored runs ----------


async def stored(database: Database, run_id: str) -> Snapshot:
    """The run as the database holds it now."""
    found = await runs.snapshot(database, TENANT, run_id)
    assert found is not None
    return found


async def landed(database: Database, change: RunChange) -> None:
    """Commit a change that is expected to land."""
    answer = await database.journal.commit(change)
    assert isinstance(answer, Landed), answer


async def a_created_run(database: Database, run_id: str | None = None, **fields: Any) -> Snapshot:
    """A stored run, `context-loaded` and due; `fields` are those of the request."""
    run_id = run_id or IDS.run()
    await landed(database, accept(a_request(**fields), run_id=RunId(run_id), salt=SALT, now_ms=NOW_MS))
    return await stored(database, run_id)


def identity(worker: str = "w1", **fields: Any) -> Identity:
    """A worker process on `host-1`."""
    values: dict[str, Any] = {"host": "host-1", "boot_id": BOOT_ID, "pid": 4321, "version": "0", "sandbox": "none"}
    return Identity(worker, **(values | fields))


async def a_worker(database: Database, worker: str = "w1", *, clock: FixedClock | None = None, **fields: Any) -> Lease:
    """A registered worker's lease."""
    lease = Lease(database, identity(worker, **fields), clock or FixedClock())
    await lease.acquire()
    return lease


async def claimed_by(
    database: Database, worker: str, *run_ids: str, clock: Clock | None = None, boot_id: str = BOOT_ID
) -> list[Snapshot]:
    """What a worker gets that asks for these runs (or for any)."""
    clock = clock or FixedClock()
    claim = Claim(worker, clock.wall_ms(), boot_id, clock.boot_ms(), limit=50, run_ids=run_ids or None, host="host-1")
    return await database.journal.claim(claim)


async def a_claimed_run(database: Database, worker: str = "w1", **fields: Any) -> Snapshot:
    """A stored run held by a registered worker."""
    await a_worker(database, worker)
    run = await a_created_run(database, **fields)
    (claimed,) = await claimed_by(database, worker, run.run.id)
    return claimed


async def an_executing_run(
    database: Database,
    worker: str = "w1",
    *,
    recovery: RecoveryClass = "pure",
    boot_id: str | None = None,
    **fields: Any,
) -> Snapshot:
    """A stored run held by a worker, its first call under way in that boot of its host."""
    claimed = await a_claimed_run(database, worker, **fields)
    change = call_started(claimed, recovery=recovery, worker=worker, boot_id=boot_id)
    await landed(database, change)
    return claimed.folded(change)
