"""Rate limits: what passes, what has to wait, and for how long."""

import pytest

from bot.playground.limits import RateLimits


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_tier_takes_a_minutes_worth_at_once_and_then_its_rate(clock):
    limits = RateLimits(1.0, clock)

    assert [None] * 50 == [limits.take("chat.update", 3) for _ in range(50)]
    assert 2 == limits.take("chat.update", 3)
    clock.now += 1.2
    assert None is limits.take("chat.update", 3)
    assert 2 == limits.take("chat.update", 3)


def test_a_channel_takes_one_message_a_second_after_a_small_burst(clock):
    limits = RateLimits(1.0, clock)

    assert [None] * 4 + [1] == [limits.take("chat.postMessage", 3, "C1") for _ in range(5)]
    assert None is limits.take("chat.postMessage", 3, "C2")
    clock.now += 1
    assert None is limits.take("chat.postMessage", 3, "C1")


def test_methods_have_buckets_of_their_own_and_a_refusal_costs_nothing(clock):
    limits = RateLimits(1.0, clock)
    for _ in range(25):
        limits.take("users.list", 2)

    assert 3 == limits.take("users.list", 2)
    assert None is limits.take("conversations.list", 2)
    clock.now += 3
    assert None is limits.take("users.list", 2)


def test_limits_can_be_scaled_or_switched_off(clock):
    tight, off = RateLimits(0.1, clock), RateLimits(None, clock)

    assert [None] * 5 == [tight.take("chat.update", 3) for _ in range(5)]
    assert 12 == tight.take("chat.update", 3)
    assert [None] * 1000 == [off.take("chat.update", 3) for _ in range(1000)]


async def test_a_limited_call_is_answered_429_with_the_time_to_wait(start, client_of, people_of, refused):
    playground = await start()
    client = client_of(playground)
    for name in ("C0OPS", "#ops", "ops", "C0OPS"):
        await client.chat_postMessage(channel=name, text="x")

    with pytest.raises(Exception, match="ratelimited") as caught:
        await client.chat_postMessage(channel="C0OPS", text="one too many")

    assert (429, "1") == (caught.value.response.status_code, caught.value.response.headers["Retry-After"])
    assert 4 == len(await people_of(playground).bot_messages())
    await client.chat_postMessage(channel="C0DATA", text="elsewhere")
