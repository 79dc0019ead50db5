"""What the parts of one playground share; `server.py` puts it together."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bot.playground.activity import Activity
from bot.playground.faults import Faults
from bot.playground.interactions import Interactions
from bot.playground.limits import RateLimits
from bot.playground.outbound import Outbound
from bot.playground.settings import Settings
from bot.playground.socket import SocketMode
from bot.playground.state import Team
from bot.playground.tickets import ResponseUrls, Triggers


@dataclass(frozen=True)
class Services:
    """One playground's parts."""

    settings: Settings
    team: Team
    faults: Faults
    limits: RateLimits
    socket: SocketMode
    outbound: Outbound
    activity: Activity
    interactions: Interactions
    triggers: Triggers
    response_urls: ResponseUrls

    def file_known(self) -> Callable[[dict[str, Any]], bool]:
        """Whether a `slack_file` reference of a block names a picture of this team."""
        team = self.team

        def known(source: dict[str, Any]) -> bool:
            if "id" in source:
                file = team.files.get(str(source["id"]))
            else:
                url = str(source.get("url"))
                file = next((one for one in team.files.values() if f"-{one.id}/" in url), None)
            return file is not None and file.is_complete and not file.is_lost and file.mimetype.startswith("image/")

        return known
