"""Mention to card: what a person sees. A mention is posted in a playground; its card comes back in the thread.

Playground, bot and worker are processes of their own, over Socket Mode and the Web API, with Slack's limits on.
Mentions are spread over the channels so that Slack's one post per second and channel is not what is measured.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from bench.report import Report
from bench.site import Site
from bench.sizes import Sizes
from bench.stats import latencies
from bot.cli.ports import claim_port
from bot.cli.up import PLAYGROUND_APP_TOKEN, PLAYGROUND_BOT_TOKEN

_REQUESTER = "requester"
_BOT = "banksman"
_SEEN_WITHIN_S = 20.0
_BETWEEN_S = 1.1
"""Between two mentions; with three channels each gets one in more than three seconds."""

_HANDSHAKE_S = 1.0

Change = dict[str, Any]


async def measure(site: Site, report: Report, sizes: Sizes) -> None:
    """Post mentions one after another and note when the reaction and the card are there."""
    async with _slack(site) as url, site.worker():
        env = {
            "SLACK_BOT_TOKEN": PLAYGROUND_BOT_TOKEN,
            "SLACK_APP_TOKEN": PLAYGROUND_APP_TOKEN,
            "SLACK_API_URL": f"{url}/api/",
        }
        async with site.part("bot", "bot", env=env), aiohttp.ClientSession(url) as http, _watching(http) as watch:
            await asyncio.sleep(_HANDSHAKE_S)
            state = await (await http.get("/playground/state")).json()
            users = {user["name"]: user["id"] for user in state["users"]}
            channels = [channel["id"] for channel in state["channels"]]
            cards, reactions, endings = [], [], []
            for number in range(sizes.mentions + 1):
                began_ns = time.monotonic_ns()
                body = {
                    "user": users[_REQUESTER],
                    "channel": channels[number % len(channels)],
                    "text": f"@{_BOT} noops",
                }
                async with http.post("/playground/messages", json=body) as answer:
                    answer.raise_for_status()
                    ts = (await answer.json())["ts"]
                card_ns = await watch.card(ts)
                ending_ns = await watch.ending(ts)
                if number > 0:  # the first one warms the caches
                    cards.append(card_ns - began_ns)
                    reactions.append((await watch.reaction(ts)) - began_ns)
                    endings.append(ending_ns - began_ns)
                await asyncio.sleep(_BETWEEN_S)
    report.add(
        site.variant,
        "mention",
        "mention to card",
        **latencies(cards),
        reaction_p50_ms=latencies(reactions)["p50_ms"],
        ending_p50_ms=latencies(endings)["p50_ms"],
    )


class _Watch:
    """What the playground's change feed said, and when it said it."""

    def __init__(self) -> None:
        self._changes: list[tuple[int, Change]] = []
        self._changed = asyncio.Event()

    def add(self, change: Change) -> None:
        self._changes.append((time.monotonic_ns(), change))
        self._changed.set()
        self._changed = asyncio.Event()

    async def card(self, ts: str) -> int:
        """When the first answer with blocks stood in the thread."""
        return await self._first(lambda c: _answers(c, ts) and bool(c["blocks"]))

    async def ending(self, ts: str) -> int:
        """When a second message stood in the thread: the summary."""
        seen: set[str] = set()

        def is_second(change: Change) -> bool:
            if _answers(change, ts):
                seen.add(change["ts"])
            return len(seen) > 1

        return await self._first(is_second)

    async def reaction(self, ts: str) -> int:
        """When the mention had its reaction."""
        return await self._first(lambda c: c["type"] == "reaction" and c["ts"] == ts)

    async def _first(self, fits: Any) -> int:
        position = 0
        async with asyncio.timeout(_SEEN_WITHIN_S):
            while True:
                while position < len(self._changes):
                    at_ns, change = self._changes[position]
                    position += 1
                    if fits(change):
                        return at_ns
                changed = self._changed
                await changed.wait()


def _answers(change: Change, ts: str) -> bool:
    return bool(change["type"] == "message" and change.get("thread_ts") == ts and change["ts"] != ts)


@asynccontextmanager
async def _slack(site: Site) -> AsyncIterator[str]:
    """A playground on a free port of this machine."""
    with claim_port(0, is_set=True) as listener:
        fd = listener.fileno()
        arguments = ("--data", str(site.home / "playground"), "--fd", str(fd))
        async with site.part("playground", "bot.playground", *arguments, keep_fds=(fd,)) as part:
            yield part.ready


@asynccontextmanager
async def _watching(http: aiohttp.ClientSession) -> AsyncIterator[_Watch]:
    watch = _Watch()
    async with http.get("/playground/events", timeout=aiohttp.ClientTimeout(total=None)) as stream:

        async def read() -> None:
            async for line in stream.content:
                if line.startswith(b"data: "):
                    watch.add(json.loads(line.removeprefix(b"data: ")))

        reading = asyncio.create_task(read())
        try:
            yield watch
        finally:
            reading.cancel()
