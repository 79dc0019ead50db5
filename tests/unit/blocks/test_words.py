"""Quantities and states read the way people write them."""

import pytest

from bot.blocks import words
from core.record.states import BlockedReason, RunState
from tests.unit.blocks.anything import NOW_MS
from tests.unit.blocks.models import a_stop


@pytest.mark.parametrize(
    ("span_ms", "expected"),
    [
        (-5, "0.0 s"),
        (420, "0.4 s"),
        (9_999, "10.0 s"),
        (42_000, "42 s"),
        (185_000, "3 min 05 s"),
        (7_620_000, "2 h 07 min"),
        (273_600_000, "3 d 4 h"),
    ],
)
def test_durations(span_ms: int, expected: str) -> None:
    assert expected == words.duration(span_ms)


@pytest.mark.parametrize(
    ("count_bytes", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (4200, "4.2 kB"),
        (999_600, "1.0 MB"),
        (50_000_000, "50 MB"),
        (10**16, "10000 TB"),
    ],
)
def test_sizes(count_bytes: int, expected: str) -> None:
    assert expected == words.size(count_bytes)


@pytest.mark.parametrize(
    ("micro_usd", "expected"),
    [(0, "$0.0000"), (1, "under $0.0001"), (12_300, "$0.0123"), (1_000_000, "$1.00"), (1_234_567_890, "$1,234.57")],
)
def test_money(micro_usd: int, expected: str) -> None:
    assert expected == words.money(micro_usd)


@pytest.mark.parametrize(
    ("before_ms", "expected"),
    [(-1, "just now"), (59_000, "just now"), (60_000, "1 min ago"), (7_200_000, "2 h ago"), (200_000_000, "2 d ago")],
)
def test_ages(before_ms: int, expected: str) -> None:
    assert expected == words.ago(NOW_MS - before_ms, NOW_MS)


def test_every_state_and_reason_has_words() -> None:
    assert set(RunState) == set(words.STATE_WORDS)
    assert set(BlockedReason) == set(words.REASON_WORDS)


def test_a_stop_that_is_not_proved_is_not_called_stopped() -> None:
    assert "Stopping" == words.badge(RunState.CANCELED, a_stop(confirmed_at_ms=None))[1]
    assert "Stopped" == words.badge(RunState.CANCELED, a_stop())[1]
