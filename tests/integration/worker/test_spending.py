"""Budgets under many runs at once, workers that die while a model thinks, and people who let a run spend more."""

import asyncio
import json
from functools import partial
from typing import Any

from sqlalchemy import select

from core.actions.policy import Approvers
from core.budgets import end_of
from core.ids import TENANT
from core.principals import Principal
from core.record.changes import Decided, Refusal
from core.runs import turns
from core.runs.commands.again import ask_again
from core.runs.commands.fund import allow_more
from core.runs.commands.kill import kill
from core.runs.unsettled import settle_all
from core.runs.views import RunView
from core.store.lane import Target
from core.store.tables import budgets, outbox, spend
from tests.integration.worker.conftest import Rig, until
from tests.integration.worker.test_thinking import at
from tests.integration.worker.test_wrapping_up import looks
from tests.vendors import Say, Vendor, openai_server

APPROVERS = Approvers(frozenset({"approver"}))
ADA = Principal("ada", roles=frozenset({"approver"}))


async def spent(rig: Rig) -> dict[str, tuple[int, int]]:
    """By scope: how much is used of how much."""
    async with rig.database.read() as connection:
        rows = (await connection.execute(select(budgets))).mappings().all()
    return {row["scope"]: (row["used"], row["cap"]) for row in rows}


async def test_runs_that_share_a_budget_never_exceed_it_together(rig: Rig) -> None:
    """Twenty runs of one person at once, and money for four of them: at no moment is more taken than there is."""
    rig.spend_caps = turns.Caps(person_day=60_000)
    await rig.start(slots=20)
    answers = [Say("So.", usage=(100, 1000), hang_s=0.05) for _ in range(20)]
    seen: list[int] = []
    async with openai_server(*answers) as vendor:
        ids = [await rig.ask_agent("Say it.", models=[at(vendor.url)]) for _ in range(20)]

        async def watch() -> None:
            while True:
                seen.append((await spent(rig)).get("person", (0, 0))[0])
                await asyncio.sleep(0.005)

        watching = asyncio.create_task(watch())
        views = await asyncio.gather(*(rig.drive(run_id) for run_id in ids))
        watching.cancel()

    states = [str(view.state) for view in views]
    assert {"completed", "blocked"} == set(states), states
    assert max(seen) <= 60_000
    done = states.count("completed")
    assert done == len(vendor.asked) <= 60_000 // 10_200
    assert (done * 10_200, 60_000) == (await spent(rig))["person"]
    assert {"budget"} == {str(view.blocked_reason) for view in views if view.state == "blocked"}


async def test_a_turn_whose_worker_died_is_charged_at_its_reserve_and_asked_for_again(rig: Rig) -> None:
    driver = await rig.start()
    async with openai_server(Say("Too late.", hang_s=30), Say("In time.")) as vendor:
        run_id = await rig.ask_agent("Say it.", models=[at(vendor.url)])
        thinking = asyncio.create_task(driver.on_ring(run_id, 0))
        await until(lambda: _asked(vendor))
        # Its worker is told to stop at once, as one that lost its lease is.
        await driver.drain(0)
        await thinking
        await rig.start()
        view = await rig.drive(run_id)

    assert "completed" == view.state, (view.outcome, view.blocked_detail)
    lost, answered = (await rig.row(run_id)).turns
    assert ("lost", "answered") == (lost.status, answered.status)
    assert lost.reserved_micro_usd == lost.cost_micro_usd > 0
    assert lost.cost_micro_usd + answered.cost_micro_usd == view.cost_micro_usd == (await spent(rig))["run"][0]
    async with rig.database.read() as connection:
        rows = (await connection.execute(select(spend))).mappings().all()
    assert {(1, lost.cost_micro_usd), (0, answered.cost_micro_usd)} == {(row["lost"], row["settled"]) for row in rows}


async def test_a_turn_under_way_when_its_run_was_stopped_is_charged_later(rig: Rig) -> None:
    driver = await rig.start()
    async with openai_server(Say("Too late.", hang_s=30)) as vendor:
        run_id = await rig.ask_agent("Say it.", models=[at(vendor.url)])
        thinking = asyncio.create_task(driver.on_ring(run_id, 0))
        await until(lambda: _asked(vendor))
        stop = partial(kill, run_id=run_id, by=Principal("ana"), reason="", now_ms=rig.clock.wall_ms())
        assert isinstance(await rig.database.journal.command(TENANT, Target(run_id=run_id), stop), Decided)
        await driver.check_stopped(run_id)
        await thinking
    held = (await spent(rig))["run"][0]
    assert held > 0
    now_ms = rig.clock.wall_ms()

    assert 0 == await settle_all(rig.database, now_ms=now_ms, limit=10)
    assert 1 == await settle_all(rig.database, now_ms=now_ms + 600_001, limit=10)
    assert 0 == await settle_all(rig.database, now_ms=now_ms + 600_001, limit=10)

    row = await rig.row(run_id)
    assert ("canceled", "lost") == (row.run.state, row.turns[0].status)
    assert held == row.run.cost_micro_usd == (await spent(rig))["run"][0]


async def _asked(vendor: Vendor) -> bool:
    return bool(vendor.asked)


async def raised(rig: Rig, run_id: str, by: Principal, **more: Any) -> Decided | Refusal:
    given = {"unit": "money", "add": None, "seen": None, "approvers": APPROVERS, "now_ms": rig.clock.wall_ms()}
    command = partial(allow_more, run_id=run_id, by=by, **(given | more))
    return await rig.database.journal.command(TENANT, Target(run_id=run_id), command)


async def test_a_run_that_may_spend_more_goes_on_where_it_stood(rig: Rig) -> None:
    await rig.start()
    async with openai_server(Say("Done.", usage=(100, 100))) as vendor:
        run_id = await rig.ask_agent("Say it.", models=[at(vendor.url)], budget="0.01")
        assert "blocked" == (await rig.drive(run_id)).state

        for who in (Principal("ana"), Principal("bea"), Principal("eve", external=True)):
            assert isinstance(await raised(rig, run_id, who), Refusal)
        assert isinstance(await raised(rig, run_id, ADA, seen=9_999), Refusal)
        assert isinstance(await raised(rig, run_id, ADA, add=-5), Refusal)
        assert isinstance(await raised(rig, run_id, ADA, seen=10_000), Decided)
        assert isinstance(await raised(rig, run_id, ADA, seen=10_000), Refusal), "clicked twice"
        view = await rig.drive(run_id)

    assert "completed" == view.state, (view.outcome, view.blocked_detail)
    assert 20_000 == view.budget_micro_usd


async def told(rig: Rig) -> list[tuple[str, dict[str, Any]]]:
    """What threads are told of shared budgets: the thread, and what of which."""
    async with rig.database.read() as connection:
        rows = await connection.execute(select(outbox).where(outbox.c.kind == "slack.budget").order_by(outbox.c.id))
        found = [(str(row["lane"]), json.loads(row["body_json"])) for row in rows.mappings()]
    return [(lane, each) for lane, body in found for each in body.get("shared", ())]


async def test_each_thread_that_draws_on_a_shared_budget_is_told_once_that_most_of_it_is_gone(rig: Rig) -> None:
    rig.spend_caps = turns.Caps(person_day=60_000)
    rig.tool("look", looks)
    await rig.start()
    dear = [Say("", [("look", {"at": each})], usage=(1_000, 1_000)) for each in "abcd"]
    cheap = [Say("", [("look", {"at": "here"})], usage=(10, 10)), Say("Done.", usage=(10, 10))]
    async with openai_server(*dear, *cheap, *cheap) as vendor:

        async def run(channel: str, most: int) -> RunView:
            models = [at(vendor.url, max_output=most, window=2_000_000)]
            return await rig.drive(await rig.ask_agent("Look.", models=models, tools=("look",), channel=channel))

        # A turn costs 12,000, and may cost more than what is left after the fourth.
        first = await run("C1", 1_000)
        assert ("blocked", "budget", "shared") == (first.state, first.blocked_reason, first.short)
        assert "It is set by `budgets.person-day`" in str(first.blocked_detail)
        ((lane, body),) = await told(rig)
        assert ("T1:C1:1.1", "person", 48_000, 60_000) == (lane, body["scope"], body["used"], body["cap"])
        assert end_of(body["budget_id"].rpartition(":")[2]) == body["until_ms"] > rig.clock.wall_ms()

        assert "completed" == (await run("C1", 50)).state
        assert 1 == len(await told(rig)), "the thread knows"
        assert "completed" == (await run("C2", 50)).state
        assert ["T1:C1:1.1", "T1:C2:1.1"] == [lane for lane, _ in await told(rig)]

    answer = await raised(rig, first.id, ADA)
    assert isinstance(answer, Decided) and "It still waits for a budget" in answer.text
    assert "blocked" == (await rig.look(first.id)).state, "money of its own does not help"


async def test_a_run_that_waited_for_a_shared_budget_goes_on_under_a_higher_one(rig: Rig) -> None:
    rig.spend_caps = turns.Caps(channel_month=10_000)
    await rig.start()
    async with openai_server(Say("Done.", usage=(100, 100))) as vendor:
        run_id = await rig.ask_agent("Say it.", models=[at(vendor.url)], channel="C1")
        assert "shared" == (await rig.drive(run_id)).short
        rig.spend_caps = turns.Caps(channel_month=100_000)
        again = partial(ask_again, run_id=run_id, by=Principal("ana"), now_ms=rig.clock.wall_ms())
        assert isinstance(await rig.database.journal.command(TENANT, Target(run_id=run_id), again), Decided)
        view = await rig.drive(run_id)

    assert ("completed", None) == (view.state, view.short)
    assert [] == await told(rig)


async def test_a_run_that_may_spend_nothing_is_given_something(rig: Rig) -> None:
    await rig.start()
    async with openai_server(Say("Done.", usage=(100, 100))) as vendor:
        run_id = await rig.ask_agent("Say it.", models=[at(vendor.url)], budget="0")
        assert "budget" == (await rig.drive(run_id)).blocked_reason

        assert isinstance(await raised(rig, run_id, ADA), Refusal), "as much again is nothing"
        assert isinstance(await raised(rig, run_id, ADA, add=20_000), Decided)
        view = await rig.drive(run_id)

    assert ("completed", 20_000) == (view.state, view.budget_micro_usd)
