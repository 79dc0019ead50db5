"""The story of the README, on both databases: a CSV and a mention in, numbers and a picture in the thread out."""

import json
import re
from datetime import datetime
from pathlib import Path

from core.actions.envelope import canonical
from core.ids import TENANT
from core.record.events import GENESIS, event_hash
from tests.acceptance.house import House
from tests.acceptance.team import DATA, Team, cards, run_of, said, user, words

CSV = b"day,visits,signups\n" + b"".join(
    f"2026-03-{day:02},{visits},{visits // 10}\n".encode()
    for day, visits in enumerate((120, 135, 128, 190, 210, 160, 175, 220, 205, 240), start=1)
)
MEAN_OF_VISITS = "178.3"
PNG = b"\x89PNG\r\n\x1a\n"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
DIGEST = re.compile(r"(sha256:)?[0-9a-f]{64}")

_reports: dict[Path, str] = {}


def table(folder: Path, name: str = "visits.csv") -> str:
    """The table as a file on disk."""
    (folder / name).write_bytes(CSV)
    return str(folder / name)


def a_report(house: House) -> str:
    """A completed run of the house, asked for once; for tests that only read."""
    if house.home not in _reports:
        done = house.cli("run", "report", "--file", table(house.home), "--wait", "--json")
        _reports[house.home] = done.json["run"]["id"]
    return _reports[house.home]


async def test_a_table_and_a_mention_become_numbers_and_a_picture_in_the_thread(house: House, team: Team) -> None:
    root = await team.say("@banksman report", ("visits.csv", CSV))

    done = await team.card(root, "Completed")
    ending = await team.answered(root, "for ", "3 files", "no effects outside")

    thread = await team.thread(root)
    assert {"name": "eyes", "users": ["U0BANKSMAN"], "count": 1} in thread[0]["reactions"]
    assert 1 == len(cards(thread))
    assert 5 == len(said(thread)), "the card, three files and the ending, each once"
    runs = house.cli("runs", "--limit", "200", "--json").json
    assert 1 == sum(run["thread_ts"] == root for run in runs), "a mention arrives as two events and is one run"
    assert 2 == words(done).count("✓")
    assert all(mark not in words(done) for mark in ("○", "▸", "✗"))
    assert "visits.csv" in words(done)
    posted = {file["name"]: (message, file) for message in thread[1:] for file in message["files"]}
    assert {"chart.png", "summary.json", "summary.md"} == set(posted)
    assert all(float(message["ts"]) < float(ending["ts"]) for message, _ in posted.values())
    assert f"mean {MEAN_OF_VISITS}" in words(ending)
    assert re.search(r"\d+ (ms|s)|\d\.\d s", words(ending))
    contents = {name: await team.fetch(file["url"]) for name, (_, file) in posted.items()}
    assert contents["chart.png"].startswith(PNG)
    summary = json.loads(contents["summary.json"])
    assert 10 == summary["rows"]
    [visits] = [column for column in summary["columns"] if column["name"] == "visits"]
    assert ("120", "240", MEAN_OF_VISITS) == (visits["min"], visits["max"], visits["mean"])
    assert MEAN_OF_VISITS in contents["summary.md"].decode()
    shown = house.show(run_of(done))
    assert ("completed", "requester", DATA, root) == tuple(
        shown["run"][name] for name in ("state", "requester", "channel", "thread_ts")
    )
    assert {len(data) for data in contents.values()} == {
        artifact["size"] for artifact in shown["artifacts"] if artifact["role"] == "output"
    }


def test_the_command_line_asks_for_the_same_and_waits(house: House, tmp_path: Path) -> None:
    done = house.cli("run", "report", "--file", table(tmp_path), "--wait", "--json")

    shown = done.json
    assert "completed" == shown["run"]["state"]
    assert f"visits: mean {MEAN_OF_VISITS}" in shown["run"]["outcome"]
    assert {"visits.csv", "chart.png", "summary.json", "summary.md"} == {
        artifact["name"] for artifact in shown["artifacts"]
    }
    assert ["done", "done"] == [step["status"] for step in shown["plan"]]


def test_waiting_on_a_terminal_shows_the_steps_and_the_outcome(sqlite_house: House, tmp_path: Path) -> None:
    done = sqlite_house.cli("run", "report", "--file", table(tmp_path), "--wait")

    assert MEAN_OF_VISITS in done.out
    assert "chart.png" in done.out
    assert "✓ Compute the numbers and draw a picture" in done.err
    assert "accepted as run_" in done.err


def test_asking_twice_with_one_key_is_one_run(house: House, tmp_path: Path) -> None:
    asked = ("run", "report", "--file", table(tmp_path), "--key", "monthly", "--json")

    first, second = house.cli(*asked, "--wait").json, house.cli(*asked).json

    assert first["run"]["id"] == second["run"]["id"]
    assert first == second


def test_a_key_that_is_taken_by_another_request_is_refused(sqlite_house: House, tmp_path: Path) -> None:
    first = sqlite_house.ask("report", "--file", table(tmp_path), "--key", "taken")
    (tmp_path / "visits.csv").write_bytes(CSV + b"2026-03-11,1,1\n")

    refused = sqlite_house.cli("run", "report", "--file", str(tmp_path / "visits.csv"), "--key", "taken", code=3)

    assert "" == refused.out
    assert first in refused.err
    assert "another key" in refused.err


def test_what_scripts_read_has_the_documented_shape(house: House) -> None:
    run_id = a_report(house)

    [line] = [run for run in house.cli("runs", "--limit", "200", "--json").json if run["id"] == run_id]
    assert {
        "id": run_id,
        "state": "completed",
        "agent": "report",
        "channel": None,
        "thread_ts": None,
        "blocked_reason": None,
        "cost_micro_usd": 0,
    }.items() <= line.items()
    assert line["requester"].startswith("cli:")
    assert TIME.fullmatch(line["created_at"])
    assert line["created_at"] <= line["updated_at"]
    shown = house.cli("show", run_id[-6:], "--json").json
    parts = {"run", "plan", "actions", "approvals", "artifacts", "stop", "freezes", "effects", "rollback", "turns"}
    assert parts | {"replies", "waiting"} == set(shown)
    assert line.items() <= shown["run"].items()
    assert ([], None) == (shown["approvals"], shown["stop"])
    assert ["files.list", "table_report"] == [action["tool"] for action in shown["actions"]]
    for action in shown["actions"]:
        expected = {"id", "step", "tool", "tier", "recovery", "digest", "status", "attempts", "idempotency_key"}
        assert expected <= set(action)
        assert ("succeeded", 1) == (action["status"], action["attempts"])
        assert DIGEST.fullmatch(action["digest"])
    for artifact in shown["artifacts"]:
        assert {"id", "name", "sha256", "size", "media_type"} <= set(artifact)
        assert DIGEST.fullmatch(artifact["sha256"])
        assert isinstance(artifact["size"], int)
    for event in house.cli("events", run_id, "--json").json:
        assert {
            "seq", "at", "type", "from", "to", "actor", "model_version", "policy_version", "fence", "evidence", "hash",
            "prev_hash",
        } == set(event)  # fmt: skip
        assert TIME.fullmatch(event["at"])


def test_the_log_of_a_run_is_a_chain_that_anybody_can_check(house: House) -> None:
    run_id = a_report(house)

    events = house.cli("events", run_id, "--json").json

    assert [*range(1, len(events) + 1)] == [event["seq"] for event in events]
    previous, state = GENESIS, None
    for event in events:
        assert previous == event["prev_hash"]
        assert event["hash"] == event_hash(canonical(_body(run_id, event)))
        previous = event["hash"]
        if event["to"] is not None:
            assert state == event["from"]
            state = event["to"]
    assert "completed" == state
    assert "visits" not in json.dumps(events), "an event holds nobody's text"


def _body(run_id: str, event: dict[str, object]) -> dict[str, object]:
    """An event as it was hashed, rebuilt from what scripts are told."""
    kind, _, name = str(event["actor"]).partition(":")
    return {
        "v": 1,
        "tenant": TENANT,
        "stream": run_id,
        "at": round(datetime.fromisoformat(str(event["at"])).timestamp() * 1000),
        "actor": {"kind": kind, "id": name},
        "model": event["model_version"],
        "policy": event["policy_version"],
        **{name: event[name] for name in ("seq", "type", "from", "to", "fence", "evidence", "prev_hash")},
    }


async def test_the_slash_command_lists_and_shows_privately(sqlite_house: House, team: Team) -> None:
    run_id = a_report(sqlite_house)

    await team.act("commands", user=user("member"), channel=DATA, command="/banksman", text=f"show {run_id}")
    await team.act("commands", user=user("member"), channel=DATA, command="/banksman", text="runs")

    await team.private("member", "report", run_id)
    await team.private("member", "report", "Completed")
