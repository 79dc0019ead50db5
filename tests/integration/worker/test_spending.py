"""Budgets under many runs at once, workers that die while a model thinks, and people who let a run spend more."""

import asyncio
from functools import partial
from typing import Any

from sqlalchemy import select

from core.actions.policy import Approvers
from core.ids import TENANT
from core.principals import Principal
from core.record.changes import Decided, Refusal
from core.runs import turns
from core.runs.commands.fund import fund
from core.runs.commands.kill import kill
from core.runs.unsettled import settle_all
from core.store.lane import Target
from core.store.tables import budgets, spend
from tests.integration.worker.conftest import Rig, until
from tests.integration.worker.test_thinking import at
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
    given = {"add_micro_usd": None, "seen_micro_usd": None, "approvers": APPROVERS, "now_ms": rig.clock.wall_ms()}
    command = partial(fund, run_id=run_id, by=by, **(given | more))
    return await rig.database.journal.command(TENANT, Target(run_id=run_id), command)


async def test_a_run_that_may_spend_more_goes_on_where_it_stood(rig: Rig) -> None:
    await rig.start()
    async with openai_server(Say("Done.", usage=(100, 100))) as vendor:
        run_id = await rig.ask_agent("Say it.", models=[at(vendor.url)], budget="0.01")
        assert "blocked" == (await rig.drive(run_id)).state

        for who in (Principal("ana"), Principal("bea"), Principal("eve", external=True)):
            assert isinstance(await raised(rig, run_id, who), Refusal)
        assert isinstance(await raised(rig, run_id, ADA, seen_micro_usd=9_999), Refusal)
        assert isinstance(await raised(rig, run_id, ADA, add_micro_usd=-5), Refusal)
        assert isinstance(await raised(rig, run_id, ADA, seen_micro_usd=10_000), Decided)
        assert isinstance(await raised(rig, run_id, ADA, seen_micro_usd=10_000), Refusal), "clicked twice"
        view = await rig.drive(run_id)

    assert "completed" == view.state, (view.outcome, view.blocked_detail)
    assert 20_000 == view.budget_micro_usd
