"""Durations and sizes: written with units, kept in milliseconds and bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config.quantities import duration_text, parse_duration_ms, parse_size_bytes, size_text
from core.nearest import did_you_mean, nearest


@pytest.mark.parametrize(
    ("text", "ms"),
    [("250ms", 250), ("60s", 60_000), ("30m", 1_800_000), ("1h30m", 5_400_000), ("24h", 86_400_000), ("0s", 0)],
)
def test_durations_are_read(text: str, ms: int) -> None:
    assert ms == parse_duration_ms(text)


@pytest.mark.parametrize("text", ["", "60", "s", "1.5h", "30m1h", "1h 30m", "-1s", "1w", "60S", "1h1h", "٣s"])
def test_what_is_no_duration_is_none(text: str) -> None:
    assert parse_duration_ms(text) is None


@pytest.mark.parametrize(
    ("text", "count"), [("1B", 1), ("50MB", 50_000_000), ("50 MB", 50_000_000), ("1GiB", 2**30), ("2KiB", 2048)]
)
def test_sizes_are_read(text: str, count: int) -> None:
    assert count == parse_size_bytes(text)


@pytest.mark.parametrize("text", ["", "50", "50mb", "1.5GB", "-1B", "1TB", "MB"])
def test_what_is_no_size_is_none(text: str) -> None:
    assert parse_size_bytes(text) is None


@given(st.integers(0, 10**12))
def test_what_is_shown_can_be_read_again(count: int) -> None:
    assert count == parse_duration_ms(duration_text(count))
    assert count == parse_size_bytes(size_text(count))


def test_the_nearest_name_forgives_case_and_dashes() -> None:
    assert "key-ttl" == nearest("KEY_TTL", ["timeout", "key-ttl"])
    assert "recovery" == nearest("recvoery", ["tier", "recovery"])
    assert nearest("zzz", ["tier", "recovery"]) is None


def test_what_is_not_near_gets_the_list() -> None:
    assert "Tools: `a`, `b`." == did_you_mean("zzz", ["a", "b"], noun="Tools")
    assert "" == did_you_mean("zzz", [])
    assert did_you_mean("zzz", [f"n{i}" for i in range(30)]).endswith("and 18 more.")
