"""Slack's own stop button: it stands in a thread while its session says that something is being done."""

from collections.abc import Mapping
from typing import Any

from bot.listeners.guard import Listener
from bot.listeners.stored import take
from bot.office import Office


def on_stopped(office: Office) -> Listener:
    """Answer `agent_session_stopped`: the word `stop` in the thread, said by a button."""

    async def handle(body: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        asked = {name: event.get(name) for name in ("channel", "thread_ts", "user")}
        if not all(isinstance(value, str) and value for value in asked.values()):
            return  # a session without a thread is none of ours
        asked |= {"team": event.get("user_team"), "addressed": True, "surface": "session"}
        await take(office, "stop", f"ev:{body['api_app_id']}:{body['team_id']}:{body['event_id']}", asked)

    return handle
