"""Cards, pages and forms about approvals: exact, within Slack's limits, and unable to mislead."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.blocks.approval_card import CHUNK, TITLES, approval_card, ballot_value, page_count, read_ballot
from bot.blocks.approval_pages import approval_pages
from bot.blocks.asked import approver_dm, decided, reminder
from bot.blocks.bounds import problems, view_problems
from bot.blocks.deny import deny_modal, read_reason
from bot.blocks.home import Waiting, home
from bot.blocks.questions import question_card, question_modal, read_answers
from bot.surface import ActionId
from core.actions.envelope import canonical
from core.actions.policy import Approvers
from core.actions.shown import MAX_INLINE, box
from core.planners.definition import InputSpec
from core.record.states import RunState
from core.runs.approval_views import ApprovalView, AskView, QuestionView, VoteView
from tests.unit.blocks.models import NOW_MS, a_run

KNOWN = {"ben": "U0BEN", "cat": "U0CAT"}
HOSTILE = (
    "<!channel> <@U0EVIL> *Approved by @cto* :white_check_mark: <https://evil.example|click> `x` "
    '\u202e\u200b {"type":"actions"} ```\nApprove'
)


def ask_view(
    body: str = "one", *, status: str = "pending", votes: tuple[VoteView, ...] = (), words: str = "Push it", **more: Any
) -> AskView:
    """A question about a push."""
    patch = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    sha256 = hashlib.sha256(patch).hexdigest()
    envelope = canonical(
        {"v": 1, "tool": "git_push", "args": {"branch": "fix"}, "inputs": [{"ref": "changes.patch", "sha256": sha256}]}
    ).decode()
    shown = box(envelope, {sha256: patch})
    approval = ApprovalView(
        id="apr_01",
        run_id="run_01",
        action_id="call_01",
        digest=shown.action_digest,
        status=status,
        quorum=2,
        votes=votes,
        asked_at_ms=NOW_MS,
        expires_at_ms=NOW_MS + 3_600_000,
        use_by_ms=None,
        decided_at_ms=None,
        consumed_at_ms=None,
        tool="git_push",
        tier="compensable",
        rule="tier:compensable",
        approvers=Approvers(frozenset({"approver"}), frozenset({"ben"})),
        self_ok=False,
        sentence=words,
        title=words,
    )
    return AskView(
        approval, RunState.WAITING_FOR_APPROVAL, "checkup", "ana", "U0ANA", "T1", "C1", "1.0", envelope, shown, **more
    )


def leaves(value: Any) -> Iterator[Mapping[str, Any]]:
    match value:
        case Mapping():
            yield value
            for item in value.values():
                yield from leaves(item)
        case list() | tuple():
            for item in value:
                yield from leaves(item)


def boxes(blocks: Any) -> str:
    """What stands in fixed width: the exact text."""
    parts = [leaf for leaf in leaves(list(blocks)) if leaf.get("type") == "rich_text_preformatted"]
    return "".join(part["elements"][0]["text"] for part in parts)


def labels(blocks: Any) -> list[str]:
    return [leaf["text"]["text"] for leaf in leaves(list(blocks)) if leaf.get("type") == "button"]


VOTES = (
    VoteView("ben", "approve", NOW_MS, "sha256:00"),
    VoteView("cat", "deny", NOW_MS, "sha256:00", reason=HOSTILE, via="cli:1@host"),
    VoteView("dan", "approve", NOW_MS, "sha256:00", taken_back=True),
)


@pytest.mark.parametrize("status", list(TITLES))
@pytest.mark.parametrize("size", [1, 500, 2_600, 30_000, 190_000])
def test_every_card_is_taken_by_slack_and_closed_ones_offer_nothing(status: str, size: int) -> None:
    card = approval_card(ask_view("x\n" * (size // 2), status=status, votes=VOTES), KNOWN, now_ms=NOW_MS)
    assert [] == problems(card.blocks)
    offered = labels(card.blocks)
    assert ("Deny…" in offered) == (status == "pending")
    assert any(label.startswith("Details") for label in offered)
    assert ("Approve" in offered) == (status == "pending" and size <= 500)
    assert ("Take back my vote" in offered) == (status in ("pending", "approved"))


@pytest.mark.parametrize(
    "length", [*range(0, 60, 7), *range(2_300, 2_600, 3), *range(8_300, 8_500, 13), 16_800, 60_001]
)
def test_no_length_of_an_action_is_approved_unread(length: int) -> None:
    ask = ask_view("a" * length)
    card = approval_card(ask, KNOWN, now_ms=NOW_MS)
    inline = len(ask.box.text) <= MAX_INLINE
    assert inline == ("Approve" in labels(card.blocks))
    if inline:
        assert ask.box.text == boxes(card.blocks)
    else:
        assert ask.box.text.startswith(boxes(card.blocks))
    pages = [approval_pages(ask, n, may_decide=True, known=KNOWN, now_ms=NOW_MS) for n in range(1, page_count(ask) + 1)]
    assert ask.box.text == "".join(boxes(page["blocks"]) for page in pages)
    assert [False] * (len(pages) - 1) + [True] == ["submit" in page for page in pages]
    assert [] == [wrong for page in pages for wrong in view_problems(page)]
    assert {ask.box.digest} == {json.loads(page["private_metadata"])["seen"] for page in pages}


@pytest.mark.parametrize("status", [status for status in TITLES if status != "pending"])
def test_a_closed_question_is_read_and_not_approved(status: str) -> None:
    assert "submit" not in approval_pages(ask_view(status=status), 1, may_decide=True, known=KNOWN, now_ms=NOW_MS)


def test_who_may_not_decide_reads_all_of_it_and_is_offered_nothing() -> None:
    assert "submit" not in approval_pages(ask_view(), 1, may_decide=False, known=KNOWN, now_ms=NOW_MS)


def test_a_button_names_the_question_and_the_action() -> None:
    approval = ask_view().approval
    assert ("apr_01", approval.digest.removeprefix("sha256:")[:16]) == read_ballot(ballot_value(approval))
    for wrong in ("", "apr_01", "apr_01:", ":00"):
        assert read_ballot(wrong) is None


@settings(max_examples=150)
@given(st.one_of(st.just(HOSTILE), st.text(max_size=400)), st.one_of(st.just(HOSTILE), st.text(max_size=200)))
def test_no_text_of_others_gets_out_of_its_place(body: str, words: str) -> None:
    votes = (VoteView("ben", "deny", NOW_MS, "sha256:00", reason=words),)
    ask = ask_view(body, words=words, votes=votes, replaces="apr_00")
    question = QuestionView(
        "call_1", "run_01", words or "?", {"a": InputSpec("a", "string", True, description=words)}, 0
    )
    shown = [
        approval_card(ask, KNOWN, now_ms=NOW_MS),
        approver_dm(ask, "https://team.slack.com/archives/C1/p1"),
        reminder(ask, 50, None),
        decided(ask, known=KNOWN),
        question_card(question, a_run(), KNOWN, now_ms=NOW_MS),
    ]
    for each in shown:
        assert [] == problems(each.blocks)
        assert "<!" not in each.text
        assert "<@" not in each.text
    views = [
        approval_pages(ask, 1, may_decide=True, known=KNOWN, now_ms=NOW_MS),
        deny_modal(ask.approval),
        question_modal(question),
        home([], [], now_ms=NOW_MS, waiting=[Waiting(ask.approval, words or "x", words or "x", None, None)]),
    ]
    for view in views:
        assert [] == view_problems(view)
    for leaf in leaves([list(each.blocks) for each in shown] + views):
        if leaf.get("type") == "mrkdwn":
            assert leaf["text"].startswith(("<@U", "<!date^", ":", "<#C")), leaf
        if leaf.get("type") == "link":
            assert "https://team.slack.com/archives/C1/p1" == leaf["url"]
        if leaf.get("type") == "plain_text":
            assert leaf["emoji"] is False


def test_what_changed_is_said_old_and_new() -> None:
    from core.actions.shown import Change

    ask = replace(
        ask_view(), replaces="apr_00", changed=(Change("args.branch", '"a"', '"b"'), Change("policy", "p", None))
    )
    text = json.dumps(approval_card(ask, KNOWN, now_ms=NOW_MS).blocks)
    for part in ("args.branch", "Asked anew", '\\"a\\"', '\\"b\\"', "nothing"):
        assert part in text, part


def test_a_denial_needs_its_reason() -> None:
    def form(text: str) -> dict[str, Any]:
        return {"state": {"values": {"reason": {"text": {"type": "plain_text_input", "value": text}}}}}

    assert ("no, not now", {}) == read_reason(form("  no, not now "))
    for wrong in ("", "  ", "no"):
        assert read_reason(form(wrong))[1]
    assert read_reason({})[1]


def test_answers_are_read_with_their_types() -> None:
    wanted = {
        "count": InputSpec("count", "integer", True),
        "colour": InputSpec("colour", "choice", True, choices=("red", "blue")),
    }
    question = QuestionView("call_1", "run_01", "How many?", wanted, 0)
    view = question_modal(question)
    assert [] == view_problems(view)
    assert read_answers({"state": {"values": {}}}, question)[1]


def test_home_offers_what_waits() -> None:
    view = home([], [], now_ms=NOW_MS, waiting=[Waiting(ask_view().approval, "checkup", "ana", "U0ANA", None)] * 12)
    assert [] == view_problems(view)
    assert ActionId.APPROVAL_DETAILS in {leaf.get("action_id") for leaf in leaves(view)}


assert CHUNK < 3_000
