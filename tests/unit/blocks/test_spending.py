"""What a run has used of what it may: on its card, in its ending, and in what is said before the end of it."""

from typing import Any

from bot.blocks.ask import needs_you
from bot.blocks.run_card import run_card
from bot.blocks.spending import nearly_spent, shared_nearly_spent, told_to_wrap_up
from bot.blocks.summary import ending
from core.record.states import BlockedReason, RunState
from core.runs.allowance import Usage, WrapUp
from core.runs.shared import Shared
from core.runs.views import RunView
from tests.unit.blocks.anything import NOW_MS, RUN_ID
from tests.unit.blocks.models import a_run, an_ended_run
from tests.unit.blocks.shapes import buttons, leaves, shown

MONEY = Usage("money", 850_000, 1_000_000)
CALLS = Usage("calls", 34, 40)
STEPS = Usage("steps", 3, 60)


def thinking(**changes: Any) -> RunView:
    """A run that has spent most of its money, and made most of its calls."""
    plain = {"cost_micro_usd": 850_000, "budget_micro_usd": 1_000_000, "usages": (MONEY, STEPS, CALLS)}
    return a_run(**(plain | changes))


def values(blocks: Any) -> list[str]:
    return [button["value"] for button in leaves(blocks, "button")]


def test_most_of_it_is_gone_is_said_with_what_can_be_done() -> None:
    message = nearly_spent(thinking())

    said = shown(message.blocks)
    assert "It has spent $0.85 of $1.00" in said and "It has made 34 of 40 tool calls" in said
    assert "3 of 60" not in said
    assert ["Add $1.00", "Wrap up", "Kill", "Add 40 tool calls"] == buttons(message.blocks)
    assert [f"{RUN_ID}:1000000", RUN_ID, RUN_ID, f"{RUN_ID}:40:calls"] == values(message.blocks)


def test_what_has_ended_or_wraps_up_already_is_not_offered_it() -> None:
    wraps = WrapUp("olu", "U0OLU", NOW_MS, 3)

    assert "Wrap up" not in buttons(nearly_spent(thinking(wrap_up=wraps)).blocks)
    over = an_ended_run(cost_micro_usd=850_000, budget_micro_usd=1_000_000, usages=(MONEY,))
    assert [] == buttons(nearly_spent(over).blocks)


def test_the_card_says_who_had_it_wrap_up_until_it_has() -> None:
    wraps = WrapUp("olu", "U0OLU", NOW_MS, 3)

    card = run_card(thinking(wrap_up=wraps), now_ms=NOW_MS).blocks
    assert "Wrapping up with what it has, as  asked" in shown(card)
    assert "U0OLU" in [leaf["user_id"] for leaf in leaves(card, "user")]
    assert "Wrapping up" not in shown(run_card(an_ended_run(wrap_up=wraps), now_ms=NOW_MS).blocks)
    assert "Wrapping up with what it has" in shown(told_to_wrap_up(an_ended_run(wrap_up=wraps)).blocks)


def test_a_run_short_of_something_is_offered_more_of_exactly_that() -> None:
    parked = {"state": RunState.BLOCKED, "blocked_reason": BlockedReason.BUDGET}

    assert ["Add $1.00", "Ask again"] == buttons(needs_you(thinking(**parked, short="money"), more_steps=12).blocks)
    assert ["Add $1.00", "Ask again"] == buttons(needs_you(thinking(**parked), more_steps=12).blocks)
    assert ["Ask again"] == buttons(needs_you(thinking(**parked, short="shared"), more_steps=12).blocks)
    short = needs_you(thinking(**parked, short="calls"), more_steps=12).blocks
    assert ["Add 40 tool calls", "Wrap up", "Ask again"] == buttons(short)
    assert [f"{RUN_ID}:40:calls", RUN_ID, RUN_ID] == values(short)


def test_a_shared_budget_is_named_with_its_end_and_with_who_can_raise_it() -> None:
    day = Shared("person:ana:2026-11-29", "person", 4_100_000, 5_000_000, NOW_MS + 60_000)

    message = shared_nearly_spent((day,), thinking())
    said = shown(message.blocks)
    assert "asks for in a day: $4.10 of $5.00 is spent or reserved, counted until " in said
    assert "It is set by budgets.person-day: only operators can raise it, in their file." in said
    assert [(NOW_MS + 60_000) // 1000] == [leaf["timestamp"] for leaf in leaves(message.blocks, "date")]
    assert ["Wrap up", "Kill"] == buttons(message.blocks), "nobody can add to it with a button"
    over = an_ended_run(cost_micro_usd=850_000, budget_micro_usd=1_000_000, usages=(MONEY,))
    assert [] == buttons(shared_nearly_spent((day,), over).blocks)


def test_more_for_the_run_is_offered_where_that_is_more_for_its_tree() -> None:
    tree = Shared(f"tree:{RUN_ID}:-", "tree", 900_000, 1_000_000, None, raisable=True)

    message = shared_nearly_spent((tree,), thinking())
    assert "This run with everything it started: $0.90 of $1.00 is spent or reserved" in shown(message.blocks)
    assert "set by" not in shown(message.blocks) and "counted until" not in shown(message.blocks)
    assert ["Add $1.00", "Wrap up", "Kill"] == buttons(message.blocks)


def test_the_menu_of_the_card_ticks_whose_replies_count_while_there_is_something_to_reply_to() -> None:
    (menu,) = leaves(run_card(thinking(steering="auto"), now_ms=NOW_MS).blocks, "overflow")

    said = [option["text"]["text"] for option in menu["options"]]
    assert ["✓ Replies: everybody's in this team"] == [each for each in said if each.startswith("✓")]
    assert [f"{RUN_ID}:{mode}" for mode in ("off", "ask", "auto")] == [each["value"] for each in menu["options"]]
    over = an_ended_run(cost_micro_usd=1, budget_micro_usd=1_000_000)
    assert [] == list(leaves(run_card(over, now_ms=NOW_MS).blocks, "overflow"))
    assert [] == list(leaves(run_card(a_run(budget_micro_usd=None), now_ms=NOW_MS).blocks, "overflow")), "a playbook"


def test_the_cost_stands_on_every_card_and_ending_of_a_run_that_thinks() -> None:
    for view in (thinking(), thinking(cost_micro_usd=0), an_ended_run(cost_micro_usd=1, budget_micro_usd=1_000_000)):
        assert "of $1.00" in shown(run_card(view, now_ms=NOW_MS).blocks)
        assert "of $1.00" in shown(ending(view).blocks)
    tree = shown(run_card(thinking(tree_cost_micro_usd=1_250_000), now_ms=NOW_MS).blocks)
    assert "cost $0.85 of $1.00, $1.25 with what it started" in tree


def test_a_run_that_goes_round_in_circles_is_let_continue_for_the_steps_its_button_says() -> None:
    stuck = {"state": RunState.BLOCKED, "blocked_reason": BlockedReason.LOOP}

    message = needs_you(thinking(**stuck, goes_round=True), more_steps=12)
    assert "Blocked because it goes round in circles." in shown(message.blocks)
    assert ["Continue 12 steps", "Steer…", "Kill"] == buttons(message.blocks)
    assert [f"{RUN_ID}:12", RUN_ID, RUN_ID] == values(message.blocks)
    asked = needs_you(thinking(**stuck), more_steps=12)
    assert ["Steer…", "Ask again"] == buttons(asked.blocks), "it has only asked too often"
