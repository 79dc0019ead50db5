"""Prices are those publicly known under the vendors' own names, or none."""

from decimal import Decimal

import pytest

from core.budgets import Price
from core.planners.agents import ModelSpec
from core.planners.prices import price_of


def spec(provider: str, model: str, *, window: int = 128_000, url: str | None = None) -> ModelSpec:
    return ModelSpec("main", provider, model, url, None, None, window, 1_000, None, 20.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-5-mini"),
        ("anthropic", "claude-sonnet-4-5"),
        ("google", "gemini-2.5-flash"),
        ("bedrock", "amazon.nova-pro-v1:0"),
        ("bedrock", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("bedrock", "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ],
)
def test_a_model_has_its_price_under_the_name_its_vendor_gives_it(provider: str, model: str) -> None:
    price = price_of(spec(provider, model))

    assert price is not None
    assert 0 < price.input < price.output


@pytest.mark.parametrize(
    ("provider", "model", "url"),
    [
        ("google", "gemini-of-nobody", None),
        ("bedrock", "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", None),
        ("google", "gemini-2.5-flash", "http://127.0.0.1:1"),
        ("openai-compatible", "gpt-5-mini", "http://127.0.0.1:1"),
    ],
)
def test_what_nobody_knows_the_price_of_has_none(provider: str, model: str, url: str | None) -> None:
    assert price_of(spec(provider, model, url=url)) is None


def test_where_long_prompts_cost_more_so_does_what_is_written_after_them() -> None:
    short, long = (price_of(spec("google", "gemini-2.5-pro", window=window)) for window in (100_000, 1_000_000))

    assert Price(Decimal("1.25"), Decimal(10)) == short
    assert Price(Decimal("2.5"), Decimal(15)) == long
