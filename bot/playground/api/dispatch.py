"""What every Web API call passes: reading the request, the token, the scope, the limits, and the faults."""

import asyncio
import logging
from typing import Any

from aiohttp import web

from bot.playground.api import (
    agents,
    basics,
    chat,
    conversations,
    files,
    reactions,
    streams,
    usergroups,
    users,
    views,
)
from bot.playground.api.call import ApiError, Call, Method
from bot.playground.guard import parse_json
from bot.playground.ids import short_id
from bot.playground.records import Json
from bot.playground.services import Services

log = logging.getLogger(__name__)

METHODS: dict[str, Method] = {
    name: method
    for module in (agents, basics, chat, conversations, files, reactions, streams, usergroups, users, views)
    for name, method in module.family.methods.items()
}
"""Every method this Slack knows."""

_HTML_500 = "<!DOCTYPE html><html><body><h1>500 Internal Server Error</h1></body></html>"


class WebApi:
    """`/api/<method>`, GET and POST."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def handle(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        faults = self._services.faults
        struck = await strike_before(self._services, request, name)
        if struck is not None:
            return struck
        warnings: list[str] = []
        try:
            token, args = await _read(request, warnings)
            body, status, headers = await self._run(request, name, token, args, warnings)
        except ApiError as problem:
            body, status, headers = {"ok": False, "error": problem.error, **problem.extra}, 200, {}
        if faults.strike("lose_reply", method=name) is not None:
            return lose_reply(request)
        if warnings and body["ok"]:
            body["warning"] = ",".join(warnings)
            body.setdefault("response_metadata", {})["warnings"] = warnings
        return web.json_response(body, status=status, headers={**self._headers(name), **headers})

    async def _run(
        self, request: web.Request, name: str, token: str | None, args: Json, warnings: list[str]
    ) -> tuple[Json, int, dict[str, str]]:
        method = METHODS.get(name)
        if method is None:
            return {"ok": False, "error": "unknown_method", "req_method": name}, 200, {}
        self._authorize(method, token, args)
        wait_s = self._services.limits.take(name, method.tier, self._bucket_of(args))
        if wait_s is not None:
            return {"ok": False, "error": "ratelimited"}, 429, {"Retry-After": str(wait_s)}
        call = Call(self._services, name, args, f"{request.scheme}://{request.host}", warnings)
        answer = await method.handler(call)
        return {"ok": True, **answer}, 200, {}

    def _bucket_of(self, args: Json) -> str:
        """The channel a call counts against; its id, however it was named."""
        wanted = str(args.get("channel", ""))
        team = self._services.team
        channel = team.channel_named(wanted) or team.dm_with(wanted)
        return channel.id if channel is not None else wanted

    def _authorize(self, method: Method, token: str | None, args: Json) -> None:
        settings = self._services.settings
        if method.name == "api.test":
            return
        if not token:
            raise ApiError("not_authed")
        if token not in (settings.bot_token, settings.app_token):
            raise ApiError("invalid_auth")
        if token == settings.bot_token and self._services.outbound.is_revoked:
            raise ApiError("token_revoked")
        is_app_token = token == settings.app_token
        if method.name == "auth.test":
            args["_token"] = "app" if is_app_token else "bot"
            return
        if is_app_token != method.app_level:
            raise ApiError("not_allowed_token_type")
        if method.scopes and not any(scope in settings.scopes for scope in method.scopes):
            raise ApiError("missing_scope", needed=",".join(method.scopes), provided=",".join(settings.scopes))

    def _headers(self, name: str) -> dict[str, str]:
        method = METHODS.get(name)
        headers = {
            "x-slack-req-id": short_id(32),
            "x-oauth-scopes": ",".join(self._services.settings.scopes),
            "cache-control": "private, no-cache, no-store, must-revalidate",
            "x-content-type-options": "nosniff",
        }
        if method is not None and method.scopes:
            headers["x-accepted-oauth-scopes"] = ",".join(method.scopes)
        return headers


async def strike_before(services: Services, request: web.Request, name: str) -> web.StreamResponse | None:
    """Faults that come before any work: an answer instead of the work, or a pause before it."""
    # Only a call of the Web API names a channel; the bytes of an upload are not to be read here.
    by_channel = services.faults.by_channel and request.path.startswith("/api/")
    channel = await _channel_of(request) if by_channel else None
    hang = services.faults.strike("hang", method=name, channel=channel)
    if hang is not None:
        await asyncio.sleep(hang.seconds)
    limited = services.faults.strike("429", method=name, channel=channel)
    if limited is not None:
        headers = {"Retry-After": str(limited.retry_after)}
        return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
    if services.faults.strike("500", method=name, channel=channel) is not None:
        return web.Response(text=_HTML_500, content_type="text/html", status=500)
    refused = services.faults.strike("refuse", method=name, channel=channel)
    if refused is not None:
        return web.json_response({"ok": False, "error": refused.error})
    return None


async def _channel_of(request: web.Request) -> str | None:
    try:
        _, args = await _read(request, [])
    except ApiError:
        return None
    value = args.get("channel", args.get("channel_id"))
    return value if isinstance(value, str) else None


def lose_reply(request: web.Request) -> web.StreamResponse:
    """The work is done and the connection breaks before the answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _read(request: web.Request, warnings: list[str]) -> tuple[str | None, Json]:
    """The token and the arguments of a request.

    A token counts in the header or in a form body; apps of today may not put it in the query.
    """
    args: dict[str, Any] = dict(request.query)
    args.pop("token", None)
    token = _bearer(request)
    if request.method == "POST" and request.body_exists:
        kind = request.content_type
        if kind == "application/json":
            if request.charset is None:
                warnings.append("missing_charset")
            try:
                body = parse_json(await request.text())
            except (ValueError, LookupError):
                raise ApiError("invalid_json") from None
            if not isinstance(body, dict):
                raise ApiError("json_not_object")
            # In a JSON body the token is not looked at; it has to be in the header.
            body.pop("token", None)
            args |= body
        elif kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
            form = await request.post()
            fields = {key: value for key, value in form.items() if isinstance(value, str)}
            token = token or fields.pop("token", None)
            fields.pop("token", None)
            args |= fields
        elif (await request.read()).strip():
            raise ApiError("invalid_post_type")
    return token, {key: value for key, value in args.items() if value is not None}


def _bearer(request: web.Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
