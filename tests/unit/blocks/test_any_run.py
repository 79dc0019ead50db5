"""Whatever a read model holds, what is built from it can be sent, and says what it must."""

import itertools
import json

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bot.blocks import bounds, refusals
from bot.blocks.approval_card import approval_card, page_count
from bot.blocks.approval_pages import approval_pages
from bot.blocks.ask import needs_you
from bot.blocks.asked import approver_dm, decided, reminder
from bot.blocks.deny import deny_modal
from bot.blocks.details import run_details
from bot.blocks.elements import Message
from bot.blocks.home import Unanswered, Waiting, home
from bot.blocks.lists import AgentLine, help_text, show
from bot.blocks.lists import runs as list_runs
from bot.blocks.modals import MissingField, inputs_modal
from bot.blocks.over import Over, was_asked, was_blocked, was_filled
from bot.blocks.questions import question_card, question_modal, read_answers
from bot.blocks.replies import reply_card, steer_modal
from bot.blocks.run_card import run_card
from bot.blocks.spending import nearly_spent, told_to_wrap_up
from bot.blocks.summary import ending
from core.record.states import TERMINAL, BlockedReason, RunState
from core.runs.approval_views import AskView, QuestionView
from core.runs.views import EventView, ReplyView, RunLine, RunView
from tests.unit.blocks.anything import lists, numbers, run_ids, texts, users
from tests.unit.blocks.asks import any_ask, approvals, questions
from tests.unit.blocks.models import a_run, events, run_lines, runs
from tests.unit.blocks.shapes import (
    assert_sendable_blocks,
    assert_sendable_home,
    assert_sendable_modal,
    buttons,
    leaves,
)

anything = settings(
    max_examples=12,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def assert_sendable(message: Message) -> None:
    assert [] == bounds.problems(message.blocks)
    assert_sendable_blocks(message.blocks)
    assert 1 <= len(message.text) <= bounds.FALLBACK_TEXT
    json.dumps([message.text, message.blocks], ensure_ascii=False).encode()  # raises on half a surrogate pair


@anything
@given(runs, numbers)
def test_the_card_of_any_run_can_be_sent(view: RunView, now_ms: int) -> None:
    card = run_card(view, now_ms=now_ms)

    assert_sendable(card)
    over = view.state in TERMINAL or view.stop is not None
    undo = ["Roll back"] if view.undoing.possible else []
    assert [*([] if over else ["Kill"]), *undo, "Details"] == buttons(card.blocks)
    assert {view.id} == {button["value"] for button in leaves(card.blocks, "button")}


@anything
@given(runs)
def test_what_is_said_about_any_blocked_run_can_be_sent(view: RunView) -> None:
    assert_sendable(needs_you(view, more_steps=12))
    assert_sendable(was_filled(view.outcome or "", view))
    assert_sendable(nearly_spent(view))
    assert_sendable(told_to_wrap_up(view))


@anything
@given(runs, texts, users, st.sampled_from(["asked", "taken", "left"]))
def test_the_question_about_any_reply_can_be_sent(view: RunView, text: str, user: str | None, status: str) -> None:
    reply = ReplyView(
        f"{view.id}:1.0", "mia", user, text, "sha256:00", 0, status, None if status == "asked" else "ana", None
    )

    card = reply_card(reply, view, {})

    assert_sendable(card)
    is_open = status == "asked" and view.state not in TERMINAL
    assert (["Take it up", "Leave it"] if is_open else []) == buttons(card.blocks)
    assert_sendable_modal(steer_modal(view))


@anything
@given(runs)
def test_the_ending_of_any_run_can_be_sent(view: RunView) -> None:
    assert_sendable(ending(view))


@anything
@given(runs, numbers)
def test_show_of_any_run_can_be_sent(view: RunView, now_ms: int) -> None:
    assert_sendable(show(view, now_ms=now_ms))


@anything
@given(runs, lists(events), numbers)
def test_the_details_of_any_run_can_be_opened(view: RunView, log: tuple[EventView, ...], now_ms: int) -> None:
    modal = run_details(view, log, now_ms=now_ms)

    assert [] == bounds.view_problems(modal)
    assert_sendable_modal(modal)
    json.dumps(modal, ensure_ascii=False).encode()


@anything
@given(lists(run_lines), st.lists(st.builds(AgentLine, texts, texts), max_size=40), numbers)
def test_any_list_can_be_sent(lines: tuple[RunLine, ...], agents: list[AgentLine], now_ms: int) -> None:
    assert_sendable(list_runs(lines, now_ms=now_ms))
    assert_sendable(help_text(agents))
    view = home(lines, agents, now_ms=now_ms)
    assert [] == bounds.view_problems(view)
    assert_sendable_home(view)
    json.dumps(view, ensure_ascii=False).encode()


known = st.dictionaries(st.sampled_from(["ben", "olu", "ana"]), users)


@anything
@given(any_ask(), known, numbers)
def test_whatever_is_asked_can_be_sent_and_opened(ask: AskView, people: dict[str, str | None], now_ms: int) -> None:
    link = "https://team.slack.com/archives/C0OPS/p1800000000000100"
    assert_sendable(approval_card(ask, people, now_ms=now_ms))
    for message in (
        approver_dm(ask, link),
        approver_dm(ask, None),
        reminder(ask, 90, link),
        decided(ask, known=people),
    ):
        assert_sendable(message)
    views = [deny_modal(ask.approval)]
    views += [
        approval_pages(ask, page, may_decide=True, known=people, now_ms=now_ms)
        for page in range(1, page_count(ask) + 1)
    ]
    for view in views:
        assert [] == bounds.view_problems(view)
        assert_sendable_modal(view)
        json.dumps(view, ensure_ascii=False).encode()


@anything
@given(questions, users, st.one_of(st.none(), texts), numbers)
def test_any_question_can_be_sent_and_answered(
    question: QuestionView, user: str | None, by: str | None, now_ms: int
) -> None:
    assert_sendable(question_card(question, a_run()))
    for reason, to in itertools.product(BlockedReason, (RunState.PLANNING, RunState.FAILED)):
        over = Over(reason, question.question, to, by, now_ms)
        assert_sendable(was_asked(over, a_run(), {"ben": user}))
        assert_sendable(was_blocked(over, a_run(), {"ben": user}))
    form = question_modal(question)
    assert [] == bounds.view_problems(form)
    assert_sendable_modal(form)
    json.dumps(form, ensure_ascii=False).encode()
    given_, errors = read_answers({"state": {"values": {}}}, question)
    blocks = {block["block_id"] for block in form["blocks"] if block["type"] == "input"}
    assert {} == given_
    assert set(errors) <= blocks
    assert len(errors) == sum(spec.required for spec in question.wanted.values())


waiting = st.builds(Waiting, approvals, texts, texts, users, st.one_of(st.none(), st.just("https://team.slack.com/a")))


@anything
@given(lists(run_lines), lists(waiting, 14), lists(st.builds(Unanswered, questions, texts), 14), numbers)
def test_any_home_can_be_published(
    lines: tuple[RunLine, ...], decisions: tuple[Waiting, ...], asked: tuple[Unanswered, ...], now_ms: int
) -> None:
    view = home(lines, [], now_ms=now_ms, waiting=decisions, questions=asked)

    assert [] == bounds.view_problems(view)
    assert_sendable_home(view)
    json.dumps(view, ensure_ascii=False).encode()


fields = st.builds(
    MissingField,
    texts,
    st.sampled_from(["string", "integer", "boolean", "choice", "file"]),
    description=texts,
    choices=lists(texts, 6),
    required=st.booleans(),
    default=st.one_of(st.none(), texts, st.integers(), st.booleans()),
)


@anything
@given(texts, lists(fields, 12), st.dictionaries(texts, texts, max_size=8))
def test_a_form_for_any_fields_can_be_opened(
    agent: str, wanted: tuple[MissingField, ...], errors: dict[str, str]
) -> None:
    modal = inputs_modal(agent, wanted, private_metadata="x" * bounds.PRIVATE_METADATA, errors=errors)

    assert [] == bounds.view_problems(modal)
    assert_sendable_modal(modal)
    json.dumps(modal, ensure_ascii=False).encode()


@anything
@given(texts, run_ids, st.lists(texts, max_size=50), numbers)
def test_every_private_sentence_can_be_sent(text: str, run_id: str, names: list[str], at_ms: int) -> None:
    for message in (
        refusals.sentence(text),
        refusals.not_recorded(),
        refusals.stop_requested(run_id),
        refusals.unknown_run(text),
        refusals.ambiguous_run(text, 3),
        refusals.unknown_subcommand(text),
        refusals.unknown_agent(text, names),
        refusals.nothing_asked(names),
        refusals.outsider(),
        refusals.stale(),
        refusals.too_old(11),
    ):
        assert_sendable(message)
