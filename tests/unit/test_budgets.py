"""Amounts of money: read exactly, written so that nothing is lost, always rounded against the spender."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.budgets import Price, day_of, micro_usd, month_of, settled, usd_text

PRICE = Price(Decimal("0.15"), Decimal("0.6"))


@pytest.mark.parametrize(
    ("text", "amount"),
    [("0.50", 500_000), ("3", 3_000_000), ("0.000001", 1), ("0", 0), ("1000000", 10**12), ("0.0000001", None),
     ("-1", None), ("1e3", None), ("", None), ("1,5", None), (".5", None), ("1000001", None), ("1.", None)],
)  # fmt: skip
def test_amounts_are_read_exactly_or_not_at_all(text: str, amount: int | None) -> None:
    assert amount == micro_usd(text)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000001"),
        (150, "$0.0002"),
        (9_999, "$0.01"),
        (12_345, "$0.0124"),
        (500_000, "$0.50"),
        (1_234_567_891, "$1,234.57"),
    ],
)
def test_amounts_are_written_for_people(amount: int, text: str) -> None:
    assert text == usd_text(amount)


def test_a_fraction_of_a_micro_dollar_counts_as_one() -> None:
    assert 1 == PRICE.cost(1, 0)
    assert 1 == PRICE.cost(0, 1)
    assert 0 == PRICE.cost(0, 0)


@given(st.integers(0, 10**7), st.integers(0, 10**6), st.integers(0, 10**7), st.integers(0, 10**6))
def test_what_is_charged_is_never_more_than_was_reserved(prompt: int, most: int, read: int, wrote: int) -> None:
    reserved = PRICE.at_most(prompt, most)

    charged = settled(PRICE, read, wrote, reserved=reserved)

    assert 0 <= charged <= reserved
    if read <= prompt and wrote <= most:
        assert PRICE.cost(read, wrote) == charged


@pytest.mark.parametrize(("read", "wrote"), [(-1, 5), (5, -1)])
def test_usage_below_nothing_counts_as_all_of_it(read: int, wrote: int) -> None:
    assert 77 == settled(PRICE, read, wrote, reserved=77)


def test_days_and_months_are_those_of_utc() -> None:
    last_ms = 1_798_761_599_999

    assert ("2026-12-31", "2026-12") == (day_of(last_ms), month_of(last_ms))
    assert ("2027-01-01", "2027-01") == (day_of(last_ms + 1), month_of(last_ms + 1))
