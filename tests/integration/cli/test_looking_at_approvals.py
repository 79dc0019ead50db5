"""`pending` and `approval show`: what waits, one exact action in full, and whether everything still holds together."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.actions.envelope import digest
from core.actions.shown import parse
from tests.integration.cli.conftest import CommandLine
from tests.integration.cli.waiting import (
    ARGS,
    PATCH,
    Waiting,
    asked_anew,
    configured,
    consumed,
    questioning,
    snapshot,
    waiting,
)

HOUR_MS = 3_600_000
CHECKS = {"action", "effect", "inputs", "box", "question", "votes", "log"}


@pytest.fixture
def team(banksman: CommandLine) -> CommandLine:
    """A home with the tests' configuration."""
    return configured(banksman)


def shown(team: CommandLine, it: Waiting, *, code: int = 0) -> Any:
    return team("approval", "show", it.approval_id, "--json", code=code).json


def broken(document: Any) -> list[str]:
    return [check["check"] for check in document["checks"] if not check["ok"]]


def test_nothing_waits(team: CommandLine) -> None:
    assert [] == team("pending", "--json", code=0).json
    assert "Nothing waits for approval." in team("pending", code=0).out


def test_what_waits_longest_comes_first_and_what_is_decided_is_gone(team: CommandLine) -> None:
    configured(team, quorum=2)
    second, first = waiting(team, asked_ms_ago=HOUR_MS), waiting(team, asked_ms_ago=2 * HOUR_MS)
    decided = waiting(team)
    team("deny", decided.approval_id, "--as", "approver", code=0)
    team("approve", first.approval_id, "--as", "approver", code=0)

    found = team("pending", "--json", code=0).json
    lines = team("pending", code=0).out.splitlines()

    assert [first.approval_id, second.approval_id] == [each["id"] for each in found]
    assert [1, 0] == [len(each["votes"]) for each in found]
    assert ("checkup", "requester", 2) == (found[0]["agent"], found[0]["requester"], found[0]["quorum"])
    shown = [line.split()[0] for line in lines if line.startswith("apr_")]
    assert [first.approval_id, second.approval_id] == shown, "ids stay whole however narrow the terminal is"
    assert [first.approval_id] == [each["id"] for each in team("pending", "--limit", "1", "--json", code=0).json]


def test_an_action_is_shown_whole_and_everything_about_it_holds(team: CommandLine) -> None:
    it = waiting(team)
    team("approve", it.approval_id, "--as", "approver", code=0)
    consumed(team, it, outcome="succeeded")

    document = shown(team, it)
    words = team("approval", "show", it.approval_id, code=0).out

    assert document["ok"]
    assert {*CHECKS, "seen"} == {check["check"] for check in document["checks"]}
    call = snapshot(team, it.run_id).call(it.call_id)
    envelope = base64.b64decode(document["action"]["envelope_base64"])
    assert call.envelope.encode() == envelope
    assert (digest(envelope), call.effect_digest) == (
        document["action"]["digest"],
        document["action"]["effect_digest"],
    )
    [carried] = document["action"]["inputs"]
    assert ("changes.patch", PATCH.encode()) == (carried["ref"], base64.b64decode(carried["base64"]))
    assert (envelope, {carried["sha256"]: PATCH.encode()}) == parse(document["box"]["text"])
    assert document["box"]["text"] in words
    assert document["box"]["digest"] == digest(document["box"]["text"].encode())
    assert "vote     approver approve via cli:" in words
    assert "status   consumed" in words
    assert "MISMATCH" not in words


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE tool_calls SET envelope = replace(envelope, 'checkup/1', 'main')", {"action", "effect", "seen"}),
        ("UPDATE tool_calls SET envelope = '{\"a\": 1}'", {"action", "effect", "inputs", "box", "seen"}),
        ("UPDATE tool_calls SET envelope = 'no json'", {"action", "effect", "inputs", "box", "seen"}),
        ("UPDATE tool_calls SET envelope = '[]'", {"action", "effect", "inputs", "box", "seen"}),
        ("UPDATE tool_calls SET envelope = ' ' || envelope", {"action", "effect", "inputs", "box", "seen"}),
        ("UPDATE tool_calls SET action_digest = 'sha256:00'", {"action"}),
        ("UPDATE tool_calls SET effect_digest = 'sha256:00'", {"effect"}),
        ("UPDATE approvals SET action_digest = 'sha256:00'", {"action", "log"}),
        ("UPDATE approvals SET quorum = 2", {"question", "votes", "log"}),
        ("UPDATE approvals SET policy_digest = 'sha256:00'", {"question"}),
        ("UPDATE approvals SET status = 'denied'", {"votes", "log"}),
        ("UPDATE approvals SET status = 'pending'", {"log"}),
        ("UPDATE votes SET seen_digest = 'sha256:00'", {"seen", "log"}),
        ("UPDATE votes SET voter = 'approver2'", {"log"}),
        ("UPDATE votes SET decision = 'deny'", {"votes", "log"}),
        ("DELETE FROM votes", {"votes", "log"}),
    ],
)
def test_what_was_changed_in_the_database_is_said_loudly(team: CommandLine, statement: str, found: set[str]) -> None:
    it = waiting(team)
    team("approve", it.approval_id, "--as", "approver", code=0)
    assert shown(team, it)["ok"]
    team.tamper(statement)

    document = shown(team, it, code=1)
    words = team("approval", "show", it.approval_id, code=1)

    assert (False, found) == (document["ok"], set(broken(document)))
    assert words.err.startswith("MISMATCH. Do not rely on this approval")
    assert all(f"  {name}: " in words.err for name in found)
    kept = team.home / "kept.json"
    kept.write_text(json.dumps(document))
    team("approval", "show", "--file", str(kept), code=1)


def test_a_forgery_that_fits_itself_does_not_fit_the_runs_log(team: CommandLine) -> None:
    """Somebody with the database changes the action and every digest of it; the chained events stay."""
    it = waiting(team)
    call = snapshot(team, it.run_id).call(it.call_id)
    forged = call.envelope.replace("checkup/1", "main")
    team.tamper(f"UPDATE tool_calls SET envelope = '{forged}'")
    effect = next(c["said"] for c in shown(team, it, code=1)["checks"] if c["check"] == "effect").split()[4].strip(",")
    for table in ("tool_calls", "approvals"):
        values = f"action_digest = '{digest(forged.encode())}', effect_digest = '{effect}'"
        team.tamper(f"UPDATE {table} SET {values}")

    assert ["log"] == broken(shown(team, it, code=1))


def test_bytes_that_are_gone_are_named(team: CommandLine) -> None:
    it = waiting(team)
    [blob] = [path for path in (team.home / "artifacts").rglob("*") if path.is_file()]
    blob.unlink()

    document = shown(team, it, code=1)

    assert ["inputs", "box"] == broken(document)
    assert (None, None) == (document["box"], document["action"]["inputs"][0]["base64"])
    assert "changes.patch" in team("approval", "show", it.approval_id, code=1).err


def test_what_replaces_a_question_says_what_changed(team: CommandLine) -> None:
    old = waiting(team)
    configured(team, quorum=2)
    team("approve", old.approval_id, "--as", "approver", code=3)
    new = asked_anew(team, old.run_id, args={**ARGS, "branch": "checkup/2"})

    document = shown(team, new)

    assert old.approval_id == document["replaces"]
    changed = {each["path"]: (each["before"], each["after"]) for each in document["changed"]}
    assert ('"checkup/1"', '"checkup/2"') == changed["args.branch"]
    assert (new.approval_id, "superseded") == tuple(
        shown(team, old)["approval"][key] for key in ("superseded_by", "status")
    )


@pytest.fixture
def document(team: CommandLine) -> Any:
    """An approved action as it was exported, before anybody touched it."""
    it = waiting(team)
    team("approve", it.approval_id, "--as", "approver", code=0)
    return shown(team, it)


def test_a_file_is_verified_without_database_network_or_settings(
    bare: CommandLine, document: Any, tmp_path: Path
) -> None:
    path = tmp_path / "approval.json"
    path.write_text(json.dumps(document))
    elsewhere = {"BANKSMAN_HOME": str(tmp_path / "nowhere"), "BANKSMAN_CONFIG": "/nowhere.yml", "BANKSMAN_TYPO": "1"}

    answer = bare.real("approval", "show", "--file", str(path), **elsewhere, code=0)
    again = bare.real("approval", "show", "--file", str(path), "--json", **elsewhere, code=0)

    assert document["box"]["text"] in answer.out
    assert document == again.json
    assert not (tmp_path / "nowhere").exists()


def other_branch(document: Any) -> None:
    data = base64.b64decode(document["action"]["envelope_base64"]).replace(b"checkup/1", b"main")
    document["action"]["envelope_base64"] = base64.b64encode(data).decode()


def other_branch_with_its_digests(document: Any) -> None:
    other_branch(document)
    right = digest(base64.b64decode(document["action"]["envelope_base64"]))
    document["action"]["digest"] = document["approval"]["digest"] = right


def other_patch(document: Any) -> None:
    document["action"]["inputs"][0]["base64"] = base64.b64encode(b"+harmless\n").decode()


def other_text(document: Any) -> None:
    document["box"]["text"] = document["box"]["text"].replace("checkup/1", "checkup/9")


def other_voter_digest(document: Any) -> None:
    document["approval"]["votes"][0]["seen_digest"] = "sha256:" + "1" * 64


def one_vote_less(document: Any) -> None:
    document["approval"]["votes"] = []


def no_input(document: Any) -> None:
    document["action"]["inputs"] = []


def other_run(document: Any) -> None:
    document["approval"]["run_id"] = "run_other"


@pytest.mark.parametrize(
    "change",
    [
        other_branch,
        other_branch_with_its_digests,
        other_patch,
        other_text,
        other_voter_digest,
        one_vote_less,
        no_input,
        other_run,
    ],
)
def test_a_file_that_was_changed_is_a_mismatch(
    bare: CommandLine, document: Any, tmp_path: Path, change: Callable[[Any], None]
) -> None:
    path = tmp_path / "approval.json"
    change(document)
    path.write_text(json.dumps(document))

    answer = bare("approval", "show", "--file", str(path), "--json", code=1)

    assert not answer.json["ok"], "what the file says of itself is not believed"
    assert "MISMATCH" in answer.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("[]", "is not what `banksman approval show --json` prints"),
        ("{}", "is not what `banksman approval show --json` prints"),
        ('{"v": 2}', "of version 2; this program reads 1"),
        ('{"v": 1, "action": {"envelope_base64": "!"}}', "is not what `banksman approval show --json` prints"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_file_that_is_something_else_is_said(bare: CommandLine, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "approval.json").write_text(text)

    answer = bare("approval", "show", "--file", str(tmp_path / "approval.json"), code=1)

    assert "" == answer.out
    assert said in answer.err


def test_any_field_that_is_missing_is_no_crash(bare: CommandLine, document: Any, tmp_path: Path) -> None:
    path = tmp_path / "approval.json"
    needed = 0
    for part in ("approval", "action", "run"):
        for name in document[part]:
            less = {**document, part: {key: value for key, value in document[part].items() if key != name}}
            path.write_text(json.dumps(less))
            answer = bare("approval", "show", "--file", str(path))
            assert answer.code in (0, 1)
            needed += answer.code
    assert needed > 10


def test_a_file_cannot_speak_to_the_terminal(bare: CommandLine, document: Any, tmp_path: Path) -> None:
    document["approval"]["sentence"] = "\x1b[2J\u202efine"
    document["approval"]["votes"][0]["reason"] = "\x1b]0;x\x07"
    document["run"]["agent"] = "a\nok       forged"
    path = tmp_path / "approval.json"
    path.write_text(json.dumps(document))

    answer = bare("approval", "show", "--file", str(path), code=0)

    assert not {"\x1b", "\x07", "\u202e"} & set(answer.out)
    assert not any(line.startswith("ok       forged") for line in answer.out.splitlines())


@pytest.mark.parametrize("arguments", [(), ("abcdef", "--file", "x.json")])
def test_show_takes_an_approval_or_a_file(bare: CommandLine, arguments: tuple[str, ...]) -> None:
    assert "Name an approval, or give the file of one" in bare("approval", "show", *arguments, code=2).err


def test_a_file_that_is_not_there_is_usage(bare: CommandLine) -> None:
    assert "Give `--file` an existing file." in bare("approval", "show", "--file", "/nowhere.json", code=2).err


def test_a_run_shows_what_it_has_asked(team: CommandLine) -> None:
    it = waiting(team)
    run_id, call_id = questioning(team, {"question": "Which\x1b one?", "choices": ["red", "blue"]})

    assert f"{it.approval_id}  pending (0 of 1 votes" in team("show", it.run_id, code=0).out
    asked = team("show", run_id, code=0).out
    assert f"{call_id}  Which\\u{{001B}} one?" in asked
    assert "answer=…  one of red, blue" in asked
