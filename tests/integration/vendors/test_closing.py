"""What is given up is hung up, and what is not needed any more is closed: no vendor works for nobody."""

import asyncio
import sys
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from core.config.live import LiveConfig
from core.config.load import load_config
from core.planners.dialogue import MOST_ASKED
from core.planners.model import Models
from core.planners.thinking import ModelFailed
from tests.integration.vendors.conftest import Line, until
from tests.vendors import Say
from worker.main import reload
from worker.wiring import Worker


def _waiting() -> bool:
    """Whether a thread of this process still waits for a vendor's answer."""
    threads = [thread for thread in threading.enumerate() if thread.name == "AnyIO worker thread"]
    frames = sys._current_frames()
    for thread in threads:
        frame = frames.get(thread.ident or 0)
        while frame is not None:
            if "botocore" in frame.f_code.co_filename:
                return True
            frame = frame.f_back
    return False


async def test_connections_are_kept_for_the_next_turn_and_closed_in_the_end(line: Line) -> None:
    async with line.server(Say("One."), Say("Two.")) as vendor:
        await line.ask(vendor.url)
        await line.ask(vendor.url)
        assert 1 == vendor.lines()

        await line.models.close()
        await until(lambda: vendor.lines() == 0)


async def test_a_turn_under_way_is_answered_though_all_is_closed_and_then_closes_its_own(line: Line) -> None:
    async with line.server(Say("After all.")) as vendor:
        vendor.gate = asyncio.Event()
        asked = asyncio.create_task(line.ask(vendor.url))
        await until(lambda: bool(vendor.asked))

        await line.models.close()
        vendor.gate.set()
        assert "After all." == (await asked).text
        await until(lambda: vendor.lines() == 0)
        assert "I have nothing more to say." == (await line.ask(vendor.url)).text


async def test_what_was_refused_is_asked_over_a_new_connection(line: Line) -> None:
    async with line.server(Say(status=403), Say("Now.")) as vendor:
        with pytest.raises(Exception, match="refuses its key"):
            await line.ask(vendor.url)
        await until(lambda: vendor.lines() == 0)

        assert "Now." == (await line.ask(vendor.url)).text


@pytest.mark.parametrize("begun", [False, True], ids=["before-it-says-anything", "in-the-middle"])
async def test_a_turn_that_is_given_up_is_hung_up_at_once(line: Line, begun: bool) -> None:
    gate = asyncio.Event()
    async with line.server(Say("One word after the other, and then a pause.", holds=gate)) as vendor:
        vendor.gate = None if begun else gate
        asked = asyncio.create_task(line.ask(vendor.url))
        await until(lambda: bool(line.heard if begun else vendor.asked))

        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await until(lambda: vendor.given_up == 1)
        await until(lambda: not _waiting())
        vendor.gate = None
        assert "I have nothing more to say." == (await line.ask(vendor.url)).text


@pytest.mark.parametrize("line", ["bedrock"], indirect=True)
async def test_one_turn_that_is_given_up_leaves_the_others_alone(line: Line) -> None:
    gate = asyncio.Event()
    async with line.server(*[Say("One word after the other, and then no more.", holds=gate)] * 4) as vendor:
        asked = [asyncio.create_task(line.ask(vendor.url)) for _ in range(4)]
        await until(lambda: len(vendor.asked) == 4)
        asked[1].cancel()
        await until(lambda: vendor.given_up == 1)
        gate.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)

    assert ["Answer", "CancelledError", "Answer", "Answer"] == [type(answer).__name__ for answer in answers]


async def test_closing_what_was_never_asked_is_nothing(models: Models) -> None:
    await models.close()
    await models.close()


async def test_an_answer_that_is_read_no_further_is_hung_up(line: Line) -> None:
    gate = asyncio.Event()
    async with line.server(Say("", [("files-look", {})] * 20 * MOST_ASKED, holds=gate)) as vendor:
        with pytest.raises(ModelFailed, match="calls at once"):
            await line.ask(vendor.url)

        await until(lambda: vendor.given_up == 1)


async def test_a_changed_file_has_models_asked_over_new_connections(line: Line, tmp_path: Path) -> None:
    path = tmp_path / "banksman.yml"
    path.write_text("budgets: {run: '1.00'}\n")
    live, nothing = LiveConfig(path, load_config(path)), cast(Any, None)
    worker = Worker(nothing, nothing, nothing, live, nothing, nothing, tmp_path, None, line.models)
    async with line.server() as vendor:
        await line.ask(vendor.url)
        await reload(worker)
        await line.ask(vendor.url)
        assert 1 == vendor.lines(), "nothing has changed"

        path.write_text("budgets: {run: '2.00'}\n")
        await reload(worker)
        await until(lambda: vendor.lines() == 0)
        await line.ask(vendor.url)
        assert 1 == vendor.lines()
