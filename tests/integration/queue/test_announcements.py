"""Announcements reach those who listen, and those who may have missed one are told to look."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import Redis

from core.announcements import Topic, listen
from core.queue import ArqDoorbell
from tests.integration.queue.conftest import MortalRedis, eventually

DoorbellOf = Callable[[str], ArqDoorbell]


class Listener:
    """A running `listen` and what it said."""

    def __init__(self, url: str, topic: Topic) -> None:
        self.heard: list[str] = []
        self.gaps = 0
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(listen(url, topic, self.heard.append, on_gap=self._count_gap, stop=self.stop))

    def _count_gap(self) -> None:
        self.gaps += 1


@pytest.fixture
async def listen_to() -> AsyncIterator[Callable[[str, Topic], Listener]]:
    """Start a listener that is stopped after the test: `listen_to(url, topic)`."""
    listeners: list[Listener] = []

    def start(url: str, topic: Topic) -> Listener:
        listeners.append(Listener(url, topic))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.stop.set()
        await listener.task


ListenTo = Callable[[str, Topic], Listener]


async def test_an_announcement_reaches_every_listener_of_its_topic_and_no_other(
    redis_url: str, listen_to: ListenTo, doorbell_of: DoorbellOf
) -> None:
    stops = [listen_to(redis_url, "stop") for _ in range(2)]
    deliveries = listen_to(redis_url, "delivery")
    await eventually(lambda: all(listener.gaps == 1 for listener in [*stops, deliveries]))

    doorbell = doorbell_of(redis_url)
    await doorbell.announce("stop", "run_a")
    await doorbell.announce("delivery", "run_b")
    await eventually(lambda: all(listener.heard for listener in [*stops, deliveries]))

    assert [["run_a"], ["run_a"], ["run_b"]] == [listener.heard for listener in [*stops, deliveries]]


async def test_a_listener_is_told_of_the_gap_after_the_server_came_back(
    mortal_redis: MortalRedis, listen_to: ListenTo, doorbell_of: DoorbellOf, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    listener, doorbell = listen_to(mortal_redis.url, "stop"), doorbell_of(mortal_redis.url)
    await eventually(lambda: listener.gaps == 1)

    mortal_redis.sigkill()
    await eventually(lambda: any(getattr(record, "action", "") == "doorbell_lost" for record in caplog.records))
    assert 1 == listener.gaps
    mortal_redis.start()
    await eventually(lambda: listener.gaps == 2)
    await doorbell.announce("stop", "run_b")
    await eventually(lambda: "run_b" in listener.heard)


async def test_a_connection_cut_by_the_server_is_a_gap_too(redis_url: str, listen_to: ListenTo) -> None:
    listener = listen_to(redis_url, "delivery")
    await eventually(lambda: listener.gaps == 1)

    async with Redis.from_url(redis_url) as client:
        await client.client_kill_filter(_type="pubsub")
    await eventually(lambda: listener.gaps == 2)


async def test_what_is_no_run_id_is_not_passed_on(redis_url: str, listen_to: ListenTo, doorbell_of: DoorbellOf) -> None:
    listener = listen_to(redis_url, "stop")
    await eventually(lambda: listener.gaps == 1)

    async with Redis.from_url(redis_url) as client:
        for planted in (b"\xff", b"", b"run a", b"x" * 65):
            await client.publish("banksman:stop", planted)
    await doorbell_of(redis_url).announce("stop", "run_a")
    await eventually(lambda: bool(listener.heard))

    assert ["run_a"] == listener.heard


async def test_an_error_of_the_listener_is_not_hidden(redis_url: str, doorbell_of: DoorbellOf) -> None:
    subscribed = asyncio.Event()

    def on_message(run_id: str) -> None:
        raise LookupError(run_id)

    listening = asyncio.create_task(listen(redis_url, "stop", on_message, on_gap=subscribed.set, stop=asyncio.Event()))
    await subscribed.wait()
    await doorbell_of(redis_url).announce("stop", "run_a")

    with pytest.raises(LookupError, match="run_a"):
        await listening


async def test_stopping_and_canceling_end_the_listening(redis_url: str) -> None:
    stopped, canceled = Listener(redis_url, "stop"), Listener(redis_url, "stop")
    await eventually(lambda: stopped.gaps == canceled.gaps == 1)

    stopped.stop.set()
    await stopped.task
    canceled.task.cancel()
    await asyncio.wait({canceled.task})

    assert canceled.task.cancelled()
