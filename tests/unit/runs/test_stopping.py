"""Stopping: who may, what one commit does to a whole tree, and when the stop counts as proved."""

import re
from dataclasses import replace
from typing import Any

import pytest

from core.actions.policy import parse
from core.principals import Principal
from core.record.changes import Decided, Refusal
from core.record.rows import AttemptRow, Snapshot, StopReportRow, dumps
from core.runs.commands.confirm import HostReport, confirm
from core.runs.commands.kill import kill, may_stop
from core.runs.commands.late import late_result
from tests.factories import (
    GUEST,
    MEMBER,
    NOW_MS,
    OPERATOR,
    REQUESTER,
    approval_row,
    call_row,
    ended,
    run_row,
    snapshot,
    started_call,
    surface,
)
from tests.unit.runs.reading import evidence, facts, inserted_rows, moves, patched


def held(**columns: Any) -> Snapshot:
    """A run whose call is under way on host-1."""
    run = run_row(**({"state": "executing", "lease_owner": "w1", "fence": 4, "workspace_host": "host-1"} | columns))
    return snapshot(run, started_call(run))


def stopped(*runs: Snapshot, by: Principal = REQUESTER, reason: str = "wrong file") -> Decided:
    decided = kill(runs, run_id=runs[0].run.id, by=by, reason=reason, now_ms=NOW_MS)
    assert isinstance(decided, Decided), decided
    return decided


def after_stop(run: Snapshot) -> Snapshot:
    return run.folded(stopped(run).changes[0])


# Who may


@pytest.mark.parametrize(
    ("by", "may"),
    [
        (REQUESTER, True),
        (OPERATOR, True),
        (Principal(REQUESTER.id, via="cli:1000@host"), True),
        (MEMBER, False),
        (Principal("alex", frozenset({"approver"})), False),
        (GUEST, False),
        (replace(REQUESTER, external=True), False),
        (replace(OPERATOR, external=True), False),
        (Principal(""), False),
    ],
)
def test_the_requester_and_operators_may_stop_a_run_and_without_a_policy_nobody_else(by: Principal, may: bool) -> None:
    refusal = may_stop(held(), by, None)
    assert may is (refusal is None)
    answer = kill([held()], run_id="run_other", by=by, reason="", now_ms=NOW_MS)
    assert isinstance(answer, Refusal) and "not-found" == answer.why
    if refusal is not None:
        run = held()
        assert refusal == kill([run], run_id=run.run.id, by=by, reason="", now_ms=NOW_MS)
        assert "not-allowed" == refusal.why and refusal.text.endswith(".")


ASKING = parse(
    dumps(
        {
            "policy": {
                "approvers": {"roles": ["approver"]},
                "rules": [
                    {"name": "ours", "decision": "ask", "agents": ["rep*"], "approvers": {"principals": ["kim"]}},
                    {"name": "theirs", "decision": "ask", "agents": ["other"], "approvers": {"principals": ["lou"]}},
                    {"name": "free", "decision": "allow", "approvers": {"principals": ["max"]}},
                ],
            }
        }
    )
)


@pytest.mark.parametrize(
    ("by", "may"),
    [
        (Principal("alex", frozenset({"approver"})), True),
        (Principal("kim"), True),
        (Principal("lou"), False),
        (Principal("max"), False),
        (MEMBER, False),
        (Principal("alex", frozenset({"approver"}), external=True), False),
    ],
)
def test_whoever_may_be_asked_about_what_the_agent_does_may_stop_it(by: Principal, may: bool) -> None:
    run = held()
    run = run.with_run({"agent": "report"})
    answer = kill([run], run_id=run.run.id, by=by, reason="", now_ms=NOW_MS, policy=ASKING)
    assert may is isinstance(answer, Decided)
    if not may:
        assert isinstance(answer, Refusal) and "not-allowed" == answer.why


def test_whoever_may_not_stop_a_run_does_not_learn_how_it_ended() -> None:
    run = held(state="completed", lease_owner=None)
    answer = kill([run], run_id=run.run.id, by=MEMBER, reason="", now_ms=NOW_MS)
    assert isinstance(answer, Refusal) and "not-allowed" == answer.why


# What the commit does


def test_the_stop_raises_the_fence_and_ends_the_run() -> None:
    before = held(team="T1", channel="C1", thread_ts="1.1")
    decided = stopped(before)
    (change,) = decided.changes
    assert ["canceled"] == moves(before, change)
    assert (before.run.version, 4, None) == (change.version, change.fence, change.owner)
    run = before.folded(change).run
    assert (5, 5, NOW_MS, "ana", "wrong file", 1) == (
        run.fence, run.killed_fence, run.killed_at, run.killed_by, run.kill_reason, run.kill_in_flight
    )  # fmt: skip
    assert (None, None, NOW_MS) == (run.lease_owner, run.due_at, run.ended_at)
    assert {5} == {event.fence for event in change.events}
    assert ["slack.ending"] == [row["kind"] for row in inserted_rows(change, "outbox")]
    assert "1 tool call was in flight" in decided.text
    assert "wrong file" not in "".join(event.body for event in change.events)
    assert {"human"} == {event.draft.actor.kind for event in change.events}


def test_what_was_planned_is_withdrawn_and_what_is_under_way_stays_a_fact() -> None:
    run = run_row(state="executing", lease_owner="w1", workspace_host="host-1")
    statuses = ["intent", "started", "started", "succeeded", "failed", "unknown"]
    calls = [call_row(run, position=n, status=status) for n, status in enumerate(statuses)]
    (change,) = stopped(snapshot(run, *calls)).changes
    after = snapshot(run, *calls).folded(change)
    assert ["canceled", *statuses[1:]] == [call.status for call in after.calls]
    assert [{"call": calls[0].id}] == evidence(change, "call-canceled")
    assert [{"call": calls[1].id}, {"call": calls[2].id}] == evidence(change, "stop-requested")[1:]
    assert 2 == after.run.kill_in_flight


def test_open_approvals_are_revoked_and_settled_ones_stay() -> None:
    run = run_row(state="waiting-for-approval")
    call = call_row(run)
    statuses = ["pending", "approved", "denied", "expired", "consumed", "superseded", "revoked"]
    asked = tuple(
        approval_row(call, status=status, decided_at=7 if status == "approved" else None) for status in statuses
    )
    before = snapshot(run, call, approvals=asked)
    after = before.folded(stopped(before).changes[0])
    expected = ["revoked", "revoked", *statuses[2:]]
    assert dict(zip([a.id for a in asked], expected, strict=True)) == {a.id: a.status for a in after.approvals}
    assert [NOW_MS, 7] == [a.decided_at for a in after.approvals[:2]]


@pytest.mark.parametrize(
    ("status", "at_once"),
    [(None, False), ("lost", False), ("unknown", False), ("succeeded", True), ("failed", True), ("failed-safe", True)],
)
def test_what_an_earlier_attempt_may_have_left_has_to_be_looked_for(status: str | None, at_once: bool) -> None:
    """Its worker may be gone and its host cut off, whoever held the run since."""
    run = run_row(state="blocked", blocked_reason="ambiguous-effect", fence=4)
    call = call_row(run, status="unknown", attempts=1)
    attempt = AttemptRow(run.tenant, call.id, 1, run.id, "w1", 3, NOW_MS, host="host-1", status=status)
    before = snapshot(run, call, attempts=(attempt,))
    after = before.folded(stopped(before).changes[0])
    assert at_once is (after.run.stop_confirmed_at is not None)
    if not at_once:
        proved = confirmed(replace(after, attempts=(attempt,)), ended=1)
        assert isinstance(proved, Decided)
        assert [{"hosts": ["host-1"], "processes_ended": 1}] == evidence(proved.changes[0], "stop-confirmed")


@pytest.mark.parametrize(
    ("status", "becomes"), [("unknown", "unknown"), ("lost", "unknown"), ("failed-safe", "canceled")]
)
def test_a_call_that_waits_to_be_tried_again_may_have_run(status: str, becomes: str) -> None:
    run = run_row(state="executing", fence=4)
    call = call_row(run, status="intent", attempts=1, recovery="idempotent")
    attempt = AttemptRow(run.tenant, call.id, 1, run.id, "w1", 3, NOW_MS, host="host-1", status=status)
    before = snapshot(run, call, attempts=(attempt,))
    after = before.folded(stopped(before).changes[0])
    assert [becomes] == [each.status for each in after.calls]


def test_a_host_that_held_the_run_is_asked_even_without_a_call() -> None:
    run = snapshot(run_row(lease_owner="w1", holder_host="host-9"))
    elsewhere = confirmed(after_stop(run), host="host-1", ended=0)
    assert isinstance(elsewhere, Decided) and "stop-confirmed" not in facts(elsewhere.changes[0])
    there = confirmed(after_stop(run), host="host-9", ended=0)
    assert isinstance(there, Decided) and "stop-confirmed" in facts(there.changes[0])


@pytest.mark.parametrize(
    ("columns", "at_once"),
    [
        ({"lease_owner": None}, True),
        ({"lease_owner": None, "workspace_host": "host-1"}, True),
        ({"lease_owner": None, "holder_host": "host-1"}, True),
        ({"lease_owner": "w1", "holder_host": "host-1"}, False),
        ({"lease_owner": "w1", "workspace_host": "host-1"}, False),
    ],
)
def test_a_stop_is_confirmed_at_once_only_if_nothing_can_be_left(columns: dict[str, Any], at_once: bool) -> None:
    before = snapshot(run_row(**columns))
    (change,) = stopped(before).changes
    assert (NOW_MS if at_once else None) == before.folded(change).run.stop_confirmed_at
    assert at_once is ("stop-confirmed" in facts(change))


def test_a_call_under_way_is_never_confirmed_away() -> None:
    before = held(lease_owner=None)
    assert after_stop(before).run.stop_confirmed_at is None


def test_a_stop_takes_the_whole_tree_below_in_one_commit_and_nothing_beside_it() -> None:
    root = run_row(id="run_a", state="executing")
    below: dict[str, Any] = {"root_id": "run_a", "state": "executing", "depth": 1}
    tree = [
        snapshot(root),
        snapshot(run_row(id="run_b", parent_id="run_a", **below)),
        snapshot(run_row(id="run_c", parent_id="run_b", **below)),
        snapshot(run_row(id="run_d", parent_id="run_a", **(below | {"state": "completed"}))),
        snapshot(run_row(id="run_e", parent_id="run_d", **below)),
    ]
    for top, expected in {"run_a": "abce", "run_b": "bc", "run_c": "c"}.items():
        decided = kill(tree, run_id=top, by=OPERATOR, reason="", now_ms=NOW_MS)
        assert isinstance(decided, Decided)
        assert [f"run_{letter}" for letter in expected] == [change.run_id for change in decided.changes]


def test_stopping_a_run_that_has_ended_says_how_it_ended() -> None:
    done = snapshot(run_row(state="completed"))
    answer = kill([done], run_id=done.run.id, by=REQUESTER, reason="", now_ms=NOW_MS)
    assert isinstance(answer, Refusal) and "ended" == answer.why and "it is completed" in answer.text
    twice = after_stop(held())
    answer = kill([twice], run_id=twice.run.id, by=OPERATOR, reason="", now_ms=NOW_MS + 9)
    assert isinstance(answer, Refusal) and "ended" == answer.why
    assert re.search(r"already stopped by ana at 2027-01-15T08:00:00\.000Z", answer.text)


@pytest.mark.parametrize("state", ["created", "context-loaded", "planning", "waiting-for-approval", "executing"])
def test_a_run_is_stopped_wherever_it_is(state: str) -> None:
    before = snapshot(run_row(state=state))
    assert ["canceled"] == moves(before, stopped(before).changes[0])


def test_stopping_a_blocked_run_clears_its_question() -> None:
    before = snapshot(run_row(state="blocked", blocked_reason="question", blocked_detail="Which one?", due_at=None))
    after = before.folded(stopped(before).changes[0]).run
    assert ("canceled", None, None) == (after.state, after.blocked_reason, after.blocked_detail)


def test_a_stop_without_a_reason_records_none() -> None:
    before = held()
    (change,) = stopped(before, reason="").changes
    assert {"fence": 5} == evidence(change, "stop-requested")[0]
    assert "Stopped." == change.run["outcome"]


# When it is proved


def confirmed(run: Snapshot, **report: Any) -> Decided | Refusal:
    said = {"host": "host-1", "boot_id": "boot-1", "ended": 2, "remaining": 0, "reporter": "worker:w1"}
    return confirm([run], run_id=run.run.id, report=HostReport(**(said | report)), now_ms=NOW_MS + 300)


def test_a_host_that_has_nothing_left_confirms_the_stop_and_what_was_under_way_is_unknown() -> None:
    before = after_stop(held())
    answer = confirmed(before)
    assert isinstance(answer, Decided)
    (change,) = answer.changes
    assert ["stop-reported", "call-ended", "stop-confirmed"] == facts(change)
    assert [{"host": "host-1", "boot": "boot-1", "ended": 2, "remaining": 0}] == evidence(change, "stop-reported")
    assert [{"hosts": ["host-1"], "processes_ended": 2}] == evidence(change, "stop-confirmed")
    after = before.folded(change)
    assert NOW_MS + 300 == after.run.stop_confirmed_at
    assert ["unknown"] == [call.status for call in after.calls]
    (report,) = inserted_rows(change, "stop_reports")
    assert ("host-1", 5, 2, 0) == tuple(report[k] for k in ("host", "killed_fence", "ended", "remaining"))


def test_a_host_that_has_processes_left_reports_and_confirms_nothing() -> None:
    before = after_stop(held())
    answer = confirmed(before, remaining=1)
    assert isinstance(answer, Decided)
    after = before.folded(answer.changes[0])
    assert (None, ["started"]) == (after.run.stop_confirmed_at, [call.status for call in after.calls])
    assert 1 == len(inserted_rows(answer.changes[0], "stop_reports"))


def test_every_host_that_started_a_call_has_to_speak() -> None:
    before = after_stop(held())
    attempts = tuple(
        AttemptRow(before.run.tenant, before.calls[0].id, n, before.run.id, f"w{n}", n, NOW_MS, host=f"host-{n}")
        for n in (1, 2)
    )
    first = confirmed(replace(before, attempts=attempts))
    assert isinstance(first, Decided)
    assert ["stop-reported"] == facts(first.changes[0])
    (said,) = inserted_rows(first.changes[0], "stop_reports")

    both = replace(before.folded(first.changes[0]), attempts=attempts, reports=(StopReportRow(**said),))
    second = confirmed(both, host="host-2", ended=1)

    assert isinstance(second, Decided)
    assert [{"hosts": ["host-1", "host-2"], "processes_ended": 3}] == evidence(second.changes[0], "stop-confirmed")


def test_a_host_nobody_asked_does_not_confirm_for_another() -> None:
    before = after_stop(held())
    attempt = AttemptRow(before.run.tenant, before.calls[0].id, 1, before.run.id, "w1", 4, NOW_MS, host="host-1")

    answer = confirmed(replace(before, attempts=(attempt,)), host="host-9")

    assert isinstance(answer, Decided)
    after = before.folded(answer.changes[0])
    assert (None, ["started"]) == (after.run.stop_confirmed_at, [call.status for call in after.calls])


def test_a_stop_is_confirmed_once() -> None:
    before = after_stop(held())
    first = confirmed(before)
    assert isinstance(first, Decided)
    again = confirmed(before.folded(first.changes[0]), ended=0)
    assert isinstance(again, Refusal) and "already" == again.why


def reported(run: Snapshot, *answers: Decided | Refusal) -> Snapshot:
    """The run as commands find it after these reports."""
    rows: dict[str, StopReportRow] = {}
    for answer in answers:
        assert isinstance(answer, Decided)
        (row,) = inserted_rows(answer.changes[0], "stop_reports")
        rows[row["host"]] = StopReportRow(**row)
        run = run.folded(answer.changes[0])
    return replace(run, reports=tuple(rows.values()))


def test_what_is_ended_after_a_first_report_adds_to_it() -> None:
    before = after_stop(held())
    stuck = confirmed(before, ended=3, remaining=1)
    free = confirmed(reported(before, stuck), ended=1)
    assert isinstance(free, Decided)
    assert [{"hosts": ["host-1"], "processes_ended": 4}] == evidence(free.changes[0], "stop-confirmed")
    (row,) = inserted_rows(free.changes[0], "stop_reports")
    assert (4, 0) == (row["ended"], row["remaining"])


def test_the_same_report_again_writes_nothing() -> None:
    before = after_stop(held())
    stuck = confirmed(before, ended=3, remaining=1)
    again = confirmed(reported(before, stuck), ended=0, remaining=1)
    assert isinstance(again, Refusal) and "already" == again.why


def test_what_turns_up_after_the_proof_is_recorded_as_that() -> None:
    before = after_stop(held())
    proved = confirmed(before)
    late = confirmed(reported(before, proved), ended=2, reporter="reaper:host-1")
    assert isinstance(late, Decided)
    assert ["stop-reported"] == facts(late.changes[0])
    (row,) = inserted_rows(late.changes[0], "stop_reports")
    assert 4 == row["ended"]


def test_a_host_that_came_back_with_another_boot_says_so() -> None:
    before = after_stop(held())
    attempt = AttemptRow(
        *(before.run.tenant, before.calls[0].id, 1, before.run.id, "w1", 4, NOW_MS), host="host-1", boot_id="boot-1"
    )
    worked = replace(before, attempts=(attempt,))
    assert "restarted" not in evidence(confirmed(worked).changes[0], "stop-reported")[0]  # type: ignore[union-attr]
    back = confirmed(worked, boot_id="boot-2", ended=0)
    assert isinstance(back, Decided)
    assert evidence(back.changes[0], "stop-reported")[0]["restarted"] is True
    assert ["stop-reported", "call-ended", "stop-confirmed"] == facts(back.changes[0])


def test_a_run_that_was_not_stopped_cannot_be_confirmed() -> None:
    answer = confirmed(held())
    assert isinstance(answer, Refusal) and "not-found" == answer.why
    missing = confirm([], run_id="run_x", report=HostReport("h", "b", 0, 0, "r"), now_ms=1)
    assert isinstance(missing, Refusal)


# What comes too late


def late(run: Snapshot, status: str = "succeeded", **fields: Any) -> Decided:
    answer = late_result(
        [run],
        run.calls[0],
        ended(status, **fields),
        run_id=run.run.id,
        fence=4,
        worker="w1",
        row_id="late_1",
        now_ms=NOW_MS,
    )
    assert isinstance(answer, Decided)
    return answer


def test_a_result_after_the_stop_is_kept_and_not_applied() -> None:
    before = after_stop(held())
    (change,) = late(before, out={"rows": 3}).changes
    assert [] == moves(before, change)
    assert ["late-result", "call-ended"] == facts(change)
    (row,) = inserted_rows(change, "late_results")
    assert ("succeeded", '{"rows":3}', 4) == (row["status"], row["result_json"], row["fence"])
    call = before.folded(change).calls[0]
    assert ("unknown", None, None) == (call.status, call.result_json, call.resolved_by)
    assert '"rows"' not in change.events[0].body


def test_a_result_of_a_worker_that_lost_the_run_leaves_the_successors_call_alone() -> None:
    before = held(fence=5, lease_owner="w2")
    (change,) = late(before).changes
    assert () == change.updates
    assert "started" == before.folded(change).calls[0].status


def test_a_result_after_the_confirmation_changes_nothing_of_the_call() -> None:
    before = after_stop(held())
    answer = confirmed(before)
    assert isinstance(answer, Decided)
    (change,) = late(before.folded(answer.changes[0])).changes
    assert () == change.updates


def test_a_late_result_that_cannot_be_kept_is_kept_as_far_as_it_can() -> None:
    before = after_stop(held())
    (change,) = late(before, out={"x": 0.5}).changes
    (row,) = inserted_rows(change, "late_results")
    assert ("failed", "{}") == (row["status"], row["result_json"]) and "cannot be kept" in row["error"]


def test_a_late_result_of_no_run_is_refused() -> None:
    run = held()
    answer = late_result([], run.calls[0], ended(), run_id="r", fence=4, worker="w", row_id="l", now_ms=1)
    assert isinstance(answer, Refusal)


def test_stops_and_their_proof_tell_the_thread_once() -> None:
    where = surface()
    before = held(team=where.team, channel=where.channel, thread_ts=where.thread_ts)
    (change,) = stopped(before).changes
    keys = [row["dedupe_key"] for row in inserted_rows(change, "outbox")]
    assert [f"ending:{before.run.id}"] == keys
    assert "unknown" == patched(confirmed(before.folded(change)).changes[0], "tool_calls")["status"]  # type: ignore[union-attr]
