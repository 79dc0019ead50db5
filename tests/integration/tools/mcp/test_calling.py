"""Calls of tools over MCP whose servers run in the sandbox: what comes back, and what every misbehaviour becomes."""

import asyncio
import json
import logging
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.config.servers import ServerWord
from core.execution.labels import labelled
from core.secrets import SecretRef, SystemSecrets
from core.tools.base import ToolContext
from core.tools.mcp.tool import McpTool
from core.tools.registry import Registry
from tests.integration.tools.mcp.conftest import Accepting, Behaving, Calling
from tests.patience import PATIENCE_S

SOON_S = 12.0
"""Enough for a server to start on a busy machine, and little enough to wait for one that says nothing."""


def until(look: Callable[[], bool]) -> None:
    """Wait until something is so."""
    ends_s = time.monotonic() + PATIENCE_S
    while not look():
        assert time.monotonic() < ends_s
        time.sleep(0.05)


def turned(tool: McpTool, word: ServerWord) -> McpTool:
    """The same accepted tool of a server that behaves otherwise now."""
    return type(tool)(tool._accepted, word)


@pytest.fixture(scope="module")
def known() -> dict[str, McpTool]:
    """What was accepted once, for all tests here: asking a server takes seconds."""
    return {}


@pytest.fixture
async def accepted(accepting: Accepting, behaving: Behaving, known: dict[str, McpTool]) -> McpTool:
    word = behaving()
    if "do" not in known:
        known["do"] = await accepting(word)
    return turned(known["do"], word)


async def test_a_call_returns_what_the_server_says(accepted: McpTool, calling: Calling) -> None:
    result = await calling(accepted, text="hello ", times=2)

    assert "succeeded" == result.status, result
    assert "hello hello " == result.out["text"]
    assert (None, False, []) == (result.out["structured"], result.out["truncated"], result.out["files"])


async def test_a_server_from_the_registry_tells_the_time(accepting: Accepting, calling: Calling) -> None:
    word = ServerWord.model_validate({"command": ["mcp-server-time", "--local-timezone", "UTC"]})
    tool = await accepting(word, "get_current_time")

    result = await calling(tool, timezone="Europe/Oslo")

    assert "succeeded" == result.status, result
    assert "Europe/Oslo" == result.out["structured"]["timezone"]


async def test_a_server_from_the_registry_reads_a_repository_of_the_workspace(
    accepting: Accepting, calling: Calling, workspace: Path
) -> None:
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", "repo"], cwd=workspace, check=True)
    (workspace / "repo" / "new.txt").write_text("new")
    tool = await accepting(ServerWord.model_validate({"command": ["mcp-server-git"]}), "git_status")

    result = await calling(tool, repo_path="repo")

    assert "succeeded" == result.status, result
    assert "new.txt" in result.out["text"]


async def test_a_tool_that_changed_since_it_was_accepted_is_not_called(
    accepted: McpTool, behaving: Behaving, calling: Calling, workspace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = await calling(turned(accepted, behaving("changed")), text="a")

    assert "failed" == result.status
    assert result.error is not None
    assert "has changed since it was accepted (description)" in result.error
    assert "banksman mcp diff test" in result.error
    assert not (workspace / "called.txt").exists()
    assert "mcp_changed" in [getattr(record, "action", None) for record in caplog.records]


async def test_a_tool_that_is_not_offered_any_more_is_not_called(
    accepted: McpTool, behaving: Behaving, calling: Calling, workspace: Path
) -> None:
    result = await calling(turned(accepted, behaving("gone")), text="a")

    assert ("failed", "The MCP server `test` offers no `do` any more; `banksman mcp list` shows what it does.") == (
        result.status,
        result.error,
    )
    assert not (workspace / "called.txt").exists()


async def test_a_server_that_ends_at_once_did_nothing(accepted: McpTool, behaving: Behaving, calling: Calling) -> None:
    result = await calling(turned(accepted, behaving("exit-at-start")), text="a")

    assert "failed-safe" == result.status
    assert result.error is not None
    assert "there is no configuration" in result.error


async def test_a_server_that_is_not_there_did_nothing(accepted: McpTool, calling: Calling) -> None:
    result = await calling(turned(accepted, ServerWord.model_validate({"command": ["no-such-server"]})), text="a")

    assert "failed-safe" == result.status
    assert "No such file" in str(result.error)


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        ("exit-mid-call", "Connection closed"),
        ("silent", "it did not answer in time"),
        ("wrong-id", "Connection closed"),
        ("huge", "more than 8 MiB"),
        ("breaks", "something broke"),
    ],
)
async def test_without_an_answer_nobody_knows(
    behaviour: str, why: str, accepted: McpTool, behaving: Behaving, calling: Calling, context: ToolContext,
    workspace: Path,
) -> None:  # fmt: skip
    result = await calling(turned(accepted, behaving(behaviour)), timeout_s=SOON_S, text="a")

    assert "unknown" == result.status, result
    assert why in str(result.error)
    assert "a" == (workspace / "called.txt").read_text()
    assert {} == labelled(run_id=context.label.run_id)


async def test_a_server_that_is_stopped_leaves_nothing(
    accepted: McpTool, behaving: Behaving, context: ToolContext, workspace: Path
) -> None:
    tool = turned(accepted, behaving("silent"))
    call = asyncio.create_task(tool.perform(Registry([tool]).validate(tool.name, {"text": "a"}), context))
    await asyncio.to_thread(until, (workspace / "called.txt").exists)

    context.kill.set()
    result = await call

    assert ("unknown", "it was stopped") == (result.status, result.error)
    assert {} == labelled(run_id=context.label.run_id)


async def test_what_a_server_reports_as_an_error_failed(
    accepted: McpTool, behaving: Behaving, calling: Calling
) -> None:
    says = await calling(turned(accepted, behaving("error")), text="a")
    refuses = await calling(turned(accepted, behaving("refuses")), text="a")

    assert ("failed", "the server says: there is no such thing") == (says.status, says.error)
    assert ("failed", "the server refused it: not like this") == (refuses.status, refuses.error)


async def test_lines_that_are_no_message_are_passed_over(
    accepted: McpTool, behaving: Behaving, calling: Calling
) -> None:
    garbage = await calling(turned(accepted, behaving("garbage")), text="a")
    flood = await calling(turned(accepted, behaving("stderr-flood")), text="b")

    assert ("a", "b") == (garbage.out.get("text"), flood.out.get("text"))


async def test_a_storm_of_notices_passes(accepted: McpTool, behaving: Behaving, calling: Calling) -> None:
    result = await calling(turned(accepted, behaving("storm")), text="a")

    assert ("succeeded", "a") == (result.status, result.out.get("text")), result


async def test_what_a_server_asks_for_is_refused_and_logged(
    accepted: McpTool, behaving: Behaving, calling: Calling, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        result = await calling(turned(accepted, behaving("asks")), text="a")

    assert "succeeded" == result.status, result
    assert 3 == len([each for each in json.loads(result.out["text"]) if each])
    [said] = [record for record in caplog.records if getattr(record, "action", None) == "mcp_refused"]
    assert "elicitation/create, roots/list, sampling/createMessage" in said.getMessage()


async def test_data_becomes_a_file(accepted: McpTool, behaving: Behaving, calling: Calling) -> None:
    result = await calling(turned(accepted, behaving("picture")), text="a")

    [picture] = result.produced
    assert ("answer-1.png", "image/png", b"\x89PNG\r\n\x1a\n") == (
        picture.name,
        picture.media_type,
        picture.path.read_bytes(),
    )
    assert ["answer-1.png"] == result.out["files"]


async def test_every_kind_of_part_is_text_or_a_file_and_notices_pass(
    accepted: McpTool, behaving: Behaving, calling: Calling
) -> None:
    result = await calling(turned(accepted, behaving("everything")), text="a")

    assert ("succeeded", False) == (result.status, result.out["truncated"]), result
    assert "a note\na link: demo://linked\nan embedded text" == result.out["text"]
    assert ["answer-1.mp3", "answer-2.gz"] == result.out["files"]
    assert ["audio/mpeg", "application/gzip"] == [each.media_type for each in result.produced]


async def test_a_tool_that_reaches_out_in_vain_is_said_to_have_no_network(
    accepting: Accepting, behaving: Behaving, calling: Calling
) -> None:
    result = await calling(await accepting(behaving("reaches-out")), text="a")

    assert ("failed", "the server says: fetch failed (`test` runs without a network)") == (result.status, result.error)


@pytest.mark.parametrize(("behaviour", "least"), [("long", 200_000), ("too-long", 200_000)])
async def test_a_long_text_is_a_file_whole_or_as_far_as_it_goes(
    behaviour: str, least: int, accepted: McpTool, behaving: Behaving, calling: Calling
) -> None:
    result = await calling(turned(accepted, behaving(behaviour)), text="a")

    assert "succeeded" == result.status, result
    assert result.out["truncated"]
    assert len(json.dumps(dict(result.out), ensure_ascii=False).encode()) < 64 * 1024
    [whole] = result.produced
    assert least < len(whole.path.read_text()) < 2_000_000


async def test_fractions_become_text_for_later_steps(accepted: McpTool, behaving: Behaving, calling: Calling) -> None:
    result = await calling(turned(accepted, behaving("numbers")), text="a")

    assert {"share": "1.5", "big": str(2**60), "n": 3} == result.out["structured"]


async def test_a_server_gets_the_variables_of_the_config_and_no_others(
    accepted: McpTool, behaving: Behaving, context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS_ALONE", "x")
    word = behaving("environment", env={"MODE": "quiet"}, secrets={"TOKEN": "THE_TOKEN"})
    tool = turned(accepted, word)
    outside = replace(
        context.outside,
        secrets=SystemSecrets({"TOKEN_OF_OURS": "s3cret-value-1234"}),
        secret_refs={"THE_TOKEN": SecretRef("THE_TOKEN", "env", "TOKEN_OF_OURS")},
    )

    result = await tool.perform(Registry([tool]).validate(tool.name, {"text": "a"}), replace(context, outside=outside))

    found = result.out["structured"]
    assert "quiet" == found["MODE"]
    # It has the secret, and nobody sees it.
    assert "TOKEN" in found
    assert "s3cret-value-1234" not in json.dumps(dict(result.out))
    assert not {"OURS_ALONE", "TOKEN_OF_OURS"} & set(found)
    assert not [name for name in found if name.startswith("BANKSMAN_") and name != "BANKSMAN_CALL"]


async def test_a_server_in_the_sandbox_has_no_network(accepted: McpTool, behaving: Behaving, calling: Calling) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        result = await calling(turned(accepted, behaving("connects")), text=str(listener.getsockname()[1]))

    assert result.out["text"].startswith("refused: ")
