"""Before and after every listener: only payloads for us get in, and whatever breaks is said and not acknowledged."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from slack_bolt.response import BoltResponse

from bot.desk import Desk
from bot.surface import BotEvent

log = logging.getLogger(__name__)

Listener = Callable[..., Awaitable[Any]]

_EVENTS = frozenset(event.payload_type for event in BotEvent)


def ours_only(desk: Desk) -> Listener:
    """A middleware that ends the processing of payloads for another app or team, and of events nobody listens to."""

    async def check(body: Mapping[str, Any], next: Callable[[], Awaitable[BoltResponse]]) -> BoltResponse:
        unheard = body.get("type") == "event_callback" and (body.get("event") or {}).get("type") not in _EVENTS
        if unheard or not desk.check.admits(body):
            # Acknowledged, so that nobody delivers it again, and forgotten.
            return BoltResponse(status=200, body="")
        return await next()

    return check


def on_error(desk: Desk) -> Listener:
    """The one place for what a listener raised: an event is not acknowledged, so Slack brings it again."""

    async def handle(error: Exception, body: Mapping[str, Any]) -> BoltResponse:
        log.error(
            "a listener failed",
            exc_info=error,
            extra={"action": "listener_failed", "payload": body.get("type"), "tenant": desk.tenant},
        )
        return BoltResponse(status=503, body="")

    return handle
