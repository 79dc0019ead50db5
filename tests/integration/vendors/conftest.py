"""Every vendor's interface on this machine, and the models that ask over it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from core.budgets import Price
from core.planners.agents import ModelSpec
from core.planners.dialogue import Answer, Prompt, Returned, Told, ToolSpec
from core.planners.model import Models
from tests.vendors import AWS, VENDORS, Say, Vendor

LOOK = ToolSpec("files-look", "Looks.", {"type": "object", "properties": {"path": {"type": "string"}}}, "files.look")


@dataclass
class Line:
    """One vendor and a way to ask it."""

    provider: Any
    models: Models
    heard: list[str] = field(default_factory=list)
    """What was written, piece by piece."""

    def server(self, *answers: Say) -> AbstractAsyncContextManager[Vendor]:
        return VENDORS[self.provider](*answers)

    def spec(self, url: str, *, timeout_s: float = 20.0) -> ModelSpec:
        price = Price(Decimal(1), Decimal(1))
        return ModelSpec("main", self.provider, "clever-1", url, None, None, 100_000, 1_000, price, timeout_s)

    async def ask(self, url: str, *said: Told | Answer | Returned, n: int = 1, timeout_s: float = 20.0) -> Answer:
        """One turn."""
        prompt = Prompt("Be good.", said or (Told("Look."),), (LOOK,))
        key = None if self.provider in ("bedrock", "openai-compatible") else "a-key-1234"
        spec = self.spec(url, timeout_s=timeout_s)
        return await self.models.answer(spec, prompt, n=n, position=0, key=key, on_text=self.heard.append)


@pytest.fixture(params=VENDORS)
async def line(request: pytest.FixtureRequest, aws: None) -> AsyncIterator[Line]:
    """Each vendor in turn."""
    line = Line(request.param, Models())
    yield line
    await line.models.close()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """What AWS's library finds in the environment."""
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
async def models() -> AsyncIterator[Models]:
    models = Models()
    yield models
    await models.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that will happen; the test's own time limit is the deadline."""
    while not condition():  # noqa: ASYNC110  # nothing says so
        await asyncio.sleep(0.01)
