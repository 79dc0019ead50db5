"""What the measurements run is fit to be run: playbooks compile, tools are declared, the file is an operator's file."""

import pytest

from bench.loops import CASES, MOST
from bench.site import CONFIG
from bench.tools import toolbox
from bench.work import STEPS, playbook, request, thinking
from core.config.load import load_config
from core.loops import masked
from core.planners.agents import read_agent
from core.planners.compile import compile_pinned, compile_playbooks


@pytest.mark.parametrize("name", ["noops", "marked", "numbered", "sleep", "busy", "gated"])
def test_every_playbook_compiles_and_names_tools_there_are(name: str) -> None:
    compiled = compile_pinned(playbook(name).body)

    assert {step.tool for step in compiled.steps} <= set(toolbox().names())


@pytest.mark.parametrize("name", ["noops", "marked", "numbered"])
def test_a_run_of_the_first_workload_has_ten_steps(name: str) -> None:
    assert STEPS == len(compile_pinned(playbook(name).body).steps)


def test_only_the_gate_asks() -> None:
    tools = toolbox()

    asking = [name for name in tools.names() if (found := tools.find(name)) and found.tier not in ("read", "workspace")]

    assert ["bench.gate"] == asking


def test_no_two_requests_are_the_same() -> None:
    assert request("noops").source_key != request("noops").source_key


def test_an_agent_of_the_bench_can_be_read_and_names_tools_there_are() -> None:
    asked = thinking({"budget": "0.50"}, {"turns": [{"text": "Done."}]})
    agent = read_agent(asked.document.body)

    assert set(agent.tools) <= set(toolbox().names())
    assert (500_000, 1_000) == (agent.budget_micro_usd, agent.turns)
    assert asked.source_key != thinking({}, {}).source_key


def test_what_works_is_told_apart_from_what_repeats_itself() -> None:
    """Forty words that differ in letters, for digits are masked."""
    honest = CASES["40 honest steps"]

    assert MOST == len({masked(honest(n)["text"]) for n in range(MOST)})
    assert 1 == len({masked(CASES["polling, and only a counter moves"](n)["text"]) for n in range(MOST)})


def test_the_operators_file_of_the_bench_loads() -> None:
    assert ["noops"] == list(compile_playbooks(load_config(CONFIG).playbooks.values()))
