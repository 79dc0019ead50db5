"""The door for operators' tools: `/metrics`, `/healthz` and `/readyz` of one process.

It has a thread and an event loop of its own, so that it can say that the process' loop does not answer instead of not
answering itself. What has to be asked of that loop is asked once at a time and waited for a bounded time. Nothing is
taken from a request but its method and its path.
"""

import asyncio
import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from aiohttp import hdrs, web

from core import metrics
from core.door import BACKLOG, Connection, TurnedAway, closing, is_loopback, listening, plain
from core.metrics import Measured
from core.ops.health import CHECK_WITHIN_S, Health
from core.ops.place import Place

log = logging.getLogger(__name__)

CONNECTIONS = 32
HEAD_WITHIN_S = 3.0
CUT_AFTER_S = 15.0
LOOP_WITHIN_S = 5.0
"""An event loop that was not at this for longer is stuck."""

MEASURED = "database_measured"
"""The gauge that says whether the others of the database are there."""

_BEAT_S = 0.25
_ANSWER_WITHIN_S = CHECK_WITHIN_S + 1.0
_MEASURES_FRESH_S = 5.0
_CLOSE_WITHIN_S = 5.0

T = TypeVar("T")

Measures = Callable[[], Awaitable[Sequence[Measured]]]
"""Reads what only the database knows."""


class _Question(Generic[T]):
    """Something only the process' own loop can answer, asked of it from this thread, once at a time."""

    def __init__(self, home: asyncio.AbstractEventLoop, ask: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._home = home
        self._ask = ask
        self._asked: Future[T] | None = None

    async def answer(self) -> T:
        """The answer.

        Raises:
            TimeoutError: it did not come in time; whoever asks next waits for the same one.
        """
        if self._asked is None or self._asked.done():
            self._asked = asyncio.run_coroutine_threadsafe(self._ask(), self._home)
        asked = asyncio.wrap_future(self._asked)
        done, _ = await asyncio.wait({asked}, timeout=_ANSWER_WITHIN_S)
        if not done:
            raise TimeoutError
        return asked.result()


class _Door:
    """What the thread serves."""

    def __init__(self, home: asyncio.AbstractEventLoop, health: Health, measures: Measures | None) -> None:
        self.beat_s = time.monotonic()
        """When the process' loop was last at it; set from there."""
        self._health = health
        self._ready = _Question(home, health.ready)
        self._measured: tuple[float, Sequence[Measured]] = (float("-inf"), ())
        self._measuring = None if measures is None else _Question(home, _whole(measures))
        self._server = web.Server(self._answer)
        self._pages: Mapping[str, Callable[[], Awaitable[web.Response]]] = {
            "/metrics": self._metrics,
            "/healthz": self._healthz,
            "/readyz": self._readyz,
        }

    async def serve(self, listener: socket.socket, over: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._connection, sock=listener, backlog=BACKLOG)
        try:
            await over.wait()
        finally:
            # asyncio loses a connection that it accepts while its server closes; so first no more of them.
            loop.remove_reader(listener.fileno())
            await asyncio.sleep(0)
            server.close()
            await self._server.shutdown(0.5)

    def _connection(self) -> asyncio.Protocol:
        if len(self._server.connections) >= CONNECTIONS:
            return TurnedAway()
        return Connection(self._server, lambda _why: None, head_within_s=HEAD_WITHIN_S, cut_after_s=CUT_AFTER_S)

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        page = self._pages.get(request.rel_url.raw_path)
        if page is None:
            return plain(404)
        if request.method not in (hdrs.METH_GET, hdrs.METH_HEAD):
            return plain(405)
        try:
            return await page()
        except Exception:
            log.exception("an operator's question failed", extra={"action": "ops_failed"})
            return plain(503)

    async def _metrics(self) -> web.Response:
        body = await asyncio.get_running_loop().run_in_executor(None, metrics.rendered, await self._measures())
        return closing(web.Response(body=body, headers={hdrs.CONTENT_TYPE: metrics.CONTENT_TYPE}))

    async def _measures(self) -> Sequence[Measured]:
        """What the database says, at most some seconds old; if it says nothing, that alone."""
        if self._measuring is None:
            return ()
        if time.monotonic() - self._measured[0] > _MEASURES_FRESH_S:
            try:
                measured = await self._measuring.answer()
            except Exception as error:
                log.warning("the database was not measured: %r", error, extra={"action": "not_measured"})
                return (_up(0),)
            self._measured = time.monotonic(), (*measured, _up(1))
        return self._measured[1]

    async def _healthz(self) -> web.Response:
        stuck = ["event-loop"] if time.monotonic() - self.beat_s > LOOP_WITHIN_S else []
        stuck += self._health.stuck()
        return _said(not stuck, {"alive": not stuck, "part": self._health.part, "stuck": stuck})

    async def _readyz(self) -> web.Response:
        try:
            return _said(*await self._ready.answer())
        except TimeoutError:
            late = {"event-loop": {"state": "failed", "why": f"no answer within {_ANSWER_WITHIN_S:.0f} s"}}
            return _said(False, {"ready": False, "part": self._health.part, "checks": late})


def _whole(measures: Measures) -> Callable[[], Coroutine[Any, Any, Sequence[Measured]]]:
    async def ask() -> Sequence[Measured]:
        return await measures()

    return ask


def _up(value: float) -> Measured:
    return Measured(MEASURED, "Whether the database answered the questions behind the gauges.", {"": value})


def _said(good: bool, body: Mapping[str, Any]) -> web.Response:
    text = json.dumps(body, indent=2) + "\n"
    return closing(web.Response(status=200 if good else 503, text=text, content_type="application/json"))


@asynccontextmanager
async def serving(place: Place | None, health: Health, measures: Measures | None = None) -> AsyncIterator[str | None]:
    """Serve the three pages while the body runs; its address, also said in the log and on stdout as `metrics URL`.

    Args:
        place: Where to listen; `None` = nowhere.
        measures: Asked when somebody reads `/metrics`, at most every five seconds.

    Raises:
        ConfigError: the address cannot be had.
    """
    metrics.PARTS.labels(health.part).set(1)
    if place is None:
        yield None
        return
    remedy = "Stop what uses that port, set another BANKSMAN_METRICS_PORT, or unset it."
    listener = listening(place.host, place.port, who="The endpoint for metrics", remedy=remedy)
    port = listener.getsockname()[1]
    url = f"http://{f'[{place.host}]' if ':' in place.host else place.host}:{port}"
    door = _Door(asyncio.get_running_loop(), health, measures)
    inside: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def live() -> None:
        over = asyncio.Event()
        inside.set_result((asyncio.get_running_loop(), over))
        await door.serve(listener, over)

    # A daemon: a door that cannot be closed must not keep the process.
    thread = threading.Thread(target=lambda: asyncio.run(live()), name="ops", daemon=True)
    thread.start()
    loop, over = await asyncio.wrap_future(inside)
    beating = asyncio.create_task(_beat(door), name="ops-beat")
    log.info("metrics and health at %s", url, extra={"action": "ops_listening", "url": url})
    if not is_loopback(place.host):
        log.warning(
            "metrics and health on %s: whoever reaches it can read them",
            place.host,
            extra={"action": "ops_exposed"},
        )
    print(f"metrics {url}", flush=True)
    try:
        yield url
    finally:
        beating.cancel()
        with contextlib.suppress(RuntimeError):  # its loop is gone already
            loop.call_soon_threadsafe(over.set)
        await asyncio.to_thread(thread.join, _CLOSE_WITHIN_S)
        await health.close()


async def _beat(door: _Door) -> None:
    while True:
        door.beat_s = time.monotonic()
        await asyncio.sleep(_BEAT_S)
