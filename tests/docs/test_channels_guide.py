"""The guide's contract of a channel decides as the guide says."""

from pathlib import Path

import pytest

from core.actions.policy import Approvers
from core.config.agents import Channel, Chosen, UnknownAgent, choose, contract_of
from core.config.load import load_config
from core.runs.accepting import limits_of
from tests.docs.check import ROOT
from tests.docs.fences import Fence
from worker.wiring import rulebook

OPS = Channel("C1", "ops")
REST = """
principals: {ben: {roles: [approver, on-call]}}
playbooks: [{name: report}, {name: tidy}]
agents: [{name: triage, model: main, budget: "0.80"}, {name: repo, model: main, budget: "0.20"}]
models: {main: {provider: script, script: turns.yml}}
"""


@pytest.mark.runs_fence("docs/guides/channels.md > Writing one > 1")
def test_the_contract_narrows_as_the_guide_says(fence: Fence, tmp_path: Path) -> None:
    path = tmp_path / "banksman.yml"
    path.write_text(fence.text + REST)
    (tmp_path / "turns.yml").write_text("- text: Done.\n")
    config = load_config(path)
    contract = contract_of(config, OPS)
    assert contract is not None

    assert Chosen("report", "") == choose(config, OPS, "report")
    assert isinstance(choose(config, OPS, "repo"), UnknownAgent)
    barred = contract.bars_tool("shell")
    said = " ".join((ROOT / "docs/guides/channels.md").read_text("utf-8").split())
    assert barred is not None and barred in said
    assert None is contract.bars_tool("files.write")
    assert ("api.example.com", "*.internal.example.com:8443") == contract.network
    assert contract == rulebook(config).contract("C1", "#ops")
    assert Approvers(frozenset({"on-call"})) == contract.approvers
    triage, repo = (config.playbooks[name] for name in ("triage", "repo"))
    assert (500_000, 200_000) == tuple(limits_of(config, each, contract).budget_micro_usd for each in (triage, repo))
    assert 800_000 == limits_of(config, triage).budget_micro_usd
