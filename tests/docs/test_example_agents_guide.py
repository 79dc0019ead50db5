"""What the guide on the example agents changes in the shipped configuration can be changed, and does what it says."""

import re
from pathlib import Path

import pytest

from core.config.load import Config, load_config
from core.planners.agents import read_agent
from core.planners.compile import compile_playbooks
from core.tools.catalogue import tool_names
from tests.docs.fences import Fence
from tests.shipped import shipped


def live_as(fence: Fence, directory: Path) -> Config:
    """The shipped configuration with the guide's line for `live`."""
    file = shipped(directory)
    line = next(line for line in fence.text.splitlines() if line.startswith("  live: "))
    text, changed = re.subn(r"(?m)^  live: .*$", line, file.read_text())
    assert 1 == changed
    file.write_text(text)
    return load_config(file)


@pytest.mark.runs_fence("docs/guides/example-agents.md > With a real model > 1")
def test_one_line_makes_them_think_with_openai(fence: Fence, tmp_path: Path) -> None:
    config = live_as(fence, tmp_path)

    for name in ("triage-live", "repo-live"):
        (model,) = read_agent(config.playbooks[name].text).models
        assert "openai:gpt-5-mini" == model.label


@pytest.mark.runs_fence("docs/guides/example-agents.md > With a real model > 2")
def test_one_line_makes_them_think_with_a_server_of_ones_own(fence: Fence, tmp_path: Path) -> None:
    config = live_as(fence, tmp_path)

    for name in ("triage-live", "repo-live"):
        (model,) = read_agent(config.playbooks[name].text).models
        assert ("openai-compatible:qwen3", "http://127.0.0.1:11434/v1") == (model.label, model.url)


def test_the_lines_in_the_shipped_files_comment_are_those_of_the_guide() -> None:
    root = Path(__file__).resolve().parents[2]
    guide = (root / "docs/guides/example-agents.md").read_text("utf-8")
    comments = re.findall(r"(?m)^#   (live: \{.*\})(?:  .*)?$", (root / "banksman.yml").read_text("utf-8"))

    assert 2 == len(comments)
    assert [] == [line for line in comments if f"  {line}\n" not in guide]


@pytest.mark.runs_fence("docs/guides/example-agents.md > Your own logs, your own repository > 1")
def test_an_agent_for_ones_own_service_is_a_configuration(fence: Fence, tmp_path: Path) -> None:
    (tmp_path / "banksman.yml").write_text(fence.text)
    config = load_config(tmp_path / "banksman.yml")

    compile_playbooks(config.playbooks.values(), tools=tool_names(config))

    agent = read_agent(config.playbooks["oncall"].text)
    assert ("triage.md",) == agent.artifacts
    assert ("grafana.example.com", "flags.example.com") == tuple(config.tool("prod").network)
