"""Steps: what a turn or an end means for the rows, one event per transition, in order."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from core.actions.envelope import digest, idempotency_key
from core.clock import rfc3339
from core.planners.base import Act, Finish, GiveUp, PlanStep, Turn
from core.record.rows import Snapshot
from core.record.states import BlockedReason
from core.runs import steps
from core.runs.draft import merged
from core.runs.steps import MAX_EVENTS, Stored
from core.runs.toolbox import DeclaredTool
from tests.factories import (
    NOW_MS,
    SHA,
    a_tool,
    act,
    call_row,
    call_started,
    ended,
    proposed,
    run_row,
    snapshot,
    stamp,
    started_call,
    surface,
)
from tests.unit.runs.reading import evidence, facts, inserted_rows, moves, patched

PLAN = (PlanStep("s1", "Step s1", "running"),)


def planning(**columns: Any) -> Snapshot:
    return snapshot(run_row(**({"lease_owner": "w1", "fence": 3, "version": 9} | columns)))


def executing(**columns: Any) -> Snapshot:
    run = planning(state="executing", **columns).run
    return snapshot(run, started_call(run))


def taken(before: Snapshot, turn: Turn, tool: DeclaredTool | None = None) -> Any:
    return steps.take_turn(
        before,
        turn,
        proposed(before, turn, tool),
        call_id="call_1",
        nonce="00" * 16,
        sandbox="landlock",
        stamp=stamp(NOW_MS + 5),
    )


def threaded(before: Snapshot) -> Snapshot:
    where = surface()
    return before.with_run({"team": where.team, "channel": where.channel, "thread_ts": where.thread_ts})


# What a turn means


def test_a_call_is_proposed_and_started_in_one_change() -> None:
    before = planning(steps=4)
    change = taken(before, act(args={"path": "sales.csv"}), a_tool())
    assert ["executing"] == moves(before, change)
    assert ["call-proposed", "call-started"] == facts(change)
    assert ("w1", 9, 3) == (change.owner, change.version, change.fence)
    after = before.folded(change)
    (call,) = after.calls
    assert ("started", 1, 3, NOW_MS + 5) == (call.status, call.attempts, call.start_fence, call.started_at)
    assert (5, "landlock", "host-1") == (after.run.steps, after.run.sandbox, after.run.workspace_host)
    assert {"path": "sales.csv"} == json.loads(call.envelope)["args"]
    assert digest(call.envelope.encode()) == call.action_digest
    key = {"tenant": "main", "run": before.run.id, "step": "s1", "ordinal": 0, "generation": 1}
    assert idempotency_key(**key, action_digest=call.action_digest) == call.idem_key  # type: ignore[arg-type]
    (attempt,) = inserted_rows(change, "call_attempts")
    assert ("call_1", 1, "w1", "host-1", 3) == tuple(attempt[k] for k in ("call_id", "n", "worker", "host", "fence"))


def test_the_same_step_again_is_the_next_of_its_kind() -> None:
    before = planning()
    before = snapshot(before.run, call_row(before.run, status="failed"))
    (call,) = (call for call in before.folded(taken(before, act(), a_tool())).calls if call.id == "call_1")
    assert (1, 2) == (call.ordinal, call.position)


def test_a_key_with_a_lifetime_is_trusted_for_nine_tenths_of_it() -> None:
    before = planning()
    change = taken(before, act(), a_tool(recovery="idempotent", key_ttl_s=100))
    assert NOW_MS + 5 + 90_000 == before.folded(change).calls[0].idem_valid_until
    assert before.folded(taken(before, act(), a_tool(recovery="idempotent"))).calls[0].idem_valid_until is None


def test_the_plans_own_timeout_goes_before_the_tools() -> None:
    before = planning()
    turn = Turn(PLAN, Act("s1", "files.read", {}, "t", timeout_s=2.5))
    assert 2_500 == before.folded(taken(before, turn, a_tool())).calls[0].timeout_ms
    assert 60_000 == before.folded(taken(before, act(), a_tool())).calls[0].timeout_ms


def test_the_end_of_the_plan_completes_the_run_and_gives_the_lease_back() -> None:
    before = threaded(planning())
    change = taken(before, Turn(PLAN, Finish("All done.")))
    assert ["completed"] == moves(before, change)
    run = before.folded(change).run
    assert ("All done.", NOW_MS + 5, None, None) == (run.outcome, run.ended_at, run.due_at, run.lease_owner)
    assert ["slack.ending"] == [row["kind"] for row in inserted_rows(change, "outbox")]
    assert "All done." not in "".join(event.body for event in change.events)


@pytest.mark.parametrize(
    ("turn", "tool", "outcome"),
    [
        (Turn(PLAN, GiveUp("The file has no columns.")), None, "The file has no columns."),
        (act(tool="magic"), None, "asks for the tool `magic`, which this installation does not declare"),
        (act(args={"n": 1.5}), a_tool(), r"Step `s1` cannot be run: \$\.args\.n is a floating-point number"),
        (act(args={"t": "x" * 70_000}), a_tool(), "bytes of data; at most 65536"),
    ],
)
def test_what_cannot_be_done_fails_the_run_with_a_sentence(turn: Turn, tool: Any, outcome: str) -> None:
    before = planning()
    change = taken(before, turn, tool)
    assert ["failed"] == moves(before, change)
    run = before.folded(change).run
    assert run.lease_owner is None and run.ended_at == NOW_MS + 5
    assert re.search(outcome, str(run.outcome))
    assert run.outcome not in "".join(event.body for event in change.events)


@pytest.mark.parametrize("tier", ["compensable", "irreversible", None])
def test_an_effect_that_needs_an_approval_is_asked_about_and_not_started(tier: Any) -> None:
    before = threaded(planning(retries=2))
    change = taken(before, act(), a_tool(tier))
    assert ["waiting-for-approval"] == moves(before, change)
    assert ["call-proposed", "approval-asked"] == facts(change)
    after = before.folded(change)
    (call,), (approval,) = after.calls, after.approvals
    assert ("intent", 0, 1, approval.id) == (call.status, call.attempts, call.needs_approval, call.approval_id)
    assert ("pending", call.id, call.action_digest) == (approval.status, approval.call_id, approval.action_digest)
    assert [] == inserted_rows(change, "call_attempts")
    assert (None, None, 0) == (after.run.due_at, after.run.lease_owner, after.run.retries)
    stored = json.loads(call.envelope)
    assert (1, "unclassified" if tier is None else tier) == (stored["quorum"], stored["tier"])
    assert rfc3339(approval.expires_at) == stored["expires"]


def test_a_question_is_told_to_the_thread_to_approvers_and_again_when_time_runs_short() -> None:
    before = threaded(planning())
    change = taken(before, act(), a_tool("compensable"))
    rows = {row["kind"]: row for row in inserted_rows(change, "outbox")}
    assert {"slack.approval", "slack.approvers", "slack.reminder"} == set(rows)
    day_ms = 24 * 3600 * 1000
    due = sorted(
        row["due_at"] - NOW_MS - 5 for row in inserted_rows(change, "outbox") if row["kind"] == "slack.reminder"
    )
    assert [day_ms // 2, day_ms * 9 // 10] == due


def test_what_cannot_be_asked_about_is_a_step_that_failed() -> None:
    before = planning()
    turn = act()
    asked = proposed(before, turn, a_tool("compensable"), failure="the branch is gone")
    change = steps.take_turn(
        before, turn, asked, call_id="call_1", nonce="00" * 16, sandbox="none", stamp=stamp(NOW_MS + 5)
    )
    after = before.folded(change)
    assert ("planning", "canceled", "the branch is gone") == (
        after.run.state,
        after.calls[0].status,
        after.calls[0].error,
    )
    (outcome,) = steps.request(after, "").outcomes
    assert ("failed", "the branch is gone") == (outcome.status, outcome.error)


# How an attempt ends


def test_a_success_is_recorded_and_planning_goes_on() -> None:
    before = threaded(executing(retries=2))
    file = Stored("art_1", "chart.png", SHA, 10, "image/png")
    change = steps.end_call(before, before.calls[0], ended(out={"rows": 3}, stored=(file,)), stamp())
    assert ["planning"] == moves(before, change)
    assert ["call-ended"] == facts(change)
    call = before.folded(change).calls[0]
    assert ("succeeded", 3, NOW_MS, '{"rows":3}') == (call.status, call.end_fence, call.ended_at, call.result_json)
    assert "succeeded" == patched(change, "call_attempts")["status"]
    (artifact,) = before.folded(change).artifacts
    assert ("art_1", "output", call.id) == (artifact.id, artifact.role, artifact.call_id)
    assert [SHA] == [row["sha256"] for row in inserted_rows(change, "blobs")]
    assert [{"artifact_id": "art_1"}] == [json.loads(row["body_json"]) for row in inserted_rows(change, "outbox")]
    assert 0 == before.folded(change).run.retries
    # Of the result only a salted digest is in the event.
    assert '"rows"' not in change.events[0].body and SHA not in change.events[0].body


@pytest.mark.parametrize("status", ["failed", "failed-safe"])
def test_a_failure_is_recorded_and_planning_goes_on(status: str) -> None:
    before = executing()
    change = steps.end_call(before, before.calls[0], ended(status, out={}, error="no such column"), stamp())
    assert ["planning"] == moves(before, change)
    call = before.folded(change).calls[0]
    assert ("failed", "no such column") == (call.status, call.error)
    assert status == patched(change, "call_attempts")["status"]
    assert "no such column" not in "".join(event.body for event in change.events)


def test_an_outcome_nobody_knows_blocks_the_run() -> None:
    before = threaded(executing())
    change = steps.end_call(before, before.calls[0], ended("unknown", out={}, error="it did not answer"), stamp())
    assert ["blocked"] == moves(before, change)
    after = before.folded(change)
    assert ("unknown", "ambiguous-effect", None) == (
        after.calls[0].status, after.run.blocked_reason, after.run.lease_owner
    )  # fmt: skip
    assert "may or may not have run: it did not answer" in str(after.run.blocked_detail)


def test_an_attempt_that_may_be_repeated_waits_without_a_lease() -> None:
    before = executing(wake=4)
    end = ended("failed-safe", out={}, error="connection refused", retry_in_ms=1_500)
    change = steps.end_call(before, before.calls[0], end, stamp())
    assert [] == moves(before, change)
    assert ["call-retried"] == facts(change)
    after = before.folded(change)
    assert ("intent", 1) == (after.calls[0].status, after.calls[0].attempts)
    assert (None, NOW_MS + 1_500, 5) == (after.run.lease_owner, after.run.due_at, after.run.wake)
    assert "failed-safe" == patched(change, "call_attempts")["status"]


@pytest.mark.parametrize("out", [{"x": 0.5}, {"x": "y" * 70_000}, {"x": "a\0b"}, {"ü": 1}])
def test_an_answer_that_cannot_be_kept_is_no_success(out: dict[str, Any]) -> None:
    before = executing()
    change = steps.end_call(before, before.calls[0], ended(out=out), stamp())
    assert ["planning"] == moves(before, change)
    call = before.folded(change).calls[0]
    assert ("failed", "{}") == (call.status, call.result_json)
    assert "its answer cannot be kept: " in str(call.error)


@pytest.mark.parametrize("tier", ["compensable", "irreversible", "unclassified"])
def test_an_effect_whose_answer_cannot_be_kept_has_not_failed(tier: str) -> None:
    before = executing()
    before = replace(before, calls=(replace(before.calls[0], tier=tier),))
    change = steps.end_call(before, before.calls[0], ended(out={"x": 0.5}), stamp())
    after = before.folded(change)
    assert ("unknown", "{}") == (after.calls[0].status, after.calls[0].result_json)
    assert ("blocked", "ambiguous-effect") == (after.run.state, after.run.blocked_reason)
    assert "its answer cannot be kept: " in str(after.run.blocked_detail)


def test_an_answer_that_cannot_be_kept_makes_nothing_certain_that_was_not() -> None:
    before = executing()
    change = steps.end_call(before, before.calls[0], ended("unknown", out={"x": 0.5}, error="lost"), stamp())
    call = before.folded(change).calls[0]
    assert ("unknown", "lost") == (call.status, call.error)


# Further attempts


def test_an_interrupted_call_starts_again_under_the_same_key() -> None:
    run = run_row(state="executing", fence=8, lease_owner="w2")
    before = snapshot(run, started_call(run, start_fence=3, attempts=2, started_at=NOW_MS - 90_000))
    change = steps.start_again(before, before.calls[0], why="the worker is gone", stamp=stamp(worker="w2"))
    assert [] == moves(before, change)
    assert ["call-retried", "call-started"] == facts(change)
    call = before.folded(change).calls[0]
    assert ("started", 3, 8, before.calls[0].idem_key) == (call.status, call.attempts, call.start_fence, call.idem_key)
    assert NOW_MS == call.started_at, "what may still land is counted from the last attempt"
    assert "lost" == patched(change, "call_attempts")["status"]
    assert [(3, 8)] == [(row["n"], row["fence"]) for row in inserted_rows(change, "call_attempts")]
    assert {"call": call.id, "attempt": 3, "idempotency_key": call.idem_key} in evidence(change, "call-started")


def test_a_call_that_waited_for_its_next_attempt_starts_it_and_closes_nothing() -> None:
    run = run_row(state="executing", fence=8, lease_owner="w2")
    before = snapshot(run, call_row(run, attempts=1, start_fence=3, started_at=NOW_MS))
    change = steps.start_again(before, before.calls[0], why="due again", stamp=stamp(worker="w2"))
    assert ["call-started"] == facts(change)
    assert [] == [update for update in change.updates if update.table == "call_attempts"]
    assert ("started", 2) == (before.folded(change).calls[0].status, before.folded(change).calls[0].attempts)


# Between calls


@pytest.mark.parametrize("state", ["context-loaded", "executing", "blocked"])
def test_planning_begins(state: str) -> None:
    blocked = {"blocked_reason": "question", "blocked_detail": "?"} if state == "blocked" else {}
    before = planning(state=state, **blocked)
    change = steps.begin_planning(before, stamp())
    assert ["planning"] == moves(before, change)
    assert before.folded(change).run.blocked_reason is None


def test_a_run_that_gives_up_fails_from_where_it_is() -> None:
    for before, path in ((planning(), ["failed"]), (planning(state="executing"), ["planning", "failed"])):
        change = steps.give_up(before, "Enough.", stamp())
        assert path == moves(before, change)
        assert "Enough." == before.folded(change).run.outcome


def test_blocking_says_why_and_what_to_do() -> None:
    before = planning()
    change = steps.block(before, BlockedReason.MISSING_SECRET, "Set it.", stamp())
    assert ["blocked"] == moves(before, change)
    assert ("missing-secret", "Set it.") == (change.run["blocked_reason"], change.run["blocked_detail"])
    assert [] == inserted_rows(change, "outbox"), "a run without a thread says nothing"


def test_a_released_run_is_due_again_and_wakes_somebody() -> None:
    before = planning(wake=2)
    change = steps.release(before, stamp(), due_at=NOW_MS + 7)
    assert () == change.events
    assert (None, NOW_MS + 7, 3) == tuple(change.run[name] for name in ("lease_owner", "due_at", "wake"))


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"steps": 200}, "has taken 200 steps, which is its cap"),
        ({"steps": 3, "step_cap": 3}, "has taken 3 steps"),
        ({"event_seq": MAX_EVENTS}, "has recorded 5000 events"),
        ({"deadline_at": NOW_MS}, "taken longer than a run may"),
    ],
)
def test_a_cap_that_is_reached_is_named(columns: dict[str, Any], sentence: str) -> None:
    assert sentence in str(steps.over_limits(planning(**columns), NOW_MS))


def test_a_run_below_its_caps_goes_on() -> None:
    below = planning(steps=199, event_seq=MAX_EVENTS - 1, deadline_at=NOW_MS + 1)
    assert steps.over_limits(below, NOW_MS) is None


def test_a_planner_learns_of_finished_calls_only() -> None:
    run = run_row(inputs_json='{"file":"f"}', text="please")
    statuses = ["succeeded", "failed", "started", "intent", "unknown", "canceled"]
    calls = [
        call_row(run, step=status, status=status, result_json='{"n":1}', error="e" if status == "failed" else None)
        for status in statuses
    ]
    asked = steps.request(snapshot(run, *calls), "document")
    assert [("succeeded", None), ("failed", "e")] == [(outcome.step, outcome.error) for outcome in asked.outcomes]
    assert ({"file": "f"}, "please", "document") == (asked.inputs, asked.text, asked.document)


# One commit for several decisions


def test_a_merged_change_carries_every_transition_in_order_and_lands_as_one() -> None:
    before = executing()
    end = steps.end_call(before, before.calls[0], ended(), stamp())
    between = before.folded(end)
    turn = taken(between, act("s2"), a_tool())
    both = merged(end, turn)
    assert ["planning", "executing"] == moves(before, both)
    assert [event.seq for event in both.events] == list(range(before.run.event_seq + 1, before.run.event_seq + 6))
    assert (before.run.version, before.run.fence, "w1") == (both.version, both.fence, both.owner)
    assert between.folded(turn).with_run({"version": before.run.version + 1}) == before.folded(both)


def test_the_factory_for_started_calls_goes_the_same_way() -> None:
    before = planning(state="context-loaded")
    assert ["planning", "executing"] == moves(before, call_started(before))
    after = before.folded(call_started(before))
    assert ["planning", "executing"] == moves(after, call_started(after, "s2"))
