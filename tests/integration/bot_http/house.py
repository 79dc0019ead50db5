"""A real bot that takes Slack's requests over HTTP, a playground that posts them, and raw requests to it."""

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import func, select

from bot.app import serve
from bot.delivery.limits import Limits
from bot.http_wire import Bounds, HttpMode
from bot.playground import Playground
from bot.signature import sign
from bot.wiring import Bot, assembled
from core.config.settings import Settings
from core.store.tables import inbox, outbox, runs
from tests.integration.bot_runtime.office import House, Json, Running, poll
from tests.patience import PATIENCE_S

SECRET = "playground-signing-secret"
QUICK = Bounds(head_within_s=0.5, body_within_s=0.5)
"""As in production, with less patience."""


@dataclass(frozen=True)
class Reply:
    """What came back until the connection was closed; status 0 = nothing."""

    status: int
    headers: Mapping[str, str]
    text: str


async def exchange(port: int, *parts: bytes, half_close: bool = False, pause_s: float = 0.0) -> Reply:
    """Send bytes while reading until the other side hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard = asyncio.create_task(_hear(reader))
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            if pause_s:
                await asyncio.sleep(pause_s)
        if half_close:
            writer.write_eof()
    except OSError:  # it has heard enough; its answer is here all the same
        pass
    try:
        async with asyncio.timeout(PATIENCE_S):
            return parsed(await heard)
    finally:
        writer.transport.abort()


async def _hear(reader: asyncio.StreamReader) -> bytes:
    raw = b""
    with contextlib.suppress(ConnectionError):
        while part := await reader.read(65_536):
            raw += part
    return raw


def parsed(raw: bytes) -> Reply:
    head, _, text = raw.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    if not raw:
        return Reply(0, {}, "")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return Reply(int(lines[0].split(" ")[1]), headers, text.decode())


def request(
    body: bytes,
    *,
    path: str = "/slack/events",
    method: str = "POST",
    headers: Mapping[str, str | bytes | None] | None = None,
    more: bytes = b"",
) -> bytes:
    """One HTTP request; `headers` replace the usual ones, `None` leaves one out."""
    given: dict[str, str | bytes | None] = {"Host": "bot", "Content-Type": "application/json"}
    given |= {"Content-Length": str(len(body))} | dict(headers or {})
    lines = [f"{method} {path} HTTP/1.1".encode()]
    for name, value in given.items():
        if value is not None:
            lines.append(name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()))
    return b"\r\n".join(lines) + b"\r\n" + more + b"\r\n" + body


def signature(body: bytes, *, secret: str = SECRET, at_s: float | None = None) -> dict[str, str | bytes | None]:
    """The two headers with which Slack signs a body."""
    stamp = str(int(time.time() if at_s is None else at_s))
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": sign(secret, stamp, body)}


def mention(text: str = "idle", *, event_id: str = "Ev0HTTP", ts: str = "1795000000.000100", **more: Any) -> Json:
    """An event as Slack posts it, of somebody who asks for a run."""
    event = {"type": "app_mention", "user": "U0REQUESTER", "text": f"<@U0BANKSMAN> {text}", "channel": "C0DATA"}
    ours = {"type": "event_callback", "api_app_id": "A0BANKSMAN", "team_id": "T0PLAYGRND", "event_id": event_id}
    return ours | {"event": event | {"ts": ts}, "event_time": int(time.time())} | more


def form(**fields: str) -> bytes:
    return urlencode(fields).encode()


def encoded(payload: Any) -> bytes:
    return json.dumps(payload).encode()


class HttpHouse(House):
    """One installation in HTTP mode: its bot listens where the playground posts."""

    def __init__(self, home: Path, database_url: str, redis_url: str, playground: Playground, port: int) -> None:
        super().__init__(home, database_url, redis_url, playground)
        self.environ |= {"SLACK_SIGNING_SECRET": SECRET, "BANKSMAN_HTTP_PORT": str(port)}
        del self.environ["SLACK_APP_TOKEN"]
        self.settings = Settings.from_env(self.environ, cwd=home)
        self.port = port

    async def start_bot(self, bounds: Bounds = QUICK) -> Running:
        """Start a bot and wait until it answers."""
        stop = asyncio.Event()
        ready: asyncio.Future[Bot] = asyncio.get_running_loop().create_future()

        async def live() -> None:
            async with assembled(self.settings, limits=Limits(channel_interval_s=0.05)) as bot:
                assert isinstance(bot.ingress, HttpMode)
                bot = replace(bot, ingress=replace(bot.ingress, bounds=bounds))
                ready.set_result(bot)
                await serve(bot, stop=stop)

        task = asyncio.create_task(live())
        await poll(lambda: ready.done() or task.done(), "the bot to be assembled")
        if task.done():
            await task
        running = Running(await ready, task, stop)
        self._bots.append(running)
        await poll(self.is_well, "the bot to be well")
        return running

    async def is_well(self) -> bool:
        try:
            return (await self.get("/healthz")).status == 200
        except OSError:
            return False

    async def get(self, path: str, *, method: str = "GET") -> Reply:
        sent = request(b"", path=path, method=method, headers={"Content-Type": None, "Content-Length": None})
        return await exchange(self.port, sent)

    async def post(
        self,
        body: bytes,
        *,
        path: str = "/slack/events",
        headers: Mapping[str, str | bytes | None] | None = None,
        at_s: float | None = None,
    ) -> Reply:
        """Post a body, signed; `headers` win."""
        return await exchange(
            self.port, request(body, path=path, headers=signature(body, at_s=at_s) | dict(headers or {}))
        )

    async def rows(self) -> dict[str, int]:
        """How many deliveries, runs and things to say there are."""
        found = {}
        async with self.database.read() as connection:
            for table in (inbox, runs, outbox):
                found[table.name] = int(await connection.scalar(select(func.count()).select_from(table)) or 0)
        return found


NOTHING = {"inbox": 0, "runs": 0, "outbox": 0}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
