"""`ask-again`, `answer`, `resolve`: what else a run waits to be told, with the checks of the buttons."""

import pytest

from tests.integration.cli.conftest import CommandLine
from tests.integration.cli.waiting import configured, consumed, questioning, snapshot, swept, waiting

DAY_MS = 24 * 3_600_000
FIELDS = {
    "question": "Where to?",
    "fields": {"place": {"type": "choice", "choices": ["here", "there"]}, "copies": {"type": "integer"}},
}


@pytest.fixture
def team(banksman: CommandLine) -> CommandLine:
    """A home with the tests' configuration."""
    return configured(banksman)


@pytest.mark.parametrize("who", ["requester", "operator", "approver"])
def test_a_parked_run_asks_again_for_those_it_concerns(team: CommandLine, who: str) -> None:
    it = waiting(team, asked_ms_ago=2 * DAY_MS)
    swept(team, it.approval_id)
    assert "can have it ask again" in team("ask-again", it.run_id, "--as", "member", code=3).err

    answer = team.real("ask-again", it.run_id[-6:], "--as", who, code=0)

    assert f"Run {it.run_id} goes on and asks again.\n" == answer.out
    at = snapshot(team, it.run_id).run
    assert ("planning", None, 0) == (at.state, at.blocked_reason, at.due_at)
    assert "does not wait for this: it is planning" in team("ask-again", it.run_id, "--as", who, code=3).err


def test_a_run_that_waits_for_a_decision_is_not_asked_again(team: CommandLine) -> None:
    it = waiting(team)

    assert "it is waiting-for-approval" in team("ask-again", it.run_id, "--as", "requester", code=3).err
    assert "There is no run 'zzzzzz'" in team("ask-again", "zzzzzz", code=1).err


def test_an_answer_becomes_the_result_of_the_call_that_asked(team: CommandLine) -> None:
    run_id, call_id = questioning(team, FIELDS)

    answer = team.real("answer", call_id, "place=There", "copies=3", "--as", "requester", code=0)

    assert "Thank you. The run goes on with your answer.\n" == answer.out
    at = snapshot(team, run_id)
    assert ("planning", "succeeded", "requester") == (
        at.run.state, at.call(call_id).status, at.call(call_id).resolved_by,
    )  # fmt: skip
    assert '{"answered_by":"requester","copies":3,"place":"there"}' == at.call(call_id).result_json
    late = team("answer", call_id, "place=here", "copies=1", "--as", "operator", code=3)
    assert "This was already answered by requester" in late.err


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("place=nowhere", "copies=3"), "`place` expects one of here, there"),
        (("place=here",), "`copies` is missing: it expects a whole number"),
        (("place=here", "copies=many"), "`copies` expects a whole number"),
        (("place=here", "copies=1", "x=1"), "`x` was not asked for"),
        (("place=here", "place=there", "copies=1"), "`place` is given twice"),
        (("here",), "`here` is not of the form name=value."),
    ],
)
def test_an_answer_that_does_not_fit_is_usage(team: CommandLine, values: tuple[str, ...], said: str) -> None:
    run_id, call_id = questioning(team, FIELDS)

    answer = team("answer", call_id, *values, "--as", "requester", code=2)

    assert said in answer.err
    assert "blocked" == snapshot(team, run_id).run.state


def test_who_may_not_answer_is_told(team: CommandLine) -> None:
    run_id, call_id = questioning(team, FIELDS)

    for who in ((), ("--as", "member"), ("--as", "approver")):
        answer = team("answer", call_id, "place=here", "copies=1", *who, code=3)
        assert "Only the person who asked for this run, or an operator, can answer it." in answer.err
    assert "blocked" == snapshot(team, run_id).run.state


def test_a_call_that_asked_nothing_takes_no_answer(team: CommandLine) -> None:
    it = waiting(team)

    assert "This question is not known here." in team("answer", it.call_id, "a=b", "--as", "requester", code=1).err
    assert "There is no call 'zzzzzz'" in team("answer", "zzzzzz", "a=b", code=1).err
    assert "" == team("answer", it.call_id, code=2).out


@pytest.mark.parametrize(("flag", "status"), [("--ran", "succeeded"), ("--not-run", "failed")])
def test_somebody_who_looked_settles_what_nobody_knows(team: CommandLine, flag: str, status: str) -> None:
    it = waiting(team)
    team("approve", it.approval_id, "--as", "approver", code=0)
    consumed(team, it, outcome="unknown")
    assert "blocked" == snapshot(team, it.run_id).run.state

    assert "can say what happened" in team("resolve", it.run_id, it.call_id, flag, "--as", "approver", code=3).err
    answer = team.real("resolve", it.run_id, it.call_id[-6:], flag, "--as", "operator", code=0)

    assert answer.out.startswith(f"Recorded: {'it ran' if flag == '--ran' else 'it did not run'}.")
    call = snapshot(team, it.run_id).call(it.call_id)
    assert (status, "operator") == (call.status, call.resolved_by)
    assert ("once somebody approves" in answer.out) == (flag == "--not-run")
    late = team("resolve", it.run_id, it.call_id, flag, "--as", "operator", code=3)
    assert "already settled by operator" in late.err


def test_resolve_says_what_it_needs(team: CommandLine) -> None:
    it = waiting(team)

    assert "`--ran`, or `--not-run`" in team("resolve", it.run_id, it.call_id, "--as", "operator", code=2).err
    assert "has no call 'zzzzzz'" in team("resolve", it.run_id, "zzzzzz", "--ran", "--as", "operator", code=1).err
    assert "already settled" in team("resolve", it.run_id, it.call_id, "--ran", "--as", "operator", code=3).err
