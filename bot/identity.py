"""Who a Slack payload comes from, and whether it is ours at all.

Slack's signed user id is looked up twice: in the operator's config for a name and roles, and at Slack for what config
cannot know (a bot, a guest, somebody from another organisation, an account switched off). Whatever cannot be found
out counts against the person. What a principal may do is decided in the core.
"""

import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

from bot.slack import Me, SlackUser
from bot.slack_errors import SlackError, SlackGone
from core.config import NotRecognised
from core.principals import Principal

CACHE_S = 60.0
"""How long Slack's word about a user counts; a guest made today must not act as a member for longer."""

_MOST_CACHED = 5000

Foreign = Literal["app", "team", "enterprise", "malformed"]

_log = logging.getLogger(__name__)


class TenantCheck:
    """Refuses payloads that are not for our app in our team; Bolt does not check that.

    Attributes:
        refused: How many were refused, by reason; for metrics.
    """

    def __init__(self, me: Me) -> None:
        self._me = me
        self.refused: Counter[Foreign] = Counter()

    def admits(self, payload: Mapping[str, Any]) -> bool:
        """Whether a delivery, click, command or view is ours; counts and logs it when not."""
        reason = self.foreign(payload)
        if reason is None:
            return True
        self.refused[reason] += 1
        _log.warning("a Slack payload is not ours: its %s differs", reason, extra={"action": "foreign_payload"})
        return False

    def foreign(self, payload: Mapping[str, Any]) -> Foreign | None:
        """Name what differs; `None` = it is ours. A payload that does not say counts as somebody else's."""
        app, team = payload.get("api_app_id"), _team(payload)
        if not isinstance(app, str) or not isinstance(team, str):
            return "malformed"
        if app != self._me.app_id:
            return "app"
        if team != self._me.team:
            return "team"
        enterprise = _enterprise(payload)
        if enterprise is not None and enterprise != self._me.enterprise:
            return "enterprise"
        return None


def _team(payload: Mapping[str, Any]) -> object:
    team = payload.get("team")
    if isinstance(team, Mapping):
        named = team.get("id")
        # A payload that names two teams is nobody's.
        return named if payload.get("team_id", named) == named else None
    return payload.get("team_id")


def _enterprise(payload: Mapping[str, Any]) -> str | None:
    for holder, key in (
        (payload.get("enterprise"), "id"),
        (payload.get("team"), "enterprise_id"),
        (payload, "enterprise_id"),
    ):
        if isinstance(holder, Mapping) and isinstance(found := holder.get(key), str) and found:
            return found
    return None


class Identity:
    """Turns a Slack user into a principal.

    Args:
        me: Who we are.
        lookup: `SlackClient.user`.
        principal_for: Config's mapping, `(team, user)`.
        group_roles: Roles a user of ours holds through Slack user groups.
        now_s: A clock that never goes back.
    """

    def __init__(
        self,
        me: Me,
        lookup: Callable[[str], Awaitable[SlackUser]],
        principal_for: Callable[[str, str], Principal | NotRecognised],
        *,
        group_roles: Callable[[str], Awaitable[frozenset[str]]] | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._me = me
        self._lookup = lookup
        self._principal_for = principal_for
        self._group_roles = group_roles
        self._now_s = now_s
        self._seen: dict[str, tuple[float, SlackUser]] = {}

    async def principal(self, user: str, *, team: str | None = None) -> Principal | NotRecognised:
        """Say who a user is.

        Args:
            user: Slack's user id, from a payload that passed the tenant check.
            team: The user's own team as the payload gives it; it may only make things stricter.

        Returns:
            The principal, `external` for guests and people of other organisations; `NotRecognised` for bots, accounts
            that are switched off, a user named twice in the config, and whenever Slack cannot be asked.
        """
        try:
            found = await self._ask(user)
        except SlackGone:
            return NotRecognised("Slack does not know this user, so I cannot act on it.")
        except SlackError as error:
            _log.warning("users.info failed: %s", error, extra={"action": "identity_unknown"})
            return NotRecognised(
                "I cannot check who you are right now, so nothing has happened. Try again in a minute."
            )
        if found.id != user or found.is_bot:
            return NotRecognised("Only people can ask me for something, not apps or workflows.")
        if found.deleted:
            return NotRecognised("This Slack account is switched off.")
        outside = found.is_guest or found.is_stranger or self._is_elsewhere(found) or team not in {None, found.team}
        who = self._principal_for(found.team, user)
        if isinstance(who, NotRecognised):
            return who
        if outside:
            return replace(who, external=True)
        if self._group_roles is None:
            return who
        return replace(who, roles=who.roles | await self._group_roles(user))

    def forget(self, user: str) -> None:
        """Drop what is cached about a user, after Slack said that it changed."""
        self._seen.pop(user, None)

    def _is_elsewhere(self, found: SlackUser) -> bool:
        if found.team == self._me.team:
            return False
        return self._me.enterprise is None or found.enterprise != self._me.enterprise

    async def _ask(self, user: str) -> SlackUser:
        now_s = self._now_s()
        cached = self._seen.get(user)
        if cached is not None and now_s - cached[0] < CACHE_S:
            return cached[1]
        # The age counts from before the question: the answer may be that old.
        found = await self._lookup(user)
        if len(self._seen) >= _MOST_CACHED:
            self._seen = {name: entry for name, entry in self._seen.items() if now_s - entry[0] < CACHE_S}
            if len(self._seen) >= _MOST_CACHED:
                self._seen.clear()
        self._seen[user] = (now_s, found)
        return found
