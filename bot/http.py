"""The HTTP server Slack posts to, for installations without Socket Mode.

Nothing is believed and little is spent before the signature holds over the raw bytes: bounded heads, bodies, times and
connections, one request per connection, constant answers. What a payload means is the listeners' business; as over
Socket Mode it is stored before it is acknowledged, and what could not be stored is 503, so that Slack brings an event
again. TLS is a reverse proxy's.
"""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import hdrs, web
from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.http_wire import HttpMode
from bot.payloads import FORM_TYPE, JSON_TYPE, Unreadable, payload_in
from bot.signature import Unsigned, signed_text
from core.door import BACKLOG, Connection, TurnedAway, closing, plain
from core.metrics import REQUESTS_REFUSED, refusal
from core.periodic import let_end

log = logging.getLogger(__name__)

PATHS = frozenset({"/slack/events", "/slack/interactions", "/slack/commands"})
"""Three names for one door: what came is told from the body, so that one request URL will do."""
HEALTH_PATH = "/healthz"

_LOG_EVERY_S = 60.0
_CUT_WITHIN_S = 0.5


class _Refused(Exception):
    """The answer to a request is this status, for this reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Ingress:
    """The door: takes connections on a socket and hands signed payloads to the app.

    Attributes:
        refused: How many requests were refused, by reason.
        is_listening: Whether it takes connections.
    """

    def __init__(
        self,
        app: AsyncApp,
        mode: HttpMode,
        *,
        is_ready: Callable[[], Awaitable[bool]],
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            is_ready: Whether this bot can do its work now; asked at most once a second.
            now_s: Seconds since 1970, for Slack's timestamps.
        """
        self.refused: Counter[str] = Counter()
        self.is_listening = False
        self._app = app
        self._secret = mode.signing_secret
        self._bounds = mode.bounds
        self._now_s = now_s
        self._health = _Health(is_ready)
        self._requests: set[asyncio.Task[Any]] = set()
        self._handling: set[asyncio.Task[BoltResponse]] = set()
        self._logged: dict[str, float] = {}
        self._server = web.Server(self._answer)

    async def serve(self, listener: socket.socket, stop: asyncio.Event) -> None:
        """Take requests until `stop`, then finish those under way; says `ready PID` on stdout once it listens.

        Args:
            listener: From `listening`; closed at the end.
        """
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._connection, sock=listener, backlog=BACKLOG)
        self.is_listening = True
        log.info("listening for Slack", extra={"action": "http_listening"})
        print(f"ready {os.getpid()}", flush=True)
        try:
            await stop.wait()
        finally:
            self.is_listening = False
            # asyncio loses a connection that it accepts while its server closes; so first no more of them.
            loop.remove_reader(listener.fileno())
            await asyncio.sleep(0)
            server.close()
            if self._requests:
                await asyncio.wait(set(self._requests), timeout=self._bounds.drain_s)
            await self._server.shutdown(_CUT_WITHIN_S)
            await self._drain()
            await self._health.close()

    def _connection(self) -> asyncio.Protocol:
        if len(self._server.connections) >= self._bounds.connections:
            self._note("busy")
            return TurnedAway()
        return Connection(self._server, self._note, head_within_s=self._bounds.head_within_s)

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        under_way = asyncio.current_task()  # of this request alone, and until its answer is written
        assert under_way is not None
        self._requests.add(under_way)
        under_way.add_done_callback(self._requests.discard)
        try:
            if request.rel_url.raw_path == HEALTH_PATH:
                return await self._say_health(request)
            return await self._take(request)
        except _Refused as refused:
            self._note(refused.reason)
            return plain(refused.status)
        except ConnectionError:  # hung up: there is nobody to answer
            self._note("hung-up")
            raise
        except Exception:
            log.exception("a request failed", extra={"action": "http_failed"})
            return plain(503)

    async def _take(self, request: web.BaseRequest) -> web.Response:
        media_type = _checked_head(request, self._bounds.body_bytes)
        body = await self._read(request)
        headers = request.headers
        text = signed_text(
            self._secret,
            headers.getall("X-Slack-Request-Timestamp", ()),
            headers.getall("X-Slack-Signature", ()),
            body,
            now_s=self._now_s(),
        )
        if isinstance(text, Unsigned):
            raise _Refused(401, text.value)
        try:
            payload = payload_in(media_type, text)
        except Unreadable as error:
            raise _Refused(400, f"unreadable: {error}") from error
        if payload.get("type") == "url_verification" and media_type == JSON_TYPE:
            return _challenge(payload)
        return await self._hand_over(payload)

    async def _read(self, request: web.BaseRequest) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._bounds.body_within_s):
                async for part in request.content.iter_any():
                    size += len(part)
                    if size > self._bounds.body_bytes:
                        raise _Refused(413, "too-large")
                    parts.append(part)
        except TimeoutError:
            raise _Refused(408, "slow-body") from None
        except (web.RequestPayloadError, web.PayloadAccessError) as error:
            raise _Refused(400, "broken-body") from error
        return b"".join(parts)

    async def _hand_over(self, payload: dict[str, Any]) -> web.Response:
        if len(self._handling) >= self._bounds.handled:
            raise _Refused(503, "busy")
        try:
            # In Bolt's words "socket mode" means: already authenticated, already parsed. Its own reading of bodies and
            # its own check, which raises where ours refuses, are left out; headers, which nobody signed, stay here.
            request = AsyncBoltRequest(body=payload, mode="socket_mode")
        except Exception as error:
            raise _Refused(400, "unreadable: a shape Bolt does not know") from error
        task = asyncio.create_task(self._app.async_dispatch(request))
        self._handling.add(task)
        task.add_done_callback(self._handled)
        # Not cancelled when it takes too long: it may be about to commit.
        await asyncio.wait({task}, timeout=self._bounds.answer_within_s)
        if not task.done():
            raise _Refused(503, "slow-listener")
        if task.cancelled() or task.exception() is not None:
            raise _Refused(503, "failed")
        return _answered(task.result())

    def _handled(self, task: asyncio.Task[BoltResponse]) -> None:
        self._handling.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("dispatching failed", exc_info=error, extra={"action": "http_failed"})

    async def _drain(self) -> None:
        await let_end(self._handling, within_s=self._bounds.drain_s)

    async def _say_health(self, request: web.BaseRequest) -> web.Response:
        if request.method not in (hdrs.METH_GET, hdrs.METH_HEAD):
            raise _Refused(405, "method")
        return plain(200, "ok\n") if await self._health.is_good() else plain(503)

    def _note(self, reason: str) -> None:
        """Count, and say so now and then: whoever can reach us could fill the log otherwise."""
        self.refused[reason.partition(":")[0]] += 1
        REQUESTS_REFUSED.labels(refusal(reason.partition(":")[0])).inc()
        now_s = time.monotonic()
        if now_s - self._logged.get(reason, -_LOG_EVERY_S) >= _LOG_EVERY_S:
            self._logged[reason] = now_s
            log.warning(
                "a request was refused: %s",
                reason,
                extra={"action": "request_refused", "refused": self.refused[reason.partition(":")[0]]},
            )


def _checked_head(request: web.BaseRequest, body_bytes: int) -> str:
    """What can be said before the body is read; returns the media type."""
    if request.rel_url.raw_path not in PATHS:
        raise _Refused(404, "path")
    if request.method != hdrs.METH_POST:
        raise _Refused(405, "method")
    types = request.headers.getall(hdrs.CONTENT_TYPE, ())
    media_type = types[0].partition(";")[0].strip().lower() if len(types) == 1 else ""
    if media_type not in (JSON_TYPE, FORM_TYPE) or hdrs.CONTENT_ENCODING in request.headers:
        raise _Refused(415, "content-type")
    if (request.content_length or 0) > body_bytes:
        raise _Refused(413, "too-large")
    return media_type


def _challenge(payload: Mapping[str, Any]) -> web.Response:
    challenge = payload.get("challenge")
    if not isinstance(challenge, str):
        raise _Refused(400, "unreadable: a challenge is none")
    return closing(web.json_response({"challenge": challenge}))


def _answered(answer: BoltResponse) -> web.Response:
    if answer.status >= 500:
        return plain(503)
    if answer.status != 200:
        return plain(answer.status)
    is_json = answer.headers.get("content-type", [""])[0].startswith(JSON_TYPE)
    body = answer.body if isinstance(answer.body, str) else ""
    return closing(web.Response(text=body, content_type=JSON_TYPE if is_json else "text/plain"))


class _Health:
    """The answer to "are you well", asked for at most once a second however often somebody wants to know."""

    def __init__(self, is_ready: Callable[[], Awaitable[bool]]) -> None:
        self._is_ready = is_ready
        self._asking: asyncio.Task[bool] | None = None
        self._answer: tuple[float, bool] = (float("-inf"), False)

    async def is_good(self) -> bool:
        if time.monotonic() - self._answer[0] < 1.0:
            return self._answer[1]
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        await asyncio.wait({self._asking}, timeout=2.0)
        return self._asking.done() and self._asking.result()

    async def _ask(self) -> bool:
        try:
            good = await self._is_ready()
        except Exception as error:
            log.warning("not well: %s", error, extra={"action": "not_well"})
            good = False
        self._answer = (time.monotonic(), good)
        return good

    async def close(self) -> None:
        if self._asking is not None and not self._asking.done():
            self._asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._asking
