"""`freeze`, `thaw` and `freezes`: who may, what can be named, what scripts get; with neither Slack nor Redis."""

import os
import shlex
import socket

import pytest

from core.record.changes import Landed, Refused
from tests.docs.check import ROOT
from tests.docs.fences import fences
from tests.factories import a_worker, call_started, claimed_by
from tests.integration.cli.conftest import CommandLine
from tests.integration.cli.waiting import Waiting, configured, on, snapshot, waiting

OPERATOR = ("--as", "operator")
VIA = f"cli:{os.getuid()}@{socket.gethostname()}"


def starts(banksman: CommandLine, run_id: str) -> object:
    """What a worker is told that would start a call of the run."""

    async def start(database: object) -> object:
        await a_worker(database)  # type: ignore[arg-type]
        (claimed,) = await claimed_by(database, "w1", run_id)  # type: ignore[arg-type]
        return await database.journal.commit(call_started(claimed))  # type: ignore[attr-defined]

    return on(banksman, start)  # type: ignore[arg-type]


def test_what_is_frozen_does_not_start_until_it_is_thawed(banksman: CommandLine) -> None:
    run_id = banksman.ask()

    said = banksman("freeze", "agent:runaway", *OPERATOR, "--reason", "[b]it runs away[/b]", code=0).out
    assert "The agent runaway is frozen. Nothing of it starts until it is thawed" in said
    assert "Open runs it concerns: 1." in said
    assert Refused("frozen") == starts(banksman, run_id)

    [freeze] = banksman("freezes", "--json", code=0).json
    assert ("agent:runaway", f"operator via {VIA}", "[b]it runs away[/b]", None) == (
        freeze["scope"], freeze["by"], freeze["reason"], freeze["thawed_at"],
    )  # fmt: skip
    assert [freeze] == banksman("show", run_id, "--json", code=0).json["freezes"]
    assert banksman("runs", "--json", code=0).json[0]["frozen"] is True
    for command in (("runs",), ("show", run_id), ("freezes",)):
        assert "frozen" in banksman(*command, code=0).out or "agent:runaway" in banksman(*command, code=0).out
    assert "[b]it runs away[/b]" in banksman("show", run_id, code=0).out

    assert "The agent runaway is thawed" in banksman("thaw", "agent:runaway", *OPERATOR, code=0).out
    assert [] == banksman("freezes", "--json", code=0).json
    assert "Nothing is frozen." in banksman("freezes", code=0).out
    [over] = banksman("freezes", "--all", "--json", code=0).json
    assert f"operator via {VIA}" == over["thawed_by"]
    types = [event["type"] for event in banksman("events", run_id, "--json", code=0).json]
    assert ["run-frozen", "run-thawed"] == types[-2:]


def test_a_run_that_is_not_covered_starts(banksman: CommandLine) -> None:
    run_id = banksman.ask()
    banksman("freeze", "tool:http", *OPERATOR, code=0)
    assert isinstance(starts(banksman, run_id), Landed)


@pytest.mark.parametrize("who", ["requester", "approver", "guest", None])
def test_only_operators_may(banksman: CommandLine, who: str | None) -> None:
    act_as = () if who is None else ("--as", who)
    for command in ("freeze", "thaw"):
        assert "Only an operator can freeze or thaw." in banksman(command, "everything", *act_as, code=3).err
    assert [] == banksman("freezes", "--all", "--json", code=0).json


def test_what_is_frozen_already_or_not_at_all_is_refused_with_who_and_when(banksman: CommandLine) -> None:
    assert "not frozen" in banksman("thaw", "everything", *OPERATOR, code=3).err
    banksman("freeze", "everything", *OPERATOR, "--reason", "first", code=0)
    again = banksman("freeze", "everything", *OPERATOR, code=3).err
    assert f"Everything is already frozen by operator via {VIA} since 20" in again
    assert again.endswith(": first.\n")


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        (
            "agent:reprot",
            "There is no agent 'reprot', so nothing was changed. Did you mean `report`? There are: `checkup`",
        ),
        ("tool:git_pull", "There are: `artifact`"),
        ("run:zzzzzz", "There is no run 'zzzzzz'"),
        ("channel:#general", "only Slack knows"),
        ("team:acme", "begins with T or E"),
        ("agent:", "Say which agent"),
        ("everything:now", "`everything` stands alone"),
        ("world", "nothing that can be frozen. Write `run:ID`"),
    ],
)
def test_what_does_not_exist_cannot_be_frozen(banksman: CommandLine, scope: str, said: str) -> None:
    answer = banksman("freeze", scope, *OPERATOR, code=2)
    assert said in answer.err
    assert [] == banksman("freezes", "--all", "--json", code=0).json


def test_a_run_is_named_by_the_end_of_its_id_and_a_channel_and_a_team_by_their_ids(banksman: CommandLine) -> None:
    run_id = banksman.ask()
    for scope, kept in ((f"run:{run_id[-6:]}", f"run:{run_id}"), ("channel:C0DATA", ""), ("team:T0PLAYGRND", "")):
        banksman("freeze", scope, *OPERATOR, code=0)
        assert (kept or scope) == banksman("freezes", "--all", "--json", code=0).json[0]["scope"]
        banksman("thaw", scope, *OPERATOR, code=0)


def test_a_waiting_approval_is_parked_refused_and_given_back(banksman: CommandLine) -> None:
    team = configured(banksman)
    it: Waiting = waiting(team)
    before = snapshot(team, it.run_id).approvals[0]
    team("freeze", f"run:{it.run_id}", *OPERATOR, "--reason", "wait", code=0)

    refused = team("approve", it.approval_id, "--as", "approver", "--yes", code=3)
    assert f"is frozen by operator via {VIA}" in refused.err
    assert "frozen" in team("pending", code=0).out
    [shown] = team("show", it.run_id, "--json", code=0).json["approvals"]
    assert ("pending", True) == (shown["status"], 0 < shown["parked_ms"] <= before.expires_at - before.asked_at)

    team("thaw", f"run:{it.run_id}", *OPERATOR, code=0)
    after = snapshot(team, it.run_id)
    assert ("waiting-for-approval", None) == (after.run.state, after.approvals[0].remaining_ms)
    assert after.approvals[0].expires_at > before.expires_at
    team("approve", it.approval_id, "--as", "approver", "--yes", code=0)


@pytest.mark.runs_fence("docs/operations.md > Freezing > 1")
def test_the_example_of_the_operations_page(banksman: CommandLine) -> None:
    [fence] = [each for each in fences(ROOT) if each.key == "docs/operations.md > Freezing > 1"]
    for line in fence.commands():
        banksman(*shlex.split(line)[1:], code=0)
    assert [] == banksman("freezes", "--json", code=0).json
