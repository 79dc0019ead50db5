"""Retries: spread by jitter, bounded by a budget and a breaker, and patient where the other side asks for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.runs.retries import BASE_MS, CAP_MS, MAX_RETRY_AFTER_MS, Retries
from tests.factories import NOW_MS


def delay(retries: Retries, *, attempt: int = 1, after_s: float | None = None, now_ms: int = NOW_MS) -> int | None:
    return retries.delay_ms("http", attempt=attempt, retry_after_s=after_s, now_ms=now_ms)


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 60))
def test_the_delay_is_anywhere_between_nothing_and_the_doubling_bound(random: float, attempt: int) -> None:
    found = delay(Retries(lambda: random), attempt=attempt)
    assert found is not None
    assert 0 <= found <= min(CAP_MS, BASE_MS * 2**attempt)


def test_the_bound_doubles_and_then_stays() -> None:
    bounds = [delay(Retries(lambda: 0.999999), attempt=n) for n in (1, 2, 3, 4, 10, 40)]
    assert [999, 1999, 3999, 7999, 29999, 29999] == bounds


def test_what_the_other_side_asks_for_is_waited_for() -> None:
    assert 20_000 == delay(Retries(lambda: 0.0), after_s=20)
    assert 999 == delay(Retries(lambda: 0.999999), after_s=0.1)


def test_a_wait_longer_than_ten_minutes_is_a_persons_business() -> None:
    assert MAX_RETRY_AFTER_MS == delay(Retries(lambda: 0.0), after_s=600)
    assert delay(Retries(lambda: 0.0), after_s=600.1) is None


def test_a_tool_that_is_hardly_used_has_three_retries_a_minute() -> None:
    retries = Retries(lambda: 0.0)
    assert [0, 0, 0, None] == [delay(retries) for _ in range(4)]
    assert delay(retries, now_ms=NOW_MS + 60_000) is None
    assert 0 == delay(retries, now_ms=NOW_MS + 60_001)


def test_a_busy_tool_has_a_tenth_of_its_calls() -> None:
    retries = Retries(lambda: 0.0)
    for _ in range(80):
        retries.record("http", ok=True, now_ms=NOW_MS)
    assert 8 == sum(delay(retries) is not None for _ in range(50))


def test_tools_do_not_share_a_budget() -> None:
    retries = Retries(lambda: 0.0)
    for _ in range(4):
        delay(retries)
    assert 0 == retries.delay_ms("shell", attempt=1, retry_after_s=None, now_ms=NOW_MS)


@pytest.mark.parametrize(("failures", "waits"), [(4, 0), (5, 30_000), (9, 30_000)])
def test_after_five_failures_in_a_row_a_tool_is_left_alone_for_half_a_minute(failures: int, waits: int) -> None:
    retries = Retries(lambda: 0.0)
    for _ in range(failures):
        retries.record("http", ok=False, now_ms=NOW_MS)
    assert waits == delay(retries)


def test_the_pause_runs_out_and_a_success_ends_it() -> None:
    retries = Retries(lambda: 0.0)
    for _ in range(5):
        retries.record("http", ok=False, now_ms=NOW_MS)
    assert 10_000 == delay(retries, now_ms=NOW_MS + 20_000)
    retries.record("http", ok=True, now_ms=NOW_MS + 20_000)
    assert 0 == delay(retries, now_ms=NOW_MS + 20_000)
