"""App Home: a person's own runs, drawn when they look."""

from collections.abc import Mapping
from typing import Any

from bot.blocks.home import home
from bot.listeners.guard import Listener
from bot.office import Office
from core.config.people import NotRecognised
from core.runs import reading


def on_opened(office: Office) -> Listener:
    """Answer `app_home_opened`."""

    async def handle(event: Mapping[str, Any]) -> None:
        if event.get("tab", "home") == "home":
            office.later(publish(office, str(event["user"])))

    return handle


async def publish(office: Office, user: str) -> None:
    """Draw a person's Home as it is now."""
    desk = office.desk
    who = await desk.identity.principal(user)
    mine = [] if isinstance(who, NotRecognised) else await reading.lines(desk.database, desk.tenant, requester=who.id)
    await desk.slack.publish_home(user, home(mine, desk.agents, now_ms=desk.clock.wall_ms()))
