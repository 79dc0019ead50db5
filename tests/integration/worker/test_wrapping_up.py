"""Runs that come to the end of what they may use: their thread is told, they stand still, or they finish with what they
have."""

from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from core.actions.policy import Approvers
from core.ids import TENANT
from core.principals import Principal
from core.record.changes import Decided, Refusal
from core.runs import reading
from core.runs.commands.fund import allow_more
from core.runs.commands.wrap_up import wrap_up
from core.store.lane import Target
from core.store.tables import outbox
from core.tools.base import ToolContext, ToolResult
from tests.integration.worker.conftest import Probe, Rig
from tests.integration.worker.test_thinking import at
from tests.vendors import Say, openai_server

APPROVERS = Approvers(frozenset({"approver"}))
ADA = Principal("ada", roles=frozenset({"approver"}))
ANA = Principal("ana")
OPS = Principal("ops", roles=frozenset({"operator"}))


async def told(rig: Rig, kind: str) -> list[str]:
    """The keys of what the threads are told, in order."""
    async with rig.database.read() as connection:
        rows = await connection.execute(select(outbox.c.dedupe_key).where(outbox.c.kind == kind).order_by(outbox.c.id))
        return [str(key).split(":")[-1] for key in rows.scalars()]


async def more(rig: Rig, run_id: str, unit: Any, **given: Any) -> Decided | Refusal:
    asked = {"by": ADA, "add": None, "seen": None, "now_ms": rig.clock.wall_ms()} | given
    command = partial(allow_more, run_id=run_id, approvers=APPROVERS, unit=unit, **asked)
    return await rig.database.journal.command(TENANT, Target(run_id=run_id), command)


async def finish(rig: Rig, run_id: str, by: Principal = ANA) -> Decided | Refusal:
    command = partial(wrap_up, run_id=run_id, by=by, policy=None, now_ms=rig.clock.wall_ms())
    return await rig.database.journal.command(TENANT, Target(run_id=run_id), command)


async def looks(probe: Probe, context: ToolContext) -> ToolResult:
    return ToolResult("succeeded", {"said": "abcdefghijklmnopqrstuvwxyz"[: len(probe.contexts)]})


async def test_the_thread_is_told_once_that_most_of_the_money_is_spent(rig: Rig) -> None:
    rig.tool("look", looks)
    await rig.start()
    looking = [Say("", [("look", {"at": each})], usage=(1_000, 1_000)) for each in "abcdefghi"]
    async with openai_server(*looking) as vendor:
        model = at(vendor.url, max_output=1_000, window=2_000_000)
        run_id = await rig.ask_agent("Look.", models=[model], tools=("look",), budget="0.06", channel="C1")
        view = await rig.drive(run_id)

        # A turn costs 12,000, and the next one may cost more than what is left after the fourth.
        assert ("blocked", "budget", 48_000) == (view.state, view.blocked_reason, view.cost_micro_usd)
        assert ["money=60000"] == await told(rig, "slack.budget")

        assert isinstance(await more(rig, run_id, "money", seen=60_000), Decided)
        view = await rig.drive(run_id)

    assert ("blocked", 96_000) == (view.state, view.cost_micro_usd)
    assert ["money=60000", "money=120000"] == await told(rig, "slack.budget")


@pytest.mark.parametrize(
    ("caps", "unit", "said"),
    [
        ({"calls": 2}, "calls", "used 2 of 2 tool calls"),
        ({"steps": 4}, "steps", "used 4 of 4 steps"),
        ({"tokens": 10_000}, "tokens", "its next turn may take up to"),
        ({"time": "1s"}, "time", "taken"),
    ],
)
async def test_a_run_stands_still_at_each_of_its_caps_and_goes_on_from_there(
    rig: Rig, caps: dict[str, Any], unit: Any, said: str
) -> None:
    async def waits(probe: Probe, context: ToolContext) -> ToolResult:
        if unit == "time":
            await until_ms(rig, context.label.run_id, 1_000)
        return await looks(probe, context)

    probe = rig.tool("look", waits)
    await rig.start()
    looking = [Say("", [("look", {"at": each})], usage=(1_000, 1_000)) for each in "abc"]
    async with openai_server(*looking, Say("Looked.")) as vendor:
        run_id = await rig.ask_agent("Look.", models=[at(vendor.url)], tools=("look",), caps=caps)
        view = await rig.drive(run_id)

        assert ("blocked", "budget", unit) == (view.state, view.blocked_reason, view.short), view.outcome
        assert said in str(view.blocked_detail)
        made, asked = len(probe.contexts), len(vendor.asked)
        assert (caps.get("calls", made), caps.get("steps", made + asked)) == (made, made + asked)
        usage = next(each for each in view.usages if each.unit == unit)
        assert usage.used <= usage.cap or unit == "time"

        for who in (ANA, Principal("bea"), Principal("eve", external=True)):
            assert isinstance(await more(rig, run_id, unit, by=who), Refusal)
        assert isinstance(await more(rig, run_id, unit, seen=usage.cap - 1), Refusal)
        assert isinstance(await more(rig, run_id, unit, add=-1), Refusal)
        assert isinstance(await more(rig, run_id, unit, add=100_000, seen=usage.cap), Decided)
        assert isinstance(await more(rig, run_id, unit, seen=usage.cap), Refusal), "clicked twice"
        view = await rig.drive(run_id)

    assert "completed" == view.state, (view.outcome, view.blocked_detail)
    assert 3 == len(probe.contexts)


async def until_ms(rig: Rig, run_id: str, after_ms: int) -> None:
    """Wait until a run is so old."""
    import asyncio

    created = (await rig.row(run_id)).run.created_at
    while rig.clock.wall_ms() < created + after_ms:  # noqa: ASYNC110  # a clock has no event to wait for
        await asyncio.sleep(0.05)


async def test_a_run_told_to_wrap_up_finishes_with_what_it_has(rig: Rig) -> None:
    async def then_is_told(probe: Probe, context: ToolContext) -> ToolResult:
        if len(probe.contexts) == 1:
            for who in (Principal("bea"), Principal("eve", external=True)):
                assert isinstance(await finish(rig, context.label.run_id, who), Refusal)
            assert isinstance(await finish(rig, context.label.run_id), Decided)
            assert isinstance(await finish(rig, context.label.run_id, OPS), Refusal), "it was told to already"
        return await looks(probe, context)

    probe = rig.tool("change", then_is_told)
    rig.tool("look", looks, tier="read")
    rig.tool("artifact", looks)
    await rig.start()
    changing = Say("", [("change", {"at": "a"}), ("change", {"at": "b"})])
    async with openai_server(changing, Say("", [("change", {"at": "c"})]), Say("So far this.")) as vendor:
        tools = ("change", "look", "artifact")
        run_id = await rig.ask_agent("Change it.", models=[at(vendor.url)], tools=tools, channel="C1")
        view = await rig.drive(run_id)

    assert "completed" == view.state, (view.outcome, view.blocked_detail)
    assert "It was told to finish with what it had." in str(view.outcome)
    assert 1 == len(probe.contexts), "what had not begun is left out, and what it may not do any more is refused"
    offered = [{tool["function"]["name"] for tool in asked["tools"]} for asked in vendor.asked]
    assert [{"plan", *tools}, {"plan", "look", "artifact"}, {"plan", "look", "artifact"}] == offered
    assert [False, True, True] == ["You are to finish now" in str(asked["messages"]) for asked in vendor.asked]
    assert [run_id] == await told(rig, "slack.wrap-up")
    assert view.wrap_up is not None and ("ana", 1) == (view.wrap_up.by, view.wrap_up.answers)
    (event,) = [each for each in await reading.log(rig.database, TENANT, run_id) if each.type == "wrap-up-asked"]
    assert "human:ana" == event.actor
    assert isinstance(await finish(rig, run_id), Refusal), "it is over"


async def test_a_model_that_does_not_wrap_up_is_ended_after_three_turns(rig: Rig) -> None:
    rig.tool("look", looks, tier="read")
    await rig.start()
    looking = [Say("I only look.", [("look", {"at": each})]) for each in "abcdef"]
    async with openai_server(*looking) as vendor:
        run_id = await rig.ask_agent("Look.", models=[at(vendor.url)], tools=("look",))
        assert isinstance(await finish(rig, run_id), Decided)
        view = await rig.drive(run_id)

    assert "failed" == view.state, view
    assert "did not in 3 turns" in str(view.outcome)
    offered = [len(asked["tools"]) for asked in vendor.asked]
    assert [2, 2, 1] == offered, "the last time without any tool but the plan"


async def test_a_run_without_calls_left_says_what_it_knows_when_it_wraps_up(rig: Rig) -> None:
    probe = rig.tool("look", looks, tier="read")
    await rig.start()
    async with openai_server(Say("", [("look", {"at": "a"}), ("look", {"at": "b"})]), Say("I saw a.")) as vendor:
        done = {"artifacts": ["report.md"]}
        run_id = await rig.ask_agent(
            "Look.", models=[at(vendor.url)], tools=("look",), caps={"calls": 1}, **{"done-when": done}
        )
        assert ("blocked", "calls") == ((await rig.drive(run_id)).state, (await rig.look(run_id)).short)
        assert isinstance(await finish(rig, run_id, OPS), Decided)
        view = await rig.drive(run_id)

    assert "failed" == view.state, "what was asked for is not there, and it does not say that it is"
    assert "`report.md` was not kept" in str(view.outcome) and "I saw a." in str(view.outcome)
    assert 1 == len(probe.contexts)
    assert [2, 1] == [len(asked["tools"]) for asked in vendor.asked]


async def test_a_run_without_steps_left_says_what_it_knows_when_it_wraps_up(rig: Rig) -> None:
    probe = rig.tool("look", looks, tier="read")
    await rig.start()
    async with openai_server(Say("", [("look", {"at": "a"})]), Say("I saw a.")) as vendor:
        run_id = await rig.ask_agent("Look.", models=[at(vendor.url)], tools=("look",), caps={"steps": 2})
        assert ("blocked", "steps") == ((await rig.drive(run_id)).state, (await rig.look(run_id)).short)
        assert isinstance(await finish(rig, run_id, OPS), Decided)
        view = await rig.drive(run_id)

    assert ("completed", True) == (view.state, "I saw a." in str(view.outcome)), view
    assert 1 == len(probe.contexts)
    assert [2, 1] == [len(asked["tools"]) for asked in vendor.asked], "the plan alone is left to it"


async def test_money_added_to_a_run_that_wraps_up_pays_for_that(rig: Rig) -> None:
    await rig.start()
    async with openai_server(Say("This is all.", usage=(10, 10))) as vendor:
        run_id = await rig.ask_agent("Say it.", models=[at(vendor.url)], budget="0.01")
        assert isinstance(await finish(rig, run_id), Decided)
        assert "blocked" == (await rig.drive(run_id)).state
        done = await more(rig, run_id, "money")
        assert isinstance(done, Decided) and done.text.endswith("It goes on, and wraps up as it was told to.")
        view = await rig.drive(run_id)

    assert "completed" == view.state, (view.outcome, view.blocked_detail)
    assert "You are to finish now" in str(vendor.asked[0]["messages"])
