"""The Socket Mode connection: kept, watched, rebuilt when it only looks alive, and closed without losing what it was
given.
"""

import asyncio
import logging
import os
from dataclasses import dataclass, field
from typing import Any

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest

from core.redis_link import until

log = logging.getLogger(__name__)

EXPECTED_CONNECTIONS = 2
"""Ours, and a second one while a deploy hands over; more is somebody else using our token."""

WATCH_S = 1.0
_CLOSE_WITHIN_S = 2.0


@dataclass(frozen=True)
class SocketMode:
    """How Slack reaches this bot over Socket Mode."""

    app_token: str = field(repr=False)


@dataclass
class Line:
    """The connection as others may ask about it."""

    handler: "_Handler | None" = None

    async def is_open(self) -> bool:
        """Whether Slack is at the other end, as far as its pings say."""
        return self.handler is not None and await self.handler.client.is_connected()


class _Handler(AsyncSocketModeHandler):
    """Bolt's handler, which also knows what it has not acknowledged yet."""

    def __init__(self, app: AsyncApp, app_token: str) -> None:
        super().__init__(app, app_token)
        self._handling: set[asyncio.Future[Any]] = set()
        self.client.message_listeners.append(_count_connections)

    async def handle(self, client: AsyncBaseSocketModeClient, req: SocketModeRequest) -> None:
        """Handle one delivery, acknowledgement included."""
        handling = asyncio.ensure_future(super().handle(client, req))  # type: ignore[arg-type]
        self._handling.add(handling)
        handling.add_done_callback(self._handling.discard)
        await handling

    async def close(self) -> None:
        """Finish what was received, so that it is acknowledged, then hang up."""
        if self._handling:
            await asyncio.wait(set(self._handling), timeout=_CLOSE_WITHIN_S)
        try:
            async with asyncio.timeout(_CLOSE_WITHIN_S):
                await self.close_async()  # type: ignore[no-untyped-call]  # Bolt has no types here
        except TimeoutError:
            log.info("Slack did not answer our goodbye", extra={"action": "socket_cut"})
            await self.client.aiohttp_client_session.close()


async def keep_connected(app: AsyncApp, app_token: str, stop: asyncio.Event, line: Line) -> None:
    """Keep one connection until `stop`; says `ready PID` on stdout once Slack has taken the first."""
    said = False
    while not stop.is_set():
        handler = _Handler(app, app_token)
        try:
            await until(stop, handler.connect_async())  # type: ignore[no-untyped-call]
            if stop.is_set():
                return
            line.handler = handler
            log.info("connected to Slack", extra={"action": "socket_connected"})
            if not said:
                print(f"ready {os.getpid()}", flush=True)
                said = True
            await until(stop, _watch(handler))
        except Exception:
            log.exception("could not connect to Slack", extra={"action": "socket_failed"})
            await until(stop, asyncio.sleep(WATCH_S))
        finally:
            line.handler = None
            await handler.close()


async def _watch(handler: _Handler) -> None:
    """Return when the connection is gone and the SDK has not mended it by the second look."""
    missing = 0
    while missing < 2:
        await asyncio.sleep(WATCH_S)
        missing = 0 if await handler.client.is_connected() else missing + 1
    log.warning("the socket is gone; connecting anew", extra={"action": "socket_lost"})


async def _count_connections(
    _client: AsyncBaseSocketModeClient, message: dict[str, Any], _raw: str | None = None
) -> None:
    if message.get("type") == "hello" and int(message.get("num_connections") or 0) > EXPECTED_CONNECTIONS:
        log.error(
            "Slack has %s connections with our app token. If these are not all yours, revoke the token.",
            message["num_connections"],
            extra={"action": "strange_connection"},
        )
