"""The control surface's `/playground/faults`: switching trouble on, listing it, clearing it."""

from aiohttp import web

from bot.playground import events
from bot.playground.faults import INSTANT_KINDS, KINDS, FaultError, kind_of
from bot.playground.guard import Refused, read_json
from bot.playground.people import text_of
from bot.playground.records import Channel, Json
from bot.playground.services import Services

_DISCONNECT_REASONS = ("refresh_requested", "warning", "link_disabled")


class FaultControl:
    """Trouble on request."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/playground/faults", self.listing), web.post("/playground/faults", self.add)]

    def _state(self) -> Json:
        team, outbound = self._services.team, self._services.outbound
        return {
            "ok": True,
            "kinds": sorted(KINDS),
            "faults": self._services.faults.describe(),
            "token_revoked": outbound.is_revoked,
            "connections": self._services.socket.count,
            "archived": [one.id for one in team.channels.values() if one.is_archived],
        }

    async def listing(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._state())

    async def add(self, request: web.Request) -> web.StreamResponse:
        body = await read_json(request)
        try:
            kind = kind_of(body.get("kind"))
            if kind in INSTANT_KINDS:
                await self._strike(kind, body)
                return web.json_response(self._state())
            fault = self._services.faults.add(kind, body)
        except FaultError as problem:
            raise Refused(str(problem)[:1].upper() + str(problem)[1:] + ".", 400) from None
        return web.json_response({**self._state(), "id": fault.id})

    async def _strike(self, kind: str, body: Json) -> None:
        services = self._services
        if kind == "clear":
            services.faults.clear()
            services.outbound.is_revoked = False
        elif kind == "drop_socket":
            services.socket.drop_all()
        elif kind == "disconnect":
            reason = body.get("reason", "refresh_requested")
            if reason not in _DISCONNECT_REASONS:
                raise FaultError(f"`reason` is one of {', '.join(_DISCONNECT_REASONS)}")
            closes_after_s = body.get("seconds", 10)
            if not isinstance(closes_after_s, int | float) or isinstance(closes_after_s, bool):
                raise FaultError("`seconds` is how long after the message the connections close")
            services.outbound.spawn(services.socket.announce_disconnect(reason, float(closes_after_s)))
        elif kind == "revoke_token":
            tokens = {"oauth": [], "bot": [services.team.bot_user_id]}
            services.outbound.event(events.plain(services.team, "tokens_revoked", tokens=tokens))
            services.outbound.is_revoked = True
        elif kind == "expire_streams":
            for stream in list(services.team.streams.values()):
                services.team.end_stream(stream)
        elif kind == "restore_token":
            services.outbound.is_revoked = False
        else:
            self._change_channel(kind, self._channel(body))

    def _change_channel(self, kind: str, channel: Channel) -> None:
        activity, team = self._services.activity, self._services.team
        somebody = next(one.id for one in team.users.values() if not one.is_bot)
        if kind in ("archive_channel", "unarchive_channel"):
            activity.archive(channel, archived=kind == "archive_channel", user=somebody)
        elif kind == "remove_bot":
            activity.leave(channel, team.bot_user_id)
        else:
            activity.join(channel, team.bot_user_id, inviter=somebody)

    def _channel(self, body: Json) -> Channel:
        channel = self._services.team.channel_named(text_of(body, "channel"))
        if channel is None:
            raise FaultError(f"there is no channel {body.get('channel')!r}")
        return channel
