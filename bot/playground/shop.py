"""The shop of the demonstration: a service that has an incident, for agents to look at and to end.

A feature flag was turned on, and since then part of the orders fail. Its catalogue says where everything is, metrics
and a log say what happens, and turning the flag off ends it. All of it is invented, the same on every machine and
begins anew with the process; nothing in it depends on a clock. Its code is a repository of its own
(`shop_repository.py`).
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from bot.playground.guard import Refused, guard, read_json
from bot.playground.shop_repository import make_repository

FLAG = "new-basket"

_MAX_BODY_BYTES = 65_536
_MAX_REASON = 2_000

_BROKEN = {"window": "5m", "orders": 412, "failed": 96, "failed_percent": "23.3", "p95_ms": 2140}
_HEALTHY = {"window": "5m", "orders": 409, "failed": 1, "failed_percent": "0.2", "p95_ms": 310}

_LOG = """\
09:58:07 INFO  checkout order=48190 paid cents=2480 method=card
09:58:41 INFO  checkout order=48191 paid cents=990 method=card
09:59:15 INFO  checkout order=48192 paid cents=15300 method=invoice
10:00:02 WARN  payments slow answer ms=1210 attempt=1
10:00:03 INFO  checkout order=48193 paid cents=4150 method=card
10:01:30 INFO  checkout order=48194 paid cents=700 method=card
10:02:00 INFO  flags new-basket on=true by=release-41
10:02:11 ERROR checkout order=48195 failed ZeroDivisionError in basket.average_price method=gift-card
10:02:12 INFO  checkout order=48196 paid cents=3120 method=card
10:02:40 ERROR checkout order=48197 failed ZeroDivisionError in basket.average_price method=gift-card
10:03:05 INFO  checkout order=48198 paid cents=8800 method=card
10:03:09 ERROR checkout order=48199 failed ZeroDivisionError in basket.average_price method=gift-card
10:03:44 WARN  payments slow answer ms=1180 attempt=1
10:03:52 INFO  checkout order=48200 paid cents=1290 method=card
10:04:20 ERROR checkout order=48201 failed ZeroDivisionError in basket.average_price method=gift-card
10:04:51 ERROR checkout order=48202 failed ZeroDivisionError in basket.average_price method=gift-card
10:05:00 ALERT checkout failed_percent=23.3 threshold=2.0 pager=on-call
"""


class Shop:
    """A running shop.

    Args:
        directory: Where its repository is made when somebody first looks for it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._making = asyncio.Lock()
        self._on = True
        self._changes: list[str] = []
        self._answered: dict[str, Mapping[str, Any]] = {}
        """What was answered to each `Idempotency-Key`."""
        self._runner: web.AppRunner | None = None

    async def start(self, port: int) -> str:
        """Listen on the loopback interface and return the address.

        Raises:
            OSError: the port is taken.
        """
        app = web.Application(client_max_size=_MAX_BODY_BYTES, middlewares=[guard])
        app.add_routes(
            [
                web.get("/", self._catalogue),
                web.get("/metrics/checkout", self._metrics),
                web.get("/logs/checkout", self._log),
                web.get(f"/flags/{FLAG}", self._flag),
                web.put(f"/flags/{FLAG}", self._turn),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", port).start()
        except OSError:
            await self.stop()
            raise
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close it; it has to be made anew to be started again."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _catalogue(self, request: web.Request) -> web.Response:
        async with self._making:
            repository = await asyncio.to_thread(make_repository, self._directory)
        return web.json_response(
            {
                "service": "shop",
                "note": "an invented service, for trying agents out",
                "repository": str(repository),
                "metrics": ["/metrics/checkout"],
                "logs": ["/logs/checkout"],
                "flags": [f"/flags/{FLAG}"],
            }
        )

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.json_response(_BROKEN if self._on else _HEALTHY)

    async def _log(self, request: web.Request) -> web.Response:
        return web.Response(text=_LOG + "".join(f"{line}\n" for line in self._changes))

    async def _flag(self, request: web.Request) -> web.Response:
        return web.json_response(self._state())

    def _state(self) -> Mapping[str, Any]:
        return {"flag": FLAG, "on": self._on, "changed_by": "an operator" if self._changes else "release-41"}

    async def _turn(self, request: web.Request) -> web.Response:
        """Turn the flag on or off; a change with a key it knows is answered as the first time, and not made again."""
        key = request.headers.get("Idempotency-Key", "")
        if key in self._answered:
            return web.json_response(self._answered[key])
        body = await read_json(request)
        on, reason = body.get("on"), body.get("reason", "")
        if not isinstance(on, bool) or not isinstance(reason, str) or len(reason) > _MAX_REASON:
            raise Refused('Send `{"on": false, "reason": "why"}`.', 400)
        self._on = on
        said = " ".join(reason.split()) or "no reason given"
        self._changes.append(f"10:06:30 INFO  flags {FLAG} on={str(on).lower()} by=operator reason={said}")
        answer = self._state()
        if key:
            self._answered[key] = answer
        return web.json_response(answer)
