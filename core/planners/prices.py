"""What a model is publicly known to cost, where the operator's file does not say."""

from decimal import Decimal

from core.budgets import MILLION, Price
from core.planners.agents import ModelSpec

_PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "google": "google", "bedrock": "aws"}


def price_of(spec: ModelSpec) -> Price | None:
    """The price of a model, or `None` if nobody knows it: then nothing may be asked of it.

    Where longer prompts cost more for each token, it is the price of the longest.
    """
    if spec.price is not None:
        return spec.price
    if spec.provider == "script":
        return Price(Decimal(0), Decimal(0))
    provider = _PROVIDERS.get(spec.provider)
    if provider is None or spec.url is not None:
        return None  # somebody else's server, whatever it calls its models
    from genai_prices import Usage, calc_price  # takes a while, and most processes never need it

    try:
        # What is written after a long prompt may cost more as well.
        both = calc_price(Usage(input_tokens=spec.window, output_tokens=MILLION), spec.model, provider_id=provider)
    except LookupError:
        return None
    return Price(Decimal(both.input_price) * MILLION / spec.window, Decimal(both.output_price))
