"""Drafts: a transition that is not in the table cannot be written down, and one commit holds every row once."""

import json
from typing import Any

import pytest

from core.principals import Actor
from core.record.states import BlockedReason, RunState, allowed
from core.runs.commands.abandon import MOST, abandon
from core.runs.draft import Draft
from tests.factories import NOW_MS, run_row, snapshot, started_call, surface
from tests.unit.runs.reading import inserted_rows, moves

ACTOR = Actor.system("test")


def _place() -> dict[str, Any]:
    where = surface()
    return {"team": where.team, "channel": where.channel, "thread_ts": where.thread_ts}


@pytest.mark.parametrize("source", RunState)
@pytest.mark.parametrize("target", RunState)
def test_exactly_the_transitions_of_the_table_can_be_written(source: RunState, target: RunState) -> None:
    blocked = {"blocked_reason": "question"} if source is RunState.BLOCKED else {}
    draft = Draft(snapshot(run_row(state=source.value, **blocked)), ACTOR)
    if allowed(source, target):
        draft.move(target)
        assert [target] == moves(draft.snapshot, draft.seal(now_ms=NOW_MS))
    else:
        with pytest.raises(ValueError, match=f"does not go from {source} to {target}"):
            draft.move(target)


def test_an_event_names_the_policy_and_the_model_it_was_decided_under() -> None:
    run = run_row()
    draft = Draft(snapshot(run), ACTOR, model_version="model-1")
    draft.move(RunState.EXECUTING, actor=Actor("agent", "report"))
    (event,) = draft.seal(now_ms=NOW_MS).events
    assert (run.policy_digest, "model-1", "agent") == (
        event.draft.policy_version, event.draft.model_version, event.draft.actor.kind
    )  # fmt: skip


def test_deliveries_of_one_change_keep_their_order_and_say_when_they_were_written() -> None:
    run = run_row(**_place())
    draft = Draft(snapshot(run), ACTOR)
    for n in range(12):
        draft.deliver("slack.file", f"k{n}", {"n": n})
    rows = inserted_rows(draft.seal(now_ms=NOW_MS), "outbox")
    assert [f"k{n}" for n in range(12)] == [row["dedupe_key"] for row in sorted(rows, key=lambda row: row["id"])]
    assert {(NOW_MS, NOW_MS, f"T1:C1:{run.thread_ts}")} == {
        (row["created_at"], row["due_at"], row["lane"]) for row in rows
    }
    later = Draft(snapshot(run), ACTOR)
    later.deliver("slack.file", "k0", {})
    (row,) = inserted_rows(later.seal(now_ms=NOW_MS + 1), "outbox")
    assert row["id"] > max(row["id"] for row in rows)


def test_blocking_again_tells_the_thread_again() -> None:
    keys = set()
    for version in (3, 7):
        run = run_row(version=version, **_place())
        draft = Draft(snapshot(run), ACTOR)
        draft.block(BlockedReason.LOOP, "It gets nowhere.")
        keys |= {row["dedupe_key"] for row in inserted_rows(draft.seal(now_ms=NOW_MS), "outbox")}
    assert 2 == len(keys)


@pytest.mark.parametrize(
    ("reason", "what"),
    [("loop", ["slack.blocked"]), ("question", ["slack.question"]), ("frozen", [])],
)
def test_what_asked_for_help_is_over_once_the_run_goes_on(reason: str, what: list[str]) -> None:
    run = run_row(state="blocked", blocked_reason=reason, blocked_detail="Which?", **_place())
    draft = Draft(snapshot(run), Actor("human", "ben"))
    draft.move(RunState.PLANNING)
    rows = [json.loads(row["body_json"]) for row in inserted_rows(draft.seal(now_ms=NOW_MS), "outbox")]
    said = {"by": "ben", "to": "planning", "reason": reason, "detail": "Which?", "version": run.version}
    assert [{"of": kind, **said} for kind in what] == rows


def test_nobody_is_named_where_the_run_helped_itself() -> None:
    run = run_row(state="blocked", blocked_reason="dependency-down", blocked_detail="Away.", **_place())
    draft = Draft(snapshot(run), ACTOR)
    draft.move(RunState.PLANNING)
    (row,) = inserted_rows(draft.seal(now_ms=NOW_MS), "outbox")
    assert json.loads(row["body_json"])["by"] is None


# A slice that broke off


def test_a_run_whose_slice_broke_off_is_tried_again_after_a_growing_pause() -> None:
    for retries, pause_ms in ((0, 1_000), (1, 2_000), (3, 8_000)):
        run = run_row(state="executing", lease_owner="w1", retries=retries, wake=4)
        before = snapshot(run, started_call(run))
        answer = abandon([before], run_id=run.id, worker="w1", why="KeyError", now_ms=NOW_MS)
        after = before.folded(answer.changes[0])  # type: ignore[union-attr]
        assert (None, NOW_MS + pause_ms, retries + 1, 5) == (
            after.run.lease_owner, after.run.due_at, after.run.retries, after.run.wake
        )  # fmt: skip
        assert ["started"] == [call.status for call in after.calls]


def test_a_run_that_keeps_breaking_off_blocks_with_the_reason() -> None:
    before = snapshot(run_row(state="executing", lease_owner="w1", retries=MOST - 1))
    answer = abandon([before], run_id=before.run.id, worker="w1", why="KeyError", now_ms=NOW_MS)
    after = before.folded(answer.changes[0])  # type: ignore[union-attr]
    assert ("blocked", "dependency-down", None, None) == (
        after.run.state, after.run.blocked_reason, after.run.lease_owner, after.run.due_at
    )  # fmt: skip
    assert "KeyError" in str(after.run.blocked_detail)


def test_only_its_holder_gives_a_run_back() -> None:
    before = snapshot(run_row(lease_owner="w2"))
    assert "not-found" == abandon([before], run_id=before.run.id, worker="w1", why="", now_ms=1).why  # type: ignore[union-attr]
