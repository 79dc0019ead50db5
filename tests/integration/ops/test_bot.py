"""A real bot tells the truth: ready only while Slack reaches it, takes its token, and what is said can be stored."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from bot.playground import Playground
from tests.databases import sqlite_url
from tests.integration.bot_runtime.office import CONFIG, Team, opened_playground
from tests.integration.ops.part import Part, running
from tests.ports import free_port


@pytest.fixture
def file(home: Path, sqlite_template: Path) -> Path:
    """A SQLite database."""
    return Path(shutil.copy(sqlite_template, home / "banksman.db"))


@pytest.fixture
async def playground(tmp_path: Path) -> AsyncIterator[Playground]:
    async with opened_playground(tmp_path / "team") as playground:
        yield playground


@pytest.fixture
async def team(playground: Playground) -> AsyncIterator[Team]:
    async with aiohttp.ClientSession() as session:
        yield Team(playground, session)


@pytest.fixture
def settings(home: Path, file: Path, playground: Playground) -> dict[str, str]:
    (home / "banksman.yml").write_text(CONFIG)
    return {
        "BANKSMAN_DATABASE_URL": sqlite_url(file),
        "BANKSMAN_CONFIG": str(home / "banksman.yml"),
        "SLACK_BOT_TOKEN": "xoxb-playground",
        "SLACK_APP_TOKEN": "xapp-playground",
        "SLACK_API_URL": f"{playground.base_url}/api/",
    }


@pytest.fixture
async def bot(home: Path, settings: dict[str, str]) -> AsyncIterator[Part]:
    async with running("bot", home, **settings) as bot:
        await bot.ready()
        yield bot


async def reaches(bot: Part, name: str, least: float = 1) -> float:
    """Wait until a sample is there and large enough."""
    loop = asyncio.get_running_loop()
    until = loop.time() + 40
    while (found := (await bot.metrics()).get(name, -1.0)) < least:
        assert loop.time() < until, name
        await asyncio.sleep(0.2)
    return found


async def test_a_request_and_its_stop_move_counters_and_gauges(bot: Part, team: Team) -> None:
    await team.say("@banksman idle")
    await reaches(bot, "run_transitions_total{from_state=created,to_state=context-loaded}")
    await reaches(bot, "runs_open{state=context-loaded}")
    await reaches(bot, "slack_deliveries_total{kind=slack.card,outcome=sent}")
    assert (await bot.metrics())["slack_calls_total{method=chat.postMessage,outcome=ok}"] >= 1

    root = (await team.card())["ts"]
    await team.say("stop", thread_ts=(await team.card()).get("thread_ts", root))
    await reaches(bot, "stops_asked_total{surface=thread}")
    await reaches(bot, "stop_confirmation_seconds_count{}")
    found = await bot.metrics()

    assert 1 == found["stops_requested_total{}"]
    assert 1 == found["database_measured{}"]
    assert 0 == found["workers_alive{}"]


async def test_when_slack_is_gone_it_is_not_ready_and_alive(bot: Part, playground: Playground) -> None:
    assert "ok" == (await bot.checks())["slack"]

    await playground.stop()
    body = await bot.unready("slack")

    assert "what Slack sends does not reach this bot" == body["checks"]["slack"]["why"]
    assert 200 == (await bot.ask("/healthz"))[0]


async def test_a_token_that_is_refused_makes_it_unready(bot: Part, team: Team) -> None:
    await team.say("@banksman idle")
    await team.card()
    await team.fault("revoke_token")
    await team.say("@banksman idle")

    body = await bot.unready("token")

    assert "xoxb" not in json.dumps(body)


async def test_a_database_that_takes_no_writes_makes_it_unready(bot: Part, file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        body = await bot.unready("storing")
        other.execute("ROLLBACK")
    await bot.ready()

    assert "ok" == body["checks"]["database"]["state"]


async def test_another_schema_makes_it_unready(bot: Part, file: Path) -> None:
    with closing(sqlite3.connect(file)) as other, other:
        (ours,) = other.execute("SELECT version_num FROM alembic_version").fetchone()
        other.execute("UPDATE alembic_version SET version_num = 'x'")
    body = await bot.unready("database")
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("UPDATE alembic_version SET version_num = ?", (ours,))
    await bot.ready()

    assert "its schema is not the one of this version" == body["checks"]["database"]["why"]


async def test_over_http_it_is_ready_when_it_listens(home: Path, settings: dict[str, str]) -> None:
    del settings["SLACK_APP_TOKEN"]
    settings |= {"SLACK_SIGNING_SECRET": "playground-signing-secret", "BANKSMAN_HTTP_PORT": str(free_port())}
    async with running("bot", home, **settings) as bot:
        body = await bot.ready()
        async with bot.session.get(f"http://127.0.0.1:{settings['BANKSMAN_HTTP_PORT']}/metrics") as answer:
            assert 404 == answer.status, "Slack's door serves nothing of this"
        await reaches(bot, "http_requests_refused_total{reason=path}")

    assert "ok" == body["checks"]["slack"]["state"]
