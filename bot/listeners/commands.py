"""`/banksman`. Nothing vital is only here: slash commands do not work inside threads."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from bot.listeners.guard import Listener
from bot.listeners.stored import take
from bot.office import Office


def on_command(office: Office) -> Listener:
    """Store the slash command; what it asks for is answered through its response URL."""

    async def handle(ack: Callable[[], Awaitable[None]], body: Mapping[str, Any]) -> None:
        word, _, rest = str(body.get("text") or "").strip().partition(" ")
        asked = {
            "user": str(body["user_id"]),
            "channel": str(body["channel_id"]),
            "word": word.casefold(),
            "rest": rest.strip(),
        }
        respond = partial(office.desk.slack.respond, str(body["response_url"]))
        await take(office, "command", f"cmd:{body['team_id']}:{body['trigger_id']}", asked, answer=respond)
        await ack()

    return handle
