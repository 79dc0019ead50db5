"""Health tells the truth within a bounded time, whatever hangs."""

import asyncio

import pytest

from core.ops import health as module
from core.ops.health import OK, Finding, Health, works
from core.periodic import Pulse, every


async def good() -> Finding:
    return OK


async def test_it_is_ready_when_every_check_is_good() -> None:
    ready, body = await Health(
        "worker", {"lease": works(lambda: True, "lost")}, facts=lambda: {"sandbox": "none"}
    ).ready()

    assert ready
    assert {"ready": True, "part": "worker", "sandbox": "none", "checks": {"lease": {"state": "ok"}}} == body


async def test_what_is_degraded_is_said_and_does_not_make_it_unready() -> None:
    async def away() -> Finding:
        return Finding("degraded", "it does not answer")

    ready, body = await Health("bot", {"redis": away, "database": good}).ready()

    assert ready
    assert {"state": "degraded", "why": "it does not answer"} == body["checks"]["redis"]


async def test_a_check_that_raises_is_a_reason_without_its_text() -> None:
    async def broken() -> Finding:
        raise OSError("db.example.com: secret")

    ready, body = await Health("bot", {"database": broken}).ready()

    assert not ready
    assert {"state": "failed", "why": "it failed (OSError)"} == body["checks"]["database"]


async def test_a_check_that_hangs_is_asked_once_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECK_WITHIN_S", 0.05)
    asked = 0

    async def hangs() -> Finding:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()
        return OK

    health = Health("worker", {"database": hangs, "lease": good})
    found = [await health.ready() for _ in range(3)]
    await health.close()

    assert 1 == asked
    assert [False, False, False] == [ready for ready, _ in found]
    assert {"state": "failed", "why": "no answer within 0 s"} == found[0][1]["checks"]["database"]
    assert {"state": "ok"} == found[0][1]["checks"]["lease"]


async def test_a_loop_that_fails_lives_and_one_that_hangs_is_stuck() -> None:
    stop = asyncio.Event()
    failing, hanging = Pulse("failing", 0.2), Pulse("hanging", 0.2)

    async def fails() -> None:
        raise RuntimeError

    async def hangs() -> None:
        await stop.wait()

    loops = [
        asyncio.create_task(every(stop, lambda: 0.01, fails, failing)),
        asyncio.create_task(every(stop, lambda: 0.01, hangs, hanging)),
    ]
    health = Health("worker", {}, [failing, hanging])
    while "hanging" not in health.stuck():  # noqa: ASYNC110  # what it waits for is time
        await asyncio.sleep(0.01)

    assert failing.good_s_ago >= 0.2
    assert ["hanging"] == [name for name in health.stuck() if name != "failing"]
    stop.set()
    await asyncio.gather(*loops)
    assert [] == health.stuck()
