"""The page of JSON shapes against what commands really print, field by field."""

from typing import Any

import pytest

from tests.docs.names import first_cells, section_of
from tests.docs.paths import paths
from tests.integration.cli.conftest import ROOT, CommandLine
from tests.integration.cli.waiting import ARGS, Waiting, asked_anew, configured, waiting

PAGE = (ROOT / "docs/reference/json.md").read_text("utf-8")


@pytest.fixture
def team(banksman: CommandLine) -> CommandLine:
    """A home where two have to approve, and a rule names a person."""
    configured(banksman, quorum=2)
    path = banksman.home / "team.yml"
    everybody = "approvers: {roles: [approver], principals: [operator]}, quorum: 2"
    path.write_text(path.read_text().replace("quorum: 2", everybody))
    return banksman


@pytest.fixture
def it(team: CommandLine) -> Waiting:
    """A question that was asked anew and has one vote of two; its action deserves a second look."""
    old = waiting(team)
    text = (team.home / "team.yml").read_text()
    (team.home / "team.yml").write_text(text.replace("Pushes are looked at.", "Pushes are looked at by two."))
    team("approve", old.approval_id, "--as", "approver", code=3)
    new = asked_anew(team, old.run_id, args={**ARGS, "branch": "checkup/2"})
    team("approve", new.approval_id, "--as", "approver", code=0)
    return new


def agree(section: str, *values: Any, whole: tuple[str, ...] = ()) -> None:
    listed = first_cells(section_of(PAGE, section) or "")
    found = {path for value in values for path in paths(value, whole=whole)}
    assert sorted(found) == sorted(listed)


def test_pending(team: CommandLine, it: Waiting) -> None:
    agree("pending", team("pending", "--json", code=0).json)


def test_approve_and_deny(team: CommandLine, it: Waiting) -> None:
    approved = team("approve", it.approval_id, "--as", "approver2", "--json", code=0).json
    denied = team("deny", it.approval_id, "--as", "approver", "--json", code=0).json

    agree("approve", approved)
    agree("approve", denied)


def test_approval_show(team: CommandLine, it: Waiting) -> None:
    agree("approval show", team("approval", "show", it.approval_id, "--json", code=0).json, whole=("log[].evidence",))


def test_show_with_approvals(team: CommandLine, it: Waiting) -> None:
    listed = {name for name in first_cells(section_of(PAGE, "show") or "") if name.startswith("approvals[].")}
    found = paths({"approvals": team("show", it.run_id, "--json", code=0).json["approvals"]})
    assert sorted(found) == sorted(listed)


def test_policy_check(team: CommandLine) -> None:
    bad = team.home / "bad.yml"
    bad.write_text("tools: {shell: {tier: read, tiers: x}}\n")
    doubtful = team.home / "doubtful.yml"
    doubtful.write_text("policy: {approvers: {roles: [a]}}\ngroups: {T0123456789/S0123456789: {roles: [a]}}\n")

    good = team("policy", "check", str(doubtful), "--json", code=0).json
    agree("policy check", good | {"problems": team("policy", "check", str(bad), "--json", code=2).json["problems"]})


def test_policy_explain(team: CommandLine, it: Waiting) -> None:
    stored = team("policy", "explain", it.approval_id, "--json", code=0).json
    inline = team("policy", "explain", "--tool", "git_push", "--agent", "checkup", "--json", code=0).json

    agree("policy explain", stored, {"action": inline["action"]}, whole=("args",))
