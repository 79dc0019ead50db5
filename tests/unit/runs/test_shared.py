"""Budgets that runs share: which of them a thread is told of, and whether more for the run is more of them."""

from core.budgets import end_of
from core.runs import turns
from core.runs.shared import Shared, from_json, nearly_spent, of
from tests.unit.runs.test_allowance import run

AT_MS = 1_796_000_000_000  # 2026-11-29


def found(used: dict[str, int], caps: turns.Caps, amount: int = 0) -> dict[str, Shared]:
    row = run({}, budget_micro_usd=1_000, channel="C1").run
    holds = turns.holds(row, caps, amount, AT_MS)
    ids = {hold.scope: hold.budget_id for hold in holds}
    shared = of(row, holds, {ids[scope]: each for scope, each in used.items()}, caps.tree)
    return {each.scope: each for each in shared}


def test_only_budgets_with_a_cap_are_looked_at_and_each_until_it_is_over() -> None:
    assert {} == found({"person": 10**9}, turns.Caps())
    shared = found({"person": 90, "channel": 10, "team": 5}, turns.Caps(None, 100, 100, 100), amount=-10)

    assert {"person": 80, "channel": 0, "team": 0} == {scope: each.used for scope, each in shared.items()}
    assert ["person"] == [scope for scope, each in shared.items() if each.is_nearly_spent]
    ends = {scope: each.until_ms for scope, each in shared.items()}
    assert {"person": end_of("2026-11-30"), "channel": end_of("2026-11"), "team": end_of("2026-11-30")} == ends
    assert not any(each.raisable for each in shared.values())


def test_a_tree_is_worth_a_word_of_its_own_once_there_is_more_of_it_than_its_run() -> None:
    assert {} == found({"run": 900, "tree": 900}, turns.Caps())
    below = found({"run": 500, "tree": 900}, turns.Caps())["tree"]
    assert (900, 1_000, True, None) == (below.used, below.cap, below.raisable, below.until_ms)
    fixed = found({"run": 900, "tree": 900}, turns.Caps(tree=2_000))["tree"]
    assert (2_000, False) == (fixed.cap, fixed.raisable), "letting the run spend more does not raise this one"


def test_of_each_cap_a_thread_is_told_once_and_what_is_kept_of_it_is_read_back() -> None:
    (spent,) = found({"person": 80}, turns.Caps(person_day=100)).values()

    assert (spent,) == nearly_spent([spent], {}) == nearly_spent([spent], {spent.budget_id: 90})
    assert () == nearly_spent([spent], {spent.budget_id: 100})
    assert (spent,) == from_json([spent.to_json()])


def test_days_and_months_end_where_the_next_begins() -> None:
    day = 86_400_000
    assert end_of("2026-12-31") == end_of("2026-12")
    assert end_of("2028-02-28") == (end_of("2028-02") or 0) - day
    assert None is end_of("-")
