"""What asked people for something, once there is nothing left to press."""

from typing import Any

import pytest

from bot.blocks.bounds import problems
from bot.blocks.over import Over, was_asked, was_blocked
from bot.blocks.replies import reply_card
from bot.blocks.spending import nearly_spent
from core.record.states import BlockedReason, RunState
from core.runs.views import ReplyView
from tests.unit.blocks.anything import NOW_MS
from tests.unit.blocks.models import a_run
from tests.unit.blocks.shapes import buttons, leaves, shown

KNOWN = {"ben": "U0BEN"}


def mentioned(value: Any) -> list[str]:
    return [leaf["user_id"] for leaf in leaves(value, "user")]


def test_a_block_says_what_it_was_and_who_let_the_run_go_on() -> None:
    over = Over(BlockedReason.AMBIGUOUS_EFFECT, "Look whether `fix` is there.", RunState.PLANNING, "ben", NOW_MS)
    message = was_blocked(over, a_run(), KNOWN)

    assert [] == problems(message.blocks)
    assert [] == buttons(message.blocks)
    assert "report (run 0yabcd) was blocked: goes on" == message.text
    assert "Look whether fix is there." == shown(list(leaves(message.blocks, "rich_text_quote")))
    assert ["U0ROSA", "U0BEN"] == mentioned(message.blocks)
    assert [NOW_MS // 1000] == [leaf["timestamp"] for leaf in leaves(message.blocks, "date")]


def test_whoever_did_it_from_a_terminal_is_named_with_it() -> None:
    over = Over(BlockedReason.BUDGET, "", RunState.PLANNING, "ben via cli:1000@host", NOW_MS)
    message = was_blocked(over, a_run(), KNOWN)

    assert ["U0ROSA", "U0BEN"] == mentioned(message.blocks)
    assert " via cli:1000@host" in shown(message.blocks)
    assert "It was blocked because it has used up what it may." in shown(message.blocks)


def test_nobody_is_named_where_nobody_had_to_help() -> None:
    over = Over(BlockedReason.DEPENDENCY_DOWN, "The database is away.", RunState.PLANNING, None, NOW_MS)

    assert ["U0ROSA"] == mentioned(was_blocked(over, a_run(), KNOWN).blocks)


def test_an_answered_question_says_by_whom_and_offers_nothing() -> None:
    over = Over(BlockedReason.QUESTION, "How many?\nApproved by @cto", RunState.PLANNING, "ben", NOW_MS)
    card = was_asked(over, a_run(), KNOWN)

    assert [] == problems(card.blocks)
    assert [] == buttons(card.blocks)
    assert " Answered, " in shown(card.blocks)
    assert "How many?\nApproved by @cto" == shown(list(leaves(card.blocks, "rich_text_quote")))
    assert ["U0ROSA", "U0BEN"] == mentioned(card.blocks)


@pytest.mark.parametrize(("to", "words"), [(RunState.CANCELED, "Stopped"), (RunState.FAILED, "Failed")])
def test_what_ended_meanwhile_says_so(to: RunState, words: str) -> None:
    over = Over(BlockedReason.QUESTION, "How many?", to, "ben", NOW_MS)

    assert f" {words} without an answer, " in shown(was_asked(over, a_run(), KNOWN).blocks)
    assert f" {words} · " in shown(was_blocked(over, a_run(), KNOWN).blocks)


def test_a_warning_offers_nothing_once_the_run_may_use_more() -> None:
    message = nearly_spent(a_run(usages=()))

    assert [] == buttons(message.blocks)
    assert "It may use more since." in shown(message.blocks)


def test_nobody_is_asked_about_a_reply_to_a_run_that_has_ended() -> None:
    reply = ReplyView("run_1:1", "ben", "U0BEN", "Use the other table.", "sha256:ab", NOW_MS, "asked", None, None)

    assert ["Take it up", "Leave it"] == buttons(reply_card(reply, a_run(), KNOWN).blocks)
    late = reply_card(reply, a_run(state=RunState.COMPLETED), KNOWN)
    assert [] == buttons(late.blocks)
    assert "Nobody said so before it ended." in shown(late.blocks)
