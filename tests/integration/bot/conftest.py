"""A real playground as Slack, our client before it, and a server of our own for what no Slack should do."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.delivery.limits import Limits
from bot.playground import Playground
from bot.slack import Redact, SlackClient, open_slack
from tests.integration.bot.slacks import TOKEN, OddSlack, People, Plenty, as_it_is, serve


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Playground]]]:
    """Starts a playground of this test, without rate limits unless asked for."""
    started: list[Playground] = []

    async def start(**options: Any) -> Playground:
        playground = Playground(tmp_path / f"team{len(started)}", **({"limits": False} | options))
        await playground.start()
        started.append(playground)
        return playground

    yield start
    for playground in started:
        await playground.stop()


@pytest.fixture
async def playground(start: Callable[..., Awaitable[Playground]]) -> Playground:
    return await start()


@pytest.fixture
def people(playground: Playground, session: aiohttp.ClientSession) -> People:
    return People(playground.base_url, session)


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Awaitable[SlackClient]]]:
    """Opens our client on an address; closed at the end."""
    async with AsyncExitStack() as stack:

        async def connect(
            api_url: str, *, redact: Redact = as_it_is, limits: Limits | None = None, timeout_s: float = 5
        ) -> SlackClient:
            unhurried = limits or Limits(per_minute={}, channel_interval_s=0.001)
            opened = open_slack(TOKEN, api_url, redact=redact, limits=unhurried, timeout_s=timeout_s)
            return await stack.enter_async_context(opened)

        yield connect


@pytest.fixture
async def slack(playground: Playground, connect: Callable[..., Awaitable[SlackClient]]) -> SlackClient:
    return await connect(playground.api_url, limits=Limits(per_minute=Plenty(), channel_interval_s=0.001))


@pytest.fixture
async def odd() -> AsyncIterator[OddSlack]:
    odd = OddSlack()
    runner = await serve(odd)
    yield odd
    await runner.cleanup()


@pytest.fixture
async def elsewhere() -> AsyncIterator[OddSlack]:
    """Somebody else's server; what arrives here has leaked."""
    odd = OddSlack()
    runner = await serve(odd)
    yield odd
    await runner.cleanup()
