"""What people see of a freeze: the banner, the parked question, Home, and the channel's message."""

from dataclasses import replace

from bot.blocks.approval_card import approval_card
from bot.blocks.bounds import problems
from bot.blocks.freezes import freeze_said
from bot.blocks.home import home
from bot.blocks.lists import runs
from bot.blocks.run_card import run_card
from core.record.states import BlockedReason, RunState
from core.runs.views import FreezeView
from tests.unit.blocks.asks import an_approval, an_ask
from tests.unit.blocks.models import NOW_MS, a_run
from tests.unit.blocks.shapes import buttons, shown

FREEZE = FreezeView("frz_1", "agent:report", "slack:T1/U7", "a bad deploy <!channel>", NOW_MS)
OTHER = FreezeView("frz_2", "everything", "omar via cli:0@host", "", NOW_MS)
MINUTE = 60_000


def test_a_run_a_freeze_covers_says_so_while_it_works_and_nothing_of_it_after() -> None:
    before = shown(run_card(a_run(), now_ms=NOW_MS).blocks)
    card = run_card(a_run(freezes=(FREEZE, OTHER)), now_ms=NOW_MS)
    assert [] == problems(card.blocks)
    text = shown(card.blocks)
    assert "Frozen" not in before
    assert "U7" in str(card.blocks)
    for words in (
        "Frozen by ",
        "a bad deploy",
        "agent:report",
        "omar via cli:0@host",
        "Nothing starts until it is thawed",
    ):
        assert words in text, words
    assert ["Kill", "Details"] == buttons(card.blocks)


def test_a_run_held_by_a_freeze_has_one_banner_and_no_second_explanation() -> None:
    held = a_run(
        state=RunState.BLOCKED, blocked_reason=BlockedReason.FROZEN, blocked_detail="Everything is", freezes=(OTHER,)
    )
    assert "Blocked because" not in shown(run_card(held, now_ms=NOW_MS).blocks)
    after = replace(held, freezes=())
    assert "Blocked because an operator froze it." in shown(run_card(after, now_ms=NOW_MS).blocks)


def test_a_parked_question_says_how_long_it_will_have_and_offers_no_approval() -> None:
    approval = an_approval(parked_ms=90 * MINUTE)
    held = a_run(state=RunState.BLOCKED, blocked_reason=BlockedReason.FROZEN, freezes=(FREEZE,), approvals=(approval,))
    assert "1 h 30 min left when thawed" in shown(run_card(held, now_ms=NOW_MS).blocks)

    ask = an_ask(parked_ms=90 * MINUTE)
    long_after = ask.approval.expires_at_ms + 1
    card = approval_card(ask, {}, now_ms=long_after)
    assert [] == problems(card.blocks)
    assert ["Deny…", "Details"] == buttons(card.blocks)
    for words in ("Frozen: nobody can approve this now", "1 h 30 min left when thawed", "Denying still counts"):
        assert words in shown(card.blocks), words
    assert "Approve" in buttons(approval_card(an_ask(), {}, now_ms=NOW_MS).blocks)


def test_home_lists_what_is_frozen_for_everybody_and_tells_operators_what_to_do() -> None:
    anybody = home((), (), now_ms=NOW_MS, freezes=(FREEZE, OTHER))
    operator = home((), (), now_ms=NOW_MS, freezes=(FREEZE, OTHER), may_thaw=True)
    for view in (anybody, operator):
        assert "agent:report" in shown(view["blocks"])
        assert "everything" in shown(view["blocks"])
    assert "/banksman thaw agent:report" in shown(operator["blocks"])
    assert "/banksman thaw" not in shown(anybody["blocks"])
    assert "Frozen" not in shown(home((), (), now_ms=NOW_MS)["blocks"])
    assert 10 < len(home((), (), now_ms=NOW_MS, freezes=(FREEZE,) * 40)["blocks"]) <= 100


def test_a_list_of_runs_marks_those_a_freeze_covers() -> None:
    entry = a_run(freezes=(FREEZE,)).line()
    assert "frozen" in shown(runs((entry,), now_ms=NOW_MS).blocks)
    assert "frozen" not in shown(runs((a_run().line(),), now_ms=NOW_MS).blocks)


def test_a_channel_is_told_once_when_it_is_frozen_and_once_when_it_is_thawed() -> None:
    frozen = freeze_said(FREEZE, thawed=False)
    thawed = freeze_said(replace(FREEZE, thawed_at_ms=NOW_MS, thawed_by="omar"), thawed=True, reason="it is mended")
    for card in (frozen, thawed):
        assert [] == problems(card.blocks)
    assert "a bad deploy" in shown(frozen.blocks)
    for words in ("This channel is thawed", "omar", "it is mended"):
        assert words in shown(thawed.blocks)
