"""Work that an agent hands over: a run of another agent below its own, which it waits for and which it is bound by."""

import json
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from core.ids import TENANT
from core.planners.agents import AgentSpec, read_agent
from core.principals import Principal
from core.queue import SilentDoorbell
from core.record.changes import Decided
from core.runs import delegating
from core.runs.commands.kill import kill
from core.runs.views import RunView
from core.store.lane import Target
from core.store.tables import runs
from tests.integration.worker.conftest import Rig, agent_document, succeed
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
    (call,) = (await office.row(run_id)).calls
    out = json.loads(str(call.result_json))
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
    (call,) = (await office.row(run_id)).calls
    assert taken == json.loads(str(call.result_json))["steps"]
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
