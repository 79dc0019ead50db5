"""Connections to vendors: made when they are first needed, each with the way to close it.

No client retries anything: every request is one that a run has paid for.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

from core.planners.agents import ModelSpec

_NEEDS = {"google": "google.genai", "bedrock": "boto3"}
"""What `make cloud` installs for whom."""


def missing(provider: str) -> str | None:
    """What to do about a vendor whose library is not installed; `None` = it is."""
    try:
        if provider not in _NEEDS or find_spec(_NEEDS[provider]) is not None:
            return None
    except ImportError:  # what it is a part of is not there either
        pass
    return f"what models of {provider} need is not installed here. Run `make cloud`"


@dataclass
class Connection:
    """A model of the library with its client."""

    model: Any
    closes: tuple[Callable[[], Awaitable[Any]], ...]
    calling: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    """What a request is made within."""
    under_way: int = 0
    """How many requests use it."""
    retired: bool = False
    """Whether nobody begins another request with it; the last one closes it."""

    async def close(self) -> None:
        """Close what it asks over."""
        for close in self.closes:
            await close()


@dataclass(frozen=True)
class _Made:
    """What comes of connecting, which blocks."""

    model: Any
    closes: tuple[Callable[[], Awaitable[Any]], ...]
    """What is awaited to close it, in this order."""
    calling: Callable[[], AbstractAsyncContextManager[None]] = nullcontext


async def connect(spec: ModelSpec, key: str | None) -> Connection:
    """A connection of its own to the vendor of a model; nothing is asked yet.

    Raises:
        UserError: the vendor's library needs something that is not set. The class is that of the library that speaks
            to vendors.
    """
    made = await asyncio.to_thread(_made, spec, key)
    return Connection(made.model, made.closes, made.calling)


def _made(spec: ModelSpec, key: str | None) -> _Made:
    import pydantic_ai.direct  # noqa: F401  # here, on a thread, rather than in the time an answer has

    match spec.provider:
        case "openai" | "openai-compatible":
            from openai import AsyncOpenAI
            from pydantic_ai.models.openai import OpenAIChatModel
            from pydantic_ai.providers.openai import OpenAIProvider

            client = AsyncOpenAI(api_key=key or "none", base_url=spec.url, max_retries=0, timeout=spec.timeout_s)
            return _Made(OpenAIChatModel(spec.model, provider=OpenAIProvider(openai_client=client)), (client.close,))
        case "anthropic":
            from anthropic import AsyncAnthropic
            from pydantic_ai.models.anthropic import AnthropicModel
            from pydantic_ai.providers.anthropic import AnthropicProvider

            asked = AsyncAnthropic(api_key=key, base_url=spec.url, max_retries=0, timeout=spec.timeout_s)
            return _Made(AnthropicModel(spec.model, provider=AnthropicProvider(anthropic_client=asked)), (asked.close,))
        case "google":
            from pydantic_ai.models.google import GoogleModel

            from core.planners.vendors import gemini

            provider, over = gemini.connected(url=spec.url, key=key, timeout_s=spec.timeout_s)
            # A client that blocks comes along with it, unused.
            closes = over.aclose, partial(asyncio.to_thread, provider.client.close)
            return _Made(GoogleModel(spec.model, provider=provider), closes, gemini.calling)
        case "bedrock":
            from pydantic_ai.models.bedrock import BedrockConverseModel
            from pydantic_ai.providers.bedrock import BedrockProvider

            from core.planners.vendors import bedrock

            aws = bedrock.connected(url=spec.url, key=key, timeout_s=spec.timeout_s)
            model = BedrockConverseModel(spec.model, provider=BedrockProvider(bedrock_client=aws))
            return _Made(model, (partial(asyncio.to_thread, aws.close),), bedrock.calling)
    raise AssertionError(f"no library speaks {spec.provider}")
