"""`runs`, `show`, `events`: what people and scripts are told."""

import pytest

from tests.integration.cli.conftest import CommandLine


def test_no_runs_are_an_empty_list_and_a_sentence(banksman: CommandLine) -> None:
    assert [] == banksman("runs", "--json", code=0).json
    assert "No runs yet." in banksman("runs", code=0).out


def test_runs_come_newest_first_and_can_be_limited(banksman: CommandLine) -> None:
    first, second, third = banksman.ask(), banksman.ask(), banksman.ask()

    assert [third, second, first] == [run["id"] for run in banksman("runs", "--json", code=0).json]
    assert [third, second] == [run["id"] for run in banksman("runs", "--limit", "2", "--json", code=0).json]
    assert third in banksman("runs", code=0).out


def test_runs_can_be_listed_by_state(banksman: CommandLine) -> None:
    waiting, stopped = banksman.ask(), banksman.ask()
    banksman("kill", stopped, code=0)

    assert [stopped] == [run["id"] for run in banksman("runs", "--state", "canceled", "--json", code=0).json]
    assert [waiting] == [run["id"] for run in banksman("runs", "--state", "context-loaded", "--json", code=0).json]
    assert [] == banksman("runs", "--state", "completed", "--json", code=0).json


def test_a_state_that_does_not_exist_is_answered_with_those_that_do(banksman: CommandLine) -> None:
    answer = banksman("runs", "--state", "done", code=2)

    assert "'done' is not one of" in answer.err
    assert "completed" in answer.err


@pytest.mark.parametrize("command", ["show", "events"])
def test_a_run_is_found_by_the_end_of_its_id(banksman: CommandLine, command: str) -> None:
    run_id = banksman.ask()

    whole, end = banksman(command, run_id, "--json", code=0), banksman(command, run_id[-6:].upper(), "--json", code=0)

    assert whole.json == end.json


@pytest.mark.parametrize("command", ["show", "events", "kill"])
@pytest.mark.parametrize("wanted", ["run_01m000000000000000000000000", "zzzzzz", "%", ""])
def test_a_run_that_does_not_exist_is_said_with_where_to_look(banksman: CommandLine, command: str, wanted: str) -> None:
    banksman.ask()

    answer = banksman(command, wanted, code=1)

    assert "" == answer.out
    assert f"There is no run {wanted!r}. `banksman runs` lists them" in answer.err


def test_people_see_a_run_and_its_log_in_words(banksman: CommandLine) -> None:
    run_id = banksman.ask("--key", "k")
    banksman("kill", run_id, "--reason", "[bold]not this one[/bold]", code=0)

    shown, log = banksman("show", run_id, code=0).out, banksman("events", run_id, code=0).out

    assert run_id in shown
    assert "[bold]not this one[/bold]" in shown, "nobody's text is markup"
    assert "confirmed" in shown
    assert "∅ → created" in log
    assert "stop-requested" in log


def test_a_stop_has_the_documented_shape(banksman: CommandLine) -> None:
    run_id = banksman.ask()
    banksman("kill", run_id, "--as", "operator", "--reason", "enough", code=0)

    stop = banksman("show", run_id, "--json", code=0).json["stop"]

    assert ("operator", "enough") == (stop["by"], stop["reason"])
    assert stop["requested_at"] <= stop["confirmed_at"]
    # Nothing had begun, so nothing was left to prove.
    assert (0, 0, []) == (stop["processes_ended"], stop["in_flight"], stop["unconfirmed_hosts"])
