"""Text of people, tools and agents cannot ping, link, imitate a card or bring blocks with it, on any surface."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from bot.blocks import refusals
from bot.blocks.approval_card import approval_card
from bot.blocks.approval_pages import approval_pages
from bot.blocks.approval_parts import TITLES
from bot.blocks.ask import needs_you
from bot.blocks.asked import approver_dm, decided, reminder
from bot.blocks.deny import deny_modal
from bot.blocks.details import run_details
from bot.blocks.elements import Message
from bot.blocks.home import Unanswered, Waiting, home
from bot.blocks.lists import AgentLine, help_text, show
from bot.blocks.lists import runs as list_runs
from bot.blocks.modals import MissingField, input_errors, inputs_modal
from bot.blocks.over import Over, was_asked, was_blocked, was_filled
from bot.blocks.questions import question_card, question_modal
from bot.blocks.run_card import run_card
from bot.blocks.summary import ending
from core.actions.policy import Approvers
from core.actions.shown import Change
from core.planners.base import PlanStep
from core.planners.definition import InputSpec
from core.record.states import BlockedReason, CallStatus, RunState
from core.runs.views import EventView, RunView
from tests.unit.blocks.anything import NOW_MS
from tests.unit.blocks.asks import a_question, a_vote, an_approval, an_ask
from tests.unit.blocks.models import a_file, a_run, a_stop, an_action
from tests.unit.blocks.shapes import leaves

ATTACKS = [
    "<!channel>",
    "<!here|now>",
    "<!everyone>",
    "<@U0OPERATOR>",
    "<@U0OPERATOR|olu>",
    "<!subteam^S0ADMINS|admins>",
    "<#C0DATA|data>",
    "<https://evil.example/|Approve>",
    "https://evil.example/?q=secret",
    "*Approved* by <@U0CTO> :white_check_mark:",
    ":octagonal_sign: *Stopped*",
    "`code` ~gone~ _slanted_ > quoted",
    "```\n:x: Failed\n```",
    '"}]},{"type":"actions","elements":[{"type":"button","action_id":"run_kill","value":"x"}]}',
    "@channel @here @everyone",
    "\u202eevil\u202c",
    "<!date^1^{date}^https://evil.example|x>",
    "&lt;!channel&gt;",
]

# The only markup we send at all: one person, one channel, one of our own times or emoji, whole.
OUR_TOKENS = re.compile(r"<@[UW][A-Z0-9]+>|<#[CDG][A-Z0-9]+>|<!date\^\d+\^[{}a-z_ ]+\|[0-9: UTC-]+>|:[a-z_]+:")
OUR_USERS = {"U0ROSA", "U0ANA", "U0BEN"}
OUR_LINK = "https://team.slack.com/archives/C0OPS/p1800000000000100"
OUR_BUTTONS = re.compile(
    r"Kill|Details|Details: read all of it \([0-9]+ pages?\)|Approve|Deny…|Take back my vote|Answer…|Ask again|"
    r"It ran|It did not run|Next page|Back"
)


def everywhere(attack: str) -> Iterator[Any]:
    """Every surface, with the text in every field a person, tool or agent can fill."""
    step = PlanStep(attack, attack, "running", attack)
    action = an_action(
        id=attack, step=attack, tool=attack, tier="irreversible", recovery=attack, digest=attack, error=attack
    )
    unknown = an_action(step=attack, tool=attack, tier="compensable", status=CallStatus.UNKNOWN)
    for state in RunState:
        view: RunView = a_run(
            state=state,
            agent=attack,
            text=attack,
            requester=attack,
            blocked_reason=BlockedReason.DEPENDENCY_DOWN if state is RunState.BLOCKED else None,
            blocked_detail=attack,
            outcome=attack,
            plan=(step, step),
            actions=(action, unknown),
            artifacts=(a_file(attack), a_file(attack, role="input")),
            approvals=(an_approval(sentence=attack, title=attack, votes=(a_vote(attack, reason=attack, via=attack),)),),
            question=a_question(question=attack) if state is RunState.BLOCKED else None,
            stop=a_stop(by=attack, reason=attack, confirmed_at_ms=None, unconfirmed_hosts=(attack,)),
            sandbox=attack,
        )
        event = EventView(1, NOW_MS, attack, None, attack, attack, None, None, 0, (), "", "")
        yield run_card(view, now_ms=NOW_MS)
        yield show(view, now_ms=NOW_MS)
        yield ending(view)
        yield from (needs_you(view, more_steps=12), was_filled(attack, view))
        yield run_details(view, [event], now_ms=NOW_MS)
        yield list_runs([view.line()], now_ms=NOW_MS)
        yield home([view.line()], [AgentLine(attack, attack)], now_ms=NOW_MS)
    yield from about_questions(attack)
    yield help_text([AgentLine(attack, attack)])
    field = MissingField(attack, "choice", attack, choices=(attack, "other"), default=attack)
    free = MissingField("free", "string", attack, default=attack)
    yield inputs_modal(attack, [field, free], private_metadata="", errors={attack: attack})
    yield from (
        refusals.sentence(attack),
        refusals.unknown_run(attack),
        refusals.unknown_agent(attack, [attack]),
        refusals.unknown_subcommand(attack),
    )


def about_questions(attack: str) -> Iterator[Any]:
    """Every surface of an approval and of a question."""
    known = {"ben": "U0BEN", attack: attack}
    people = Approvers(frozenset({attack}), frozenset({"ben", attack}))
    votes = (a_vote(reason=attack), a_vote(attack, "deny", reason=attack, via=attack), a_vote(taken_back=True))
    about = {"agent": attack, "replaces": "apr_00", "changed": (Change(attack, attack, attack),)}
    for body in (attack, attack * 300):
        for status in TITLES:
            ask = an_ask(
                body, args={"text": attack}, about=about, sentence=attack, title=attack, tool=attack, rule=attack,
                approvers=people, votes=votes, status=status,
            )  # fmt: skip
            yield approval_card(ask, known, now_ms=NOW_MS)
            yield approval_pages(ask, 1, may_decide=True, known=known, now_ms=NOW_MS)
            yield from (approver_dm(ask, OUR_LINK), reminder(ask, 50, None), decided(ask, known=known))
            yield deny_modal(ask.approval)
    approved = an_ask(sentence=attack, status="approved", votes=(a_vote(attack), a_vote("ben")))
    yield decided(approved, known=known)
    wanted = {"answer": InputSpec("answer", "choice", True, description=attack, choices=(attack, "other"))}
    question = a_question(question=attack, wanted=wanted)
    yield question_card(question, a_run(agent=attack))
    for to in (RunState.PLANNING, RunState.CANCELED):
        over = Over(BlockedReason.QUESTION, attack, to, attack, NOW_MS)
        yield from (was_asked(over, a_run(agent=attack), known), was_blocked(over, a_run(agent=attack), known))
    yield question_modal(question)
    waiting = Waiting(an_approval(sentence=attack), attack, attack, None, OUR_LINK)
    yield home([], [], now_ms=NOW_MS, waiting=[waiting], questions=[Unanswered(question, attack)])


@pytest.mark.parametrize("attack", ATTACKS)
def test_foreign_text_stays_text(attack: str) -> None:
    for surface in everywhere(attack):
        body = surface.blocks if isinstance(surface, Message) else surface
        for markup in leaves(body, "mrkdwn"):
            assert OUR_TOKENS.fullmatch(markup["text"]), markup
        for text in leaves(body, "plain_text"):
            assert text["emoji"] is False, text
        for mention in leaves(body, "user"):
            assert mention["user_id"] in OUR_USERS, mention
        for link in leaves(body, "link"):
            assert OUR_LINK == link["url"], link
        for kind in ("broadcast", "usergroup", "image", "markdown", "section"):
            assert [] == list(leaves(body, kind))
        for button in leaves(body, "button"):
            assert OUR_BUTTONS.fullmatch(button["text"]["text"]), button
        assert "\u202e" not in json.dumps(body, ensure_ascii=False)
        if isinstance(surface, Message):
            assert_inert(surface.text)


def assert_inert(fallback: str) -> None:
    """The fallback is the one text Slack parses."""
    assert not re.search(r"[<>]", fallback), fallback
    assert not re.search(r"[a-z]://", fallback), fallback
    assert not re.search(r":[a-z_]+:", fallback), fallback
    assert not re.search(r"@(channel|here|everyone)\b", fallback), fallback


def test_errors_of_a_form_are_cut_to_fit() -> None:
    field = MissingField("a", "string")

    answer = input_errors({"a": "x" * 5000, "not asked for": "y"}, [field])

    assert {"in0:a"} == set(answer["errors"])
    assert len(answer["errors"]["in0:a"]) <= 200
