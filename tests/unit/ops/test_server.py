"""The door for operators' tools: three pages, and nothing a stranger can do to it."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.errors import ConfigError
from core.metrics import Measured
from core.ops import server
from core.ops.health import OK, Finding, Health, works
from core.ops.place import Place
from core.ops.server import serving

ANYWHERE = Place("127.0.0.1", 0)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection, closed at the end whoever hung up first."""
    host, port = url.removeprefix("http://").rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def say(url: str, raw: bytes) -> bytes:
    """Send bytes and read until the other side hangs up."""
    async with connected(url) as (reader, writer):
        try:
            writer.write(raw)
            await writer.drain()
            return await reader.read()
        except ConnectionError:
            return b""


async def get(url: str, path: str) -> tuple[int, bytes]:
    answer = await say(url, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with serving(ANYWHERE, Health("worker", {"lease": works(lambda: True, "lost")})) as url:
        assert url is not None
        yield url


async def test_the_three_pages(url: str) -> None:
    metrics = await get(url, "/metrics")
    alive, ready = await get(url, "/healthz"), await get(url, "/readyz")

    assert 200 == metrics[0]
    names = {family.name for family in text_string_to_metric_families(metrics[1].decode())}
    assert {"banksman_slice_duration_seconds", "banksman_part_info", "process_cpu_seconds"} <= names
    assert (200, {"alive": True, "part": "worker", "stuck": []}) == (alive[0], json.loads(alive[1]))
    assert (200, {"lease": {"state": "ok"}}) == (ready[0], json.loads(ready[1])["checks"])


async def test_without_a_port_there_is_no_door() -> None:
    async with serving(None, Health("worker", {})) as url:
        assert url is None


async def test_a_port_that_is_taken_is_said_at_once(url: str) -> None:
    taken = Place("127.0.0.1", int(url.rsplit(":", 1)[1]))

    with pytest.raises(ConfigError, match="BANKSMAN_METRICS_PORT"):
        async with serving(taken, Health("worker", {})):
            pass


async def test_it_is_not_ready_with_every_reason() -> None:
    checks = {"lease": works(lambda: False, "it was not renewed in time"), "serving": works(lambda: True, "")}
    async with serving(ANYWHERE, Health("worker", checks)) as url:
        assert url is not None
        status, body = await get(url, "/readyz")

    assert 503 == status
    assert {"state": "failed", "why": "it was not renewed in time"} == json.loads(body)["checks"]["lease"]


async def test_a_stuck_event_loop_is_an_answer_and_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LOOP_WITHIN_S", 0.5)
    monkeypatch.setattr(server, "_ANSWER_WITHIN_S", 0.3)
    async with serving(ANYWHERE, Health("worker", {"lease": works(lambda: True, "lost")})) as url:
        assert url is not None
        asking = asyncio.create_task(asyncio.to_thread(_from_outside, url))
        await asyncio.sleep(0.1)
        time.sleep(1.5)  # the loop of this process does nothing else meanwhile
        alive, ready = await asking

        assert ["event-loop"] == json.loads(alive)["stuck"]
        assert "event-loop" in json.loads(ready)["checks"]
        while (await get(url, "/healthz"))[0] != 200:  # noqa: ASYNC110  # what it waits for is another thread's
            await asyncio.sleep(0.05)
        assert 200 == (await get(url, "/readyz"))[0]


def _from_outside(url: str) -> tuple[bytes, bytes]:
    """Ask without an event loop, after a moment in which the loop got stuck."""
    time.sleep(0.8)
    port = int(url.rsplit(":", 1)[1])
    bodies = []
    for path in ("/healthz", "/readyz"):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as asked:
            asked.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            answer = b""
            while part := asked.recv(65_536):
                answer += part
        assert b" 503 " in answer.split(b"\r\n")[0]
        bodies.append(answer.partition(b"\r\n\r\n")[2])
    return bodies[0], bodies[1]


async def test_measures_are_read_once_for_many_and_their_failure_is_a_metric(url: str) -> None:
    asked = 0

    async def measures() -> Sequence[Measured]:
        nonlocal asked
        asked += 1
        return [Measured("outbox_open", "Open.", {"": 7})]

    async def broken() -> Sequence[Measured]:
        raise OSError

    health = Health("bot", {})
    async with serving(ANYWHERE, health, measures) as good, serving(ANYWHERE, health, broken) as bad:
        assert good is not None and bad is not None
        pages = [(await get(good, "/metrics"))[1] for _ in range(3)]
        lame = (await get(bad, "/metrics"))[1]

    assert 1 == asked
    assert all(b"banksman_outbox_open 7.0\n" in page and b"banksman_database_measured 1.0\n" in page for page in pages)
    assert b"banksman_database_measured 0.0\n" in lame and b"banksman_outbox_open" not in lame


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        pytest.param(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", 405, id="post"),
        pytest.param(b"DELETE /readyz HTTP/1.1\r\nHost: x\r\n\r\n", 405, id="delete"),
        pytest.param(b"GET /<script>alert(1)</script> HTTP/1.1\r\nHost: x\r\n\r\n", 404, id="path"),
        pytest.param(b"GET /metrics/../etc HTTP/1.1\r\nHost: x\r\n\r\n", 404, id="dots"),
        pytest.param(b"GET /healthz?x=<b> HTTP/1.1\r\nHost: x\r\n\r\n", 200, id="query"),
        pytest.param(b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", 400, id="huge-header"),
        pytest.param(b"GET /healthz HTTP/1.1\r\n" + b"A: b\r\n" * 5_000 + b"\r\n", 400, id="many-headers"),
        pytest.param(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", 400, id="huge-line"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, id="tls"),
    ],
)
async def test_what_is_no_question_gets_a_constant_answer(url: str, raw: bytes, status: int) -> None:
    answer = await say(url, raw)

    # A sender that is still talking when it is cut off may not get to read why.
    assert answer == b"" or answer.split(b" ")[1] == b"%d" % status
    assert b"script" not in answer and b"<b>" not in answer and b"aaaa" not in answer
    assert 200 == (await get(url, "/healthz"))[0]


async def test_a_head_that_never_ends_is_cut(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_WITHIN_S", 0.3)

    assert b"200" not in await say(url, b"GET /healthz HTTP/1.1\r\nX-Slow: ")


async def test_a_connection_is_cut_whatever_it_does(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CUT_AFTER_S", 0.3)
    monkeypatch.setattr(server, "HEAD_WITHIN_S", 60)
    async with connected(url) as (_, writer):
        with pytest.raises(ConnectionError):
            while True:
                writer.write(b"G")
                await writer.drain()
                await asyncio.sleep(0.02)


async def test_one_too_many_is_turned_away_and_those_before_are_served(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CONNECTIONS", 1)
    monkeypatch.setattr(server, "HEAD_WITHIN_S", 60)

    async def told() -> bytes:
        """What a connection hears that says nothing; one that is taken in before the first was counted hangs up."""
        async with connected(url) as (reader, _):
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(reader.read(), 0.2)
        return b""

    async with connected(url) as (reader, writer):
        while not (turned_away := await told()):
            pass
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await reader.read()

    assert turned_away.startswith(b"HTTP/1.1 503 ")
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_a_slow_check_costs_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs() -> Finding:
        await asyncio.Event().wait()
        return OK

    monkeypatch.setattr("core.ops.health.CHECK_WITHIN_S", 0.1)
    async with serving(ANYWHERE, Health("bot", {"database": hangs})) as url:
        assert url is not None
        answers = await asyncio.gather(*(get(url, "/readyz") for _ in range(10)))

    assert {503} == {status for status, _ in answers}
