"""A real bot, a real playground, a real database and Redis; see `office.py`."""

import logging
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from bot.playground import Playground
from tests.databases import migrated_postgres, sqlite_template, sqlite_url
from tests.integration.bot_runtime.office import House, Running, Team, opened_playground

__all__ = ["migrated_postgres", "sqlite_template"]


@pytest.fixture
def database_url(tmp_path: Path, sqlite_template: Path) -> str:
    """SQLite, unless a module says otherwise."""
    shutil.copy(sqlite_template, tmp_path / "banksman.db")
    return sqlite_url(tmp_path / "banksman.db")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A bot that starts takes logging over; pytest wants it back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def playground(tmp_path: Path) -> AsyncIterator[Playground]:
    async with opened_playground(tmp_path / "team") as playground:
        yield playground


@pytest.fixture
def team(playground: Playground, session: aiohttp.ClientSession) -> Team:
    return Team(playground, session)


@pytest.fixture
async def house(tmp_path: Path, database_url: str, redis_url: str, playground: Playground) -> AsyncIterator[House]:
    """An installation without a bot yet."""
    house = House(tmp_path / "home", database_url, redis_url, playground)
    yield house
    await house.close()


@pytest.fixture
async def bot(house: House) -> Running:
    return await house.start_bot()


@pytest.fixture
def ready(house: House, bot: Running, team: Team) -> Callable[[], Awaitable[str]]:
    """Asks for a run in #data that is loaded and has its card: `run_id = await ready()`."""

    async def ready() -> str:
        await team.say("@banksman idle")
        run = await house.run()
        await team.card()
        return run.id

    return ready
