"""Runs whose models are those of each vendor: what a lost turn costs, who is asked instead, and how a stop ends it."""

import asyncio
from functools import partial
from typing import Any

import pytest

from core.config.language import KEYS
from core.ids import TENANT
from core.principals import Principal
from core.record.changes import Decided
from core.runs.commands.kill import kill
from core.store.lane import Target
from tests.integration.worker.conftest import Rig, until
from tests.vendors import AWS, VENDORS, Say, openai_server

PRICE = {"input": "2", "output": "10"}

pytestmark = pytest.mark.parametrize("provider", ["openai", "anthropic", "google", "bedrock"])


@pytest.fixture(autouse=True)
def keys(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.environ |= dict.fromkeys(KEYS.values(), "a-key-1234")
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)


def at(url: str, provider: str, **more: Any) -> dict[str, Any]:
    return {"provider": provider, "model": "clever-1", "url": url, "price": PRICE, **more}


@pytest.mark.parametrize(
    ("trouble", "is_free"),
    [
        (Say(status=429), True),
        (Say(status=503), False),
        (Say("Half an answer, and no more", cut=True), False),
        (Say("Half an answer, and no more", stops=True), False),
        (Say("Half an answer, and no more", fails=True), False),
    ],
    ids=["busy", "down", "cut", "ended", "in-between"],
)
async def test_a_lost_turn_costs_its_reserve_unless_nothing_was_begun(
    rig: Rig, provider: str, trouble: Say, is_free: bool
) -> None:
    await rig.start()
    async with VENDORS[provider](trouble, Say("There.")) as vendor:
        run_id = await rig.ask_agent("Say it.", models=[at(vendor.url, provider)])
        view = await rig.drive(run_id)
        assert "planning" == view.state, (view.outcome, view.blocked_detail)
        assert 1 == len(vendor.asked)
        view = await rig.drive(run_id)

    assert "completed" == view.state, (view.outcome, view.blocked_detail)
    lost, answered = (await rig.row(run_id)).turns
    assert ("failed", "answered") == (lost.status, answered.status)
    assert (0 if is_free else lost.reserved_micro_usd) == lost.cost_micro_usd
    assert 100 * 2 + 20 * 10 == answered.cost_micro_usd


async def test_what_its_filter_refuses_is_asked_of_the_next_model(rig: Rig, provider: str) -> None:
    await rig.start()
    async with (
        VENDORS[provider](Say("I would rather", refuses=True)) as refusing,
        openai_server(Say("I can.")) as other,
    ):
        models = [at(refusing.url, provider), {**at(other.url, "openai-compatible"), "name": "other"}]
        run_id = await rig.ask_agent("Say it.", models=models)
        await rig.drive(run_id)
        view = await rig.drive(run_id)

    assert "completed" == view.state, (view.outcome, view.blocked_detail)
    assert (1, 1) == (len(refusing.asked), len(other.asked))


async def test_a_run_that_is_stopped_while_its_model_thinks_hangs_up(rig: Rig, provider: str) -> None:
    driver = await rig.start()
    async with VENDORS[provider]() as vendor:
        vendor.gate = asyncio.Event()
        run_id = await rig.ask_agent("Say it.", models=[at(vendor.url, provider)])
        driving = asyncio.create_task(rig.drive(run_id))

        async def is_asked() -> bool:
            return bool(vendor.asked)

        async def is_hung_up() -> bool:
            return vendor.given_up == 1

        await until(is_asked)
        decide = partial(kill, run_id=run_id, by=Principal("ana"), reason="enough", now_ms=rig.clock.wall_ms())
        assert isinstance(await rig.database.journal.command(TENANT, Target(run_id=run_id), decide), Decided)
        await driver.check_stopped(run_id)
        await until(is_hung_up)
        view = await driving

    assert "canceled" == view.state, (view.outcome, view.blocked_detail)
