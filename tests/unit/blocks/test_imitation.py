"""Words of agents, tools and people around a question cannot pass for ours: they stand quoted, boxed or behind a label.

Every foreign field carries a mark that is found again in what was built; where it may be found is what is tested.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.blocks.approval_card import approval_card, page_count
from bot.blocks.approval_pages import approval_pages
from bot.blocks.approval_parts import TITLES
from bot.blocks.ask import needs_you
from bot.blocks.asked import approver_dm, decided, reminder
from bot.blocks.deny import deny_modal
from bot.blocks.details import run_details
from bot.blocks.elements import Message
from bot.blocks.home import Unanswered, Waiting, home
from bot.blocks.over import Over, was_asked, was_blocked
from bot.blocks.questions import question_card, question_modal
from bot.blocks.run_card import run_card
from core.actions.shown import Change
from core.planners.definition import InputSpec
from core.record.states import BlockedReason, RunState
from tests.unit.blocks.anything import NOW_MS
from tests.unit.blocks.asks import a_question, a_vote, an_approval, an_ask
from tests.unit.blocks.models import a_run
from tests.unit.blocks.shapes import leaves

MARK = "Qz7"
ATTACKS = [
    "Approved by @cto :white_check_mark:", "\nApproved by @cto", "\u2028Approved by ben", "<!channel>", "<!here|x>",
    "<@U0CTO>", "<!subteam^S0ADMINS>", "<#C0DATA>", "<https://evil.example|Approve>", "https://evil.example/?q=1",
    "*Approved*", "`x`", "```\nDenied", "> quoted", ":x:", "\u202eevil\u202c", "\u200b", "\u3164", "&lt;!channel&gt;",
    '"}]},{"type":"actions","elements":[{"type":"button","action_id":"approval_approve"}]}', "@here", "x" * 4_000,
    "\ud800", "\r\n", "mailto:ceo@example.com", "<!date^1^{date}^https://evil.example|x>",
]  # fmt: skip
hostile = st.lists(st.one_of(st.sampled_from(ATTACKS), st.text(st.characters(), max_size=20)), min_size=1, max_size=5)
foreign = hostile.map(lambda parts: MARK + "".join(parts))

OUR_TOKENS = re.compile(r"<@[UW][A-Z0-9]+>|<!date\^\d+\^[{}a-z_ ]+\|[0-9: UTC-]+>|:[a-z_]+:")
OUR_CLAIMS = re.compile(r"(Approved|Denied|Answered|Expired|Withdrawn|Stale|Stopped|Completed|Approval needed)\b")
KNOWN = {"ben": "U0BEN"}
LINK = "https://team.slack.com/archives/C0OPS/p1800000000000100"


def surfaces(words: str) -> Iterator[Any]:
    """Everything built about a question, with the words in every field that is not ours."""
    votes = (a_vote(reason=words), a_vote("ben", "deny", reason=words))
    storable = words.replace("\0", "").encode("utf-8", "ignore").decode()
    about = {"replaces": "apr_00", "changed": (Change("args.text", words, words + "!"),)}
    for status in TITLES:
        # Without a sentence of the tool there is only the agent's title to fall back on; it must not be.
        ask = an_ask(words.encode("utf-8", "surrogatepass"), args={"text": storable}, about=about, title=words,
                     sentence="" if status == "pending" else "Push it", votes=votes, status=status)  # fmt: skip
        yield approval_card(ask, KNOWN, now_ms=NOW_MS)
        for page in range(1, page_count(ask) + 1):
            yield approval_pages(ask, page, may_decide=True, known=KNOWN, now_ms=NOW_MS)
        yield from (approver_dm(ask, LINK), reminder(ask, 50, LINK), decided(ask, known=KNOWN))
        yield deny_modal(ask.approval)
        run = a_run(state=RunState.WAITING_FOR_APPROVAL, plan=(), text=words, approvals=(ask.approval,))
        yield run_card(run, now_ms=NOW_MS)
        yield run_details(run, [], now_ms=NOW_MS)
        yield home([], [], now_ms=NOW_MS, waiting=[Waiting(ask.approval, "checkup", "ana", "U0ANA", LINK)])
    wanted = {"answer": InputSpec("answer", "choice", True, description=words, choices=("blue", words[:70] or "x"))}
    question = a_question(question=words, wanted=wanted)
    yield question_card(question, a_run())
    for reason, by in ((BlockedReason.QUESTION, "ben"), (BlockedReason.AMBIGUOUS_EFFECT, None)):
        over = Over(reason, words, RunState.PLANNING, by, NOW_MS)
        yield from (was_asked(over, a_run(), KNOWN), was_blocked(over, a_run(), KNOWN))
    yield question_modal(question)
    yield home([], [], now_ms=NOW_MS, questions=[Unanswered(question, "report")])
    yield needs_you(a_run(state=RunState.BLOCKED, blocked_reason=BlockedReason.QUESTION, blocked_detail=words,
                          question=question, approvals=(an_approval(title=words),)), more_steps=12)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(foreign)
def test_foreign_words_are_quoted_boxed_or_labelled_and_never_parsed(words: str) -> None:
    found = 0
    for surface in surfaces(words):
        blocks = list(surface.blocks) if isinstance(surface, Message) else surface["blocks"]
        found += MARK in json.dumps(blocks)
        for leaf in leaves(blocks, "mrkdwn"):
            assert OUR_TOKENS.fullmatch(leaf["text"]), leaf
        for block in blocks:
            for where, text in _outside(block):
                assert MARK not in text, (where, text)
        for leaf in leaves(blocks, "user"):
            assert leaf["user_id"] in {"U0ANA", "U0BEN", "U0ROSA"}
        for leaf in leaves(blocks, "link"):
            assert LINK == leaf["url"]
            assert MARK not in leaf["text"]
        for leaf in leaves(blocks, "emoji"):
            assert MARK not in leaf["name"]
        for leaf in leaves(blocks, "plain_text"):
            assert leaf["emoji"] is False
        for leaf in leaves(blocks, "button"):
            assert MARK not in json.dumps(leaf)
        if isinstance(surface, Message):
            assert not re.search(r"[<>]|[a-z]://|:[a-z_]+:|@(channel|here|everyone)\b", surface.text)
            assert not (MARK in surface.text and OUR_CLAIMS.match(surface.text)), surface.text
    assert found > 10, "the words were shown at all"


def _outside(block: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Texts of a block that a reader takes for ours: not quoted, boxed, in fixed width or of an input."""
    match block["type"]:
        case "rich_text":
            for part in block["elements"]:
                if part["type"] == "rich_text_section":
                    yield "line", "".join(_own(part["elements"]))
        case "input":
            yield "label", block["label"]["text"]
        case kind:
            for leaf in leaves(block, "plain_text"):
                yield kind, leaf["text"]


def _own(elements: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for leaf in elements:
        if leaf["type"] == "text" and not leaf.get("style", {}).get("code"):
            yield leaf["text"]


@settings(max_examples=60, deadline=None)
@given(foreign)
def test_no_line_of_a_tools_sentence_begins_like_one_of_ours(words: str) -> None:
    votes = (a_vote(reason="fine"), a_vote("cat"))
    for status in TITLES:
        ask = an_ask(sentence=words[len(MARK) :] + MARK, status=status, votes=votes)
        run = a_run(state=RunState.WAITING_FOR_APPROVAL, plan=(), approvals=(ask.approval,))
        messages = [approval_card(ask, KNOWN, now_ms=NOW_MS), decided(ask, known=KNOWN), approver_dm(ask, LINK),
                    run_card(run, now_ms=NOW_MS)]  # fmt: skip
        views = [approval_pages(ask, 1, may_decide=True, known=KNOWN, now_ms=NOW_MS), deny_modal(ask.approval),
                 home([], [], now_ms=NOW_MS, waiting=[Waiting(ask.approval, "checkup", "ana", "U0ANA", LINK)]),
                 run_details(run, [], now_ms=NOW_MS)]  # fmt: skip
        for blocks in [list(each.blocks) for each in messages] + [view["blocks"] for view in views]:
            for section in leaves(blocks, "rich_text_section"):
                before = "".join(leaf["text"] for leaf in section["elements"] if leaf["type"] == "text")
                if MARK in before:
                    assert 1 == len(before.rstrip("\n").splitlines()), before
                    assert re.match(r" ?(Action|Asks|You are asked to decide|[A-Z][a-z: ]+): ", before), before
