"""How often a wait looks, how long it sleeps between, and which calls may be waited with."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.planners.waiting import LONGEST_MS, SHORTEST_MS, Wait
from core.record.states import LONGEST_PAUSE_MS
from core.runs.stalls import has_waited
from core.runs.waiting import LOOKS, Waiting, unfit
from tests.factories import NOW_MS, a_tool, call_row, run_row


@given(st.integers(SHORTEST_MS, LONGEST_MS), st.integers(SHORTEST_MS, LONGEST_MS), st.integers(0, 90_000))
def test_a_wait_of_any_length_ends_at_its_deadline_after_some_130_looks(deadline: int, every: int, took: int) -> None:
    now, wait, pauses = NOW_MS, Waiting.begun(Wait("look.out.x", deadline, every), NOW_MS), [0]
    while now < wait.until:
        began, now = now, now + took
        wait = wait.looked("", now)
        pauses.append(wait.next_at - now)
        assert began < wait.until
        now = wait.next_at if wait.next_at > now else max(now, wait.until)

    assert wait.looks <= LOOKS + 35
    assert max(pauses) <= max(every, deadline // LOOKS)
    assert pauses[1:-1] == sorted(pauses[1:-1])


def test_a_run_never_sleeps_longer_than_any_run_may_and_wakes_for_its_look() -> None:
    wait = Waiting.begun(Wait("look.out.x", LONGEST_MS, LONGEST_MS), NOW_MS).looked("", NOW_MS)

    assert wait.wakes_at(NOW_MS) < NOW_MS + LONGEST_PAUSE_MS < wait.next_at
    assert wait.is_early(NOW_MS + 1) and not wait.is_early(wait.next_at)
    assert wait.next_at == wait.wakes_at(wait.next_at - 5)


def test_a_clock_that_was_set_back_makes_nobody_wait_longer() -> None:
    wait = Waiting.begun(Wait("look.out.x", 60_000), NOW_MS).looked("", NOW_MS)

    assert not wait.is_early(NOW_MS - 3_600_000)


def test_a_wait_is_stored_and_read_back_whole() -> None:
    wait = Waiting.begun(Wait("look.out.x > inputs.n", 60_000, 2_000, {"inputs": {"n": 1}}), NOW_MS).looked("n", NOW_MS)

    assert wait == Waiting.of(call_row(run_row(), wait_json=wait.to_json()))
    newer = json.dumps(json.loads(wait.to_json()) | {"more": 1})
    assert wait == Waiting.of(call_row(run_row(), wait_json=newer))
    assert None is Waiting.of(call_row(run_row()))


@pytest.mark.parametrize(
    ("verdict", "tier", "recovery", "fits"),
    [
        ("allow", "read", "pure", True),
        ("allow", "read", "idempotent", True),
        ("allow", "read", "opaque", False),
        ("allow", "workspace", "idempotent", False),
        ("allow", "irreversible", "idempotent", False),
        ("ask", "read", "pure", False),
    ],
)
def test_only_what_changes_nothing_and_asks_nobody_is_waited_with(
    verdict: str, tier: str, recovery: str, fits: bool
) -> None:
    wait = Wait("look.out.x", 60_000)

    assert fits == (unfit(wait, a_tool(), verdict=verdict, tier=tier, recovery=recovery) is None)
    assert None is unfit(None, a_tool(), verdict=verdict, tier=tier, recovery=recovery)


def test_patience_is_no_loop_but_a_wait_that_was_over_at_once_counts_like_any_call() -> None:
    wait = Waiting.begun(Wait("look.out.x", 60_000), NOW_MS).to_json()

    assert has_waited(call_row(run_row(), wait_json=wait, attempts=2))
    assert not has_waited(call_row(run_row(), wait_json=wait, attempts=1))
    assert not has_waited(call_row(run_row(), attempts=3))
