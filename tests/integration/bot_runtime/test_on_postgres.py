"""The bot on PostgreSQL: what its queries and commits must do there as they do on SQLite."""

import asyncio

import pytest
from redis.asyncio import Redis

from core.clock import SystemClock
from core.ids import TENANT
from core.record.states import RunState
from core.store import inbox
from tests.databases import empty
from tests.integration.bot_runtime.office import House, Team, attached, poll, words
from tests.integration.bot_runtime.test_reading_along import ENDED, TEXT, Author, is_open, listens, shows


@pytest.fixture
def database_url(migrated_postgres: str) -> str:
    asyncio.run(empty(migrated_postgres))
    return migrated_postgres


async def test_a_request_its_card_its_files_and_its_ending(house: House, team: Team) -> None:
    await house.start_bot()
    await team.fault("duplicate", count=4, copies=2)
    await team.fault("lose_reply", method="chat.postMessage", count=1)
    await team.say("@banksman report", files=[attached("sales.csv")])
    run = await house.run()
    await team.card()

    await house.works(run.id, "Look hard")
    await poll(lambda: _shows(team, "Look hard"), "the card to move on")
    await house.completes(run.id, "a.csv")

    await team.hears(": completed after")
    await poll(lambda: _shows(team, "Completed"), "the card to show the end")
    assert 3 == len(await team.heard())
    await poll(lambda: _says(team, run.thread_ts, "closed"), "the thread's session to be closed")


async def _says(team: Team, thread_ts: str | None, status: str) -> bool:
    return [(thread_ts, status)] == [(one["thread_ts"], one["status"]) for one in (await team.state())["sessions"]]


async def _shows(team: Team, text: str) -> bool:
    return text in words(await team.card())


async def test_two_bots_and_a_stop_stored_by_one_that_died(house: House, team: Team) -> None:
    first = await house.start_bot()
    await house.start_bot()
    await team.say("@banksman idle")
    run = await house.run()
    card = await team.card()
    body = {"user": "U0REQUESTER", "team": None, "channel": "C0DATA", "ts": card["ts"]}
    received_at = SystemClock().wall_ms() - 20_000
    row = inbox.received(TENANT, "left", "reaction", body, now_ms=received_at)
    await house.database.journal.record([row])

    stopped = await house.run(RunState.CANCELED)
    assert received_at == stopped.killed_at
    await team.hears("Stop requested", user="U0REQUESTER")
    await first.end()
    await team.hears(": stopped after")
    assert (2, 1) == (len(await team.heard()), len(await team.heard(user="U0REQUESTER")))
    assert run.id == stopped.id


async def test_a_request_decided_later_and_a_refusal(house: House, team: Team) -> None:
    await house.start_bot()
    await team.fault("hang", method="users.info", seconds=2, count=2)
    await team.say("@banksman idle")
    await house.run()
    await team.card()

    await team.say("@banksman nonsense", channel="C0OPS")

    await team.hears("There is no playbook")
    assert 1 == len(await house.runs())


async def test_people_read_along_and_the_next_bot_makes_it_whole(house: House, team: Team, redis_url: str) -> None:
    bot = await house.start_bot()
    await team.say("@banksman idle")
    run = await house.run()
    async with Redis.from_url(redis_url) as redis:
        await listens(redis)
        writer = Author(house, redis, run)
        await writer.begins()
        await writer.says(TEXT[:50])
        await shows(team, TEXT[:50])
        await bot.end()
        await writer.answers(TEXT)
        await house.start_bot()

        await team.hears(ENDED)
    assert 1 == len(await shows(team, TEXT))
    assert 0 == await is_open(team)
