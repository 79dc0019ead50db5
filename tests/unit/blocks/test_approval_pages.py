"""The whole action page by page: every character once, Approve on the last page of an open question, nowhere else."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.blocks.approval_card import CHUNK, CHUNKS_ON_A_PAGE, page_count
from bot.blocks.approval_pages import approval_pages
from bot.blocks.approval_parts import TITLES
from bot.blocks.bounds import view_problems
from core.record.states import RunState
from core.runs.approval_views import AskView
from tests.unit.blocks.anything import NOW_MS
from tests.unit.blocks.asks import a_long_ask, a_vote, an_ask
from tests.unit.blocks.shapes import boxes, buttons, shown

KNOWN = {"ben": "U0BEN"}
PAGE = CHUNK * CHUNKS_ON_A_PAGE


def pages(ask: AskView, *, may_decide: bool = True, now_ms: int = NOW_MS) -> list[dict[str, Any]]:
    return [
        approval_pages(ask, number, may_decide=may_decide, known=KNOWN, now_ms=now_ms)
        for number in range(1, page_count(ask) + 1)
    ]


def assert_whole(ask: AskView) -> None:
    found = pages(ask)
    assert ask.box.text == "".join(boxes(page["blocks"]) for page in found)
    assert [False] * (len(found) - 1) + [True] == ["submit" in page for page in found]
    assert [] == [wrong for page in found for wrong in view_problems(page)]
    for number, page in enumerate(found, 1):
        held = json.loads(page["private_metadata"])
        assert (number, len(found), ask.box.digest) == (held["page"], held["pages"], held["seen"])
        assert f"Page {number} of {len(found)}" in shown(page["blocks"])
        turns = (["Back"] if number > 1 else []) + (["Next page"] if number < len(found) else [])
        assert turns == buttons(page["blocks"])


@pytest.mark.parametrize("unit", ["a", "😀", "𠀀", "\u202e", "ab\n", "\\"], ids=ascii)
@pytest.mark.parametrize("units", [at + off for at in (2_500, CHUNK, PAGE, 2 * PAGE) for off in (-1, 0, 1, 40)])
def test_pages_hold_all_of_it_at_every_border(units: int, unit: str) -> None:
    assert_whole(a_long_ask(units, unit))


@settings(max_examples=40, deadline=None)
@given(st.one_of(st.binary(max_size=600), st.text(max_size=400).map(lambda text: text.encode("utf-8", "ignore"))),
       st.integers(1, 60))  # fmt: skip
def test_pages_hold_all_of_any_action(body: bytes, times: int) -> None:
    assert_whole(an_ask(body * times))


def test_a_very_long_action_still_has_every_page() -> None:
    assert_whole(an_ask("x\n" * 95_000))


@pytest.mark.parametrize("status", list(TITLES))
@pytest.mark.parametrize("may_decide", [True, False])
def test_only_an_open_question_can_be_approved_by_who_may(status: str, may_decide: bool) -> None:
    [*before, last] = pages(an_ask("x\n" * 9_000, status=status), may_decide=may_decide)

    assert before
    assert not [page for page in before if "submit" in page]
    assert (status == "pending" and may_decide) == ("submit" in last)


def test_nothing_is_approved_when_the_run_is_over_or_the_time_is() -> None:
    ask = an_ask()

    assert "submit" in pages(ask)[-1]
    assert "submit" not in pages(ask, now_ms=ask.approval.expires_at_ms)[-1]
    assert "submit" not in pages(an_ask(about={"run_state": RunState.CANCELED}))[-1]


@pytest.mark.parametrize(("wanted", "shows"), [(-3, 1), (0, 1), (1, 1), (3, 3), (4, 3), (999, 3)])
def test_a_page_out_of_range_is_the_nearest_one(wanted: int, shows: int) -> None:
    ask = a_long_ask(3 * PAGE - 50)
    view = approval_pages(ask, wanted, may_decide=True, known=KNOWN, now_ms=NOW_MS)

    assert shows == json.loads(view["private_metadata"])["page"]


def test_the_first_page_says_what_the_card_says() -> None:
    first, second, *_ = pages(an_ask("x\n" * 9_000, votes=(a_vote(),)))

    for part in ("Action: Push one commit", "2 approvals needed, 1 given", "In the agent's own words", "environment"):
        assert part in shown(first["blocks"])
        assert part not in shown(second["blocks"])


def test_a_line_that_goes_on_on_the_next_page_is_called_that() -> None:
    _, second, *_ = pages(an_ask("x" * 9_000))

    assert "… the line before goes on:" in shown(second["blocks"])
    assert "goes on" not in boxes(second["blocks"])


def test_many_votes_and_warnings_fit_on_the_first_page() -> None:
    votes = tuple(a_vote(f"{at}" * 90, "deny", reason="why 😀 " * 200, via="v" * 300) for at in range(50))
    odd = "\u202e\u0430a e\u0301\t" + " " * 60 + "\n" * 30 + "x" * 9_000

    assert [] == [wrong for page in pages(an_ask(odd, votes=votes)) for wrong in view_problems(page)]
