"""A real playground per test, people who use it over HTTP, and apps that connect to it as they would to Slack."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import Playground
from tests.patience import PATIENCE_S

Json = dict[str, Any]


async def poll(look: Callable[[], Any], what: str = "it") -> Any:
    """The first truthy answer of `look` (plain or async), asked until the deadline."""
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE_S
    while True:
        found = look()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert loop.time() < until, f"waited {PATIENCE_S} s for {what}"
        await asyncio.sleep(0.01)


class People:
    """The control surface of one playground, as its page and scripts use it."""

    def __init__(self, base_url: str, session: aiohttp.ClientSession) -> None:
        self.base_url = base_url
        self.session = session

    async def try_to(self, name: str, /, **body: Any) -> tuple[int, Json]:
        async with self.session.post(f"{self.base_url}/playground/{name}", json=body) as response:
            return response.status, await response.json()

    async def do(self, name: str, /, **body: Any) -> Json:
        status, answer = await self.try_to(name, **body)
        assert status == 200, answer
        return answer

    async def say(self, text: str, *, user: str = "U0REQUESTER", channel: str = "C0DATA", **more: Any) -> str:
        """Post as a person; the timestamp."""
        return str((await self.do("messages", user=user, channel=channel, text=text, **more))["ts"])

    async def state(self) -> Json:
        async with self.session.get(f"{self.base_url}/playground/state") as response:
            assert response.status == 200
            return await response.json()

    async def message(self, ts: str) -> Json | None:
        return next((one for one in (await self.state())["messages"] if one["ts"] == ts), None)

    async def bot_messages(self) -> list[Json]:
        return [one for one in (await self.state())["messages"] if one["user"] == "U0BANKSMAN"]

    async def fault(self, kind: str, **more: Any) -> Json:
        return await self.do("faults", kind=kind, **more)


class SocketApp:
    """An app on Socket Mode without an SDK: keeps every envelope, acknowledges as told."""

    def __init__(self, playground: Playground, session: aiohttp.ClientSession) -> None:
        self._playground = playground
        self._session = session
        self.frames: list[Json] = []
        self.acks = True
        self.answer: Callable[[Json], Json | None] = lambda envelope: None
        self.socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self.closed = asyncio.Event()

    async def connect(self) -> "SocketApp":
        headers = {"Authorization": f"Bearer {self._playground.settings.app_token}"}
        async with self._session.post(f"{self._playground.api_url}apps.connections.open", headers=headers) as response:
            url = (await response.json())["url"]
        self.socket = await self._session.ws_connect(url)
        self._reader = asyncio.create_task(self._read(self.socket))
        await poll(lambda: self.frames, "a first frame")
        return self

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            frame = json.loads(message.data)
            self.frames.append(frame)
            if "envelope_id" in frame and self.acks:
                ack: Json = {"envelope_id": frame["envelope_id"]}
                payload = self.answer(frame)
                await socket.send_json({**ack, "payload": payload} if payload else ack)
        self.closed.set()

    def envelopes(self, kind: str = "events_api") -> list[Json]:
        return [one for one in self.frames if one.get("type") == kind]

    def events(self, kind: str | None = None) -> list[Json]:
        found = [one["payload"]["event"] for one in self.envelopes()]
        return [one for one in found if kind is None or one["type"] == kind]

    def payloads(self, kind: str = "interactive") -> list[Json]:
        return [one["payload"] for one in self.envelopes(kind)]

    async def event(self, kind: str, number: int = 1) -> Json:
        """The `number`-th event of this kind, waited for."""
        await poll(lambda: len(self.events(kind)) >= number, f"{number} × {kind}")
        return self.events(kind)[number - 1]

    async def close(self) -> None:
        if self.socket is not None:
            await self.socket.close()
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader


@pytest.fixture
def eventually() -> Callable[..., Awaitable[Any]]:
    """`await eventually(look)`: the first truthy answer of `look`."""
    return poll


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Playground]]]:
    """Starts playgrounds of a test; on the same `data` directory unless another is named."""
    started: list[Playground] = []

    async def start(*, data: str = "team", **options: Any) -> Playground:
        playground = Playground(tmp_path / data, **options)
        await playground.start()
        started.append(playground)
        return playground

    yield start
    for playground in started:
        await playground.stop()


@pytest.fixture
async def playground(start: Callable[..., Awaitable[Playground]]) -> Playground:
    """The demo team, without rate limits and with quick retries."""
    return await start(limits=False, retry_delays_s=(0.0, 0.05, 0.05), trigger_ttl_s=60.0)


@pytest.fixture
def people(playground: Playground, session: aiohttp.ClientSession) -> People:
    return People(playground.base_url, session)


@pytest.fixture
def people_of(session: aiohttp.ClientSession) -> Callable[[Playground], People]:
    return lambda playground: People(playground.base_url, session)


@pytest.fixture
def client(playground: Playground) -> AsyncWebClient:
    """Slack's own client, as the bot."""
    return AsyncWebClient(token="xoxb-playground", base_url=playground.api_url)


@pytest.fixture
def client_of() -> Callable[..., AsyncWebClient]:
    return lambda playground, token="xoxb-playground": AsyncWebClient(token=token, base_url=playground.api_url)


@pytest.fixture
async def socket_app(
    playground: Playground, session: aiohttp.ClientSession
) -> AsyncIterator[Callable[[], Awaitable[SocketApp]]]:
    """Connects apps to the playground."""
    connected: list[SocketApp] = []

    async def connect() -> SocketApp:
        app = SocketApp(playground, session)
        connected.append(app)
        return await app.connect()

    yield connect
    for app in connected:
        await app.close()


@pytest.fixture
async def app(socket_app: Callable[[], Awaitable[SocketApp]]) -> SocketApp:
    """One connected app that acknowledges everything."""
    return await socket_app()


@pytest.fixture
async def connect_of(session: aiohttp.ClientSession) -> AsyncIterator[Callable[[Playground], Awaitable[SocketApp]]]:
    """Connects an app to a playground of one's own."""
    connected: list[SocketApp] = []

    async def connect(playground: Playground) -> SocketApp:
        app = SocketApp(playground, session)
        connected.append(app)
        return await app.connect()

    yield connect
    for app in connected:
        await app.close()


@pytest.fixture
async def bolt(client: AsyncWebClient) -> AsyncIterator[AsyncApp]:
    """A Bolt app; `await app.connect()` puts it on Socket Mode."""
    app = AsyncApp(client=client)
    handler = AsyncSocketModeHandler(app, "xapp-playground", ping_interval=0.5)
    app.connect = handler.connect_async  # type: ignore[attr-defined]
    app.handler = handler  # type: ignore[attr-defined]
    yield app
    await handler.close_async()


@pytest.fixture
def refused() -> Callable[..., Awaitable[Json]]:
    """The `ok: false` answer of a call that has to fail with this error."""

    async def refused(error: str, call: Awaitable[Any]) -> Json:
        with pytest.raises(SlackApiError) as caught:
            await call
        assert error == caught.value.response["error"], caught.value.response.data
        return caught.value.response.data

    return refused


@pytest.fixture
def raw(session: aiohttp.ClientSession, playground: Playground) -> Callable[..., Awaitable[Json]]:
    """A Web API call without an SDK: `await raw("auth.test", token=…, method="POST", **aiohttp_options)`."""

    async def raw(name: str, *, token: str | None = "xoxb-playground", method: str = "POST", **options: Any) -> Json:
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **options.pop("headers", {})}
        async with session.request(method, playground.api_url + name, headers=headers, **options) as response:
            body = await response.json()
            return {**body, "_status": response.status, "_headers": dict(response.headers)}

    return raw
