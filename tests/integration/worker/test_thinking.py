"""Runs of agents: a model is asked turn by turn, its calls are run like any, and what it costs is held to."""

from functools import partial
from typing import Any

import pytest

from core.config.language import KEYS
from core.ids import TENANT
from core.principals import Principal
from core.record.changes import Decided, Refusal
from core.runs import reading
from core.runs.commands.again import ask_again, continue_for
from core.store.lane import Target
from core.tools.base import ToolContext, ToolResult
from tests.integration.worker.conftest import Probe, Rig
from tests.integration.worker.operating import frozen
from tests.vendors import AWS, VENDORS, Say, openai_server

PRICE = {"input": "2", "output": "10"}
"""Two micro-dollars for a token read, ten for one written."""


async def _works(probe: Probe, context: ToolContext) -> ToolResult:
    return ToolResult("succeeded", {"said": f"number {len(probe.contexts)}"})


def script(*turns: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"turns": list(turns)}]


def at(url: str, provider: str = "openai-compatible", **more: Any) -> dict[str, Any]:
    return {"provider": provider, "model": "clever-1", "url": url, "price": PRICE, **more}


async def test_an_agent_calls_its_tools_and_ends_with_what_its_model_says(rig: Rig) -> None:
    probe = rig.tool("look", _works)
    await rig.start()
    plan = [{"title": "Look twice", "status": "running"}]
    run_id = await rig.ask_agent(
        "What is there?",
        models=script({"plan": plan, "calls": [{"tool": "look"}, {"tool": "look"}]}, {"text": "There are two."}),
        tools=("look",),
    )

    view = await rig.drive(run_id)

    assert "completed" == view.state, view
    assert str(view.outcome).startswith("There are two.")
    assert 2 == len(probe.contexts)
    row = await rig.row(run_id)
    assert [("answered", "script:main")] * 2 == [(turn.status, turn.answering_model) for turn in row.turns]


@pytest.mark.parametrize("provider", VENDORS)
async def test_vendors_are_spoken_to_in_their_own_words(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    rig.environ |= {variable: f"sk-of-{vendor}-1234" for vendor, variable in KEYS.items()}
    rig.tool("files.look", _works)
    await rig.start()
    first = Say(
        "I look.", [("files-look", {"path": "a.txt"}), ("plan", {"steps": [{"title": "Look", "status": "done"}]})]
    )
    async with VENDORS[provider](first, Say("It is done.", usage=(200, 30), model="clever-1-2026-11-01")) as vendor:
        run_id = await rig.ask_agent("Look.", models=[at(vendor.url, provider)], tools=("files.look",))

        view = await rig.drive(run_id)

    assert "completed" == view.state, (view.outcome, view.blocked_detail)
    row = await rig.row(run_id)
    reported = "clever-1" if provider == "bedrock" else "clever-1-2026-11-01"  # there nobody says who answered
    assert ["clever-1", reported] == [turn.answering_model for turn in row.turns]
    assert [(100, 20), (200, 30)] == [(turn.input_tokens, turn.output_tokens) for turn in row.turns]
    assert 100 * 2 + 20 * 10 + 200 * 2 + 30 * 10 == row.run.cost_micro_usd
    assert provider not in KEYS or f"sk-of-{provider}-1234" in str(vendor.headers[0])
    said = str(vendor.asked[1].get("messages", vendor.asked[1].get("contents")))
    assert "number 1" in said and "Published." in said


async def test_a_tool_with_a_long_name_is_called_by_a_shorter_one(rig: Rig) -> None:
    name = f"mcp.{'server_' * 5}a.{'tool_' * 7}b"
    probe = rig.tool(name, _works)
    await rig.start()
    async with openai_server() as vendor:
        run_id = await rig.ask_agent("Look.", models=[at(vendor.url)], tools=(name,))
        await rig.drive(run_id)
        (spelled,) = {tool["function"]["name"] for tool in vendor.asked[0]["tools"]} - {"plan"}
        assert 64 == len(spelled)
        vendor.answers += [Say("", [(spelled, {})]), Say("Done.")]
        view = await rig.drive(await rig.ask_agent("Look.", models=[at(vendor.url)], tools=(name,)))

    assert "completed" == view.state, (view.outcome, view.blocked_detail)
    assert 1 == len(probe.contexts)


async def test_what_a_model_may_not_do_is_told_to_it_and_never_done(rig: Rig) -> None:
    probe = rig.tool("look", _works)
    hidden = rig.tool("hidden", _works)
    await rig.start()
    wrong = Say(
        "",
        [("hidden", {}), ("look", "{not json"), ("look", "[1]"), ("nothing-like-it", {}), ("look", {}), ("look", {})],
        ids=["a", "b", "c", "d", "e", "e"],
    )
    async with openai_server(wrong, Say("I understand.")) as vendor:
        run_id = await rig.ask_agent("Try.", models=[at(vendor.url)], tools=("look",))
        view = await rig.drive(run_id)

    assert "completed" == view.state, (view.outcome, view.blocked_detail)
    assert 0 == len(hidden.contexts)
    assert 2 == len(probe.contexts)
    told = [message["content"] for message in vendor.asked[1]["messages"] if message["role"] == "tool"]
    assert 6 == len(told)
    assert ["no tool", "not JSON", "no mapping", "no tool"] == [
        next(part for part in ("no tool", "not JSON", "no mapping") if part in each) for each in told[:4]
    ]
    assert all("number" in each for each in told[4:])


async def test_arguments_that_have_no_single_form_are_told_to_it(rig: Rig) -> None:
    probe = rig.tool("look", _works)
    await rig.start()
    async with openai_server(Say("", [("look", {"n": 0.5}), ("look", {"n": 1})]), Say("I see.")) as vendor:
        run_id = await rig.ask_agent("Try.", models=[at(vendor.url)], tools=("look", "gone"))
        view = await rig.drive(run_id)

    assert "completed" == view.state, (view.outcome, view.blocked_detail)
    assert 1 == len(probe.contexts)
    assert "cannot be used" in str(vendor.asked[1]["messages"])


async def test_a_frozen_run_asks_no_model(rig: Rig) -> None:
    await rig.start()
    async with openai_server(Say("Done.")) as vendor:
        run_id = await rig.ask_agent("Say it.", models=[at(vendor.url)])
        await frozen(rig, "agent:thinker")
        view = await rig.drive(run_id)

    assert ("blocked", "frozen") == (view.state, view.blocked_reason), view
    assert [] == vendor.asked


async def test_of_many_calls_in_one_answer_the_first_sixteen_are_made(rig: Rig) -> None:
    probe = rig.tool("look", _works)
    await rig.start()
    async with openai_server(Say("", [("look", {})] * 20), Say("Enough.")) as vendor:
        run_id = await rig.ask_agent("Look.", models=[at(vendor.url)], tools=("look",))
        view = await rig.drive(run_id)

    assert "completed" == view.state, (view.outcome, view.blocked_detail)
    assert 16 == len(probe.contexts)
    told = [message["content"] for message in vendor.asked[1]["messages"] if message["role"] == "tool"]
    assert [False] * 16 + [True] * 4 == ["may ask for 16 calls" in each for each in told]


async def test_ten_thousand_calls_in_one_answer_are_not_even_read(rig: Rig) -> None:
    probe = rig.tool("look", _works)
    await rig.start()
    async with openai_server(Say("", [("look", {})] * 10_000), Say("Enough.")) as vendor:
        run_id = await rig.ask_agent("Look.", models=[at(vendor.url)], tools=("look",))
        await rig.drive(run_id)
        view = await rig.drive(run_id)

    assert "completed" == view.state, (view.outcome, view.blocked_detail)
    assert ["failed", "answered"] == [turn.status for turn in (await rig.row(run_id)).turns]
    assert 0 == len(probe.contexts)


@pytest.mark.parametrize(
    "trouble", [Say(status=429), Say(status=503), Say("Half an ans", cut=True), Say(raw="data: {nonsense\n\n")]
)
async def test_a_turn_that_brings_nothing_is_asked_for_again(rig: Rig, trouble: Say) -> None:
    await rig.start()
    async with openai_server(trouble, Say("There.")) as vendor:
        run_id = await rig.ask_agent("Say it.", models=[at(vendor.url)])
        view = await rig.drive(run_id)
        assert "planning" == view.state, (view.outcome, view.blocked_detail)
        view = await rig.drive(run_id)

    assert "completed" == view.state, (view.outcome, view.blocked_detail)
    row = await rig.row(run_id)
    assert ["failed", "answered"] == [turn.status for turn in row.turns]
    free = trouble.status == 429
    assert free == (row.turns[0].cost_micro_usd == 0)


async def test_a_model_that_refuses_its_key_is_replaced_by_its_fallback(rig: Rig) -> None:
    await rig.start()
    async with openai_server(Say(status=401)) as refusing, openai_server(Say("I can.")) as other:
        models = [at(refusing.url), {**at(other.url), "name": "other", "model": "clever-2"}]
        run_id = await rig.ask_agent("Say it.", models=models)
        await rig.drive(run_id)
        view = await rig.drive(run_id)

    assert "completed" == view.state, (view.outcome, view.blocked_detail)
    assert ["clever-1", "clever-2"] == [vendor.asked[0]["model"] for vendor in (refusing, other)]


async def test_a_run_none_of_whose_models_answers_waits_for_a_person(rig: Rig) -> None:
    await rig.start()
    async with openai_server(Say(status=401)) as vendor:
        run_id = await rig.ask_agent("Say it.", models=[at(vendor.url)])
        view = await rig.drive(run_id)

    assert ("blocked", "model-error") == (view.state, view.blocked_reason)
    assert "refuses its key" in str(view.blocked_detail)


async def test_an_answer_there_is_no_room_for_is_paid_for_and_waits_for_a_person(rig: Rig) -> None:
    await rig.start()
    store, aside = rig.home / "artifacts", rig.home / "aside"
    async with openai_server(Say("Yes."), Say("Yes, again.")) as vendor:
        run_id = await rig.ask_agent("Say it.", models=[at(vendor.url)])
        if store.exists():
            store.rename(aside)
        store.write_text("not a directory")
        view = await rig.drive(run_id)

        assert ("blocked", "dependency-down") == (view.state, view.blocked_reason), view
        assert "could not be kept: The artifact store could not be used" in str(view.blocked_detail)
        (turn,) = (await rig.row(run_id)).turns
        assert ("failed", 100 * 2 + 20 * 10) == (turn.status, turn.cost_micro_usd)

        store.unlink()
        if aside.exists():
            aside.rename(store)
        go_on = partial(ask_again, run_id=run_id, by=Principal("ana"), now_ms=rig.clock.wall_ms())
        assert isinstance(await rig.database.journal.command(TENANT, Target(run_id=run_id), go_on), Decided)
        view = await rig.drive(run_id)

    assert "completed" == view.state, (view.outcome, view.blocked_detail)
    assert 2 * (100 * 2 + 20 * 10) == view.cost_micro_usd


async def test_another_version_than_the_one_asked_for_does_not_count(rig: Rig) -> None:
    await rig.start()
    async with openai_server(Say("Yes.", model="clever-1-mini")) as vendor:
        run_id = await rig.ask_agent("Say it.", models=[at(vendor.url, version="clever-1-2026-11-01")])
        view = await rig.drive(run_id)

    assert ("blocked", "model-error") == (view.state, view.blocked_reason)
    assert "clever-1-mini" in str(view.blocked_detail)
    assert 100 * 2 + 20 * 10 == (await rig.row(run_id)).run.cost_micro_usd


async def test_without_its_key_it_says_which_variable_to_set(rig: Rig) -> None:
    await rig.start()
    run_id = await rig.ask_agent("Say it.", models=[at("http://127.0.0.1:1", "anthropic")])

    view = await rig.drive(run_id)

    assert ("blocked", "missing-secret") == (view.state, view.blocked_reason)
    assert "ANTHROPIC_API_KEY" in str(view.blocked_detail)
    assert () == (await rig.row(run_id)).turns


async def test_a_model_without_a_price_is_not_asked(rig: Rig) -> None:
    await rig.start()
    async with openai_server() as vendor:
        run_id = await rig.ask_agent("Say it.", models=[at(vendor.url, price=None)])
        view = await rig.drive(run_id)

    assert ("blocked", "budget") == (view.state, view.blocked_reason)
    assert [] == vendor.asked


async def test_a_run_stops_before_the_turn_it_cannot_pay_for(rig: Rig) -> None:
    probe = rig.tool("look", _works)
    await rig.start()
    # What is reserved for an answer alone is 10,000 micro-dollars; a turn costs what it reports.
    again = [Say("", [("look", {})], usage=(500, 900)) for _ in range(20)]
    async with openai_server(*again) as vendor:
        run_id = await rig.ask_agent("Look.", models=[at(vendor.url)], tools=("look",), budget="0.05")
        view = await rig.drive(run_id)

    assert ("blocked", "budget") == (view.state, view.blocked_reason)
    row = await rig.row(run_id)
    assert 10_000 * len(row.turns) == row.run.cost_micro_usd < 50_000
    assert len(row.turns) == len(vendor.asked) == len(probe.contexts) > 1


async def test_usage_that_nobody_believes_is_charged_at_what_was_reserved(rig: Rig) -> None:
    await rig.start()
    for usage in (None, (-5, 10), (10**9, 10**9)):
        async with openai_server(Say("So.", usage=usage)) as vendor:
            run_id = await rig.ask_agent("Say it.", models=[at(vendor.url)])
            await rig.drive(run_id)
        row = await rig.row(run_id)
        assert row.turns[0].reserved_micro_usd == row.turns[0].cost_micro_usd == row.run.cost_micro_usd > 0


async def test_what_was_declared_has_to_be_there_before_it_counts_as_done(rig: Rig) -> None:
    await rig.start()
    run_id = await rig.ask_agent(
        "Write it.", models=script(*[{"text": "It is written."}] * 5), **{"done-when": {"artifacts": ["report.md"]}}
    )

    view = await rig.drive(run_id)

    assert "failed" == view.state
    assert "`report.md` was not kept" in str(view.outcome)
    assert 3 == len((await rig.row(run_id)).turns)


async def test_an_agent_that_goes_round_in_circles_is_told_once_and_then_parked(rig: Rig) -> None:
    async def the_same(probe: Probe, context: ToolContext) -> ToolResult:
        return ToolResult("succeeded", {"status": "queued"})

    probe = rig.tool("look", the_same)
    await rig.start()
    again = [Say("", [("look", {"nonce": f"{n:08x}a"})]) for n in range(20)]
    async with openai_server(*again) as vendor:
        run_id = await rig.ask_agent("Wait for it.", models=[at(vendor.url)], tools=("look",))
        view = await rig.drive(run_id)

        assert ("blocked", "loop") == (view.state, view.blocked_reason), view
        assert "look (3 times)" in str(view.blocked_detail)
        assert 6 == len(probe.contexts)
        told = ["You are getting nowhere" in str(asked["messages"]) for asked in vendor.asked]
        assert [False] * 3 + [True] * 3 == told

        go_on = partial(ask_again, run_id=run_id, by=Principal("ana"), now_ms=rig.clock.wall_ms())
        assert isinstance(await rig.database.journal.command(TENANT, Target(run_id=run_id), go_on), Decided)
        view = await rig.drive(run_id)

    assert ("blocked", "loop") == (view.state, view.blocked_reason)
    assert 12 == len(probe.contexts), "told again before it is parked again"


async def test_an_agent_let_continue_goes_on_for_so_many_steps_and_is_parked_if_nothing_changed(rig: Rig) -> None:
    async def the_same(probe: Probe, context: ToolContext) -> ToolResult:
        return ToolResult("succeeded", {"status": "queued"})

    probe = rig.tool("look", the_same)
    await rig.start()
    again = [Say("", [("look", {"nonce": f"{n:08x}a"})]) for n in range(30)]

    async def let(run_id: str, by: str, steps: int) -> Decided | Refusal:
        command = partial(continue_for, run_id=run_id, by=Principal(by), steps=steps, now_ms=rig.clock.wall_ms())
        return await rig.database.journal.command(TENANT, Target(run_id=run_id), command)

    async with openai_server(*again) as vendor:
        run_id = await rig.ask_agent("Wait for it.", models=[at(vendor.url)], tools=("look",))
        before = await rig.drive(run_id)
        assert ("loop", True, 12) == (before.blocked_reason, before.goes_round, before.steps)

        assert isinstance(await let(run_id, "bea", 10), Refusal)
        assert isinstance(await let(run_id, "ana", 5), Refusal), "too few to see anything"
        assert isinstance(await let(run_id, "ana", 10), Decided)
        assert isinstance(await let(run_id, "ana", 10), Refusal), "clicked twice"
        view = await rig.drive(run_id)

        assert ("blocked", "loop", 22) == (view.state, view.blocked_reason, view.steps)
        assert 11 == len(probe.contexts)
        told = ["You are getting nowhere" in str(asked["messages"][-1]) for asked in vendor.asked[6:]]
        assert not any(told), "a person knows"
        events = await reading.log(rig.database, TENANT, run_id)
        went_on = [each for each in events if each.to_state == "planning" and each.from_state == "blocked"]
        assert [{"why": "continue", "steps": 10}] == [dict(each.evidence[0]) for each in went_on]
        assert "ana" in went_on[0].actor

        assert isinstance(await let(run_id, "ana", 6), Decided)
        view = await rig.drive(run_id)
    assert ("loop", 28) == (view.blocked_reason, view.steps)


async def test_what_no_longer_fits_the_window_is_summed_up_and_kept(rig: Rig) -> None:
    async def tells_much(probe: Probe, context: ToolContext) -> ToolResult:
        return ToolResult("succeeded", {"text": f"chapter {'abcdefgh'[len(probe.contexts) - 1]} " + "word " * 400})

    rig.tool("read", tells_much)
    await rig.start()
    turns_ = [Say("", [("read", {"chapter": chapter})]) for chapter in "abc"]
    async with openai_server(*turns_, Say("Chapter a and b are about words."), Say("All read.")) as vendor:
        model = at(vendor.url, window=4_500, max_output=500)
        run_id = await rig.ask_agent("Read all of it.", models=[model], tools=("read",))
        view = await rig.drive(run_id)

    assert "completed" == view.state, (view.outcome, view.blocked_detail)
    assert [None, None, None, 2, None] == [turn.covers for turn in (await rig.row(run_id)).turns]
    assert "Sum up everything so far" in str(vendor.asked[3]["messages"][-1])
    last = str(vendor.asked[4]["messages"])
    assert "are about words" in last and "Read all of it." in last and "chapter c" in last
    assert "chapter a" not in last.replace("Chapter a", "")
    assert "summary-4.json" in [artifact.name for artifact in view.artifacts]


async def test_a_request_that_no_window_holds_is_said_and_not_cut(rig: Rig) -> None:
    await rig.start()
    async with openai_server() as vendor:
        run_id = await rig.ask_agent("word " * 4_000, models=[at(vendor.url, window=4_500, max_output=500)])
        view = await rig.drive(run_id)

    assert ("blocked", "model-error") == (view.state, view.blocked_reason)
    assert [] == vendor.asked
