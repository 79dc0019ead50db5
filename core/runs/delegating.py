"""Handing a part of the work over: a run of another agent below the one that asks, which waits for its end.

The call that asks is a wait (`waits`): each look of it makes sure that the run below is there and says how far that is.
That run is found by the call's id, so looking twice, or a look of a worker that died, starts nothing twice. It may use
no tool that the run above may not use, is bound by the same contract of a channel, and may spend no more than that has
left; its steps count as steps of the run above.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from core.config.document import canonical_json
from core.errors import ArtifactCorrupt, RetryableError, TerminalError
from core.ids import RunId
from core.names import display_name
from core.planners.agents import AgentSpec, Delegated, read_agent
from core.principals import Actor, Principal
from core.queue import Doorbell
from core.record.changes import Decided, Refusal
from core.record.rows import CallRow, Snapshot
from core.record.states import DUE_NOW, TERMINAL, BlockedReason, CallStatus, RunState
from core.runs import allowance, damage
from core.runs.accepting import limits_for
from core.runs.allowance import steps_taken
from core.runs.commands.request import Pinned, Request, accept, surface_of
from core.runs.draft import Draft
from core.runs.mind import KIND
from core.runs.station import Station
from core.runs.steps import CallEnd
from core.runs.waiting import Waiting
from core.store import runs as run_queries
from core.store.lane import Target
from core.store.session import Database
from core.tools import beneath

FROM = "from"
"""The directory for what runs below have kept, by their ids."""

_MOST_SAID = 20_000
_OVER = "the run that asked has gone another way"


def source_key(call_id: str) -> str:
    """What makes the run below one: the call that asked for it."""
    return f"delegate:{call_id}"


async def look(station: Station, snapshot: Snapshot, call: CallRow, agent: AgentSpec | None) -> CallEnd:
    """One look: see that the run below is there, and say how far it is.

    Args:
        agent: The one that asks; `None` = no agent asks.
    """
    if agent is None:
        return CallEnd("failed", {}, error="only an agent can hand work over")
    tree: Sequence[Snapshot] = ()

    def decide(runs: Sequence[Snapshot]) -> Decided | Refusal:
        nonlocal tree
        tree = runs
        return begin(
            runs,
            call=call,
            fence=snapshot.run.fence,
            agent=agent,
            policy=station.bench.rules().pinned,
            child_id=station.bench.ids.run(),
            salt=station.bench.ids.salt(),
            now_ms=station.clock.wall_ms(),
        )

    answer = await station.database.journal.command(snapshot.run.tenant, Target(run_id=snapshot.run.id), decide)
    if isinstance(answer, Decided):
        return CallEnd("succeeded", {"run": answer.changes[0].run_id, "state": "created", "done": False})
    child = below(tree, call.id)
    if child is None:
        return CallEnd("failed", {}, error=answer.text)
    end = _ended(child)
    return await _with_files(station, snapshot, child, end) if end.out["done"] else end


def begin(
    runs: Sequence[Snapshot],
    *,
    call: CallRow,
    fence: int,
    agent: AgentSpec,
    policy: Pinned,
    child_id: RunId,
    salt: str,
    now_ms: int,
) -> Decided | Refusal:
    """Create the run below, if it is not there and may be.

    Args:
        runs: The whole tree.
        call: The call that asks, as it was stored.
        fence: Under which that call was started.
    """
    above = next((each for each in runs if each.run.id == call.run_id), None)
    if below(runs, call.id) is not None:
        return Refusal("already", "It is there already.")
    if above is None or above.run.fence != fence or above.call(call.id).call_status is not CallStatus.STARTED:
        return Refusal("ended", _OVER)
    run, args = above.run, json.loads(call.envelope)["args"]
    other = agent.delegates.get(args["agent"])
    if other is None:
        named = ", ".join(sorted(agent.delegates)) or "none"
        return Refusal("invalid", f"`{agent.name}` may hand work over to: {named}")
    money = (run.budget_micro_usd or 0) - sum(_held(each) for each in runs)
    steps = run.step_cap - steps_taken(above)
    if money <= 0 or steps <= 0:
        what = "money" if money <= 0 else "steps"
        return Refusal("invalid", f"nothing is left of the {what} of run {run.id} for another run")
    document = narrowed(other, agent.tools)
    limits = limits_for(read_agent(document), steps, max(1, (run.deadline_at or now_ms) - now_ms), most=money)
    request = Request(
        tenant=run.tenant,
        source_key=source_key(call.id),
        agent=args["agent"],
        document=Pinned(KIND, document),
        policy=policy,
        text=args["request"],
        inputs={"request": args["request"]},
        requester=Principal(run.requester, slack_user=run.requester_slack),
        surface=surface_of(run),
        loaded=True,
        limits=limits,
        authors=tuple(run.authors),
        contract=allowance.of(above).contract,
    )
    return Decided((accept(request, run_id=child_id, salt=salt, now_ms=now_ms, below=run),), f"Run {child_id} began.")


def below(runs: Sequence[Snapshot], call_id: str) -> Snapshot | None:
    """The run that a call asked for."""
    return next((each for each in runs if each.run.source_key == source_key(call_id)), None)


def narrowed(other: Delegated, tools: Sequence[str]) -> str:
    """An agent as a run below pins it: with those of its tools that the one above has, too, and nobody below it."""
    body: dict[str, Any] = json.loads(other.document)
    agent = body["agent"]
    agent["tools"] = [tool for tool in agent.get("tools", ()) if tool in tools]
    for part in (agent, body):
        part.pop("delegates", None)
    return canonical_json(body)


def wake(runs: Sequence[Snapshot], *, child_id: str, now_ms: int) -> Decided | Refusal:
    """Have the run above look at once, now that the one below has ended."""
    child = next((each for each in runs if each.run.id == child_id), None)
    above = None if child is None else next((each for each in runs if each.run.id == child.run.parent_id), None)
    if child is None or above is None or child.run.run_state not in TERMINAL:
        return Refusal("invalid", f"Nothing waits for the end of run {child_id}.")
    run = above.run
    call = next((each for each in above.calls if source_key(each.id) == child.run.source_key), None)
    wait = None if call is None else Waiting.of(call)
    waits = run.run_state is RunState.EXECUTING and run.lease_owner is None and run.due_at not in (None, DUE_NOW)
    if call is None or wait is None or call.call_status is not CallStatus.INTENT or not waits:
        return Refusal("already", f"Run {run.id} does not wait any more.")
    draft = Draft(above, Actor.system("delegation"))
    draft.update(
        "tool_calls", {"id": call.id}, {"wait_json": replace(wait, next_at=min(wait.next_at, now_ms)).to_json()}
    )
    draft.run |= {"due_at": DUE_NOW, "wake": run.wake + 1}
    return Decided((draft.seal(now_ms=now_ms),), f"Run {run.id} goes on.")


async def wake_one(database: Database, doorbell: Doorbell, tenant: str, child_id: str, *, now_ms: int) -> bool:
    """The same for one run that has ended, and ring for the run above; whether that had to be."""
    decide = partial(wake, child_id=child_id, now_ms=now_ms)
    answer = await database.journal.command(tenant, Target(run_id=child_id), decide)
    if not isinstance(answer, Decided):
        return False
    change = answer.changes[0]
    await doorbell.ring(change.run_id, change.run["wake"])
    return True


async def wake_all(database: Database, doorbell: Doorbell, *, now_ms: int, limit: int) -> int:
    """The same for every run that has ended and whose end nobody has told the one above; how many."""
    woken = 0
    for tenant, child_id in await run_queries.ended_below(database, limit=limit):
        woken += await wake_one(database, doorbell, tenant, child_id, now_ms=now_ms)
    return woken


async def _with_files(station: Station, above: Snapshot, child: Snapshot, end: CallEnd) -> CallEnd:
    """Put what the run below has kept into the working directory of the one above, and say where.

    They come from the store, as they were kept, to places that only this call has; another look puts them there again.
    """
    kept = {display_name(each.name): each for each in child.artifacts if each.role == "output"}
    files: list[str] = []
    refused: dict[str, str] = {}
    if not kept:
        return replace(end, out={**end.out, "files": files})
    try:
        workspace = await station.workspaces.ready(above)
        for name, each in kept.items():
            data = await station.bench.objects.read(each.sha256, max(each.size, 1))
            path = f"{FROM}/{child.run.id}/{name}"
            try:
                await asyncio.to_thread(beneath.write_file, workspace, path, data)
                files.append(path)
            except beneath.PathRefused as error:
                refused[name] = error.user_text
    except ArtifactCorrupt as error:
        why = damage.said(child, error)
        return CallEnd("failed-safe", {}, error=why, parked=BlockedReason.ARTIFACT_INTEGRITY)
    except RetryableError as error:
        return CallEnd("failed-safe", {}, error=error.user_text, parked=BlockedReason.DEPENDENCY_DOWN)
    except TerminalError as error:
        return CallEnd("failed", end.out, error=error.user_text)
    return replace(end, out={**end.out, "files": files, **({"refused": refused} if refused else {})})


def _held(snapshot: Snapshot) -> int:
    """What a run has spent, and what it may be spending right now."""
    return snapshot.run.cost_micro_usd + sum(
        turn.reserved_micro_usd for turn in snapshot.turns if turn.status == "started"
    )


def _ended(child: Snapshot) -> CallEnd:
    run = child.run
    out: dict[str, Any] = {"run": run.id, "state": run.state, "done": run.run_state in TERMINAL, "steps": run.steps}
    if not out["done"]:
        return CallEnd("succeeded", out)
    said = (run.outcome or "")[:_MOST_SAID]
    out |= {"outcome": said}
    if run.run_state is RunState.COMPLETED:
        return CallEnd("succeeded", out)
    return CallEnd("failed", out, error=f"run {run.id} is {run.state}: {said}")
