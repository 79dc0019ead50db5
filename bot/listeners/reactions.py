"""Reactions: one of them stops a run; every other one is only a reaction."""

from collections.abc import Mapping
from typing import Any

from bot.listeners.guard import Listener
from bot.listeners.stored import take
from bot.office import Office
from bot.surface import STOP_REACTION


def on_reaction(office: Office) -> Listener:
    """Answer `reaction_added`."""

    async def handle(body: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        item = event.get("item") or {}
        if event.get("reaction") != STOP_REACTION or item.get("type") != "message" or not event.get("user"):
            return
        asked = {
            "channel": str(item["channel"]),
            "ts": str(item["ts"]),
            "user": str(event["user"]),
            "team": event.get("user_team"),
        }
        await take(office, "reaction", f"ev:{body['api_app_id']}:{body['team_id']}:{body['event_id']}", asked)

    return handle
