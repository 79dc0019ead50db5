"""Who acts on a command line, and what `kill` may do."""

import os
import pwd
import socket
from pathlib import Path

import pytest

from tests.integration.cli.conftest import CommandLine
from tests.shipped import shipped

ME = pwd.getpwuid(os.getuid()).pw_name
HOST = socket.gethostname()


@pytest.fixture
def people(tmp_path: Path) -> str:
    """The shipped file with two more people: one open to this user, one to somebody else."""
    file = shipped(tmp_path, name="people.yml")
    more = (
        f"principals:\n  mine: {{roles: [operator], cli: [{ME}]}}\n  theirs: {{cli: [somebody-else]}}\n  closed: {{}}\n"
    )
    file.write_text(file.read_text().replace("principals:\n", more, 1))
    return str(file)


def test_without_as_it_is_the_systems_user_without_roles(banksman: CommandLine) -> None:
    run_id = banksman.ask()

    [run] = banksman("runs", "--json", code=0).json

    assert f"cli:{ME}@{HOST}" == run["requester"]
    assert f"human:cli:{ME}@{HOST}" == banksman("events", run_id, "--json", code=0).json[0]["actor"]


def test_the_environment_cannot_change_who_the_user_is(banksman: CommandLine) -> None:
    banksman("run", "runaway", code=0, USER="operator", LOGNAME="operator")

    assert f"cli:{ME}@{HOST}" == banksman("runs", "--json", code=0).json[0]["requester"]


def test_as_a_principal_is_recorded_with_where_it_came_from(banksman: CommandLine) -> None:
    run_id = banksman.ask("--as", "requester")

    assert "requester" == banksman("runs", "--json", code=0).json[0]["requester"]
    actor = banksman("events", run_id, "--json", code=0).json[0]["actor"]
    assert f"human:requester via cli:{os.getuid()}@{HOST}" == actor


def test_as_is_for_whom_the_file_says(banksman: CommandLine, people: str) -> None:
    banksman("run", "runaway", "--as", "mine", "--config", people, code=0)
    for name, said in (
        ("theirs", f"`{ME}` may not act as `theirs` on the command line. Add `cli: [{ME}]`"),
        ("closed", f"`{ME}` may not act as `closed` on the command line."),
        ("mien", "names no principal `mien`. Did you mean `mine`?"),
        (f"cli:{ME}@{HOST}", "names no principal"),
    ):
        assert said in banksman("run", "runaway", "--as", name, "--config", people, code=3).err
        assert (
            said
            in banksman("kill", "--all", "--as", name, "--config", people, code=3).out
            + banksman("kill", "--all", "--as", name, "--config", people, code=3).err
        )
    assert 1 == len(banksman("runs", "--json", code=0).json)
    assert "context-loaded" == banksman("runs", "--json", code=0).json[0]["state"]


def test_what_a_run_may_use_is_given_in_amounts_that_can_be_read(banksman: CommandLine) -> None:
    run_id = banksman.ask()

    for options, said in (
        ((), "Say how much more"),
        (("--add", "lots"), "`lots` is not an amount of money"),
        (("--time", "soon"), "`soon` is not a duration"),
    ):
        assert said in banksman("budget", run_id, *options, code=2).err
    assert "Only approvers and operators" in banksman("budget", run_id, "--calls", "5", "--as", "member", code=3).err
    assert "no cap on its tool calls" in banksman("budget", run_id, "--calls", "5", "--as", "operator", code=3).err
    assert "thinks with no model" in banksman("wrap-up", run_id, "--as", "operator", code=3).err


def test_whoever_asked_may_stop_it(banksman: CommandLine) -> None:
    run_id = banksman.ask()

    answer = banksman("kill", run_id[-6:], "--reason", "changed my mind", code=0)

    assert f"Stop requested for run {run_id}." in answer.out
    assert "canceled" == banksman("show", run_id, "--json", code=0).json["run"]["state"]


def test_somebody_else_may_not(banksman: CommandLine) -> None:
    run_id = banksman.ask("--as", "requester")

    for who in ((), ("--as", "member"), ("--as", "guest")):
        answer = banksman("kill", run_id, *who, code=3)
        assert "" == answer.out
        assert (
            "Only the person who asked for this run, its agent's approvers, or an operator, can stop it." in answer.err
        )
    assert banksman("show", run_id, "--json", code=0).json["stop"] is None
    banksman("kill", run_id, "--as", "operator", code=0)


def test_an_approver_of_its_agent_may(banksman: CommandLine) -> None:
    run_id = banksman.ask("--as", "requester")

    banksman("kill", run_id, "--as", "approver", code=0)

    assert "approver" == banksman("show", run_id, "--json", code=0).json["stop"]["by"]


def test_stopping_twice_says_who_did_it_first(banksman: CommandLine) -> None:
    run_id = banksman.ask()
    banksman("kill", run_id, "--as", "operator", code=0)
    before = banksman("show", run_id, "--json", code=0).json

    answer = banksman("kill", run_id, code=3)

    assert "already stopped by operator at " in answer.err
    assert before == banksman("show", run_id, "--json", code=0).json


def test_all_stops_what_it_may_and_names_what_it_may_not(banksman: CommandLine) -> None:
    mine, theirs = banksman.ask(), banksman.ask("--as", "requester")

    answer = banksman("kill", "--all", code=3)

    assert f"Stop requested for run {mine}." in answer.out
    assert f"{theirs}: Only the person who asked" in answer.out
    states = {run["id"]: run["state"] for run in banksman("runs", "--json", code=0).json}
    assert {mine: "canceled", theirs: "context-loaded"} == states


def test_an_agent_is_stopped_alone(banksman: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    runaway, report = banksman.ask(), banksman("run", "report", "--file", str(tmp_path / "a.csv"), code=0).out.strip()

    banksman("kill", "--agent", "runaway", code=0)

    states = {run["id"]: run["state"] for run in banksman("runs", "--json", code=0).json}
    assert {runaway: "canceled", report: "context-loaded"} == states


def test_nothing_under_way_is_said(banksman: CommandLine) -> None:
    assert "Nothing is under way." in banksman("kill", "--all", code=1).err
    assert "Nothing is under way for report." in banksman("kill", "--agent", "report", code=1).err


@pytest.mark.parametrize("arguments", [(), ("abc", "--all"), ("--agent", "report", "--all")])
def test_kill_needs_one_thing_to_stop(banksman: CommandLine, arguments: tuple[str, ...]) -> None:
    assert "Say what to stop: a run, or `--agent NAME`, or `--all`." in banksman("kill", *arguments, code=2).err
