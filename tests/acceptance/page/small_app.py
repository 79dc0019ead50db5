"""A small app on the other end of the playground: connects by Socket Mode, remembers what it is told, answers as told.

It stands where the product's bot stands, so that the page can be tested without the product.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from tests.patience import PATIENCE_S

Json = dict[str, Any]
Answer = Callable[[Json], Json | None]


class SmallApp:
    """Use as `async with SmallApp(playground.base_url) as app`."""

    def __init__(self, base_url: str) -> None:
        self.web = AsyncWebClient(token="xoxb-playground", base_url=f"{base_url}/api/")
        self.answers: dict[str, Answer] = {}
        """Payload type (`view_submission`, …) or a command's name -> what the acknowledgement carries."""
        self.is_silent = False
        """Do not acknowledge anything that is not an event."""
        self._heard: list[tuple[str, Json]] = []
        self._news = asyncio.Condition()

    async def __aenter__(self) -> "SmallApp":
        opened = await self.web.apps_connections_open(app_token="xapp-playground")
        self._http = aiohttp.ClientSession()
        self._socket = await self._http.ws_connect(opened["url"])
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
        await self._socket.close()
        await self._http.close()

    async def _read(self) -> None:
        async for frame in self._socket:
            envelope = frame.json()
            if "envelope_id" not in envelope:
                continue
            payload = envelope["payload"]
            kind = payload["event"]["type"] if envelope["type"] == "events_api" else payload.get("type", "command")
            name = payload.get("command", kind)
            if not self.is_silent or envelope["type"] == "events_api":
                reply: Json = {"envelope_id": envelope["envelope_id"]}
                answer = self.answers.get(name)
                if answer is not None and (given := answer(payload)) is not None:
                    reply["payload"] = given
                await self._socket.send_json(reply)
            async with self._news:
                self._heard.append((kind, payload))
                self._news.notify_all()

    async def hears(self, kind: str, count: int = 1) -> Json:
        """Wait for the `count`-th payload of this kind (event type or interaction type) and return it."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            while len(found := [payload for one, payload in self._heard if one == kind]) < count:
                await self._news.wait()
        return found[count - 1]

    async def post(self, channel: str, text: str = "", **more: Any) -> str:
        """Post a message and return its ts."""
        posted = await self.web.chat_postMessage(channel=channel, text=text, **more)
        return str(posted["ts"])
