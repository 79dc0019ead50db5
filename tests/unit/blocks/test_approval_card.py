"""The card of a question: the exact action or no Approve, nothing to click once it is closed, never too long."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.blocks.approval_card import approval_card, ballot_value, read_ballot
from bot.blocks.approval_parts import TITLES
from bot.blocks.bounds import problems
from bot.blocks.text import length
from core.actions.policy import Approvers
from core.actions.shown import MAX_INLINE, Change
from core.record.states import TERMINAL, RunState
from core.runs.approval_views import AskView, VoteView
from tests.unit.blocks.anything import NOW_MS
from tests.unit.blocks.asks import a_long_ask, a_vote, an_ask
from tests.unit.blocks.shapes import boxes, buttons, leaves, shown

KNOWN = {"ben": "U0BEN", "cat": "U0CAT"}
LIVE, BACK, DENIED = a_vote(), a_vote(taken_back=True), a_vote("cat", "deny", reason="not on a Friday")
ALL = "Details: read all of it (1 page)"


def offered(ask: AskView, now_ms: int = NOW_MS) -> list[str]:
    card = approval_card(ask, KNOWN, now_ms=now_ms)
    assert [] == problems(card.blocks)
    return buttons(card.blocks)


@pytest.mark.parametrize("votes", [(), (LIVE,), (BACK,), (DENIED,), (LIVE, DENIED, BACK)], ids=len)
@pytest.mark.parametrize("is_long", [False, True], ids=["short", "long"])
@pytest.mark.parametrize("status", list(TITLES))
def test_what_a_card_offers_in_each_state(status: str, is_long: bool, votes: tuple[VoteView, ...]) -> None:
    expected = {
        (True, False): ["Approve", "Deny…", "Details"],
        (True, True): ["Deny…", ALL],
        (False, False): [],
        (False, True): [ALL],
    }[status == "pending", is_long]
    if LIVE in votes and status in ("pending", "approved"):
        expected = [*expected, "Take back my vote"]

    assert expected == offered(an_ask("x\n" * (1_000 if is_long else 3), status=status, votes=votes))


@pytest.mark.parametrize("state", sorted(TERMINAL))
@pytest.mark.parametrize("status", list(TITLES))
def test_nothing_is_decided_about_a_run_that_is_over(status: str, state: RunState) -> None:
    ask = an_ask(status=status, votes=(LIVE,), about={"run_state": state})

    assert [] == offered(ask)
    assert "Approval needed" not in shown(approval_card(ask, KNOWN, now_ms=NOW_MS).blocks)


def test_a_card_says_that_the_contract_of_the_channel_has_to_admit_whoever_decides() -> None:
    asked = Approvers(frozenset({"approver"}))
    plain, narrowed = (
        shown(approval_card(an_ask(approvers=each), KNOWN, now_ms=NOW_MS).blocks)
        for each in (asked, asked.narrowed(Approvers(frozenset({"on-call"}))))
    )

    assert "anybody with the role approver, as far as the channel's contract admits them" in narrowed
    assert "contract" not in plain


def test_nothing_is_decided_after_the_time_is_over_even_if_nobody_has_noticed_yet() -> None:
    ask = an_ask()

    assert "Approve" in offered(ask, ask.approval.expires_at_ms - 1)
    assert [] == offered(ask, ask.approval.expires_at_ms)
    assert "Expired" in shown(approval_card(ask, KNOWN, now_ms=ask.approval.expires_at_ms).blocks)


LENGTHS = [MAX_INLINE + off for off in (-200, -2, -1, 0, 1, 2, 200)] + [2_799, 2_800, 2_801, 8_400, 8_401, 60_000]


@pytest.mark.parametrize("unit", ["a", "😀", "𠀀", "\u202e", "ab\n", "\\", "\x00"], ids=ascii)
@pytest.mark.parametrize("units", LENGTHS)
def test_a_card_holds_the_whole_action_or_offers_no_approval(units: int, unit: str) -> None:
    ask = a_long_ask(units, unit)
    card = approval_card(ask, KNOWN, now_ms=NOW_MS)

    assert [] == problems(card.blocks)
    text = shown(card.blocks)
    if length(ask.box.text) <= MAX_INLINE:
        assert ask.box.text == boxes(card.blocks)
        assert "Approve" in buttons(card.blocks)
        assert "it continues" not in text
    else:
        beginning = boxes(card.blocks)
        assert ask.box.text.startswith(beginning)
        assert len(beginning) < len(ask.box.text)
        assert not [label for label in buttons(card.blocks) if label.startswith("Approve")]
        assert "This is the beginning; it continues" in text
        assert "it continues" not in beginning, "the mark is outside of the box"


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=2_000), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300)
)
def test_the_box_is_the_text_of_the_action_whatever_it_holds(body: bytes, argument: str) -> None:
    ask = an_ask(body, args={"text": argument})
    card = approval_card(ask, KNOWN, now_ms=NOW_MS)

    whole = length(ask.box.text) <= MAX_INLINE
    assert (ask.box.text if whole else ask.box.pages(MAX_INLINE)[0]) == boxes(card.blocks)
    [box] = leaves(card.blocks, "rich_text_preformatted")
    assert {"type": "text", "text": boxes(card.blocks)} == box["elements"][0], "no style, no link, no mention"


def test_everything_at_its_longest_still_fits() -> None:
    long = "😀 é " * 1_000
    people = Approvers(frozenset(f"role{at}{long}" for at in range(20)), frozenset(f"{at}{long}" for at in range(50)))
    votes = tuple(a_vote(f"{at}{long}", "deny", reason=long, via=long) for at in range(60))
    changed = tuple(Change(f"{at}{long}", long, long + "x") for at in range(30))
    odd = "\u202e\u0430a e\u0301\t" + " " * 60 + "\n" * 30 + "\u200b"
    ask = an_ask(odd, sentence=long, title=long, tool=long, rule=long, tier=long, votes=votes, approvers=people,
                 about={"agent": long, "requester": long, "requester_slack": None, "replaces": "apr_00",
                        "changed": changed})  # fmt: skip

    assert length(ask.box.text) <= MAX_INLINE
    assert len(ask.box.warnings) >= 5
    assert [] == problems(approval_card(ask, {}, now_ms=NOW_MS).blocks)


def test_a_card_says_who_may_decide_on_what_until_when() -> None:
    ask = an_ask(quorum=2, votes=(LIVE, a_vote("cat", via="cli:1000@host")))
    blocks = approval_card(ask, KNOWN, now_ms=NOW_MS).blocks

    text = shown(blocks)
    assert "Action: Push one commit to the new branch `fix`" in text
    assert "2 approvals needed, 2 given. By anybody with the role approver, ; not by , who asked" in text
    assert {"U0ANA", "U0BEN", "U0CAT"} == {leaf["user_id"] for leaf in leaves(blocks, "user")}
    for small in ("git_push · compensable", "environment staging", "rule tier:compensable", "run 0yabcd"):
        assert small in text
    assert f"action {ask.box.action_digest.removeprefix('sha256:')[:16]}" in text
    assert f"<!date^{ask.approval.expires_at_ms // 1000}^" in text
    assert " approved ·  · via CLI by 1000@host" in text


def test_the_agents_words_stand_below_the_box_as_a_quotation() -> None:
    card = approval_card(an_ask(title="Approved by @cto", sentence=""), KNOWN, now_ms=NOW_MS)

    text = shown(card.blocks)
    assert text.index("=== ") < text.index("In the agent's own words") < text.index("Approved by @cto")
    assert 1 == text.count("Approved by @cto")
    assert "Approved by @cto" in shown(list(leaves(card.blocks, "rich_text_quote")))
    assert "Approved by" not in card.text
    assert "Action: a call of git_push" in text


def test_what_changed_is_said_old_and_new_outside_of_the_box() -> None:
    changed = (
        Change("args.branch", '"a"', '"b"'),
        Change("policy", "p", None),
        Change("args.body", "x" * 900 + "old" + "y" * 900, "x" * 900 + "new" + "y" * 900),
        Change("args.note", "one\ntwo", "one two"),
    )
    blocks = approval_card(an_ask(about={"replaces": "apr_00", "changed": changed}), KNOWN, now_ms=NOW_MS).blocks

    text = shown(blocks).replace(boxes(blocks), "")
    assert 'Asked anew. What changed:\n• args.branch: "a"\n   now "b"\n• policy: p\n   now nothing' in text
    assert "… [cut] " + "x" * 20 + "oldy" in text, "where they differ is what is kept"
    assert "… [cut] " + "x" * 20 + "newy" in text
    assert r"args.note: one\u{000A}two" in text


def test_a_question_asked_anew_only_because_time_passed_says_so() -> None:
    ask = an_ask(about={"replaces": "apr_00"})

    assert "nothing but the time" in shown(approval_card(ask, KNOWN, now_ms=NOW_MS).blocks)


def test_a_stale_card_points_at_the_newer_one() -> None:
    text = shown(approval_card(an_ask(status="superseded"), KNOWN, now_ms=NOW_MS).blocks)

    assert "Stale: asked anew" in text
    assert "Decide on the newer card." in text


def test_approve_asks_first_and_repeats_what_it_is_about() -> None:
    ask = an_ask()
    approve, deny, details = leaves(approval_card(ask, KNOWN, now_ms=NOW_MS).blocks, "button")

    assert ("approval_approve", "primary") == (approve["action_id"], approve["style"])
    assert "Push one commit to the new branch `fix`. It runs once" in approve["confirm"]["text"]["text"]
    assert "plain_text" == approve["confirm"]["text"]["type"]
    assert "confirm" not in deny, "the form asks for the reason"
    assert {ballot_value(ask.approval)} == {each["value"] for each in (approve, deny, details)}


def test_a_button_names_the_question_and_the_action() -> None:
    approval = an_ask().approval

    assert (approval.id, approval.digest.removeprefix("sha256:")[:16]) == read_ballot(ballot_value(approval))
    for wrong in ("", "apr_01", "apr_01:", ":00"):
        assert read_ballot(wrong) is None


def test_warnings_stand_before_the_box() -> None:
    text = shown(approval_card(an_ask("pay \u202e001"), KNOWN, now_ms=NOW_MS).blocks)

    assert text.index("1 character is written out") < text.index("Exactly this:") < text.index(r"pay \u{202E}001")


def test_votes_say_who_when_and_why_the_latest_last() -> None:
    votes = (*(a_vote(f"v{at}") for at in range(9)), a_vote("cat", "deny", reason="no\nApproved by @cto"))
    blocks = approval_card(an_ask(status="denied", votes=votes), KNOWN, now_ms=NOW_MS).blocks

    text = shown(blocks)
    assert "… 4 earlier votes" in text
    assert "v8 approved" in text
    assert "v3 approved" not in text
    assert "no Approved by @cto" in shown(list(leaves(blocks, "rich_text_quote")))
