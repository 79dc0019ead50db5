"""Asking for a run and loading its context: one commit, one run per key, what could not be read is said."""

import json
from dataclasses import replace
from typing import Any

import pytest

from core.actions.envelope import NotCanonical
from core.ids import RunId
from core.principals import Principal
from core.record.changes import Insert, Refusal, RunChange
from core.record.rows import RunRow, Snapshot
from core.record.states import DUE_NOW
from core.runs.commands.load import loaded, unloadable
from core.runs.commands.request import Limits, Pinned, Request, accept, repeated
from tests.factories import MEMBER, NOW_MS, SALT, SHA, a_request, artifact_row, run_row, snapshot, surface
from tests.unit.runs.reading import evidence, facts, inserted_rows, moves


def accepted(request: Request) -> RunChange:
    return accept(request, run_id=RunId("run_1"), salt=SALT, now_ms=NOW_MS)


def born(request: Request) -> Snapshot:
    change = accepted(request)
    return snapshot(RunRow(**change.run))


def states(change: RunChange) -> list[tuple[str | None, str | None]]:
    return [(e.draft.from_state, e.draft.to_state) for e in change.events]


def test_a_run_from_slack_is_created_and_waits_for_the_bot() -> None:
    request = a_request(
        loaded=False, surface=surface(), source_key="T1:C1:1.1", requester=Principal("ana", slack_user="U1")
    )
    change = accepted(request)
    assert [(None, "created")] == states(change)
    run = born(request).run
    assert ("created", "T1:C1:1.1", "ana", "U1") == (run.state, run.source_key, run.requester, run.requester_slack)
    assert ("T1", "C1") == (run.team, run.channel) and run.thread_ts == run.message_ts
    (card,) = inserted_rows(change, "outbox")
    assert ("slack.card", "card:run_1", f"T1:C1:{run.thread_ts}") == (card["kind"], card["dedupe_key"], card["lane"])


def test_a_run_that_needs_nothing_read_is_born_loaded_by_two_events_in_one_commit() -> None:
    change = accepted(a_request())
    assert [(None, "created"), ("created", "context-loaded")] == states(change)
    assert "context-loaded" == change.run["state"]
    assert [] == inserted_rows(change, "outbox")


def test_what_the_run_pinned_is_stored_with_it() -> None:
    change = accepted(a_request(document=Pinned("playbook", "name: a"), policy=Pinned("policy", "v: 1")))
    pinned = {row["digest"]: row["body"] for row in inserted_rows(change, "documents")}
    assert "name: a" == pinned[change.run["agent_digest"]]
    assert "v: 1" == pinned[change.run["policy_digest"]]


def test_files_and_the_inbox_row_land_with_the_run() -> None:
    inbox = Insert("inbox", {"tenant": "main", "dedupe_key": "ev:1", "kind": "message", "received_at": NOW_MS})
    change = accepted(a_request(files=(artifact_row("run_1"),), inbox=inbox))
    assert [SHA] == [row["sha256"] for row in inserted_rows(change, "blobs")]
    assert ["run_1"] == [row["run_id"] for row in inserted_rows(change, "artifacts")]
    assert ["ev:1"] == [row["dedupe_key"] for row in inserted_rows(change, "inbox")]


def test_no_text_of_a_person_is_in_an_event() -> None:
    words = "the salaries of everybody"
    change = accepted(
        a_request(text=words, inputs={"who": "everybody"}, files=(artifact_row("run_1", name="secret.csv"),))
    )
    log = "".join(event.body for event in change.events)
    assert words not in log and "everybody" not in log and "secret.csv" not in log and SHA not in log


def test_caps_are_fixed_when_the_run_is_accepted() -> None:
    run = born(a_request(limits=Limits(steps=5, wall_clock_ms=60_000))).run
    assert (5, NOW_MS + 60_000) == (run.step_cap, run.deadline_at)


def test_asking_the_same_again_finds_the_first_run() -> None:
    request = a_request(inputs={"file": {"sha256": SHA, "path": "inputs/a.csv", "name": "a.csv"}})
    again = replace(request, inputs={"file": {"sha256": SHA, "path": "inputs/a-1.csv", "name": "b.csv"}})
    assert repeated(again, born(request)) is None


@pytest.mark.parametrize(
    "other",
    [
        {"agent": "checkup"},
        {"text": "something else"},
        {"inputs": {"n": 1}},
        {"requester": MEMBER},
        {"files": (artifact_row("run_1", sha256="cd" * 32),)},
    ],
)
def test_another_request_under_the_same_key_is_refused_and_named(other: dict[str, Any]) -> None:
    request = a_request()
    refusal = repeated(replace(request, **other), born(request))
    assert isinstance(refusal, Refusal)
    assert "already" == refusal.why
    assert "run_1" in refusal.text and "Use another key" in refusal.text


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_a_text_that_cannot_be_stored_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(NotCanonical, match=r"\$\.text contains"):
        accepted(a_request(text=text))


# Loading


def created() -> Snapshot:
    where = surface()
    return snapshot(
        run_row(id="run_1", state="created", team=where.team, channel=where.channel, thread_ts=where.thread_ts, wake=1)
    )


def load(**given: Any) -> RunChange:
    values: dict[str, Any] = {"inputs": {}, "artifacts": (), "unread": {}, "needed": None, "now_ms": NOW_MS + 9}
    return loaded(created(), **(values | given))


def test_loaded_context_is_stored_and_wakes_a_worker() -> None:
    change = load(inputs={"file": {"path": "inputs/a.csv"}}, artifacts=(artifact_row("run_1"),))
    assert ["context-loaded"] == moves(created(), change)
    run = created().folded(change).run
    assert ({"file": {"path": "inputs/a.csv"}}, DUE_NOW, 2) == (json.loads(run.inputs_json), run.due_at, run.wake)
    assert [SHA] == [row["sha256"] for row in inserted_rows(change, "blobs")]
    assert change.owner is None


def test_what_could_not_be_read_is_named_and_the_run_goes_on_without_it() -> None:
    change = load(unread={"F1": "timeout"})
    assert ["context-loaded"] == moves(created(), change)
    assert {"unread": "F1", "why": "timeout"} in evidence(change, "state")


def test_a_missing_file_that_an_input_needs_blocks_with_the_remedy() -> None:
    change = load(unread={"F1": "timeout"}, needed="Slack did not give us sales.csv. Attach it again.")
    assert ["context-loaded", "blocked"] == moves(created(), change)
    run = created().folded(change).run
    assert ("dependency-down", None) == (run.blocked_reason, run.due_at)
    assert "Attach it again" in str(run.blocked_detail)
    assert ["slack.blocked"] == [row["kind"] for row in inserted_rows(change, "outbox")]


def test_a_context_no_waiting_mends_fails_the_run_with_the_reason() -> None:
    change = unloadable(created(), "The file is empty. Attach one with a header line.", NOW_MS)
    assert ["failed"] == moves(created(), change)
    assert [] == facts(change)
    assert "The file is empty. Attach one with a header line." == created().folded(change).run.outcome
    assert "empty" not in change.events[0].body
