"""Servers that act beyond the sandbox: at an address, or on this host with its network; looked after to the last."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.config.accepted import AcceptedTool
from core.config.servers import ServerWord
from core.errors import RetryableError, TerminalError
from core.execution.labels import labelled
from core.secrets import MissingSecret, SecretRef, SystemSecrets
from core.tools.base import ToolContext
from core.tools.mcp.tool import GatedMcpTool, McpTool
from core.tools.reach import Bound, OutOfReach, Reach
from core.tools.registry import Registry
from core.tools.residents import Residents
from tests.integration.tools.mcp.conftest import Accepting, Behaving, Calling

PROGRAM = Path(__file__).with_name("http_server.py")
SECRET = "t0ken-of-the-notes-server"

Start = Callable[..., ServerWord]


@pytest.fixture
def context(context: ToolContext, run_row: Path) -> ToolContext:
    """A context whose run is under way."""
    outside = replace(
        context.outside,
        database_url=f"sqlite+aiosqlite:///{run_row}",
        secrets=SystemSecrets({"NOTES_TOKEN": SECRET}),
        secret_refs={"NOTES": SecretRef("NOTES", "env", "NOTES_TOKEN")},
    )
    return replace(context, outside=outside)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "reached.jsonl"


@pytest.fixture
def start(log: Path) -> Iterator[Start]:
    """Starts servers at addresses of this machine."""
    started: list[subprocess.Popen[str]] = []

    def at_an_address(*how: str, **settings: Any) -> ServerWord:
        program = [sys.executable, str(PROGRAM), str(log), *how]
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environment)
        started.append(process)
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        return ServerWord.model_validate({"url": f"http://127.0.0.1:{port}/mcp", **settings})

    yield at_an_address
    for process in started:
        process.kill()
        process.communicate()


def reached(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def notes(log: Path) -> list[str]:
    return [each["note"] for each in reached(log) if "note" in each]


def change(run_row: Path, what: str) -> None:
    with closing(sqlite3.connect(run_row)) as database, database:
        database.execute(f"UPDATE runs SET {what}")


def stranger(word: ServerWord) -> McpTool:
    """A tool that was accepted of a server nobody could reach."""
    definition = {"name": "note", "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}}}
    return McpTool(AcceptedTool("notes", "note", definition), word)


async def test_a_server_at_an_address_is_called_once(
    start: Start, accepting: Accepting, calling: Calling, log: Path, context: ToolContext, residents: Residents
) -> None:
    tool = await accepting(start(), "note")

    result = await calling(tool, text="a")

    assert "succeeded" == result.status, result
    assert "noted a" == result.out["text"]
    assert ["a"] == notes(log)
    await residents.end(at_once=False)
    assert {} == labelled(run_id=context.label.run_id)


async def test_a_login_reaches_the_server_and_nobody_else(
    start: Start, accepting: Accepting, calling: Calling, log: Path
) -> None:
    word = start(login={"secret": "NOTES"})
    tool = await accepting(word, "note")

    result = await calling(tool, text=SECRET)

    assert "succeeded" == result.status, result
    assert {f"Bearer {SECRET}"} == {each["authorization"] for each in reached(log)[-2:] if "note" not in each}
    assert SECRET not in json.dumps(dict(result.out))


async def test_a_login_without_its_secret_is_said_before_anything_is_reached(
    accepting: Accepting, start: Start, calling: Calling, log: Path
) -> None:
    tool = stranger(start(login={"secret": "GONE"}))

    with pytest.raises(MissingSecret, match="no secret `GONE`"):
        await calling(tool, text="a")
    assert [] == reached(log)


@pytest.mark.parametrize("what", ["fence = fence + 1", "killed_at = 1"])
async def test_a_run_that_was_stopped_or_taken_over_calls_nothing(
    what: str, start: Start, accepting: Accepting, calling: Calling, log: Path, run_row: Path
) -> None:
    tool = await accepting(start(), "note")
    change(run_row, what)

    result = await calling(tool, text="a")

    assert ("failed-safe", "the run was stopped or taken over before it began") == (result.status, result.error)
    assert [] == notes(log)


@pytest.mark.parametrize("how", ["html", "broken", "accepted", "unknown"])
async def test_an_answer_that_is_none_says_nothing_of_what_was_done(
    how: str, start: Start, accepting: Accepting, calling: Calling, log: Path
) -> None:
    tool = await accepting(start(how), "note")

    result = await calling(tool, text="a")

    assert "unknown" == result.status, result
    assert ["a"] == notes(log)


async def test_the_time_of_one_call_is_not_that_of_the_next(
    start: Start, accepting: Accepting, calling: Calling
) -> None:
    word = start()
    quick, slow = await accepting(word, "note"), await accepting(word, "slow")

    assert "succeeded" == (await calling(quick, text="a", timeout_s=3.0)).status
    result = await calling(slow, text="b")

    assert "succeeded" == result.status, result


async def test_a_call_that_is_stopped_before_it_began_reaches_nobody(
    start: Start, accepting: Accepting, fresh: Callable[[], ToolContext], log: Path
) -> None:
    tool = await accepting(start(), "note")
    before, context = reached(log), replace(fresh(), kill=asyncio.Event())
    context.kill.set()

    result = await tool.perform(Registry([tool]).validate(tool.name, {"text": "a"}), context)

    assert ("failed-safe", "it was stopped") == (result.status, result.error)
    assert before == reached(log)


@pytest.mark.parametrize("program", [False, True], ids=["at an address", "with the network of this host"])
async def test_a_server_beyond_the_bounds_of_the_run_is_neither_started_nor_asked(
    program: bool, start: Start, calling: Calling, log: Path, context: ToolContext
) -> None:
    host = ServerWord.model_validate({"command": [sys.executable, str(PROGRAM), str(log)], "network": "host"})
    reach = Reach(bounds=(Bound("The contract of #ops", ("api.example.com",)),))
    bounded = replace(context, outside=replace(context.outside, reach=reach))
    tool = stranger(host if program else start())

    with pytest.raises(OutOfReach, match=r"The contract of #ops .* its runs reach .*`api\.example\.com`"):
        await tool.perform(tool.arguments.model_validate({"text": "a"}), bounded)
    assert [] == reached(log)


async def test_nobody_at_the_address_is_worth_another_try(calling: Calling, unused_port: int) -> None:
    word = ServerWord.model_validate({"url": f"http://127.0.0.1:{unused_port}/mcp"})

    result = await calling(stranger(word), text="a")

    assert "failed-safe" == result.status


async def test_a_program_that_is_not_there_did_nothing(calling: Calling) -> None:
    word = ServerWord.model_validate({"command": ["no-such-server"], "network": "host"})

    result = await calling(stranger(word), text="a")

    assert ("failed-safe", "No such file or directory: no-such-server") == (result.status, result.error)


async def test_a_redirect_to_another_place_is_not_followed(start: Start, calling: Calling, tmp_path: Path) -> None:
    target = tmp_path / "target.jsonl"
    inner = subprocess.Popen([sys.executable, str(PROGRAM), str(target)], stdout=subprocess.PIPE, text=True)
    try:
        assert inner.stdout is not None
        port = inner.stdout.readline().strip()
        word = start(f"redirect:http://127.0.0.1:{port}/mcp", login={"secret": "NOTES"})

        result = await calling(stranger(word), text="a")
    finally:
        inner.kill()
        inner.communicate()

    assert "failed-safe" == result.status
    assert [] == reached(target)


@pytest.mark.parametrize(
    ("name", "status", "why"),
    [
        ("nosy", "unknown", "Cannot send 'elicitation/create'"),  # in the middle of what it does
        ("needy", "failed", "it asked for elicitation/create, in vain"),
    ],
)
async def test_a_server_at_an_address_that_asks_people_is_refused(
    name: str, status: str, why: str, start: Start, accepting: Accepting, calling: Calling
) -> None:
    tool = await accepting(start(), name)

    result = await calling(tool, text="a")

    assert status == result.status, result
    assert why in str(result.error)


async def test_a_changed_program_outside_of_the_sandbox_is_not_called(
    behaving: Behaving, accepting: Accepting, calling: Calling, tmp_path: Path, residents: Residents
) -> None:
    called = tmp_path / "called.txt"
    word = behaving(network="host", env={"CALLED": str(called)})
    tool = await accepting(word)
    program = Path(word.command[1])
    program.write_text(program.read_text().replace("Say it again", "Say it to me"))
    await residents.end(at_once=False)

    result = await calling(tool, text="a")

    assert "failed" == result.status, result
    assert "has changed since it was accepted (description)" in str(result.error)
    assert not called.exists()


async def test_an_answer_without_end_is_cut_off(
    start: Start, accepting: Accepting, calling: Calling, log: Path
) -> None:
    tool = await accepting(start("huge"), "note")

    result = await calling(tool, timeout_s=30, text="a")

    assert "unknown" == result.status, result
    assert ["a"] == notes(log)


async def test_a_program_with_a_network_runs_outside_of_the_sandbox_with_what_the_config_gives_it(
    behaving: Behaving, accepting: Accepting, calling: Calling, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS_ALONE", "x")
    tool = await accepting(behaving("environment", network="host", env={"MODE": "quiet"}))

    result = await calling(tool, text="a")

    found = result.out["structured"]
    assert "quiet" == found["MODE"]
    assert "OURS_ALONE" not in found
    assert not (workspace / "called.txt").exists()  # it is somewhere else


async def test_what_people_are_asked_about_is_compared_with_its_pin_first(
    start: Start, accepting: Accepting, context: ToolContext, log: Path
) -> None:
    word = start(login={"secret": "NOTES"})
    tool = await accepting(word, "note", GatedMcpTool)
    assert isinstance(tool, GatedMcpTool)
    args = Registry([tool]).validate(tool.name, {"text": "a"})

    found = await tool.prepare(args, context)

    assert word.url is not None
    place = word.url.removeprefix("http://").removesuffix("/mcp")
    assert ({"text": "a"}, (place,), ({"ref": "NOTES", "host": place},)) == (found.args, found.network, found.creds)
    assert "Call note of the MCP server test" == found.sentence
    assert [] == notes(log)


async def test_nobody_is_asked_about_a_tool_that_changed(
    behaving: Behaving, accepting: Accepting, context: ToolContext
) -> None:
    accepted = (await accepting(behaving()))._accepted
    changed = GatedMcpTool(accepted, behaving("changed"))
    dead = GatedMcpTool(accepted, behaving("exit-at-start"))
    args = Registry([changed]).validate(changed.name, {"text": "a"})

    with pytest.raises(TerminalError, match="has changed since it was accepted"):
        await changed.prepare(args, context)
    with pytest.raises(RetryableError, match="cannot be asked what it offers"):
        await dead.prepare(args, replace(context, scratch_path=context.scratch_path.with_name("again")))
