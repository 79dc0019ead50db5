"""What the measurements run is fit to be run: playbooks compile, tools are declared, the file is an operator's file."""

import pytest

from bench.site import CONFIG
from bench.tools import toolbox
from bench.work import STEPS, playbook, request
from core.config.load import load_config
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


def test_the_operators_file_of_the_bench_loads() -> None:
    assert ["noops"] == list(compile_playbooks(load_config(CONFIG).playbooks.values()))
