"""Servers that stay with a run between its calls: what they remember, what ends them, and what comes after them."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.config.servers import ServerWord
from core.execution.base import CHANNEL, ProcessResult, ProcessSpec
from core.execution.labels import labelled
from core.execution.outside import outside_environment
from core.execution.processes import Process
from core.execution.reaper import end_run
from core.tools.base import ToolContext
from core.tools.mcp.start import asked
from core.tools.mcp.tool import McpTool
from core.tools.registry import Registry
from core.tools.residents import MOST, Residents, Start
from tests.integration.tools.mcp.conftest import Accepting, Behaving, Calling
from tests.integration.tools.mcp.test_outside import change
from tests.integration.tools.mcp.test_outside import context as context
from tests.patience import PATIENCE_S

Counting = Callable[..., ServerWord]


@pytest.fixture(params=["in the sandbox", "with the network of this host"])
def counting(request: pytest.FixtureRequest, behaving: Behaving, called: Path) -> Counting:
    """A server that counts its calls, wherever servers are started."""
    outside = {"network": "host"} if "network" in request.param else {}
    # In the sandbox the workspace is somewhere else, and where servers start.
    path = str(called) if outside else called.name
    return lambda behaviour="counts", **env: behaving(behaviour, env={"CALLED": path, **env}, **outside)


@pytest.fixture
def called(workspace: Path) -> Path:
    return workspace / "called.txt"


def here(context: ToolContext) -> dict[int, Process]:
    """The processes of the run, by pid."""
    return {process.pid: process for process in labelled(run_id=context.label.run_id)}


def the_server(context: ToolContext) -> int:
    """The pid of the server's own process."""
    (found,) = [
        pid for pid in here(context) if b"server.py" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1]
    ]
    return found


async def count(calling: Calling, tool: McpTool, **more: Any) -> str:
    result = await calling(tool, text="a", **more)
    assert "succeeded" == result.status, result
    return str(result.out["text"])


async def test_a_server_remembers_until_the_run_is_given_out_of_hand(
    counting: Counting, accepting: Accepting, calling: Calling, residents: Residents, context: ToolContext, called: Path
) -> None:
    tool = await accepting(counting())

    assert ["1", "2", "3"] == [await count(calling, tool) for _ in range(3)]
    assert "a" == called.read_text()

    assert 0 == await residents.end(at_once=False), "it went by itself when it was left"
    assert "left after 3" == called.read_text()
    assert {} == here(context)
    assert "1" == await count(calling, tool)


async def test_one_that_is_ended_at_once_takes_no_leave(
    counting: Counting, accepting: Accepting, calling: Calling, residents: Residents, context: ToolContext, called: Path
) -> None:
    tool = await accepting(counting())
    await count(calling, tool)

    assert 0 < await residents.end(at_once=True)

    assert {} == here(context)
    assert "a" == called.read_text()


async def test_one_that_died_since_the_last_call_is_started_again(
    counting: Counting, accepting: Accepting, calling: Calling, context: ToolContext
) -> None:
    tool = await accepting(counting())
    assert "1" == await count(calling, tool)
    os.kill(the_server(context), signal.SIGKILL)

    assert "1" == await count(calling, tool)


async def test_one_that_somebody_ended_with_all_of_its_run_is_started_again(
    counting: Counting, accepting: Accepting, calling: Calling, context: ToolContext, tmp_path: Path
) -> None:
    tool = await accepting(counting())
    assert "1" == await count(calling, tool)
    run_id = context.label.run_id
    found = await asyncio.to_thread(end_run, run_id, below=context.label.fence + 1, fences=tmp_path)

    assert (0, True) == (found.remaining, found.ended > 0)
    assert {} == here(context)
    assert "1" == await count(calling, tool)


async def test_a_call_that_is_stopped_takes_its_server_along(
    counting: Counting, accepting: Accepting, fresh: Callable[[], ToolContext], called: Path
) -> None:
    tool = await accepting(counting())
    silent = McpTool(tool._accepted, counting("silent"))
    context = replace(fresh(), kill=asyncio.Event())
    args = Registry([silent]).validate(silent.name, {"text": "stop me"})
    call = asyncio.create_task(silent.perform(args, context))
    async with asyncio.timeout(PATIENCE_S):
        while not called.exists() or called.read_text() != "stop me":  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.02)

    context.kill.set()
    result = await call

    assert ("unknown", True) == (result.status, "it was stopped" in str(result.error))
    assert 0 < result.processes_ended


async def test_a_call_that_is_given_up_takes_its_server_along(
    counting: Counting, accepting: Accepting, fresh: Callable[[], ToolContext], called: Path, residents: Residents
) -> None:
    tool = await accepting(counting())
    silent = McpTool(tool._accepted, counting("silent"))
    args = Registry([silent]).validate(silent.name, {"text": "leave me"})
    call = asyncio.create_task(silent.perform(args, fresh()))
    async with asyncio.timeout(PATIENCE_S):
        while not called.exists() or called.read_text() != "leave me":  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.02)
    others = len(residents._here) - 1

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    async with asyncio.timeout(PATIENCE_S):
        while len(list(residents._scratch.iterdir())) > others:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_another_configuration_is_another_server(
    counting: Counting, accepting: Accepting, calling: Calling
) -> None:
    first = await accepting(counting())
    second = McpTool(first._accepted, counting(MODE="other"))

    assert ["1", "1", "2", "2"] == [await count(calling, tool) for tool in (first, second, first, second)]


async def test_the_one_that_was_asked_longest_ago_makes_room(
    behaving: Behaving, accepting: Accepting, calling: Calling, context: ToolContext
) -> None:
    first = await accepting(behaving("counts", env={"N": "0"}))
    tools = [first, *(McpTool(first._accepted, behaving("counts", env={"N": str(n)})) for n in range(1, MOST + 1))]

    assert ["1"] * (MOST + 1) == [await count(calling, tool) for tool in tools]

    assert "2" == await count(calling, tools[-1])
    assert "1" == await count(calling, first), "it had made room"


async def test_a_worker_that_died_leaves_nothing_in_the_way_of_another_attempt(
    counting: Counting, accepting: Accepting, calling: Calling, residents: Residents, fresh: Callable[[], ToolContext]
) -> None:
    tool = await accepting(counting())
    args = Registry([tool]).validate(tool.name, {"text": "a"})
    before = Residents(residents._scratch)
    assert "succeeded" == (await tool.perform(args, replace(fresh(), residents=before))).status

    assert "1" == await count(calling, tool)

    await before.end(at_once=True)


async def test_one_that_hangs_before_the_call_has_no_second_try(
    counting: Counting, accepting: Accepting, calling: Calling, workspace: Path
) -> None:
    tool = await accepting(counting("lists-once"))
    starts = workspace / "starts.txt"
    tool = McpTool(tool._accepted, counting("lists-once", STARTS=str(starts) if tool._server.outside else starts.name))
    assert "a" == await count(calling, tool)

    result = await calling(tool, text="b", timeout_s=3.0)

    assert ("failed-safe", "it did not answer in time") == (result.status, result.error)
    assert "started\n" == starts.read_text()


async def test_nothing_is_started_again_for_a_run_that_was_stopped(
    behaving: Behaving, accepting: Accepting, calling: Calling, workspace: Path, called: Path, run_row: Path
) -> None:
    starts = workspace / "starts.txt"
    word = behaving("counts", env={"CALLED": str(called)}, network="host")
    tool = await accepting(word)
    noted = behaving("counts", env={"CALLED": str(called), "STARTS": str(starts)}, network="host")
    tool = McpTool(tool._accepted, noted)
    assert "1" == await count(calling, tool)
    change(run_row, "killed_at = 1")

    result = await calling(tool, text="b")

    assert ("failed-safe", "the run was stopped or taken over before it began") == (result.status, result.error)
    assert "started\n" == starts.read_text()


async def test_what_a_server_answers_does_not_end_it(
    counting: Counting, accepting: Accepting, calling: Calling
) -> None:
    tool = await accepting(counting("ends-in-over"))

    assert ["1", "2"] == [await count(calling, tool) for _ in range(2)]


async def test_what_a_server_says_beside_its_answers_is_not_kept(
    behaving: Behaving, accepting: Accepting, fresh: Callable[[], ToolContext], residents: Residents, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    tool = await accepting(behaving(network="host"))
    noisy = McpTool(tool._accepted, behaving(network="host", env={"NOISE": "2000000"}))
    context = fresh()
    context = replace(context, outside=replace(context.outside, environment=outside_environment(spool)))

    result = await noisy.perform(Registry([noisy]).validate(noisy.name, {"text": "a"}), context)

    assert "succeeded" == result.status, result
    await residents.end(at_once=False)
    assert [] == list(spool.iterdir())


Running = Callable[[str], Start]


@pytest.fixture
def running(context: ToolContext, workspace: Path) -> Running:
    """Starts a program of these lines in the sandbox, with a channel."""

    def starting(lines: str) -> Start:
        (workspace / "odd.py").write_text(f"import os\nto = {CHANNEL}\n{lines}\n")

        async def start(directory: Path, channel: socket.socket, stop: asyncio.Event) -> ProcessResult:
            spec = ProcessSpec(("python", "odd.py"), workspace, context.label, channel=channel)
            return await context.environment.run(spec, kill=stop)

        return start

    return starting


async def test_what_says_more_than_anybody_would_read_is_ended(
    residents: Residents, context: ToolContext, running: Running
) -> None:
    babbles = running("while True:\n    os.write(to, b'sent\\n' * 10_000)")

    heard = await residents.ask("odd", babbles, b"{}", call_id="call_1", timeout_s=PATIENCE_S, kill=asyncio.Event())

    assert heard.result is not None
    assert len(heard.said) < 40 << 20
    assert {} == here(context)


async def test_half_an_answer_is_none(residents: Residents, running: Running) -> None:
    breaks_off = running('os.write(to, b\'looked\\n{"status": "succ\')')

    heard = await residents.ask("odd", breaks_off, b"{}", call_id="call_1", timeout_s=PATIENCE_S, kill=asyncio.Event())

    assert heard.result is not None
    assert not residents.any


async def test_one_that_died_is_started_again_to_be_asked_what_it_offers(
    counting: Counting, accepting: Accepting, calling: Calling, context: ToolContext, fresh: Callable[[], ToolContext]
) -> None:
    tool = await accepting(counting())
    await count(calling, tool)
    os.kill(the_server(context), signal.SIGKILL)

    found = await asked(tool._server, {}, fresh(), {})

    assert "succeeded" == found.status, found
    assert ["do"] == [each["name"] for each in found.out["tools"]]
