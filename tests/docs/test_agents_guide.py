"""The examples of the guide on agents are a configuration and a script, and do what the guide says."""

from pathlib import Path
from typing import get_args

import pytest
from ruamel.yaml import YAML

from core.config.language import Provider
from core.config.load import load_config
from core.config.problems import ConfigProblems
from core.planners.agent import AgentPlanner, Talk, prompt_of
from core.planners.agents import read_agent
from core.planners.base import Act, CallOutcome, Finish, PlanRequest, Think
from core.planners.compile import compile_playbooks
from core.planners.dialogue import Answer
from core.planners.prices import price_of
from core.planners.script import answer
from core.runs.accepting import limits_of
from core.tools.catalogue import tool_names
from tests.docs.fences import Fence


@pytest.mark.runs_fence("docs/guides/agents.md > Write one > 1")
def test_the_agent_asks_for_what_the_guide_says(fence: Fence, tmp_path: Path) -> None:
    path = tmp_path / "banksman.yml"
    path.write_text(fence.text)
    config = load_config(path)

    (source,) = config.playbooks.values()
    playbook = compile_playbooks([source], tools=tool_names(config))["triage"]
    agent = read_agent(source.text)

    assert ["request", "file"] == list(playbook.inputs)
    assert ["anthropic:claude-sonnet-4-5", "openai-compatible:qwen3"] == [model.label for model in agent.models]
    assert ("remedy.md",) == agent.artifacts
    assert 500_000 == limits_of(config, source).budget_micro_usd


@pytest.mark.runs_fence("docs/guides/agents.md > Models > 1")
def test_every_kind_of_model_is_one_that_can_be_paid_for(fence: Fence, tmp_path: Path) -> None:
    path = tmp_path / "banksman.yml"
    path.write_text(f"{fence.text}\nagents:\n")
    for name in YAML(typ="safe").load(fence.text)["models"]:
        with path.open("a") as file:
            file.write(f"  - {{name: by-{name}, model: {name}}}\n")
    config = load_config(path)
    compile_playbooks(config.playbooks.values(), tools=tool_names(config))

    models = {name: read_agent(config.playbooks[f"by-{name}"].text).models[0] for name in config.models}

    assert {*get_args(Provider)} - {"script"} == {model.provider for model in models.values()}
    assert [] == [name for name, model in models.items() if price_of(model) is None]
    assert ["claude", "gemini"] == [model.name for model in read_agent(config.playbooks["by-claude"].text).models]


@pytest.mark.runs_fence("docs/guides/agents.md > Other caps > 1")
def test_an_agents_own_caps_stand_beside_those_of_all(fence: Fence, tmp_path: Path) -> None:
    path = tmp_path / "banksman.yml"
    path.write_text(fence.text)
    (tmp_path / "turns.yml").write_text("- text: Done.\n")
    config = load_config(path)

    (source,) = config.playbooks.values()
    compile_playbooks([source], tools=tool_names(config))

    expected = {"tokens": 500_000, "steps": 60, "calls": 25, "time": 2 * 3600 * 1000}
    assert expected == limits_of(config, source).caps


@pytest.mark.runs_fence("docs/guides/agents.md > Handing work over > 1")
def test_an_agent_pins_those_it_hands_work_over_to(fence: Fence, tmp_path: Path) -> None:
    path = tmp_path / "banksman.yml"
    (tmp_path / "turns.yml").write_text("- text: Done.\n")
    path.write_text(fence.text)
    config = load_config(path)
    compile_playbooks(config.playbooks.values(), tools=tool_names(config))
    lead = read_agent(config.playbooks["lead"].text)

    assert {"counter": "Counts what is in files."} == {name: each.about for name, each in lead.delegates.items()}
    assert config.playbooks["counter"].text == lead.delegates["counter"].document

    for wrong, what in {
        "[nobody]": "There is no agent `nobody`.",
        "[lead]": "An agent hands no work over to itself.",
    }.items():
        path.write_text(fence.text.replace("delegates: [counter]", f"delegates: {wrong}"))
        with pytest.raises(ConfigProblems, match=what):
            load_config(path)
    path.write_text(fence.text.replace("delegate: {tier: read, recovery: idempotent}", "delegate: {tier: workspace}"))
    with pytest.raises(ConfigProblems, match="The tool `delegate` may not start a run here"):
        load_config(path)


@pytest.mark.runs_fence("docs/guides/agents.md > Without a model > 1")
@pytest.mark.parametrize("something", [True, False])
def test_the_script_is_followed(fence: Fence, tmp_path: Path, something: bool) -> None:
    (tmp_path / "turns.yml").write_text(fence.text)
    path = tmp_path / "banksman.yml"
    path.write_text(
        "models: {main: {provider: script, script: turns.yml}}\n"
        "agents: [{name: demo, model: main, tools: [files.list]}]\n"
    )
    (source,) = load_config(path).playbooks.values()
    spec, planner = read_agent(source.text).models[0], AgentPlanner()
    answers: tuple[Answer, ...] = ()
    outcomes: tuple[CallOutcome, ...] = ()

    for expected in (Think, Act, Think, Finish):
        request = PlanRequest("demo", source.text, "", {}, outcomes, answers)
        turn = planner.decide(request)
        assert expected is type(turn.move), turn
        if isinstance(turn.move, Think):
            answers += (answer(spec, prompt_of(request, Talk(())), len(answers) + 1, len(answers)).answer,)
        elif isinstance(turn.move, Act):
            found = {"entries": [{"path": "a.txt"}]} if something else {"entries": []}
            outcomes += (CallOutcome(turn.move.step, "succeeded", found, tool=turn.move.tool),)

    assert ["Look what is there"] == [line.title for line in turn.plan]
    assert isinstance(turn.move, Finish)
    assert turn.move.summary.startswith("The first is a.txt." if something else "There is nothing here.")
