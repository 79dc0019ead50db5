"""What an app says to an interaction without a token: through a response URL, or in the acknowledgement itself."""

from typing import Any

from aiohttp import web

from bot.playground.api.call import ApiError, Call
from bot.playground.api.chat import content, fallback_text
from bot.playground.api.dispatch import lose_reply, strike_before
from bot.playground.guard import parse_json
from bot.playground.records import Json, Message
from bot.playground.services import Services
from bot.playground.tickets import ResponseUrl


class ResponseEndpoint:
    """`POST /actions/<key>` and `POST /commands/<key>`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def handle(self, request: web.Request) -> web.StreamResponse:
        struck = await strike_before(self._services, request, "response_url")
        if struck is not None:
            return struck
        try:
            body = parse_json(await request.text())
        except (ValueError, LookupError):
            return web.Response(text="invalid_payload", status=400)
        if not isinstance(body, dict):
            return web.Response(text="invalid_payload", status=400)
        url = self._services.response_urls.use(request.match_info["kind"], request.match_info["key"])
        if isinstance(url, str):
            return web.json_response({"ok": False, "error": url}, status=404)
        try:
            respond(self._services, url, body)
        except ApiError as problem:
            return web.json_response({"ok": False, "error": problem.error, **problem.extra}, status=400)
        if self._services.faults.strike("lose_reply", method="response_url") is not None:
            return lose_reply(request)
        return web.json_response({"ok": True})


def respond(services: Services, url: ResponseUrl, body: Json) -> None:
    """Do what a message to a response URL says: say something, or replace or delete the original.

    Raises:
        ApiError: The content is refused, or there is no original to replace.
    """
    team = services.team
    original = team.message(url.channel, url.message_ts) if url.message_ts else None
    if original is not None and original.user != team.bot_user_id:
        original = None
    if _is_true(body.get("delete_original")):
        if original is None:
            raise ApiError("message_not_found")
        services.activity.delete(original)
        return
    arguments = {key: value for key, value in body.items() if key in ("text", "blocks", "attachments")}
    call = Call(services, "response_url", arguments, team.base_url)
    text, blocks, attachments = content(call)
    if not text and not blocks and not attachments:
        raise ApiError("no_text")
    if _is_true(body.get("replace_original")):
        if original is None:
            raise ApiError("message_not_found")
        changes: dict[str, Any] = {"text": text or fallback_text(blocks or []), "blocks": blocks or []}
        services.activity.change(original, **changes, attachments=attachments or [])
        return
    is_public = body.get("response_type") == "in_channel"
    thread_ts = str(body["thread_ts"]) if body.get("thread_ts") else None
    message = Message(
        url.channel,
        team.timestamps.next(),
        team.bot_user_id,
        text or fallback_text(blocks or []),
        blocks or [],
        attachments or [],
        thread_ts=thread_ts or url.thread_ts,
        ephemeral_to=None if is_public else url.user,
        from_app=True,
    )
    services.activity.post(message)
    if url.message_ts is None:
        services.response_urls.follow(url, message.ts)


def _is_true(value: object) -> bool:
    return value is True or value == "true"
