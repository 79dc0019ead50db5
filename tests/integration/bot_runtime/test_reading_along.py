"""People read along while a model writes, and in the end the whole text stands in the thread, once.

A worker is played: the test commits what one would, and says what one would over Redis.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from core.clock import SystemClock
from core.deltas import CHANNEL, Delta
from core.ids import TENANT
from core.planners.dialogue import Answer
from core.record.rows import RunRow
from core.record.states import RunState
from core.runs.draft import Draft
from tests.integration.bot_runtime.office import House, Running, Team, poll, words
from tests.integration.bot_runtime.test_damaged import flip

Json = dict[str, Any]
TEXT = "**All is well.** I have looked at every part of it. " * 6
ENDED = "completed after"


class Author:
    """A worker whose model writes a turn."""

    def __init__(self, house: House, redis: Redis, run: RunRow, turn: int = 1) -> None:
        self._house, self._redis, self.run, self.turn = house, redis, run, turn

    async def begins(self) -> None:
        def write(draft: Draft) -> None:
            if draft.state is RunState.CONTEXT_LOADED:
                draft.move(RunState.PLANNING)
            row = {"tenant": TENANT, "run_id": self.run.id, "n": self.turn, "requested_model": "clever-1"}
            draft.insert("model_turns", row | {"status": "started", "started_at": SystemClock().wall_ms()})
            draft.fact("model-asked")

        await self._house.change(self.run.id, write)

    async def says(self, text: str, at: int = 0) -> None:
        delta = Delta(TENANT, self.run.id, self.turn, at, text)
        assert await self._redis.publish(CHANNEL, delta.to_bytes()), "nobody listens"

    async def answers(self, text: str, *, damaged: bool = False) -> None:
        """The answer is durable, and the run ends with it."""
        data = Answer(self.turn, text, (), None, "clever-1", 1, 1).to_bytes()
        stored = await self._house.objects.put(_once(data), cap_bytes=len(data))

        def write(draft: Draft) -> None:
            now_ms = SystemClock().wall_ms()
            blob = {"tenant": TENANT, "sha256": stored.sha256, "size": stored.size, "created_at": now_ms}
            draft.insert("blobs", blob)
            values = {"status": "answered", "answer_sha256": stored.sha256}
            draft.update("model_turns", {"run_id": self.run.id, "n": self.turn}, values)
            draft.fact("model-answered")
            draft.end(RunState.COMPLETED, f"{text.strip()}\n\n(Nothing was checked.)", now_ms=now_ms)

        if damaged:
            flip(self._house, stored.sha256)
        await self._house.change(self.run.id, write)
        await self._redis.publish("banksman:delivery", self.run.id)

    async def fails(self) -> None:
        def write(draft: Draft) -> None:
            draft.update("model_turns", {"run_id": self.run.id, "n": self.turn}, {"status": "failed"})
            draft.fact("model-failed")

        await self._house.change(self.run.id, write)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as redis:
        yield redis


@pytest.fixture
def author(house: House, bot: Running, team: Team, redis: Redis) -> Callable[[], Awaitable[Author]]:
    """A run whose first turn is being answered: `writer = await author()`."""

    async def begin() -> Author:
        await team.say("@banksman idle")
        run = await house.run()
        await team.card()
        await listens(redis)
        writer = Author(house, redis, run)
        await writer.begins()
        return writer

    return begin


Begin = Callable[[], Awaitable[Author]]


async def listens(redis: Redis) -> None:
    """Wait until the bot hears what is told."""

    async def is_there() -> bool:
        return bool((await redis.pubsub_numsub(CHANNEL))[0][1])

    await poll(is_there, "the bot to listen")


async def shows(team: Team, text: str) -> list[Json]:
    """The messages that show an answer, oldest first, with exactly this text taken together."""

    async def look() -> list[Json]:
        found = await written(team)
        return found if letters("".join(plain(one) for one in found)) == letters(text) else []

    return list(await poll(look, f"the thread to show {text[:40]!r}"))


def letters(text: str) -> str:
    """A text without the white space that gets lost where two messages meet."""
    return "".join(text.split())


async def written(team: Team) -> list[Json]:
    """Messages written by a model."""
    return [one for one in await team.heard() if one["streamed"] or one["blocks"][0]["type"] == "markdown"]


def plain(message: Json) -> str:
    text = message["text"] if message["streamed"] else message["blocks"][0]["text"]
    return str(text).replace("\u2060", "")


async def is_open(team: Team) -> int:
    return len((await team.state())["streams"])


async def test_a_text_grows_in_one_stream_and_is_whole_in_the_end(team: Team, author: Begin) -> None:
    writer = await author()
    await writer.says(TEXT[:50])
    await shows(team, TEXT[:50])
    await writer.says(TEXT[50:200], 50)
    await shows(team, TEXT[:200])
    assert 1 == await is_open(team)

    await writer.answers(TEXT)
    ending = await team.hears(ENDED)

    assert 1 == len(await shows(team, TEXT))
    assert 0 == await is_open(team)
    assert "Its answer stands above. (Nothing was checked.)" in words(ending)
    assert "All is well" not in words(ending)


async def test_what_was_lost_on_the_way_is_there_in_the_end(team: Team, author: Begin) -> None:
    writer = await author()
    await writer.says(TEXT[:50])
    await writer.says(TEXT[20:50], 20)
    await shows(team, TEXT[:50])
    await writer.says(TEXT[100:150], 100)
    await shows(team, TEXT[:50] + TEXT[100:150])
    await writer.answers(TEXT)
    await team.hears(ENDED)

    assert 2 == len(await shows(team, TEXT))
    assert 0 == await is_open(team)


async def test_a_text_nobody_could_read_along_with_is_quoted_or_said_whole(team: Team, author: Begin) -> None:
    writer = await author()
    text = "\n".join(f"Line {n} of a long answer." for n in range(800))
    await writer.answers(text)
    await team.hears(ENDED)

    assert 2 <= len(await shows(team, text))


async def test_a_short_text_that_was_not_streamed_stands_in_the_ending_alone(team: Team, author: Begin) -> None:
    writer = await author()
    await writer.says("Done.")
    await writer.answers("Done.")

    assert "Done." in words(await team.hears(ENDED))
    assert [] == await written(team)


async def test_without_streams_one_message_is_updated(team: Team, author: Begin) -> None:
    await team.fault("refuse", method="chat.startStream", count=None, error="not_allowed_token_type")
    writer = await author()
    await writer.says(TEXT[:50])
    await shows(team, TEXT[:50])
    await writer.says(TEXT[50:200], 50)
    await shows(team, TEXT[:200])
    await writer.answers(TEXT)
    await team.hears(ENDED)

    assert 1 == len(await shows(team, TEXT))


async def test_a_stream_that_expired_is_followed_by_another(team: Team, author: Begin) -> None:
    writer = await author()
    await writer.says(TEXT[:50])
    await shows(team, TEXT[:50])
    await team.fault("expire_streams")
    await writer.says(TEXT[50:200], 50)
    await shows(team, TEXT[:200])
    await writer.answers(TEXT)
    await team.hears(ENDED)

    assert 2 == len(await shows(team, TEXT))
    assert 0 == await is_open(team)


async def test_a_text_too_long_for_one_message_goes_on_in_the_next(team: Team, author: Begin) -> None:
    text = "".join(f"Line {n} of a long answer.\n" for n in range(900))
    writer = await author()
    await writer.says(text[:4_000])
    await shows(team, text[:4_000])
    for at in range(4_000, len(text), 8_000):
        await writer.says(text[at : at + 8_000], at)
    await shows(team, text)
    await writer.answers(text)
    await team.hears(ENDED)

    assert 3 == len(await shows(team, text))
    assert 0 == await is_open(team)


@pytest.mark.parametrize("lost", ["chat.startStream", "chat.appendStream", "chat.stopStream"])
async def test_a_reply_that_is_lost_doubles_nothing(team: Team, author: Begin, lost: str) -> None:
    await team.fault("lose_reply", method=lost, count=1)
    writer = await author()
    await writer.says(TEXT[:50])
    await shows(team, TEXT[:50])
    await writer.says(TEXT[50:200], 50)
    await poll(lambda: _has(team, TEXT[150:200]), "the text to go on")
    await writer.answers(TEXT)
    await team.hears(ENDED)

    await shows(team, TEXT)
    assert 0 == await is_open(team)


async def _has(team: Team, text: str) -> bool:
    return any(text in plain(one) for one in await written(team))


async def test_a_bot_that_starts_finishes_what_the_last_one_began(
    house: House, bot: Running, team: Team, author: Begin, redis: Redis
) -> None:
    writer = await author()
    await writer.says(TEXT[:50])
    await shows(team, TEXT[:50])
    await bot.end()
    await writer.answers(TEXT)
    assert 1 == await is_open(team)

    await house.start_bot()
    ending = await team.hears(ENDED)

    assert 1 == len(await shows(team, TEXT))
    assert 0 == await is_open(team)
    assert "All is well" not in words(ending)


@pytest.mark.parametrize("lost", ["chat.startStream", "chat.postMessage"])
async def test_a_message_nobody_was_told_of_is_found_by_the_next_bot(
    house: House, bot: Running, team: Team, author: Begin, lost: str
) -> None:
    writer = await author()
    if lost == "chat.postMessage":
        await team.fault("refuse", method="chat.startStream", count=None)
    await team.fault("lose_reply", method=lost, count=1)
    await writer.says(TEXT[:50])
    await shows(team, TEXT[:50])
    await bot.end()
    await writer.answers(TEXT)

    await house.start_bot()
    ending = await team.hears(ENDED)

    assert 1 == len(await shows(team, TEXT))
    assert 0 == await is_open(team)
    assert "All is well" not in words(ending)


async def test_an_answer_that_is_damaged_leaves_no_stream_open(team: Team, author: Begin) -> None:
    writer = await author()
    await writer.says(TEXT[:50])
    await shows(team, TEXT[:50])
    await writer.answers(TEXT, damaged=True)

    assert "All is well" in words(await team.hears(ENDED))
    assert 0 == await is_open(team)
    assert await _has(team, "It broke off here.")


@pytest.mark.parametrize("how", ["killed", "failed", "frozen"])
async def test_a_turn_that_is_stopped_grows_no_further(team: Team, author: Begin, how: str) -> None:
    writer = await author()
    await writer.says(TEXT[:50])
    await shows(team, TEXT[:50])
    if how == "killed":
        await team.say("stop", thread_ts=writer.run.thread_ts)
    elif how == "failed":
        await writer.fails()
    else:
        await team.command(f"freeze run:{writer.run.id}", user="U0OPERATOR")
    await poll(lambda: _none_open(team), "the stream to be stopped")
    await writer.says(TEXT[50:200], 50)
    await writer.says("A marker for what came later.", 200)
    before = [plain(one) for one in await written(team)]

    if how == "frozen":
        assert [TEXT[:50].strip()] == [each.strip() for each in before]
    else:
        assert ["It broke off here." in each for each in before] == [True]
    other = Author(writer._house, writer._redis, writer.run, 2)
    if how == "failed":
        await other.begins()
        await other.says("Another try. " * 4)
        await poll(lambda: _has(team, "Another try."), "the next turn to be shown")
        assert before == [plain(one) for one in await written(team)][:1]


async def _none_open(team: Team) -> bool:
    return await is_open(team) == 0
