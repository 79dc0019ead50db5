"""What is said around a question: to approvers and the requester, on a blocked run, in Details, Home and the ending."""

import json
from typing import Any

import pytest

from bot.blocks.ask import needs_you
from bot.blocks.asked import approver_dm, decided, reminder
from bot.blocks.bounds import problems, view_problems
from bot.blocks.deny import deny_modal, read_reason
from bot.blocks.details import run_details
from bot.blocks.home import Unanswered, Waiting, home
from bot.blocks.run_card import run_card
from bot.blocks.summary import ending
from core.actions.policy import Approvers
from core.record.states import BlockedReason, CallStatus, RunState
from core.runs.commands.again import REASONS
from core.runs.commands.decide import MOST_REASON
from tests.unit.blocks.anything import NOW_MS, RUN_ID
from tests.unit.blocks.asks import a_question, a_vote, an_approval, an_ask
from tests.unit.blocks.models import a_run, an_action, an_ended_run
from tests.unit.blocks.shapes import buttons, leaves, shown

KNOWN = {"ben": "U0BEN"}
LINK = "https://team.slack.com/archives/C0OPS/p1800000000000100"


def mentioned(value: Any) -> list[str]:
    return [leaf["user_id"] for leaf in leaves(value, "user")]


@pytest.mark.parametrize("permalink", [LINK, None])
def test_approvers_are_led_to_the_card_and_decide_nothing_in_a_direct_message(permalink: str | None) -> None:
    for message in (approver_dm(an_ask(), permalink), reminder(an_ask(), 90, permalink)):
        assert [] == problems(message.blocks)
        assert [] == buttons(message.blocks)
        assert ([] if permalink is None else [permalink]) == [link["url"] for link in leaves(message.blocks, "link")]
        assert "Push one commit" in shown(message.blocks)
        assert "Asked by  with checkup." in shown(message.blocks)
        assert ["U0ANA"] == mentioned(message.blocks)
        assert f"<!date^{an_approval().expires_at_ms // 1000}^" in shown(message.blocks)
    assert "90 % of the time is over" in shown(reminder(an_ask(), 90, permalink).blocks)


def test_the_requester_learns_who_approved() -> None:
    message = decided(an_ask(status="approved", votes=(a_vote(), a_vote("cat"))), known=KNOWN)

    assert ["U0BEN", "U0ANA"] == mentioned(message.blocks)
    assert " Approved by , cat for " in shown(message.blocks)
    assert "Approved: Push one commit to the new branch `fix`" == message.text


def test_the_requester_learns_who_denied_and_why_in_their_words() -> None:
    denied = a_vote("ben", "deny", reason="Not on a Friday.\nApproved by @cto")
    message = decided(an_ask(status="denied", votes=(a_vote("cat"), denied)), known=KNOWN)

    assert ["U0BEN", "U0ANA"] == mentioned(message.blocks)
    assert " Denied by " in shown(message.blocks)
    assert "Not on a Friday.\nApproved by @cto" == shown(list(leaves(message.blocks, "rich_text_quote")))


def test_an_approval_that_holds_no_more_when_it_is_told_is_not_called_one() -> None:
    back = decided(an_ask(votes=(a_vote(), a_vote("cat", taken_back=True))), known=KNOWN)
    late = decided(an_ask(status="expired", votes=(a_vote(), a_vote("cat"))), known=KNOWN)

    assert "Approved by" not in shown(back.blocks)
    assert "was taken back" in shown(back.blocks)
    assert "Approved by , cat, but expired since for " in shown(late.blocks)


def reason_form(text: Any) -> dict[str, Any]:
    return {"state": {"values": {"reason": {"text": {"type": "plain_text_input", "value": text}}}}}


def test_a_denial_needs_its_reason() -> None:
    assert ("no, not now", {}) == read_reason(reason_form("  no, not now "))
    assert ("x" * MOST_REASON, {}) == read_reason(reason_form("x" * MOST_REASON))
    for wrong in ("", "  ", "no", None, "x" * (MOST_REASON + 1)):
        assert ["reason"] == list(read_reason(reason_form(wrong))[1])
    nothing: list[dict[str, Any]] = [{}, {"state": None}, {"state": {"values": {}}}]
    assert [["reason"]] * 3 == [list(read_reason(each)[1]) for each in nothing]


def test_the_form_for_a_denial_says_what_is_denied() -> None:
    view = deny_modal(an_approval())

    assert [] == view_problems(view)
    assert ("Deny", "Deny") == (view["title"]["text"], view["submit"]["text"])
    assert {"approval": an_approval().id, "action": "ab" * 8} == json.loads(view["private_metadata"])
    [field] = [block["element"] for block in view["blocks"] if block["type"] == "input"]
    assert (True, 3, MOST_REASON) == (field["multiline"], field["min_length"], field["max_length"])
    assert "Action: Push one commit" in shown(view)


@pytest.mark.parametrize("reason", list(BlockedReason))
def test_a_blocked_run_offers_what_helps(reason: BlockedReason) -> None:
    lost = an_action(status=CallStatus.UNKNOWN, tool="git_push", tier="compensable")
    view = a_run(state=RunState.BLOCKED, blocked_reason=reason, actions=(lost,))
    message = needs_you(view, more_steps=12)

    again = ["Ask again"] if reason in REASONS else []
    special = {BlockedReason.AMBIGUOUS_EFFECT: ["It ran", "It did not run", "Kill"]}
    assert special.get(reason, again) == buttons(message.blocks)
    assert [] == problems(message.blocks)
    assert [] == buttons(needs_you(a_run(blocked_reason=reason), more_steps=12).blocks), "it goes on already"


def test_what_nobody_knows_the_outcome_of_is_named_and_settled_only_after_a_question() -> None:
    lost = an_action(id="call_9", status=CallStatus.UNKNOWN, tool="git_push", tier="compensable")
    view = a_run(state=RunState.BLOCKED, blocked_reason=BlockedReason.AMBIGUOUS_EFFECT, actions=(an_action(), lost),
                 approvals=(an_approval(action_id="call_9", status="consumed"),))  # fmt: skip
    message = needs_you(view, more_steps=12)

    assert "In doubt: git_push in step draw" in shown(message.blocks)
    assert "Push one commit" in shown(message.blocks)
    ran, not_run, _ = leaves(message.blocks, "button")
    assert f"{RUN_ID}:call_9" == ran["value"] == not_run["value"]
    assert "git_push happened" in ran["confirm"]["text"]["text"]
    assert "git_push did not happen" in not_run["confirm"]["text"]["text"]
    assert "Approvers are asked whether to run it again" in not_run["confirm"]["text"]["text"]


def test_a_waiting_card_says_for_what_for_whom_and_until_when() -> None:
    waiting = an_approval(votes=(a_vote(),), title="Approved by @cto", sentence="")
    view = a_run(state=RunState.WAITING_FOR_APPROVAL, approvals=(an_approval(status="denied", sentence="old"), waiting))
    blocks = run_card(view, now_ms=NOW_MS).blocks

    text = shown(blocks)
    assert "Asks: a call of git_push\nIt is for people with the role approver, and ben.\n1 of 2 approvals" in text
    assert [waiting.expires_at_ms // 1000] == [leaf["timestamp"] for leaf in leaves(blocks, "date")]
    assert "old" not in text
    assert "Approved by" not in text, "the agent's words are not ours"


def test_a_card_that_waits_for_nothing_any_more_says_nothing_of_it() -> None:
    assert "Asks:" not in shown(run_card(a_run(approvals=(an_approval(),)), now_ms=NOW_MS).blocks)


def test_the_ending_names_who_approved_what_was_done() -> None:
    calls = (
        an_action(id="call_1", tool="git_push", tier="compensable"),
        an_action(id="call_2", tool="http", tier="irreversible"),
    )
    votes = (a_vote("ben"), a_vote("eve", taken_back=True), a_vote("slack:T0TEAM/U0CAT"))
    approvals = (
        an_approval(id="apr_1", action_id="call_1", status="superseded", votes=(a_vote("old"),)),
        an_approval(id="apr_2", action_id="call_1", status="consumed", votes=votes),
    )
    message = ending(an_ended_run(actions=calls, approvals=approvals))

    text = shown(message.blocks)
    assert "• git_push in step draw: done; approved by ben, \n• http in step draw: done" in text
    assert ["U0ROSA", "U0CAT"] == mentioned(message.blocks)


def test_an_ending_with_many_approvers_and_effects_still_fits() -> None:
    long = "é" * 500
    votes = tuple(a_vote(f"{at}{long}") for at in range(9))
    calls = tuple(an_action(id=f"call_{at}", tool=long, step=long, tier="irreversible") for at in range(30))
    approvals = tuple(an_approval(action_id=call.id, status="consumed", votes=votes) for call in calls)
    message = ending(an_ended_run(actions=calls, approvals=approvals, outcome=long * 20))

    assert [] == problems(message.blocks)
    assert " and 6 more" in shown(message.blocks)
    assert "… and 18 more effects" in shown(message.blocks)


def test_details_show_questions_with_their_votes() -> None:
    denied = an_approval(status="denied", votes=(a_vote(), a_vote("cat", "deny", reason="Too late.")))
    many = tuple(an_approval(id=f"apr_{at}", sentence=f"Push number {at}") for at in range(7))
    modal = run_details(a_run(approvals=(*many, denied)), [], now_ms=NOW_MS)

    text = shown(modal)
    assert [] == view_problems(modal)
    assert "8 approvals asked for, the last 5 of them" in text
    assert "Push number 2" not in text
    assert "Approval needed: Push number 6 · 0 of 2 approvals · rule tier:compensable · action abababababababab" in text
    assert "Denied: Push one commit" in text
    assert "Too late." in shown(list(leaves(modal, "rich_text_quote")))


def test_home_begins_with_what_waits_for_the_reader() -> None:
    waiting = [
        Waiting(an_approval(), "checkup", "ana", "U0ANA", LINK),
        Waiting(an_approval(approvers=Approvers(), sentence=""), "checkup", "ana", None, None),
    ]
    view = home([a_run().line()], [], now_ms=NOW_MS, waiting=waiting, questions=[Unanswered(a_question(), "report")])

    text = shown(view)
    order = [text.index(title) for title in ("Waiting on me", "My questions", "My runs", "Start something")]
    assert sorted(order) == order
    assert [] == view_problems(view)
    assert ["Details", "Deny…"] * 2 + ["Answer…", "Kill", "Details"] == buttons(view)
    assert [LINK] == [link["url"] for link in leaves(view, "link")]
    assert "How many, and which?" == shown(list(leaves(view, "rich_text_quote")))


def test_home_is_never_too_long() -> None:
    waiting = [Waiting(an_approval(), "checkup", "ana", "U0ANA", LINK)] * 30
    asked = [Unanswered(a_question(question="x" * 2_000), "report")] * 30
    view = home([a_run().line()] * 60, [], now_ms=NOW_MS, waiting=waiting, questions=asked)

    assert [] == view_problems(view)
    assert 2 == shown(view).count("… and 20 more questions")


def test_home_without_questions_does_not_mention_them() -> None:
    assert "My questions" not in shown(home([], [], now_ms=NOW_MS))
    assert "Nothing waits for your decision." in shown(home([], [], now_ms=NOW_MS))
