"""A bot in HTTP mode and the team that posts to it; see `house.py`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.playground import Playground
from tests.integration.bot_http.house import SECRET, HttpHouse
from tests.integration.bot_runtime.conftest import database_url, logging_as_before, session, sqlite_template, team
from tests.integration.bot_runtime.office import Running, opened_playground
from tests.ports import free_port

__all__ = ["database_url", "logging_as_before", "session", "sqlite_template", "team"]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
async def playground(tmp_path: Path, port: int) -> AsyncIterator[Playground]:
    url = f"http://127.0.0.1:{port}/slack/events"
    async with opened_playground(tmp_path / "team", http_url=url, signing_secret=SECRET) as playground:
        yield playground


@pytest.fixture
async def house(
    tmp_path: Path, database_url: str, redis_url: str, playground: Playground, port: int
) -> AsyncIterator[HttpHouse]:
    """An installation without a bot yet."""
    house = HttpHouse(tmp_path / "home", database_url, redis_url, playground, port)
    yield house
    await house.close()


@pytest.fixture
async def bot(house: HttpHouse) -> Running:
    return await house.start_bot()
