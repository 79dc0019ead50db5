"""The work: playbooks of the bench, and how a run of one is asked for and woken.

Every write here goes the way the product's own go: `accept` for a request, a pure command for a wake or a stop.
"""

import json
from collections.abc import Mapping
from functools import cache, partial
from typing import Any

from sqlalchemy import text

from core.clock import SystemClock
from core.ids import TENANT, Ids
from core.principals import Principal
from core.queue import Doorbell
from core.record.changes import Decided, Landed
from core.runs.approval_views import ask_view
from core.runs.commands.decide import Ballot, decide
from core.runs.commands.kill import kill
from core.runs.commands.request import Limits, Pinned, Request, accept
from core.store import people, runs
from core.store.lane import Target
from core.store.session import Database

STEPS = 10
WHO = Principal("bench", roles=frozenset({"operator"}))
BEN = Principal("ben", roles=frozenset({"approver"}))

_CLOCK = SystemClock()
_IDS = Ids(_CLOCK)
_POLICY = Pinned("policy", "{}")


def _step(number: int, tool: str, **arguments: Any) -> dict[str, Any]:
    return {"id": f"s{number}", "title": f"Step {number}", "tool": tool, "with": arguments}


@cache
def playbook(name: str) -> Pinned:
    """One of the bench's playbooks, as a run pins it."""
    noops = [_step(n, "bench.noop", n=n) for n in range(1, STEPS + 1)]
    steps = {
        "noops": noops,
        "marked": [*noops[:-1], _step(STEPS, "bench.mark", event="last-step")],
        "numbered": [_step(n, "bench.step", n=n) for n in range(1, STEPS + 1)],
        # A run that has finished a call stays with the host that has its workspace.
        "numbered-from-5": [_step(n, "bench.step", n=n) for n in range(5, STEPS + 1)],
        "sleep": [_step(1, "bench.sleep")],
        "busy": [_step(1, "bench.busy")],
        "gated": [_step(1, "bench.mark", event="before-gate"), _step(2, "bench.gate")],
    }[name]
    document: dict[str, Any] = {"name": name, "steps": steps, "summary": "Done."}
    return Pinned("playbook", json.dumps(document))


def request(name: str) -> Request:
    """A request nobody made before, complete and ready to be worked on."""
    return Request(TENANT, _IDS.new("key"), name, playbook(name), _POLICY, "", {}, WHO, loaded=True)


def thinking(agent: Mapping[str, Any], model: Mapping[str, Any]) -> Request:
    """A request to an agent nobody made before, with money enough.

    Args:
        agent: What differs from an agent with all of the bench's tools that may think a thousand times.
        model: What differs from a script without turns.
    """
    plain: dict[str, Any] = {
        "name": "main",
        "provider": "script",
        "model": "",
        "url": None,
        "secret": None,
        "version": None,
        "window": 1_000_000,
        "max_output": 1_000,
        "price": {"input": "2", "output": "10"},
        "timeout_ms": 120_000,
        "turns": [],
    }
    fields = {"name": "thinker", "tools": ["bench.noop", "bench.echo"], "budget": "1000.00", "turns": 1_000, **agent}
    document = Pinned("agent", json.dumps({"agent": fields, "models": [plain | dict(model)]}))
    limits = Limits(steps=10_000, budget_micro_usd=1_000_000_000)
    inputs = {"request": "Go on."}
    return Request(
        TENANT, _IDS.new("key"), "thinker", document, _POLICY, "Go on.", inputs, WHO, loaded=True, limits=limits
    )


async def ask(database: Database, name: str) -> str:
    """Accept a run durably, as a Slack listener does before its ack; returns its id."""
    return await accepted(database, request(name))


async def accepted(database: Database, asked: Request) -> str:
    """Accept any request durably; returns the run's id."""
    run_id = _IDS.run()
    change = accept(asked, run_id=run_id, salt=_IDS.salt(), now_ms=_CLOCK.wall_ms())
    answer = await database.journal.commit(change)
    if not isinstance(answer, Landed):
        raise RuntimeError(f"a new run was refused: {answer}")
    return run_id


async def ask_and_ring(database: Database, doorbell: Doorbell, name: str) -> str:
    """Accept a run and tell a worker."""
    run_id = await ask(database, name)
    await doorbell.ring(run_id, 0)
    return run_id


async def stop(database: Database, doorbell: Doorbell, run_id: str) -> None:
    """Stop a run as every surface does: the command's commit, then the announcement."""
    decide = partial(kill, run_id=run_id, by=WHO, reason="bench", now_ms=_CLOCK.wall_ms())
    answer = await database.journal.command(TENANT, Target(run_id=run_id), decide)
    if not isinstance(answer, Decided):
        raise RuntimeError(f"a run could not be stopped: {answer.text}")
    await doorbell.announce("stop", run_id)


async def approve(database: Database, doorbell: Doorbell, run_id: str) -> None:
    """Approve what a run waits for as a click does: read the action, note who votes, vote, ring."""
    snapshot = await runs.snapshot(database, TENANT, run_id)
    if snapshot is None:
        raise RuntimeError(f"run {run_id} is gone")
    ask = ask_view(snapshot, snapshot.approvals[-1], {})
    now_ms = _CLOCK.wall_ms()
    await database.journal.record([people.known(TENANT, BEN.id, BEN.roles, usable=True, now_ms=now_ms)])
    ballot = Ballot(
        approval_id=ask.approval.id,
        decision="approve",
        by=BEN,
        action=ask.approval.digest,
        seen_digest=ask.box.digest,
        received_ms=now_ms,
    )
    policy = snapshot.run.policy_digest
    decided = partial(decide, ballot=ballot, policy_digest=policy, now_ms=now_ms)
    answer = await database.journal.command(TENANT, Target(approval_id=ask.approval.id), decided)
    if not isinstance(answer, Decided):
        raise RuntimeError(f"an approval was refused: {answer.text}")
    await doorbell.ring(run_id, answer.changes[0].run["wake"])


async def parked_count(database: Database) -> int:
    """How many runs wait for a person, held by nobody."""
    sql = "SELECT count(*) FROM runs WHERE state = 'waiting-for-approval' AND lease_owner IS NULL AND due_at IS NULL"
    async with database.read() as connection:
        return int((await connection.execute(text(sql))).scalar_one())
