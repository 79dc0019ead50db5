"""What a run has used of what it may, and when its next step is one too many."""

from dataclasses import replace
from typing import Any

import pytest

from core.planners.base import Act, Finish, Think
from core.record.rows import Snapshot, TurnRow
from core.runs.allowance import (
    Allowance,
    Usage,
    WrapUp,
    allowance,
    amount,
    nearly_spent,
    over,
    raised,
    short_of,
    told,
    usages,
    wrapping_up,
)
from tests import factories

CALL = Act("s1", "look", {}, "Look")


def run(caps: dict[Any, int], **columns: Any) -> Snapshot:
    """A run with these caps that was created at 0."""
    given = {"allowance_json": Allowance(caps).to_json(), "created_at": 0, "budget_micro_usd": 1_000_000}
    return factories.snapshot().with_run(given | columns)


def turn(**columns: Any) -> TurnRow:
    plain = TurnRow("t", "run", 1, "m", 0, "answered", input_tokens=100, output_tokens=20, reserved_tokens=500)
    return replace(plain, **columns)


@pytest.mark.parametrize(
    ("columns", "tokens"),
    [
        ({}, 120),
        ({"input_tokens": 0, "output_tokens": 0}, 500),
        ({"input_tokens": -5}, 500),
        ({"input_tokens": 10**9}, 500),
        ({"status": "started"}, 500),
        ({"status": "lost"}, 500),
        ({"status": "failed", "cost_micro_usd": 7}, 500),
        ({"status": "failed", "cost_micro_usd": 0}, 0),
    ],
)
def test_tokens_nobody_can_vouch_for_count_as_all_that_was_reserved(columns: dict[str, Any], tokens: int) -> None:
    snapshot = replace(run({"tokens": 1_000}), turns=(turn(**columns),))

    assert Usage("tokens", tokens, 1_000) == usages(snapshot, 0)[-1]


def test_the_next_step_is_the_one_that_is_too_many() -> None:
    snapshot = replace(run({"tokens": 1_000}), turns=(turn(),))

    assert None is over(snapshot, Think(), 0, tokens=880)
    assert Usage("tokens", 120, 1_000) == over(snapshot, Think(), 0, tokens=881)
    assert None is over(snapshot, CALL, 0, tokens=881), "a call takes no tokens"

    assert None is over(run({"steps": 3}, steps=2), Think(), 0)
    assert (
        Usage("steps", 3, 3)
        == over(run({"steps": 3}, steps=3), Think(), 0)
        == over(run({"steps": 3}, steps=3), CALL, 0)
    )
    assert Usage("time", 60_000, 60_000) == over(run({"time": 60_000}), CALL, 60_000)
    assert None is over(run({"time": 60_000}), CALL, 59_999)
    assert Usage("calls", 0, 0) == over(run({"calls": 0}), CALL, 0)
    assert None is over(run({"calls": 0}), Think(), 0), "it may still say what it knows"
    assert None is over(run({"steps": 3, "time": 1}, steps=3), Finish("Done."), 99)


def test_of_each_cap_the_thread_is_told_once_and_money_first() -> None:
    snapshot = run({"steps": 10}, steps=8, cost_micro_usd=800_000)

    found = nearly_spent(snapshot, 0)
    assert ("money", "steps") == tuple(usage.unit for usage in found)
    after = snapshot.with_run({"allowance_json": told(snapshot, {usage.unit: usage.cap for usage in found})})
    assert () == nearly_spent(after, 0)
    assert () == nearly_spent(run({"steps": 10}, steps=7, cost_micro_usd=799_999), 0)

    higher = after.with_run({"allowance_json": raised(after, "steps", 20)})
    assert () == nearly_spent(higher, 0)
    assert (Usage("steps", 16, 20),) == nearly_spent(higher.with_run({"steps": 16}), 0)


def test_what_a_run_remembers_is_read_back_as_it_was_written() -> None:
    snapshot = run({"calls": 5})
    wanted = WrapUp("ana", None, 12, 3)

    for text in (wrapping_up(snapshot, wanted), short_of(snapshot, "calls"), snapshot.run.allowance_json, "{}"):
        assert text == allowance(text).to_json()
    assert wanted == allowance(wrapping_up(snapshot, wanted)).wrap_up


def test_amounts_are_written_for_people() -> None:
    assert ["$1.00", "1 tool call", "40 steps", "12,000 tokens", "30m"] == [
        amount("money", 1_000_000),
        amount("calls", 1),
        amount("steps", 40),
        amount("tokens", 12_000),
        amount("time", 1_800_000),
    ]
    assert "$0.85 of $1.00" == Usage("money", 850_000, 1_000_000).text
    assert "34 of 40 tool calls" == Usage("calls", 34, 40).text
