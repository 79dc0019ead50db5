"""The reference pages agree with the code they describe: options, JSON shapes, log keys, links."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.actions.contract import Contract
from core.actions.policy import Approvers
from core.config.load import load_config
from core.config.people import principal_for_slack
from core.planners.base import PlanStep
from core.principals import Principal
from core.record.states import BlockedReason, CallStatus, RunState
from core.runs.allowance import Usage, WrapUp
from core.runs.approval_views import ApprovalView, VoteView
from core.runs.rollback_views import EffectView, RollbackView, Undoable
from core.runs.views import (
    ActionView,
    ArtifactView,
    CutOff,
    EventView,
    FreezeView,
    LateView,
    ReplyView,
    RunView,
    StopView,
    TurnView,
    WaitView,
)
from tests.docs.check import ROOT
from tests.docs.fences import Fence
from tests.docs.links import link_problems
from tests.docs.names import command_names, commands, first_cells, section_of
from tests.docs.paths import paths

AT_MS = 1_800_000_000_000

VIEW = RunView(
    id="run_1",
    tenant="main",
    state=RunState.CANCELED,
    agent="report",
    agent_digest="sha256:00",
    text="",
    requester="ana",
    requester_slack="U1",
    team="T1",
    channel="C1",
    thread_ts="1.0",
    created_at_ms=AT_MS,
    updated_at_ms=AT_MS,
    ended_at_ms=AT_MS,
    version=3,
    blocked_reason=BlockedReason.POLICY_ERROR,
    blocked_detail="",
    outcome="",
    plan=(PlanStep("a", "A", "done"),),
    actions=(
        ActionView(
            "call_1",
            "a",
            "shell",
            "workspace",
            "opaque",
            "sha256:00",
            CallStatus.UNKNOWN,
            1,
            "v1.a",
            error="",
            late=(LateView(AT_MS, "succeeded", 1, None),),
        ),
    ),
    approvals=(
        ApprovalView(
            id="apr_1",
            run_id="run_1",
            action_id="call_1",
            digest="sha256:00",
            status="pending",
            quorum=1,
            votes=(VoteView("ana", "deny", AT_MS, "sha256:00"),),
            asked_at_ms=AT_MS,
            expires_at_ms=AT_MS,
            use_by_ms=None,
            decided_at_ms=None,
            consumed_at_ms=None,
            tool="shell",
            tier="compensable",
            rule="tier:compensable",
            approvers=Approvers(frozenset({"approver"}), frozenset({"ben"})),
            self_ok=False,
            sentence="",
            title="",
        ),
    ),
    artifacts=(ArtifactView("art_1", "a.csv", "00", 1, "text/csv", "input"),),
    stop=StopView(
        *(AT_MS, None, "ana", "", 0, 1, ("host-1",)),
        calls=(CutOff("call_1", "shell", "workspace", CallStatus.UNKNOWN, None, None),),
        restarted_hosts=("host-2",),
    ),
    sandbox="bwrap",
    turns=(TurnView(1, "answered", "script:main", "script:main", 1, 1, 1, 1, None, AT_MS, AT_MS),),
    usages=(Usage("money", 1, 2),),
    wrap_up=WrapUp("ana", None, AT_MS, 1),
    contract=Contract(
        "#ops", None, ("triage",), ("shell",), "0.50", Approvers(frozenset({"a"}), frozenset({"b"})), ("*",)
    ),
    replies=(ReplyView("run_1:1.0", "mia", "U2", "", "sha256:00", AT_MS, "taken", "ana", 1),),
    waiting=WaitView("A", "look.out.x", AT_MS, AT_MS, AT_MS, 1, ""),
    freezes=(FreezeView("frz_1", "everything", "omar", "", AT_MS),),
    undoing=Undoable(
        (EffectView("call_1", "a", "git_push", "undone", "git_push.undo", "run_2"),),
        RollbackView("run_2", RunState.COMPLETED, "ana", "U1", AT_MS),
    ),
)
EVENT = EventView(1, AT_MS, "state", None, "created", "human:ana", None, "sha256:00", 0, ({"call": "a"},), "00", "00")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("runs", [VIEW.line().as_json()]),
        ("show", VIEW.full_json()),
        ("events", [EVENT.as_json()]),
    ],
)
def test_the_page_of_json_shapes_names_every_field_and_no_other(section: str, value: Any) -> None:
    listed = first_cells(section_of(page("reference/json.md"), section) or "")

    found = paths(value, whole=("[].evidence[]",))
    if section == "show":
        bare = replace(VIEW, stop=None, undoing=replace(VIEW.undoing, rollback=None))
        found |= paths(bare.full_json())  # then the field itself is the value
    assert sorted(found) == sorted(listed)


@pytest.mark.parametrize("name", sorted(command_names()))
def test_the_page_of_commands_names_every_argument_and_option(name: str) -> None:
    section = section_of(page("reference/commands.md"), f"banksman {name}")
    parameters = commands()[name].params

    assert section is not None
    options = [max(each.opts, key=len) for each in parameters if each.param_type_name == "option"]
    assert sorted(option for option in options if option != "--help") == sorted(first_cells(section))
    for argument in (each for each in parameters if each.param_type_name == "argument"):
        assert argument.name.upper() in section


def test_commands_come_in_the_groups_that_the_pattern_for_mentions_knows() -> None:
    assert {"approval", "channel", "db", "mcp", "policy"} == {
        name.partition(" ")[0] for name in command_names() if " " in name
    }


def test_every_log_key_on_the_operations_page_is_written_somewhere() -> None:
    listed = first_cells(section_of(page("operations.md"), "Logs") or "")
    sources = [path.read_text("utf-8") for house in ("core", "bot", "worker") for path in (ROOT / house).rglob("*.py")]
    written = {key for text in sources for key in re.findall(r'"action": "([a-z_]+)"', text)}

    assert [] != listed
    assert set() == set(listed) - written


@pytest.mark.runs_fence("docs/guides/slack.md > 3. Say who is who > 1")
def test_the_example_of_who_is_who_is_a_configuration(fence: Fence, tmp_path: Path) -> None:
    (tmp_path / "banksman.yml").write_text(fence.text)

    who = principal_for_slack(load_config(tmp_path / "banksman.yml"), "T0123ABCD", "U0456EFGH")

    assert isinstance(who, Principal)
    assert ("olu", True) == (who.id, who.is_operator)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[a](docs/there.md)", None),
        ("[a](docs/there.md#the-second-heading)", None),
        ("![a [b]](docs/there.md) and [x](https://example.com/none)", None),
        ("`[a](none.md)`", None),
        ("[a](none.md)", "'none.md', which does not exist"),
        ("[a](docs/there.md#third)", "has no such heading"),
        ("[a](#none)", "has no such heading"),
        ("[a](../outside.md)", "does not exist"),
    ],
)
def test_a_link_that_leads_nowhere_is_named(tmp_path: Path, text: str, complaint: str | None) -> None:
    root = tmp_path / "repository"
    (root / "docs").mkdir(parents=True)
    (tmp_path / "outside.md").write_text("")
    (root / "docs/there.md").write_text("# First\n\n## The `second` heading\n")
    (root / "README.md").write_text(text)

    found = list(link_problems(root, {"README.md": text}))

    assert found == [] if complaint is None else complaint in found[0]
