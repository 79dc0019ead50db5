"""The work: playbooks of the bench, and how a run of one is asked for and woken.

Every write here goes the way the product's own go: `accept` for a request, a pure command for a wake or a stop.
"""

import json
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from sqlalchemy import text

from core.clock import SystemClock
from core.ids import TENANT, Ids
from core.principals import Actor, Principal
from core.queue import Doorbell
from core.record.changes import Decided, Landed, Refusal
from core.record.rows import Snapshot, dumps
from core.record.states import RunState
from core.runs.commands.kill import kill
from core.runs.commands.request import Pinned, Request, accept
from core.runs.draft import Draft
from core.store.lane import Target
from core.store.session import Database

STEPS = 10
WHO = Principal("bench", roles=frozenset({"operator"}))

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
        "sleep": [_step(1, "bench.sleep")],
        "busy": [_step(1, "bench.busy")],
        "gated": [
            _step(1, "bench.mark", event="before-gate"),
            _step(2, "bench.gate") | {"if": "!inputs.approved"},
            _step(3, "bench.mark", event="resumed"),
        ],
    }[name]
    document: dict[str, Any] = {"name": name, "steps": steps, "summary": "Done."}
    if name == "gated":
        document["inputs"] = {"approved": {"type": "boolean", "default": False}}
    return Pinned("playbook", json.dumps(document))


def request(name: str) -> Request:
    """A request nobody made before, complete and ready to be worked on."""
    return Request(TENANT, _IDS.new("key"), name, playbook(name), _POLICY, "", {}, WHO, loaded=True)


async def ask(database: Database, name: str) -> str:
    """Accept a run durably, as a Slack listener does before its ack; returns its id."""
    run_id = _IDS.run()
    change = accept(request(name), run_id=run_id, salt=_IDS.salt(), now_ms=_CLOCK.wall_ms())
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


async def wake_parked(database: Database, doorbell: Doorbell, run_id: str) -> None:
    """Let a parked run go on: one command on its locked row, then a ring. The bench's stand-in for an approval."""
    wakes: list[int] = []

    def decide(runs: Sequence[Snapshot]) -> Decided | Refusal:
        (snapshot,) = runs
        draft = Draft(snapshot, Actor.of(WHO))
        draft.move(RunState.PLANNING, {"decision": "wake"})
        wakes.append(snapshot.run.wake + 1)
        now_ms = _CLOCK.wall_ms()
        draft.run |= {"inputs_json": dumps({"approved": True}), "due_at": now_ms, "wake": wakes[-1]}
        return Decided((draft.seal(now_ms=now_ms),), "woken")

    await database.journal.command(TENANT, Target(run_id=run_id), decide)
    await doorbell.ring(run_id, wakes[-1])


async def parked_count(database: Database) -> int:
    """How many runs wait for a person, held by nobody."""
    sql = "SELECT count(*) FROM runs WHERE state = 'blocked' AND lease_owner IS NULL AND due_at IS NULL"
    async with database.read() as connection:
        return int((await connection.execute(text(sql))).scalar_one())
