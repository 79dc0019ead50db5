"""What the servers of all vendors have in common: a test says what is answered, and they keep what they were sent."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

Json = dict[str, Any]


@dataclass
class Say:
    """One answer of a model."""

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    """Name and arguments; arguments that are text are sent as they are, whatever they are."""
    ids: list[str] | None = None
    """Of the calls; left out: one each."""
    usage: tuple[int, int] | None = (100, 20)
    """Tokens read and written; `None` = it does not say."""
    model: str | None = None
    """Who says that it answered; left out: who was asked."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    """Whether the connection breaks in the middle."""
    drops: bool = False
    """Whether the connection breaks before anything is said."""
    stops: bool = False
    """Whether the answer ends in the middle, as if that were all."""
    fails: bool = False
    """Whether the vendor says in the middle that it cannot go on."""
    refuses: bool = False
    """Whether its filter ends the answer."""
    hang_s: float = 0.0
    """How long it says nothing before the first byte."""
    holds: asyncio.Event | None = None
    """Waited for in the middle of the answer."""
    raw: str | None = None
    """Sent in place of everything."""


@dataclass
class Vendor:
    """A running server."""

    url: str
    asked: list[Json] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[Say] = field(default_factory=list)
    served: list[Say] = field(default_factory=list)
    """What was answered, in the order in which it was begun."""
    times_ns: list[tuple[int, int]] = field(default_factory=list)
    """When each request had arrived, and when its answer had been written; CLOCK_MONOTONIC."""
    gate: asyncio.Event | None = None
    """What every answer waits for, if anything."""
    given_up: int = 0
    """How often whoever had asked went away before the end."""
    lines: Callable[[], int] = lambda: 0
    """How many connections it has."""
    answering: Callable[[Json], Say] | None = None
    """Says what is answered to a request, in place of `answers`."""

    def next(self, body: Json) -> Say:
        if self.answering is not None:
            return self.answering(body)
        self.served.append(self.answers.pop(0) if self.answers else Say("I have nothing more to say."))
        return self.served[-1]


@dataclass(frozen=True)
class Wire:
    """What one vendor's interface looks like."""

    path: str
    """Of the one thing that is asked; what is in braces becomes part of the body."""
    events: Callable[[Say, Json], Sequence[str | bytes]]
    """An answer as it is streamed."""
    trouble: str | bytes
    """What is said in the middle of an answer that cannot go on."""
    error: Callable[[int], tuple[Json, dict[str, str]]] = lambda status: (
        {"type": "error", "error": {"type": "made_up", "message": "as the test wants it"}},
        {},
    )
    """Body and headers of a refusal with this status."""
    content_type: str = "text/event-stream"


@asynccontextmanager
async def served(
    wire: Wire, answers: list[Say], *, certificate: tuple[Path, Path] | None = None
) -> AsyncIterator[Vendor]:
    """A server of one vendor on a free port of this machine.

    Args:
        certificate: Files of its certificate and key; left out, it speaks in the open.
    """
    vendor = Vendor("", answers=answers)

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await told(request)
        except (asyncio.CancelledError, ConnectionResetError):
            vendor.given_up += 1
            raise

    async def told(request: web.Request) -> web.StreamResponse:
        body = {**request.match_info, **await request.json()}
        arrived_ns = time.monotonic_ns()
        vendor.asked.append(body)
        vendor.headers.append(dict(request.headers))
        say = vendor.next(body)
        await asyncio.sleep(say.hang_s)
        if vendor.gate is not None:
            await vendor.gate.wait()
        if say.drops:
            assert request.transport is not None
            request.transport.abort()
        if say.status != 200:
            error, headers = wire.error(say.status)
            return web.json_response(error, status=say.status, headers=headers | say.headers)
        response = web.StreamResponse(headers={"Content-Type": wire.content_type})
        await response.prepare(request)
        if say.raw is not None:
            await response.write(say.raw.encode())
            return response
        events = wire.events(say, body)
        for number, event in enumerate(events):
            half = number == len(events) // 2
            if say.holds is not None and half:
                await say.holds.wait()
            if say.cut and half:
                assert request.transport is not None
                request.transport.abort()
                return response
            if say.stops and half:
                return response
            if say.fails and half:
                event = wire.trouble
            await response.write(event if isinstance(event, bytes) else event.encode())
            if say.fails and half:
                return response
        vendor.times_ns.append((arrived_ns, time.monotonic_ns()))
        return response

    application = web.Application(client_max_size=2**26)
    application.router.add_post(wire.path, answer)
    # Whoever is no longer waited for stops working, as a vendor does, rather than keeping the test.
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.2)
    await runner.setup()
    tls = None
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*certificate)
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    vendor.lines = lambda: len(runner.server.connections if runner.server is not None else ())
    vendor.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield vendor
    finally:
        await runner.cleanup()


def pieces(text: str) -> list[str]:
    return [text[at : at + 7] for at in range(0, len(text), 7)] if len(text) < 10_000 else [text]
