"""The examples of the guides on policy and git are configurations, and decide what the guides say."""

from pathlib import Path

import pytest

from core.actions.policy import Proposal, parse
from core.config.load import Config, load_config
from core.config.people import group_roles
from tests.docs.check import ROOT
from tests.docs.fences import Fence

BOOK = """
playbooks:
  - name: checkup
    title: Checkup
    steps:
      - {id: a, title: A, tool: ask, with: {question: Why?}}
"""


def loaded(text: str, tmp_path: Path) -> Config:
    path = tmp_path / "banksman.yml"
    path.write_text(text)
    return load_config(path)


@pytest.mark.runs_fence("docs/guides/policy.md > Writing rules > 1")
def test_the_rules_decide_as_the_table_says(fence: Fence, tmp_path: Path) -> None:
    config = loaded(fence.text + BOOK, tmp_path)
    policy = parse(config.policy_text)
    said = (ROOT / "docs/guides/policy.md").read_text("utf-8")

    for tool, args, verdict, rule, quorum in (
        ("git_push", {"branch": "main"}, "deny", "main-is-protected", 1),
        ("git_push", {"branch": "notes/today"}, "allow", "notes-need-nobody", 1),
        ("git_push", {"branch": "fix/typo"}, "ask", "tier:compensable", 1),
        ("http", {"method": "POST"}, "ask", "two-for-production", 2),
    ):
        word = config.tool(tool)
        found = policy.decide(Proposal(tool, word.tier, word.recovery, "checkup", word.environment, args))
        assert (verdict, rule, quorum) == (found.verdict, found.rule, found.quorum)
        assert f"`{rule}` |" in said
    assert 8 * 3_600_000 == policy.expires_ms


@pytest.mark.runs_fence("docs/guides/policy.md > Writing rules > 1")
def test_reading_in_production_asks_nobody_only_where_no_rule_asks(fence: Fence, tmp_path: Path) -> None:
    without = fence.text.replace("environments: [production]", "environments: [elsewhere]")
    config = loaded(without + BOOK, tmp_path)
    found = parse(config.policy_text).decide(
        Proposal("http", "irreversible", "opaque", "checkup", "production", {"method": "GET"})
    )
    assert ("allow", "tier:read") == (found.verdict, found.rule)


@pytest.mark.runs_fence("docs/guides/policy.md > Who may decide > 1")
def test_a_slack_group_gives_its_members_roles(fence: Fence, tmp_path: Path) -> None:
    config = loaded(fence.text, tmp_path)
    assert {"S0789KLMN": frozenset({"approver"})} == group_roles(config, "T0123ABCD")


@pytest.mark.runs_fence("docs/guides/git.md > Addresses > 1")
def test_the_example_of_places_and_credentials_is_a_configuration(fence: Fence, tmp_path: Path) -> None:
    config = loaded(fence.text, tmp_path)
    assert ("github.com", "file:/srv/git") == config.tool("git_read").network
    assert ["GITHUB_TOKEN"] == [each.secret for each in config.tool("git_push").credentials]
