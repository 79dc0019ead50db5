"""Socket Mode: WebSocket connections of the app, envelopes and their acknowledgements.

https://docs.slack.dev/apis/events-api/using-socket-mode. Whether and when an event is tried again is `outbound.py`.
"""

import asyncio
import itertools
import json
import logging
import time
import uuid
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web

from bot.playground.tickets import OneTimeTickets

Json = dict[str, Any]
log = logging.getLogger(__name__)

MAX_CONNECTIONS = 10
APPROXIMATE_LIFETIME_S = 18060


@dataclass(frozen=True)
class Ack:
    """The app took a delivery; `payload` is what it answered with, if anything."""

    payload: Json | None


class SocketMode:
    """The app's open connections. A payload goes to one of them, in turn."""

    def __init__(self, app_id: str, *, ping_s: float) -> None:
        self._app_id = app_id
        self._ping_s = ping_s
        self._started = time.strftime("%Y-%m-%d %H:%M:%S.000", time.gmtime())
        self._tickets = OneTimeTickets()
        self._connections: dict[web.WebSocketResponse, asyncio.Transport | None] = {}
        self._turn = itertools.count()
        self._waiting: dict[str, tuple[web.WebSocketResponse, asyncio.Future[Ack]]] = {}

    @property
    def count(self) -> int:
        """How many connections the app has now."""
        return len(self._connections)

    def url_path(self) -> str:
        """The path and query of a fresh URL for `apps.connections.open`; good for one connection."""
        return f"/link/?ticket={self._tickets.issue()}&app_id={self._app_id}"

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection, from hello to its end."""
        if not self._tickets.spend(request.query.get("ticket", "")):
            raise web.HTTPForbidden(
                text="This Socket Mode URL was used or is too old; call apps.connections.open again."
            )
        socket = web.WebSocketResponse(heartbeat=self._ping_s)
        await socket.prepare(request)
        if len(self._connections) >= MAX_CONNECTIONS:
            await socket.send_json({"type": "disconnect", "reason": "too_many_websockets", "debug_info": self._debug()})
            await socket.close()
            return socket
        self._connections[socket] = request.transport
        try:
            await socket.send_json(self._hello())
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    self._heard(message.data)
        finally:
            self._forget(socket)
        return socket

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self._connections),
            "debug_info": self._debug(),
            "connection_info": {"app_id": self._app_id},
        }

    def _debug(self) -> Json:
        return {
            "host": "playground",
            "build_number": 1,
            "approximate_connection_time": APPROXIMATE_LIFETIME_S,
            "started": self._started,
        }

    def _heard(self, data: str) -> None:
        try:
            body = json.loads(data)
        except ValueError:
            log.warning("an app sent a frame that is not JSON", extra={"action": "bad_frame"})
            return
        if not isinstance(body, dict):
            return
        waiting = self._waiting.get(str(body.get("envelope_id")))
        if waiting is not None and not waiting[1].done():
            payload = body.get("payload")
            waiting[1].set_result(Ack(payload if isinstance(payload, dict) and payload else None))

    def _forget(self, socket: web.WebSocketResponse) -> None:
        self._connections.pop(socket, None)
        # What this connection was given and did not acknowledge is not coming any more.
        for owner, future in list(self._waiting.values()):
            if owner is socket and not future.done():
                future.cancel()

    async def deliver(
        self,
        kind: str,
        payload: Json,
        *,
        deadline_s: float,
        accepts_response: bool,
        retry: tuple[int, str] | None = None,
    ) -> Ack | str:
        """Hand one payload to one connection.

        Args:
            kind: `events_api`, `interactive` or `slash_commands`.
            retry: The number of this further try and the reason for it; events only.

        Returns:
            The acknowledgement, or why there is none: `no_connection`, `timeout`, `connection_failed`.
        """
        if not self._connections:
            return "no_connection"
        socket = list(self._connections)[next(self._turn) % len(self._connections)]
        envelope: Json = {
            "envelope_id": str(uuid.uuid4()),
            "type": kind,
            "payload": payload,
            "accepts_response_payload": accepts_response,
        }
        if kind == "events_api":
            number, reason = retry or (0, "")
            envelope |= {"retry_attempt": number, "retry_reason": reason}
        future: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        self._waiting[envelope["envelope_id"]] = (socket, future)
        try:
            await socket.send_json(envelope)
            done, _ = await asyncio.wait({future}, timeout=deadline_s)
            if not done:
                return "timeout"
            return "connection_failed" if future.cancelled() else future.result()
        except ConnectionError:
            return "connection_failed"
        finally:
            self._waiting.pop(envelope["envelope_id"], None)
            future.cancel()

    async def announce_disconnect(self, reason: str, closes_after_s: float) -> None:
        """Tell every connection that it will be closed, and close it when the app had time to open another."""
        told = list(self._connections)
        for socket in told:
            await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": self._debug()})
        await asyncio.sleep(closes_after_s)
        for socket in told:
            await socket.close()

    def drop_all(self) -> int:
        """Cut every connection without a word, as a failing network does."""
        dropped = 0
        for transport in list(self._connections.values()):
            if transport is not None:
                transport.abort()
                dropped += 1
        return dropped

    async def close(self) -> None:
        """Close every connection; the server is stopping."""
        for socket in list(self._connections):
            await socket.close(code=1001, message=b"going away")
