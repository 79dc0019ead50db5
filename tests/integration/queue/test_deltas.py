"""What models write is told while they write: in order, without secrets, over outages, and only while it matters."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.asyncio import Redis

from core.deltas import CHANNEL, Delta, RedisSpeaker, listen_to_deltas
from core.ids import TENANT
from core.secrets import Redactor
from tests.integration.queue.conftest import MortalRedis, eventually

SECRET = "a-very-secret-token"
PROSE = "I have looked at all of it, and this is what I found out about it. " * 8


@pytest.fixture
async def listen_to() -> AsyncIterator[Callable[[str], Awaitable[list[Delta]]]]:
    """Hears everything that is told: `heard = await listen_to(url)`."""
    stop = asyncio.Event()
    listening: list[asyncio.Task[None]] = []

    async def start(url: str) -> list[Delta]:
        heard: list[Delta] = []
        listening.append(asyncio.create_task(listen_to_deltas(url, heard.append, stop=stop)))
        async with Redis.from_url(url) as redis:

            async def is_there() -> bool:
                return bool((await redis.pubsub_numsub(CHANNEL))[0][1])

            await eventually(is_there)
        return heard

    yield start
    stop.set()
    await asyncio.gather(*listening)


@pytest.fixture
async def speaker_of() -> AsyncIterator[Callable[[str], RedisSpeaker]]:
    """Makes speakers that are closed after the test."""
    made: list[RedisSpeaker] = []

    def make(url: str) -> RedisSpeaker:
        made.append(RedisSpeaker(url, Redactor({"TOKEN": SECRET}).redact_beginning))
        return made[-1]

    yield make
    for speaker in made:
        await speaker.close()


ListenTo = Callable[[str], Awaitable[list[Delta]]]
SpeakerOf = Callable[[str], RedisSpeaker]


def text_of(heard: list[Delta]) -> str:
    """What a listener has, which fails if a piece is not where it says."""
    text = ""
    for delta in heard:
        assert len(text) == delta.at
        text += delta.text
    return text


async def test_what_was_written_during_an_outage_is_told_after_it(
    mortal_redis: MortalRedis, listen_to: ListenTo, speaker_of: SpeakerOf
) -> None:
    mortal_redis.stop()
    speech = speaker_of(mortal_redis.url).begin(TENANT, "run_a", 3)
    speech.add(PROSE)

    mortal_redis.start()
    heard = await listen_to(mortal_redis.url)
    speech.add(PROSE)
    await eventually(lambda: len(PROSE) < sum(len(delta.text) for delta in heard))

    assert (PROSE * 2).startswith(text_of(heard))


async def test_a_turn_that_is_over_is_told_no_further(
    redis_url: str, listen_to: ListenTo, speaker_of: SpeakerOf
) -> None:
    heard = await listen_to(redis_url)
    speaker = speaker_of(redis_url)
    over, other = speaker.begin(TENANT, "run_a", 1), speaker.begin(TENANT, "run_b", 1)
    over.add(PROSE)
    other.add(PROSE)
    over.end()
    await eventually(lambda: bool(heard))

    assert {"run_b"} == {delta.run_id for delta in heard}
    async with Redis.from_url(redis_url) as redis:
        for data in (
            b"",
            b"[]",
            b"\xff",
            b'{"v":1,"tenant":"t","run":"a b","turn":1,"at":0,"text":""}',
            b"9" * 200_000,
        ):
            await redis.publish(CHANNEL, data)
    other.add(PROSE)
    await eventually(lambda: len(PROSE) < len(text_of(heard)))
