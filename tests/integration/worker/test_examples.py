"""The shipped triage agent, with its script and with a vendor's model that says the same: one thread, two ways."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.playground.shop import Shop
from core.config.load import load_config
from core.execution.outside import outside_environment
from core.planners.dialogue import Answer
from core.runs.views import RunView
from tests.integration.worker.conftest import Rig
from tests.integration.worker.test_thinking import at
from tests.integration.worker.voting import vote
from tests.patience import PATIENCE_S
from tests.shipped import shipped
from tests.vendors import Say, openai_server
from worker.wiring import toolbox

OVER = ("completed", "blocked", "failed", "canceled")
FLAG = "flags/new-basket"
ASKED = "Orders fail. What is wrong?"


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[str]:
    """Where a shop is that has its incident."""
    shop = Shop(tmp_path / "shop")
    yield await shop.start(0)
    await shop.stop()


@pytest.fixture
async def agent(rig: Rig, shop: str, tmp_path: Path) -> dict[str, Any]:
    """The shipped agent as a run pins it; the rig has the shipped tools."""
    (tmp_path / "shipped").mkdir()
    config = load_config(shipped(tmp_path / "shipped", shop=shop.removeprefix("http://")))
    rig.toolbox, rig.policy = toolbox(config), config.policy_text
    (rig.home / "spool").mkdir()
    rig.outside = outside_environment(rig.home / "spool", rig.home / "fences")
    await rig.start()
    return dict(json.loads(config.playbooks["triage"].text))


async def to_its_end(rig: Rig, run_id: str) -> RunView:
    """Drive a run, approve the first thing it asks for, and drive it on."""
    assert rig.lease is not None and rig.driver is not None
    async with asyncio.timeout(PATIENCE_S):
        while (shown := await rig.drive(run_id)).state not in OVER:
            if shown.state == "waiting-for-approval":
                await vote(rig, run_id)
            await rig.lease.renew(rig.driver.driving)
            await asyncio.sleep(0.05)
    return shown


async def answers(rig: Rig, run_id: str) -> list[Answer]:
    """What its model answered, as it was stored."""
    assert rig.station is not None and rig.station.mind is not None
    turns = [turn for turn in (await rig.row(run_id)).turns if turn.answer_sha256 is not None]
    return [Answer.from_bytes(await rig.station.mind.objects.read(turn.answer_sha256 or "", 100_000)) for turn in turns]


def said(answer: Answer) -> Say:
    """The same answer as a vendor's model gives it: its plan is a call like any."""
    calls: list[tuple[str, Any]] = [(call.tool.replace(".", "-"), dict(call.args)) for call in answer.calls]
    if answer.plan is not None:
        steps = [{"title": line.title, "status": line.status} for line in answer.plan]
        calls.append(("plan", {"steps": steps}))
    return Say(answer.text, calls)


def thread(shown: RunView) -> tuple[Any, ...]:
    """What people see of a run: its plan, what it did, what it kept and how it ended."""
    return (
        shown.state,
        shown.outcome,
        [(line.title, line.status) for line in shown.plan],
        [(action.tool, action.status) for action in shown.actions],
        sorted((artifact.name, artifact.sha256) for artifact in shown.artifacts if artifact.role == "output"),
    )


# Once is enough: what the database has to do with thinking is tested where that is.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_vendors_model_makes_the_same_thread_as_the_script(rig: Rig, shop: str, agent: dict[str, Any]) -> None:
    scripted = await rig.ask_agent(ASKED, models=agent["models"], **agent["agent"])
    first = await to_its_end(rig, scripted)
    assert "completed" == first.state and "0.2 % do now" in str(first.outcome), first
    async with aiohttp.ClientSession() as http:
        await http.put(f"{shop}/{FLAG}", json={"on": True})

    # The vendor is not well at first, which is nothing that people see.
    story = [Say(status=503), *(said(answer) for answer in await answers(rig, scripted))]
    async with openai_server(*story) as vendor:
        asked = await rig.ask_agent(ASKED, models=[at(vendor.url)], **agent["agent"])
        second = await to_its_end(rig, asked)

    labels = [{turn.requested_model for turn in (await rig.row(run_id)).turns} for run_id in (scripted, asked)]
    assert [{"script:triage-script"}, {"openai-compatible:clever-1"}] == labels
    assert [] == vendor.answers
    assert "basket.average_price" in str(vendor.asked[-1]["messages"]), "it was given the log"
    assert thread(first) == thread(second)
