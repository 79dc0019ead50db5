"""Rows as values: they are the tables, and a change folded onto them is what lands."""

from dataclasses import MISSING, fields

import pytest

from core.principals import Actor
from core.record.changes import Insert, Update, change, creation
from core.record.events import GENESIS, EventDraft
from core.record.rows import ApprovalRow, ArtifactRow, CallRow, RunRow, SteerRow, VoteRow
from core.record.states import RunState
from core.store.statements import complete
from core.store.tables import metadata
from tests.factories import (
    NOW_MS,
    approval_row,
    artifact_row,
    call_row,
    inserted,
    run_row,
    snapshot,
    vote_row,
)

ROWS = {
    "runs": RunRow, "tool_calls": CallRow, "artifacts": ArtifactRow, "approvals": ApprovalRow, "votes": VoteRow,
    "steers": SteerRow,
}  # fmt: skip


@pytest.mark.parametrize("table", ROWS)
def test_a_rows_fields_are_the_tables_columns(table: str) -> None:
    assert set(metadata.tables[table].c.keys()) == {field.name for field in fields(ROWS[table])}


@pytest.mark.parametrize("table", ROWS)
def test_what_a_row_leaves_out_is_what_the_database_fills_in(table: str) -> None:
    filled = complete(table, {})
    for field in fields(ROWS[table]):
        if field.default is not MISSING:
            assert (field.name, filled[field.name]) == (field.name, field.default)
        else:
            assert not metadata.tables[table].c[field.name].nullable, f"{field.name} may be missing in the database"


def test_an_unknown_column_is_an_error_and_not_ignored() -> None:
    with pytest.raises(KeyError, match="runs has no column colour"):
        complete("runs", {"colour": "red"})


def test_a_changes_state_is_that_of_its_last_transition() -> None:
    run = snapshot(
        run_row(state="executing", event_seq=3, event_hash="aa" * 32, event_at=NOW_MS + 5, version=4, fence=2)
    )
    actor = Actor.system("test")
    drafts = (
        EventDraft("state", actor, "p", RunState.EXECUTING, RunState.PLANNING),
        EventDraft("call-ended", actor, "p"),
        EventDraft("state", actor, "p", RunState.PLANNING, RunState.COMPLETED),
    )
    made = change(run, drafts, now_ms=NOW_MS, run={"outcome": "done"}, owner="w1")
    assert (4, 2, "w1", False) == (made.version, made.fence, made.owner, made.creates)
    assert ("completed", "done", 6, made.events[-1].hash) == tuple(
        made.run[name] for name in ("state", "outcome", "event_seq", "event_hash")
    )
    assert NOW_MS + 5 == made.run["event_at"], "time does not go back within the stream"
    assert "aa" * 32 == made.events[0].prev_hash


def test_a_change_without_events_leaves_the_chain_and_the_state_alone() -> None:
    run = snapshot(run_row(event_seq=3, event_hash="aa" * 32))
    made = change(run, (), now_ms=NOW_MS + 1, run={"due_at": 5})
    assert "state" not in made.run
    assert (3, "aa" * 32) == (made.run["event_seq"], made.run["event_hash"])


def test_a_change_that_raises_the_fence_is_guarded_by_the_old_one_and_writes_its_events_under_the_new() -> None:
    made = change(
        snapshot(run_row(fence=4)), (EventDraft("stop-requested", Actor.system("t"), "p"),), now_ms=1, run={"fence": 5}
    )
    assert (4, 5, 5) == (made.fence, made.run["fence"], made.events[0].fence)


def test_a_creation_begins_the_chain_and_says_every_column() -> None:
    row = run_row(state="planning")
    drafts = (
        EventDraft("state", Actor.system("t"), "p", None, RunState.CREATED),
        EventDraft("state", Actor.system("t"), "p", RunState.CREATED, RunState.CONTEXT_LOADED),
    )
    made = creation(row, drafts, now_ms=NOW_MS)
    assert made.creates
    assert {field.name for field in fields(RunRow)} == set(made.run)
    assert ("context-loaded", 2) == (made.run["state"], made.run["event_seq"])
    assert GENESIS == made.events[0].prev_hash


def test_folding_inserts_and_updates_every_kind_of_row_a_decision_looks_at() -> None:
    run = run_row(version=6)
    old, new = call_row(run, position=1), call_row(run, position=2)
    asked = approval_row(old)
    yes = vote_row(asked, voter="bea")
    before = snapshot(run, old, approvals=(asked,), votes=(yes,))
    file, also, no = artifact_row(run.id), approval_row(new), vote_row(asked, voter="alex", decision="deny")
    key = {"tenant": run.tenant}
    made = change(
        before,
        (),
        now_ms=NOW_MS,
        run={"outcome": "x"},
        inserts=(
            Insert("call_attempts", {"n": 1}),
            inserted("tool_calls", new),
            inserted("artifacts", file),
            inserted("approvals", also),
            inserted("votes", no),
        ),
        updates=(
            Update("tool_calls", key | {"id": old.id}, {"status": "failed"}),
            Update("tool_calls", key | {"id": new.id}, {"title": "t"}),
            Update("approvals", key | {"id": asked.id}, {"status": "denied"}),
            Update("votes", key | {"approval_id": asked.id, "voter": "bea"}, {"revoked_at": 5}),
            Update("call_attempts", key | {"call_id": old.id, "n": 1}, {"status": "failed"}),
        ),
    )
    after = before.folded(made)
    assert (7, "x") == (after.run.version, after.run.outcome)
    assert [("failed", ""), ("intent", "t")] == [(call.status, call.title) for call in after.calls]
    assert (file,) == after.artifacts
    assert {asked.id: "denied", also.id: "pending"} == {approval.id: approval.status for approval in after.approvals}
    assert [("alex", None), ("bea", 5)] == [(vote.voter, vote.revoked_at) for vote in after.votes]
    assert (old, asked, yes) == (before.calls[0], before.approvals[0], before.votes[0]), (
        "the old one is still the old one"
    )


def test_rows_are_looked_at_in_one_order_whatever_order_they_came_in() -> None:
    run = run_row()
    calls = [call_row(run, position=n) for n in (2, 1, 3)]
    assert [1, 2, 3] == [call.position for call in snapshot(run, *calls).ordered().calls]
