"""The tool in docs/guides/tools.md works when it is copied, and the page tells the truth about the tools there are."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from core.config.load import parse_config
from core.planners.base import Act, PlanRequest
from core.planners.playbook import PlaybookPlanner
from core.tools.base import Tool
from core.tools.catalogue import standard_tools
from core.tools.registry import InvalidArguments
from tests.docs.conftest import fence as fence
from tests.docs.fences import Fence
from tests.integration.tools.conftest import Perform

GUIDE = Path(__file__).resolve().parents[3] / "docs/guides/tools.md"


def copied(fence: Fence) -> Tool:
    namespace: dict[str, Any] = {"__name__": "core.tools.count_words"}
    exec(compile(fence.text, "core/tools/count_words.py", "exec"), namespace)
    tool: Tool = namespace["CountWords"]()
    return tool


@pytest.mark.runs_fence("docs/guides/tools.md > Write one > 1")
async def test_the_example_counts_words(fence: Fence, perform: Perform, workspace: Path) -> None:
    (workspace / "essay.md").write_text("the cat and the other cat")

    result = await perform(copied(fence), path="essay.md", longer_than=3)

    assert ("succeeded", {"words": 1, "different": 1}) == (result.status, result.out)


@pytest.mark.runs_fence("docs/guides/tools.md > Write one > 1")
async def test_the_example_answers_bad_input_with_sentences(fence: Fence, perform: Perform, workspace: Path) -> None:
    (workspace / "link").symlink_to("/etc/passwd")
    tool = copied(fence)

    assert "`link` is a link" in (await perform(tool, path="link")).error
    with pytest.raises(InvalidArguments, match="`count_words` needs `path`: a text file in the workspace"):
        await perform(tool)


@pytest.mark.runs_fence("docs/guides/tools.md > Write one > 2")
def test_the_example_can_be_classified_and_used_in_a_playbook(fence: Fence) -> None:
    config = parse_config(fence.text.encode(), path=Path("banksman.yml"))
    [source] = config.playbooks.values()
    file = {"name": "a.md", "path": "inputs/a.md", "sha256": "0", "size": 9, "media_type": "text/markdown"}

    turn = PlaybookPlanner().decide(PlanRequest(source.name, source.text, "", {"text": file}, ()))

    assert ("read", "pure") == (config.tool("count_words").tier, config.tool("count_words").recovery)
    assert isinstance(turn.move, Act)
    assert ("count_words", {"path": "inputs/a.md", "longer_than": 3}) == (turn.move.tool, turn.move.args)


def test_the_table_of_tools_has_every_tool_with_its_arguments() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| (.+?) \| ", GUIDE.read_text("utf-8"), re.MULTILINE)
    documented = {name: set(re.findall(r"`(\w+)`", arguments)) for name, arguments in rows}

    assert {tool.name: set(tool.arguments.model_fields) for tool in standard_tools(1000)} == {
        name: arguments for name, arguments in documented.items() if name not in STATUSES
    }


STATUSES = {"succeeded", "failed", "unknown"}


async def test_a_result_is_json_without_fractions(perform: Perform, workspace: Path) -> None:
    (workspace / "t.csv").write_text("a,b\n1,2.5\n2,3.25\n")
    tools = {tool.name: tool for tool in standard_tools(1000)}

    results = [
        await perform(tools["shell"], argv=["true"]),
        await perform(tools["files.list"]),
        await perform(tools["artifact"], path="t.csv"),
    ]

    for result in results:
        json.loads(json.dumps(dict(result.out)), parse_float=lambda text: pytest.fail(f"a fraction: {text}"))
