"""`approve` and `deny` as processes of their own, on a run that waits: who may, what counts, what is said."""

import json
import os
import socket
from pathlib import Path

import pytest
import redis

from core.queue import BELL_KEY
from tests.integration.cli.conftest import CommandLine
from tests.integration.cli.waiting import (
    ARGS,
    PATCH,
    Waiting,
    asked_anew,
    configured,
    consumed,
    snapshot,
    swept,
    waiting,
)
from tests.patience import PATIENCE_S

DAY_MS = 24 * 3_600_000
VIA = f"cli:{os.getuid()}@{socket.gethostname()}"


@pytest.fixture
def team(banksman: CommandLine) -> CommandLine:
    """A home with the tests' configuration."""
    return configured(banksman)


def status(team: CommandLine, it: Waiting) -> tuple[str, str, list[tuple[str, str]]]:
    """The approval, its run, and the votes."""
    at = snapshot(team, it.run_id)
    approval = at.approval(it.approval_id)
    assert approval is not None
    return approval.status, at.run.state, [(vote.voter, vote.decision) for vote in at.votes_on(it.approval_id)]


def test_an_approver_approves_what_is_printed_whole(team: CommandLine) -> None:
    it = waiting(team)

    answer = team.real("approve", it.approval_id, "--as", "approver", code=0)

    assert answer.out.endswith("Approved. It starts now, once, exactly as shown.\n")
    assert f'args.branch = "{ARGS["branch"]}"' in answer.out
    assert "+new\\u{202E}" in answer.out
    assert PATCH not in answer.out
    assert ("approved", "waiting-for-approval", [("approver", "approve")]) == status(team, it)
    at = snapshot(team, it.run_id)
    assert VIA == at.votes[0].via
    assert at.votes[0].seen_digest in answer.out
    assert (True, 0) == (at.run.wake > 0, at.run.due_at), "a worker is to look at it now"


def test_with_json_the_answer_is_one_document_and_the_action_is_on_stderr(team: CommandLine) -> None:
    it = waiting(team)

    answer = team.real("approve", it.approval_id[-6:].upper(), "--as", "approver", "--json", code=0)

    said = json.loads(answer.out)
    assert ("approve", "approver", VIA, "approved") == (
        said["decision"], said["by"], said["via"], said["approval"]["status"],
    )  # fmt: skip
    assert said["seen_digest"] == said["approval"]["votes"][0]["seen_digest"]
    assert said["seen_digest"] in answer.err
    assert 'tool = "git_push"' in answer.err


def test_a_worker_is_rung_and_the_bot_told(team: CommandLine, redis_url: str) -> None:
    it = waiting(team)
    with redis.Redis.from_url(redis_url) as client, client.pubsub() as heard:
        heard.subscribe("banksman:delivery")
        assert heard.get_message(timeout=PATIENCE_S) is not None  # that it is subscribed

        team.real("approve", it.approval_id, "--as", "approver", BANKSMAN_REDIS_URL=redis_url, code=0)

        wake = snapshot(team, it.run_id).run.wake
        assert client.exists(f"arq:job:{it.run_id}:{wake}")
        assert client.llen(BELL_KEY) >= 1
        message = heard.get_message(timeout=PATIENCE_S)
        assert message is not None
        assert it.run_id.encode() == message["data"]


def test_a_second_approval_says_who_was_first(team: CommandLine) -> None:
    it = waiting(team)
    team.real("approve", it.approval_id, "--as", "approver", code=0)

    for who in ("approver", "approver2"):
        answer = team.real("approve", it.approval_id, "--as", who, code=3)
        assert "" == answer.out
        assert "already approved by approver at " in answer.err
    consumed(team, it)
    assert "It has started." in team("approve", it.approval_id, "--as", "approver2", code=3).err
    assert ("consumed", "executing", [("approver", "approve")]) == status(team, it)


def test_where_two_are_needed_the_same_person_twice_is_one(team: CommandLine) -> None:
    configured(team, quorum=2)
    it = waiting(team)

    first = team.real("approve", it.approval_id, "--as", "approver", code=0)
    again = team.real("approve", it.approval_id, "--as", "approver", code=3)

    assert "Your approval counts. 1 more needed before it starts." in first.out
    assert "You have approved this already: 1 of 2 needed." in again.err
    assert "pending" == status(team, it)[0]
    team.real("approve", it.approval_id, "--as", "approver2", code=0)
    assert "approved" == status(team, it)[0]


@pytest.mark.parametrize(("quorum", "codes"), [(1, [0, 3]), (2, [0, 0])])
def test_two_at_once_are_counted_once_each(team: CommandLine, quorum: int, codes: list[int]) -> None:
    configured(team, quorum=quorum)
    it = waiting(team)

    both = [team.begin("approve", it.approval_id, "--as", who) for who in ("approver", "approver2")]
    answers = [team.end(each) for each in both]

    assert codes == sorted(answer.code for answer in answers), answers
    found, _, votes = status(team, it)
    assert ("approved", quorum) == (found, len(votes))


@pytest.mark.parametrize(
    ("who", "said"),
    [
        (("--as", "requester"), "You asked for this run, so somebody else has to decide"),
        (("--as", "member"), "You cannot decide this. It is for people with the role approver."),
        (("--as", "operator"), "It is for people with the role approver."),
        ((), "It is for people with the role approver."),
        (("--as", "nobody-we-know"), "team.yml names no principal `nobody-we-know`."),
        (("--as", "theirs"), "may not act as `theirs` on the command line."),
    ],
)
@pytest.mark.parametrize("command", ["approve", "deny"])
def test_who_may_not_decide_is_told_why_and_nothing_counts(
    team: CommandLine, command: str, who: tuple[str, ...], said: str
) -> None:
    it = waiting(team)

    answer = team(command, it.approval_id, *who, code=3)

    assert "" == answer.out
    assert said in answer.err
    assert ("pending", "waiting-for-approval", []) == status(team, it)


def test_a_denied_action_is_not_done_and_the_reason_is_kept(team: CommandLine) -> None:
    it = waiting(team)

    answer = team.real("deny", it.approval_id, "--as", "approver", "--reason", "not on a Friday", code=0)

    assert answer.out.endswith("Denied. It will not be done.\n")
    assert ("denied", "planning", [("approver", "deny")]) == status(team, it)
    at = snapshot(team, it.run_id)
    assert "approver denied it: not on a Friday" == at.call(it.call_id).error
    for command in ("approve", "deny"):
        late = team.real(command, it.approval_id, "--as", "approver2", code=3)
        assert "already denied by approver at " in late.err


def test_a_denial_stops_what_was_approved_and_has_not_started(team: CommandLine) -> None:
    it = waiting(team)
    team("approve", it.approval_id, "--as", "approver", code=0)

    answer = team("deny", it.approval_id, "--as", "approver2", "--json", code=0)

    assert ("deny", "denied") == (answer.json["decision"], answer.json["approval"]["status"])
    assert "denied" == status(team, it)[0]


def test_what_nobody_decided_in_time_cannot_be_approved(team: CommandLine) -> None:
    it = waiting(team, asked_ms_ago=2 * DAY_MS)

    assert "This question expired at " in team.real("approve", it.approval_id, "--as", "approver", code=3).err
    swept(team, it.approval_id)
    assert "has expired. Ask again" in team.real("approve", it.approval_id, "--as", "approver", code=3).err
    assert ("expired", "blocked", []) == status(team, it)


def test_a_stopped_runs_action_cannot_be_approved(team: CommandLine) -> None:
    it = waiting(team)
    team("kill", it.run_id, "--as", "operator", code=0)

    answer = team.real("approve", it.approval_id, "--as", "approver", code=3)

    assert "already stopped by operator at " in answer.err
    assert ("revoked", "canceled", []) == status(team, it)


def test_under_another_policy_nothing_is_approved_and_the_new_question_shows_what_changed(team: CommandLine) -> None:
    it = waiting(team)
    configured(team, quorum=2)

    answer = team.real("approve", it.approval_id, "--as", "approver", "--json", code=3)

    assert "" == answer.out
    assert "The policy has changed since this was asked" in answer.err
    assert ("superseded", "planning", []) == status(team, it)
    newer = asked_anew(team, it.run_id, args={**ARGS, "branch": "checkup/2"})
    assert "stale" in team.real("approve", it.approval_id, "--as", "approver", code=3).err
    shown = team("approve", newer.approval_id, "--as", "approver", code=0).out
    assert f"Changed since {it.approval_id}: args.branch" in shown
    assert 'before: "checkup/1"' in shown
    assert 'now:    "checkup/2"' in shown


@pytest.mark.parametrize("command", ["approve", "deny", "approval show", "policy explain"])
@pytest.mark.parametrize("wanted", ["apr_01m000000000000000000000000", "zzzzzz", "abc", "%%%%", ""])
def test_an_approval_that_does_not_exist_is_said(team: CommandLine, command: str, wanted: str) -> None:
    waiting(team)

    answer = team(*command.split(), wanted, code=1)

    assert "" == answer.out
    assert f"{wanted!r}. `banksman pending` lists" in answer.err


@pytest.mark.parametrize("command", ["approve", "deny", "approval show", "policy explain"])
def test_an_id_that_may_mean_two_is_refused_with_both(team: CommandLine, command: str) -> None:
    ids = ["apr_01m0000000000000000001same", "apr_01m0000000000000000002same"]
    for each in ids:
        waiting(team, approval_id=each)

    answer = team(*command.split(), "same", code=2)

    assert "" == answer.out
    assert all(each in answer.err for each in ids)
    assert "approver" not in str([snapshot(team, run["id"]).votes for run in team("runs", "--json").json])
    assert ids[0] in team("approval", "show", "1same", code=0).out


def test_only_what_was_read_is_approved(team: CommandLine) -> None:
    it = waiting(team)
    digest = team("approval", "show", it.approval_id, "--json", code=0).json["box"]["digest"]

    for seen, code, said in (
        ("sha256:" + "0" * 64, 3, f"This is not what you have seen: its digest is {digest}."),
        (digest[:12], 2, "at least 16 of its hex digits"),
    ):
        answer = team("approve", it.approval_id, "--as", "approver", "--seen", seen, code=code)
        assert said in answer.err
        assert "pending" == status(team, it)[0]
    team("approve", it.approval_id, "--as", "approver", "--seen", digest[:30].upper(), code=0)


@pytest.mark.parametrize(
    ("typed", "code", "after"),
    [("y\n", 0, "approved"), ("yes\n", 0, "approved"), ("n\n", 3, "pending"), ("\n", 3, "pending")],
)
def test_at_a_terminal_it_asks_first(team: CommandLine, typed: str, code: int, after: str) -> None:
    it = waiting(team)
    typist, terminal = os.openpty()
    process = team.begin("approve", it.approval_id, "--as", "approver", stdin=terminal)
    os.close(terminal)
    os.write(typist, typed.encode())

    answer = team.end(process, code=code)

    os.close(typist)
    assert "Approve exactly this, as approver? [y/N]" in answer.err
    assert 'tool = "git_push"' in answer.out
    assert after == status(team, it)[0]


def test_at_a_terminal_yes_asks_nothing(team: CommandLine) -> None:
    it = waiting(team)
    typist, terminal = os.openpty()
    process = team.begin("approve", it.approval_id, "--as", "approver", "--yes", stdin=terminal)
    os.close(terminal)

    answer = team.end(process, code=0)

    os.close(typist)
    assert "[y/N]" not in answer.err
    assert "approved" == status(team, it)[0]


@pytest.mark.parametrize("command", ["approve", "deny"])
def test_an_action_that_was_changed_in_the_database_cannot_be_decided(team: CommandLine, command: str) -> None:
    it = waiting(team)
    team.tamper("UPDATE tool_calls SET envelope = replace(envelope, 'checkup/1', 'main')")

    answer = team.real(command, it.approval_id, "--as", "approver", code=1)

    assert "" == answer.out
    assert "What is stored is not what was asked, so nobody can decide it. The action digest is sha256:" in answer.err
    assert ("pending", []) == (status(team, it)[0], status(team, it)[2])


def test_what_the_action_carries_must_be_there_to_be_approved(team: CommandLine) -> None:
    it = waiting(team)
    [blob] = [path for path in (team.home / "artifacts").rglob("*") if path.is_file()]
    blob.chmod(0o600)
    Path(blob).write_bytes(b"something else")

    answer = team("approve", it.approval_id, "--as", "approver", code=1)

    assert "What the action carries (changes.patch) is missing or changed." in answer.err
    assert "pending" == status(team, it)[0]
