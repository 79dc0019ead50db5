"""The Slacks of these tests as seen from outside: people in the playground, and a server that answers as told."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import web

Json = dict[str, Any]
TOKEN = "xoxb-playground"


def as_it_is(value: Any) -> Any:
    """The redactor of tests that are not about secrets."""
    return value


class People:
    """What people do in the playground, and what they then see."""

    def __init__(self, base_url: str, session: aiohttp.ClientSession) -> None:
        self.base_url = base_url
        self._session = session

    async def do(self, name: str, **body: Any) -> Json:
        async with self._session.post(f"{self.base_url}/playground/{name}", json=body) as response:
            answer: Json = await response.json()
            assert response.status == 200, answer
            return answer

    async def say(self, text: str, **more: Any) -> Json:
        return await self.do("messages", **({"user": "U0REQUESTER", "channel": "C0DATA", "text": text} | more))

    async def fault(self, kind: str, **more: Any) -> None:
        await self.do("faults", kind=kind, **more)

    async def state(self) -> Json:
        async with self._session.get(f"{self.base_url}/playground/state") as response:
            state: Json = await response.json()
            return state

    async def messages(self) -> list[Json]:
        """What the bot said, oldest first."""
        return [message for message in (await self.state())["messages"] if message["user"] == "U0BANKSMAN"]


class Plenty(dict[str, int]):
    """Limits that never hold a test up."""

    def get(self, key: str, default: Any = None) -> int:
        return 600_000


class OddSlack:
    """A server that answers as a test tells it to; `answer` is called for every request."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.base_url = ""
        self.answer: Callable[[web.Request], Awaitable[web.StreamResponse]] = self._nothing

    @property
    def api_url(self) -> str:
        return f"{self.base_url}/api/"

    async def _nothing(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"ok": False, "error": "unknown_method"})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        return await self.answer(request)


async def serve(odd: OddSlack) -> web.AppRunner:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", odd.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    odd.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    return runner
