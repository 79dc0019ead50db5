"""Money: what a request to a model may cost at most, what it did cost, and how amounts are written.

Amounts are integers in millionths of a US dollar; prices are per million tokens, which makes a price of one dollar one
micro-dollar per token. What may be spent is decided on the budgets' locked rows (`core.store.holding`); here is only
the arithmetic. Rounding is always up: a budget is never overdrawn by a fraction.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal

MILLION = 1_000_000

MAX_USD = 1_000_000

_USD = re.compile(r"[0-9]{1,7}(\.[0-9]{1,6})?")


def micro_usd(text: str) -> int | None:
    """Read an amount such as `0.50`; `None` if it is none, or has more than six decimals."""
    if not _USD.fullmatch(text) or Decimal(text) > MAX_USD:
        return None
    return int(Decimal(text) * MILLION)


def usd_text(amount: int) -> str:
    """Write an amount for people: two decimals, and as many more as it needs below a dollar, rounded up."""
    places = 2 if amount >= MILLION else 4 if amount >= 100 else 6
    value = (Decimal(amount) / MILLION).quantize(Decimal(1).scaleb(-places), rounding=ROUND_CEILING)
    whole, _, part = f"{value:,}".partition(".")
    return f"${whole}.{part.rstrip('0').ljust(2, '0')}"


@dataclass(frozen=True)
class Price:
    """What tokens cost, in dollars per million: as text, so that nothing is rounded."""

    input: Decimal
    output: Decimal

    def cost(self, input_tokens: int, output_tokens: int) -> int:
        """What so many tokens cost, in micro-USD, rounded up."""
        exact = self.input * input_tokens + self.output * output_tokens
        return int(exact.to_integral_value(rounding=ROUND_CEILING))

    def at_most(self, prompt_bytes: int, max_output: int) -> int:
        """More than a request can cost: a token is never shorter than a byte."""
        return self.cost(prompt_bytes, max_output)


def settled(price: Price, input_tokens: int, output_tokens: int, *, reserved: int) -> int:
    """What a request is charged: what it reported, never less than nothing and never more than was reserved.

    Usage that is reported as negative, or beyond what was asked for, is somebody's mistake: the reserve stands for it.
    """
    if input_tokens < 0 or output_tokens < 0:
        return reserved
    return min(price.cost(input_tokens, output_tokens), reserved)


def day_of(now_ms: int) -> str:
    """The day a moment belongs to, in UTC: `2026-11-28`."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%d")


def month_of(now_ms: int) -> str:
    """The month a moment belongs to, in UTC: `2026-11`."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m")


def end_of(period: str) -> int | None:
    """When a day or a month is over, in UTC milliseconds; `None` = it is neither, and has no end."""
    parts = [int(part) for part in period.split("-") if part]
    if len(parts) < 2:
        return None
    begin = datetime(parts[0], parts[1], parts[2] if len(parts) > 2 else 1, tzinfo=UTC)
    end = begin + timedelta(days=1 if len(parts) > 2 else 32)
    return int((end if len(parts) > 2 else end.replace(day=1)).timestamp() * 1000)
