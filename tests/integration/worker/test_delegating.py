"""Work that an agent hands over: a run of another agent below its own, which it waits for and which it is bound by."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from core.ids import TENANT
from core.planners.agents import AgentSpec, read_agent
from core.principals import Principal
from core.queue import SilentDoorbell
from core.record.changes import Decided
from core.record.freezes import FreezeChange
from core.runs import delegating
from core.runs.commands.again import ask_again
from core.runs.commands.kill import kill
from core.runs.views import RunView
from core.store.lane import Target
from core.store.tables import runs
from core.tools.base import Produced, ToolContext, ToolResult
from tests.integration.worker.conftest import Probe, Rig, agent_document, succeed
from tests.integration.worker.operating import frozen, thawed
from tests.invariants import broken

ANA = Principal("ana")

ASKS = [
    {"calls": [{"id": "part", "tool": "delegate", "with": {"agent": "counter", "request": "Count them."}}]},
    {"if": "steps.part.status == 'succeeded'", "text": "It says: ${{ steps.part.out.outcome }}"},
    {"if": "steps.part.status == 'failed'", "text": "It did not work: ${{ steps.part.error }}"},
]
COUNTS = [{"calls": [{"tool": "look"}]}, {"text": "There are 3."}]


@pytest.fixture
async def office(rig: Rig) -> Rig:
    rig.tool("delegate", succeed, tier="read")
    for name in ("look", "other"):
        rig.tool(name, succeed, tier="read", recovery="pure")
    await rig.start()
    return rig


async def ask(rig: Rig, turns: list[dict[str, Any]] = ASKS, *, counts: Any = COUNTS, **more: Any) -> str:
    """A run that hands work over to the agent `counter`, driven until it sleeps."""
    counter = agent_document(models=[{"turns": counts}], tools=("look", "other"), name="counter", budget="0.40")
    asked: dict[str, Any] = {"models": [{"turns": turns}], "tools": ("look",), "delegates": {"counter": counter}} | more
    run_id = await rig.ask_agent("How many are there?", **asked)
    await rig.drive(run_id)
    return run_id


async def below(rig: Rig, run_id: str) -> list[RunView]:
    async with rig.database.read() as connection:
        ids = (await connection.execute(select(runs.c.id).where(runs.c.parent_id == run_id))).scalars().all()
    return [await rig.look(each) for each in ids]


async def stop(rig: Rig, run_id: str) -> None:
    decide = partial(kill, run_id=run_id, by=ANA, reason="", now_ms=rig.clock.wall_ms())
    assert isinstance(await rig.database.journal.command(TENANT, Target(run_id=run_id), decide), Decided)


async def test_an_agent_sleeps_until_the_run_below_has_ended_and_is_told_what_it_says(office: Rig) -> None:
    run_id = await ask(office)

    row = (await office.row(run_id)).run
    assert ("executing", None) == (row.state, row.lease_owner)
    (child,) = await below(office, run_id)
    assert ("counter", "context-loaded", "ana", 1) == (child.agent, child.state, child.requester, row.depth + 1)
    assert "completed" == (await office.drive(child.id)).state
    assert 0 == (await office.row(run_id)).run.due_at, "it is due as soon as the run below has ended"
    shown = await office.drive(run_id)

    assert ("completed", True) == (shown.state, "It says: There are 3." in str(shown.outcome))
    out = await said_of_it(office, run_id)
    assert (child.id, "completed", True) == (out["run"], out["state"], out["done"])
    assert 1 == len(await below(office, run_id))
    assert [] == await broken(office.database)


async def test_looking_again_starts_nothing_again(office: Rig) -> None:
    run_id = await ask(office)
    (child,) = await below(office, run_id)
    for _ in range(3):
        snapshot = await office.row(run_id)
        (call,) = snapshot.calls
        assert office.station is not None
        end = await delegating.look(office.station, snapshot, call, agent_of_office())
        assert (child.id, False) == (end.out["run"], end.out["done"])

    assert 1 == len(await below(office, run_id))


def agent_of_office() -> AgentSpec:
    counter = agent_document(models=[{"turns": COUNTS}], name="counter")
    return read_agent(agent_document(models=[{"turns": ASKS}], delegates={"counter": counter}))


async def test_the_run_below_has_no_tool_and_no_money_that_the_one_above_has_not(office: Rig) -> None:
    run_id = await ask(office, budget="0.30")

    (child,) = await below(office, run_id)
    assert office.station is not None
    digest = (await office.row(child.id)).run.agent_digest
    pinned = await office.station.documents.find(TENANT, digest)
    assert pinned is not None
    assert ["look"] == json.loads(pinned.body)["agent"]["tools"]
    left = 300_000 - (await office.row(run_id)).run.cost_micro_usd
    assert left == child.budget_micro_usd


async def test_steps_of_the_run_below_count_as_its_own(office: Rig) -> None:
    counts = [{"calls": [{"tool": "look", "with": {"n": n}}]} for n in range(3)]
    run_id = await ask(office, counts=[*counts, {"text": "There are 3."}])
    (child,) = await below(office, run_id)
    before = (await office.row(run_id)).run
    assert before.step_cap - before.steps == (await office.row(child.id)).run.step_cap
    await office.drive(child.id)
    taken = (await office.row(child.id)).run.steps
    assert 7 == taken

    await office.drive(run_id)
    assert taken == (await said_of_it(office, run_id))["steps"]
    assert [] == await broken(office.database)


async def test_a_run_below_that_fails_is_told_as_what_it_is(office: Rig) -> None:
    run_id = await ask(office, counts=[{"error": "refused"}])
    (child,) = await below(office, run_id)
    assert "blocked" == (await office.drive(child.id)).state
    assert "executing" == (await office.drive(run_id)).state  # somebody may still help the one below
    await stop(office, child.id)

    assert 1 == await delegating.wake_all(office.database, SilentDoorbell(), now_ms=office.clock.wall_ms(), limit=10)
    assert 0 == await delegating.wake_all(office.database, SilentDoorbell(), now_ms=office.clock.wall_ms(), limit=10)
    shown = await office.drive(run_id)

    assert "completed" == shown.state
    assert f"It did not work: run {child.id} is canceled" in str(shown.outcome)


async def test_stopping_a_run_stops_what_it_handed_over(office: Rig) -> None:
    run_id = await ask(office)

    await stop(office, run_id)

    (child,) = await below(office, run_id)
    assert ("canceled", "ana") == (child.state, None if child.stop is None else child.stop.by)
    assert [] == await broken(office.database)


@pytest.mark.parametrize("told", [True, False])
async def test_a_freeze_of_an_agent_covers_what_it_handed_over(office: Rig, told: bool) -> None:
    run_id = await ask(office)
    (child,) = await below(office, run_id)
    assert isinstance(await frozen(office, "agent:thinker", told=told), FreezeChange)

    shown = await office.drive(child.id)
    assert ("counter", "blocked", "frozen", 0) == (shown.agent, shown.state, shown.blocked_reason, len(shown.actions))

    await thawed(office, "agent:thinker")
    shown = await office.drive(child.id)
    assert ("completed", 1) == (shown.state, len(shown.actions))
    assert [] == await broken(office.database)


@pytest.mark.parametrize(
    ("turns", "more", "said"),
    [
        (
            [{"calls": [{"id": "part", "tool": "delegate", "with": {"agent": "nobody", "request": "x"}}]}, *ASKS[1:]],
            {},
            "may hand work over to: counter",
        ),
        (ASKS, {"budget": "0.00"}, "nothing is left of the money"),
    ],
)
async def test_what_it_may_not_hand_over_it_is_told(
    office: Rig, turns: list[dict[str, Any]], more: dict[str, Any], said: str
) -> None:
    run_id = await ask(office, turns, **more)

    shown = await office.look(run_id)
    assert ("completed", True) == (shown.state, said in str(shown.outcome)), shown.outcome
    assert [] == await below(office, run_id)


COUNTED = "3 of them"


async def handed_over(rig: Rig) -> tuple[str, str]:
    """A run that waits for the end of one that has kept a file, and that one."""

    async def keeps(probe: Probe, context: ToolContext) -> ToolResult:
        path = context.scratch / "count.txt"
        path.write_text(COUNTED)
        return ToolResult("succeeded", {}, (Produced("count.txt", path, "text/plain"),))

    async def reads(probe: Probe, context: ToolContext) -> ToolResult:
        found = (context.workspace / "from").glob("*/*")
        return ToolResult("succeeded", {"read": {path.name: path.read_text() for path in found}})

    rig.tool("delegate", succeed, tier="read")
    rig.tool("look", keeps, recovery="pure")
    rig.tool("other", reads, tier="read", recovery="pure")
    await rig.start()
    turns = [ASKS[0], {"calls": [{"tool": "other"}]}, {"text": "It is read."}]
    run_id = await ask(rig, turns, tools=("look", "other"))
    (child,) = await below(rig, run_id)
    assert "completed" == (await rig.drive(child.id)).state
    return run_id, child.id


async def said_of_it(rig: Rig, run_id: str) -> Any:
    """What the call that handed work over has brought."""
    call = (await rig.row(run_id)).calls[0]
    return json.loads(str(call.result_json))


async def test_what_the_run_below_has_kept_lies_in_the_directory_of_the_one_above(rig: Rig) -> None:
    run_id, child_id = await handed_over(rig)

    shown = await rig.drive(run_id)

    assert "completed" == shown.state, shown.outcome
    handed, read = (json.loads(str(call.result_json)) for call in (await rig.row(run_id)).calls)
    assert [f"from/{child_id}/count.txt"] == handed["files"]
    assert {"count.txt": COUNTED} == read["read"]
    assert "count.txt" not in [file.name for file in shown.artifacts], "it is a file of the run below, and kept once"
    assert [] == await broken(rig.database)


async def test_a_kept_file_that_is_damaged_is_not_brought(rig: Rig) -> None:
    run_id, child_id = await handed_over(rig)
    [file] = [file for file in (await rig.look(child_id)).artifacts if file.name == "count.txt"]
    stored = rig.home / "artifacts" / "sha256" / file.sha256[:2] / file.sha256[2:]
    stored.rename(rig.home / "away")

    shown = await rig.drive(run_id)
    assert ("blocked", "artifact-integrity") == (shown.state, shown.blocked_reason), shown.outcome
    assert "The file 'count.txt'" in str(shown.blocked_detail)

    (rig.home / "away").rename(stored)
    decide = partial(ask_again, run_id=run_id, by=ANA, now_ms=rig.clock.wall_ms())
    assert isinstance(await rig.database.journal.command(TENANT, Target(run_id=run_id), decide), Decided)
    shown = await rig.drive(run_id)

    assert "completed" == shown.state, shown.outcome
    assert [f"from/{child_id}/count.txt"] == (await said_of_it(rig, run_id))["files"]


async def test_a_link_in_the_way_is_not_followed(rig: Rig, tmp_path: Path) -> None:
    run_id, _ = await handed_over(rig)
    assert rig.station is not None
    workspace = await rig.station.workspaces.ready(await rig.row(run_id))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (workspace / "from").symlink_to(elsewhere)

    shown = await rig.drive(run_id)

    assert "completed" == shown.state
    out = await said_of_it(rig, run_id)
    assert ([], ["count.txt"]) == (out["files"], list(out["refused"]))
    assert "link" in out["refused"]["count.txt"]
    assert [] == list(elsewhere.iterdir())


async def test_a_run_below_hands_nothing_over_itself(office: Rig) -> None:
    deeper = agent_document(models=[{"turns": COUNTS}], name="deeper")
    asks = {"calls": [{"tool": "delegate", "with": {"agent": "deeper", "request": "x"}}]}
    counter = agent_document(
        models=[{"turns": [asks, {"text": "No."}]}],
        name="counter",
        delegates={"deeper": deeper},
    )
    run_id = await ask(office, delegates={"counter": counter})
    (child,) = await below(office, run_id)

    assert "completed" == (await office.drive(child.id)).state
    assert [] == await below(office, child.id)
