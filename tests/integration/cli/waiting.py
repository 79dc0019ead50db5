"""Runs that wait for people, stored the way the product stores them: accepted, claimed, planned, asked by its own code.

What is asked about is a push that carries a patch. The configuration is the tests' own, so that the policy a run pins
is the one the command line reads.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel

from core.actions.envelope import digest
from core.actions.policy import parse
from core.artifacts import FileStore
from core.config.load import load_config
from core.ids import TENANT, RunId
from core.planners.base import Act, PlanStep, Turn
from core.principals import Principal
from core.record.changes import Decided
from core.record.rows import Snapshot
from core.runs import steps
from core.runs.commands.expire import expire
from core.runs.commands.request import Pinned, accept
from core.runs.proposals import Proposed, proposal
from core.runs.steps import Stamp
from core.runs.stored import Stored
from core.runs.toolbox import DeclaredTool
from core.store import runs
from core.store.lane import Target
from core.store.session import Database
from core.tools.ask import Ask
from core.tools.base import Prepared, ToolContext, ToolResult
from tests.databases import sqlite_url
from tests.factories import (
    IDS,
    SALT,
    FixedClock,
    NoArguments,
    a_request,
    a_worker,
    claimed_by,
    ended,
    landed,
    stored,
)
from tests.integration.cli.conftest import CommandLine

PATCH = "diff --git a/a.txt b/a.txt\n-old\n+new\u202e\n"
"""Its last line holds a character that turns text round."""
ARGS = {"repository": "https://git.example.com/team/app.git", "branch": "checkup/1", "commit": "a" * 40}
CONFIG = """\
principals:
  requester: {roles: [approver], cli: any}
  approver: {roles: [approver], cli: any}
  approver2: {roles: [approver], cli: any}
  operator: {roles: [operator], cli: any}
  member: {cli: any}
  theirs: {roles: [approver], cli: [somebody-else]}
tools:
  git_push: {tier: compensable, recovery: reconcilable}
  shell: {tier: workspace, recovery: idempotent}
policy:
  rules:
    - {name: pushes, decision: ask, tools: [git_push], quorum: QUORUM, reason: Pushes are looked at.}
playbooks:
  - name: checkup
    steps:
      - {id: look, title: Look, tool: shell, with: {argv: [ls]}}
    summary: Done.
"""

T = TypeVar("T")


class StillPush:
    """Stands for a tool that pushes; it cannot be performed."""

    name = "git_push"
    description = "Pushes a commit to a branch."
    arguments = NoArguments

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        raise AssertionError("nothing is performed here")


@dataclass(frozen=True)
class Waiting:
    """A run that waits, and the question it waits for."""

    run_id: str
    approval_id: str
    call_id: str


def configured(banksman: CommandLine, *, quorum: int = 1) -> CommandLine:
    """Let a home have the tests' configuration."""
    path = banksman.home / "team.yml"
    path.write_text(CONFIG.replace("QUORUM", str(quorum)))
    banksman.settings["BANKSMAN_CONFIG"] = str(path)
    return banksman


def waiting(
    banksman: CommandLine,
    *,
    patch: str = PATCH,
    args: Mapping[str, Any] | None = None,
    asked_ms_ago: int = 0,
    approval_id: str | None = None,
    requester: str = "requester",
) -> Waiting:
    """Store a run that waits for a decision on a push."""
    now_ms = _now_ms() - asked_ms_ago

    async def build(database: Database) -> Waiting:
        run_id = await _accepted(banksman, database, requester, now_ms)
        return await _asked(banksman, database, run_id, patch, args or ARGS, approval_id, now_ms)

    return on(banksman, build)


def asked_anew(banksman: CommandLine, run_id: str, *, args: Mapping[str, Any]) -> Waiting:
    """Let a run that is back in planning ask about something else."""
    return on(banksman, lambda database: _asked(banksman, database, run_id, PATCH, args, None, _now_ms()))


def swept(banksman: CommandLine, approval_id: str) -> None:
    """Let the sweeper close an overdue question."""

    async def sweep(database: Database) -> None:
        command = partial(expire, approval_id=approval_id, now_ms=_now_ms())
        done = await database.journal.command(TENANT, Target(approval_id=approval_id), command)
        assert isinstance(done, Decided), done

    on(banksman, sweep)


def consumed(banksman: CommandLine, it: Waiting, *, outcome: str | None = None) -> None:
    """Let a worker start an approved call, and end it with `outcome`."""

    async def start(database: Database) -> None:
        at, stamp = await _claimed(database, it.run_id, _now_ms())
        approval = at.approval(it.approval_id)
        assert approval is not None
        voters = tuple(vote.voter for vote in at.votes_on(it.approval_id))
        started = steps.start_approved(
            at, at.call(it.call_id), approval, voters=voters, key_valid_until=None, stamp=stamp
        )
        await landed(database, started)
        if outcome is not None:
            at = at.folded(started)
            await landed(database, steps.end_call(at, at.call(it.call_id), ended(outcome, out={}), stamp))

    on(banksman, start)


def questioning(banksman: CommandLine, args: Mapping[str, Any]) -> tuple[str, str]:
    """Store a run that asks a question; the run and the call that asks."""

    async def build(database: Database) -> tuple[str, str]:
        now_ms = _now_ms()
        run_id = await _accepted(banksman, database, "requester", now_ms)
        tool = DeclaredTool(Ask(), digest(b"ask"), "read", "pure", 60.0)
        call_id = await _turn(banksman, database, run_id, tool, Act("which", "ask", args, "Which one?"), now_ms)
        return run_id, call_id

    return on(banksman, build)


def on(banksman: CommandLine, work: Callable[[Database], Awaitable[T]]) -> T:
    """Do something with the database of a home."""

    async def opened() -> T:
        database = Database(sqlite_url(banksman.database))
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(opened())


def snapshot(banksman: CommandLine, run_id: str) -> Snapshot:
    """The rows of a run as they are."""

    async def read(database: Database) -> Snapshot:
        found = await runs.snapshot(database, TENANT, run_id)
        assert found is not None
        return found

    return on(banksman, read)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _accepted(banksman: CommandLine, database: Database, requester: str, now_ms: int) -> str:
    run_id = IDS.run()
    config = load_config(banksman.home / "team.yml")
    request = a_request(
        agent="checkup",
        document=Pinned("playbook", config.playbooks["checkup"].text),
        policy=Pinned("policy", config.policy_text),
        requester=Principal(requester),
    )
    await landed(database, accept(request, run_id=RunId(run_id), salt=SALT, now_ms=now_ms))
    return run_id


async def _claimed(database: Database, run_id: str, now_ms: int) -> tuple[Snapshot, Stamp]:
    """The run in the hands of a new worker."""
    clock, worker = FixedClock(now_ms), IDS.new("wrk")
    await a_worker(database, worker, clock=clock)
    held = await stored(database, run_id)
    if held.run.lease_owner is None:
        (held,) = await claimed_by(database, worker, run_id, clock=clock)
    return held, Stamp(held.run.lease_owner or worker, "host-1", now_ms)


async def _asked(
    banksman: CommandLine,
    database: Database,
    run_id: str,
    patch: str,
    args: Mapping[str, Any],
    approval_id: str | None,
    now_ms: int,
) -> Waiting:
    tool = DeclaredTool(StillPush(), digest(b"tool"), "compensable", "reconcilable", 60.0)
    data = patch.encode()
    objects = FileStore(banksman.home / "artifacts")
    source = banksman.home / "patch"
    source.write_bytes(data)
    done = await objects.put(source, cap_bytes=1_000_000)
    assert hashlib.sha256(data).hexdigest() == done.sha256
    fields = {
        "prepared": Prepared(dict(args), f"Push one commit to {args['branch']}.", network=("git.example.com:443",)),
        "inputs": (Stored(IDS.artifact(), "changes.patch", done.sha256, done.size, "text/x-diff"),),
        "approval_id": approval_id or IDS.approval(),
    }
    call_id = await _turn(
        banksman, database, run_id, tool, Act("push", "git_push", args, "Push the branch"), now_ms, **fields
    )
    return Waiting(run_id, str(fields["approval_id"]), call_id)


async def _turn(
    banksman: CommandLine, database: Database, run_id: str, tool: DeclaredTool, move: Act, now_ms: int, **fields: Any
) -> str:
    at, stamp = await _claimed(database, run_id, now_ms)
    if at.run.state != "planning":
        planning = steps.begin_planning(at, stamp)
        await landed(database, planning)
        at = at.folded(planning)
    config = load_config(banksman.home / "team.yml")
    pinned = Pinned("policy", config.policy_text)
    if at.run.policy_digest != pinned.digest:
        repinned = steps.repin(at, pinned, stamp)
        await landed(database, repinned)
        at = at.folded(repinned)
    decision = parse(config.policy_text).decide(proposal(at.run, tool, move.args))
    call_id = IDS.call()
    change = steps.take_turn(
        at,
        Turn((PlanStep(move.step, move.title, "running"),), move),
        Proposed(move, tool, decision, **fields),
        call_id=call_id,
        nonce=IDS.salt(),
        sandbox="none",
        stamp=stamp,
    )
    await landed(database, change)
    return call_id
