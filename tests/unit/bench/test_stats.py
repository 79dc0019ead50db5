"""The arithmetic behind the rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats import latencies, per_1000, percentile, rate

VALUES = st.lists(st.integers(0, 10**12), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0, 10), (0.25, 20), (0.5, 30), (0.75, 40), (1, 50), (0.1, 14), (0.99, 49.6)],
)
def test_a_percentile_lies_on_the_line_between_its_neighbours(share: float, expected: float) -> None:
    assert expected == pytest.approx(percentile([50, 10, 40, 20, 30], share))


def test_the_median_of_two_values_is_their_middle() -> None:
    assert 1.5 == percentile([2, 1], 0.5)


def test_every_percentile_of_one_value_is_that_value() -> None:
    assert [7, 7, 7] == [percentile([7], share) for share in (0, 0.5, 1)]


@given(VALUES, st.floats(0, 1))
def test_a_percentile_is_never_outside_the_values(values: list[int], share: float) -> None:
    assert min(values) <= percentile(values, share) <= max(values)


@given(VALUES, st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_never_has_a_smaller_percentile(values: list[int], one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert percentile(values, low) <= percentile(values, high) + 1e-6 * max(values)


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 1.1), ([1.0], -0.1)])
def test_a_percentile_that_does_not_exist_is_refused(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="no percentile"):
        percentile(values, share)


def test_latencies_are_milliseconds_of_nanoseconds() -> None:
    assert {"n": 3, "p50_ms": 2.0, "p99_ms": 2.98, "min_ms": 1.0, "max_ms": 3.0} == latencies(
        [3_000_000, 1_000_000, 2_000_000]
    )


def test_nothing_measured_has_no_figures() -> None:
    assert {"n": 0} == latencies([])


def test_a_rate_is_per_second() -> None:
    assert 400.0 == rate(1_000, 2_500_000_000)


def test_what_each_thousand_added_can_be_less_than_nothing() -> None:
    assert (3.0, -2.0) == (per_1000(80, 95, 5_000), per_1000(81, 80, 500))
