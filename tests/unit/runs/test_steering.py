"""Writing to a run under way: what is stored, what is refused with a sentence, and who may say what is taken up."""

from typing import Any

import pytest

from core.principals import Principal
from core.record.changes import Decided, Refusal
from core.record.rows import Snapshot, SteerRow
from core.record.states import BlockedReason, RunState
from core.runs import replies
from core.runs.commands.steer import MOST_BYTES, MOST_REPLIES, Said, set_steering, settle_reply, steer
from tests.factories import GUEST, MEMBER, NOW_MS, OPERATOR, REQUESTER, approval_row, call_row, run_row, snapshot
from tests.unit.runs.reading import evidence, facts, inserted_rows, moves

WAITING = snapshot(run_row(state="planning", budget_micro_usd=1_000_000, channel="C1", thread_ts="1.0"))


def write(text: str = "Look there.", *, by: Principal = REQUESTER, run: Snapshot = WAITING, **more: Any) -> Any:
    said = Said(run.run.id, more.pop("source", "1.0"), by, text, NOW_MS, **more)
    return steer([run], said=said, now_ms=NOW_MS)


def after(done: Any, run: Snapshot = WAITING) -> Snapshot:
    assert isinstance(done, Decided), done
    return run.folded(done.changes[0])


def test_a_reply_is_stored_with_who_wrote_it_and_its_record_holds_no_word_of_it() -> None:
    done = write("  Look there.\n")

    (change,) = done.changes
    (row,) = inserted_rows(change, "steers")
    assert ("Look there.", "ana", "taken", NOW_MS) == tuple(row[each] for each in ("text", "author", "status", "at"))
    assert (["reply-stored"], []) == (facts(change), moves(WAITING, change))
    assert "Look there" not in str(evidence(change, "reply-stored"))
    assert [("slack.reply", f"noted:{row['id']}")] == [
        (each["kind"], each["dedupe_key"]) for each in inserted_rows(change, "outbox")
    ]


def test_the_same_message_is_stored_once_whatever_it_says_by_then() -> None:
    again = write("Something else.", run=after(write()))

    assert Decided((), "") == again


@pytest.mark.parametrize(
    ("by", "steering", "status"),
    [
        (REQUESTER, "ask", "taken"),
        (OPERATOR, "ask", "taken"),
        (MEMBER, "ask", "asked"),
        (MEMBER, "auto", "taken"),
    ],
)
def test_whose_reply_is_taken_up_at_once(by: Principal, steering: str, status: str) -> None:
    run = WAITING.with_run({"steering": steering})

    (row,) = after(write(by=by, run=run), run).steers

    assert status == row.status
    assert (status == "taken") == bool(replies.taken(after(write(by=by, run=run), run)))


@pytest.mark.parametrize(
    ("run", "by", "text", "why"),
    [
        (WAITING, GUEST, "Look.", "not-allowed"),
        (WAITING.with_run({"steering": "off"}), REQUESTER, "Look.", "not-allowed"),
        (WAITING.with_run({"state": "completed"}), REQUESTER, "Look.", "ended"),
        (WAITING.with_run({"budget_micro_usd": None}), REQUESTER, "Look.", "invalid"),
        (WAITING, REQUESTER, " ", "invalid"),
        (WAITING, REQUESTER, "é" * (MOST_BYTES // 2) + "x", "invalid"),
    ],
)
def test_what_a_run_cannot_use_is_refused(run: Snapshot, by: Principal, text: str, why: str) -> None:
    refusal = write(text, by=by, run=run)

    assert isinstance(refusal, Refusal)
    assert why == refusal.why


def test_a_run_takes_so_many_replies_and_says_when_it_takes_no_more() -> None:
    run = WAITING
    for n in range(MOST_REPLIES):
        run = after(write(run=run, source=f"{n}.0", by=MEMBER), run)

    refusal = write(run=run, source="more", by=MEMBER)
    assert isinstance(refusal, Refusal)
    assert str(MOST_REPLIES) in refusal.text

    for n in range(MOST_REPLIES):
        run = after(write(run=run, source=f"mine{n}"), run)
    assert isinstance(write(run=run, source="more"), Refusal)
    assert isinstance(write(run=run, source="more", by=OPERATOR), Decided)


@pytest.mark.parametrize("text", ["approve", "Approved!", " DENY ", "I approve this.", "yes", "LGTM", ":no:", "do it"])
def test_a_word_that_would_decide_decides_nothing_and_says_where_the_button_is(text: str) -> None:
    run = WAITING.run
    call = call_row(run)
    asked = snapshot(run, call, approvals=(approval_row(call),)).with_run({"state": "waiting-for-approval"})

    refusal = write(text, run=asked)

    assert isinstance(refusal, Refusal)
    assert "Use the buttons" in refusal.text


def test_where_nothing_waits_yes_is_a_reply_like_any() -> None:
    assert ["yes"] == [row.text for row in after(write("yes")).steers]


def test_only_whoever_asked_and_operators_say_what_is_taken_up_and_once() -> None:
    asked = after(write(by=MEMBER))
    reply: SteerRow = asked.steers[0]

    def say(by: Principal, run: Snapshot = asked, *, take: bool = True) -> Any:
        return settle_reply([run], reply_id=reply.id, by=by, take=take, now_ms=NOW_MS)

    assert ["not-allowed", "not-allowed"] == [say(by).why for by in (MEMBER, GUEST)]
    taken, left = asked.folded(say(REQUESTER).changes[0]), asked.folded(say(OPERATOR, take=False).changes[0])
    assert [("taken", "ana"), ("left", "omar")] == [
        (run.steers[0].status, run.steers[0].decided_by) for run in (taken, left)
    ]
    assert "already" == say(REQUESTER, taken, take=False).why
    assert () == replies.taken(left)


def test_whose_replies_count_is_not_for_others_to_set() -> None:
    def setting(by: Principal, to: str = "auto") -> Any:
        return set_steering([WAITING], run_id=WAITING.run.id, by=by, to=to, now_ms=NOW_MS)

    assert ["not-allowed", "not-allowed"] == [setting(by).why for by in (MEMBER, GUEST)]
    assert "invalid" == setting(REQUESTER, "always").why
    assert "auto" == WAITING.folded(setting(REQUESTER).changes[0]).run.steering


def test_a_run_that_goes_round_in_circles_goes_on_by_the_form_and_not_by_a_reply() -> None:
    stuck = WAITING.with_run({"state": "blocked", "blocked_reason": BlockedReason.LOOP.value})

    assert RunState.BLOCKED is after(write(run=stuck), stuck).run.run_state
    assert RunState.PLANNING is after(write(run=stuck, lets_go_on=True), stuck).run.run_state
    assert "already" == write(run=stuck, by=MEMBER, lets_go_on=True).why
    assert "already" == write(lets_go_on=True).why
