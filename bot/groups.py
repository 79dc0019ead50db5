"""Roles that come from Slack user groups: asked of Slack, believed for a minute, and missing when Slack cannot say."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from bot.slack_errors import SlackError

log = logging.getLogger(__name__)

CACHE_S = 60.0
"""Somebody taken out of a group must not decide for longer."""


class Groups:
    """Who is in the groups the operator gives roles to.

    Args:
        members: `SlackClient.usergroup_members`.
        roles_of: The roles of each group, by its id, as the operator's file says now.
        now_s: A clock that never goes back.
    """

    def __init__(
        self,
        members: Callable[[str], Awaitable[tuple[str, ...]]],
        roles_of: Callable[[], Mapping[str, frozenset[str]]],
        *,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._members = members
        self._roles_of = roles_of
        self._now_s = now_s
        self._seen: dict[str, tuple[float, frozenset[str]]] = {}

    async def roles(self, user: str) -> frozenset[str]:
        """Roles a user holds through groups; a group Slack does not tell about gives none."""
        wanted = self._roles_of()
        found = await asyncio.gather(*(self.members(group) for group in wanted))
        held = [roles for roles, members in zip(wanted.values(), found, strict=True) if user in members]
        return frozenset().union(*held)

    async def holders(self, roles: frozenset[str]) -> frozenset[str]:
        """Users who hold one of these roles through a group."""
        wanted = [group for group, given in self._roles_of().items() if given & roles]
        return frozenset().union(*await asyncio.gather(*(self.members(group) for group in wanted)))

    async def members(self, group: str) -> frozenset[str]:
        """Users in a group; empty when Slack cannot be asked."""
        now_s = self._now_s()
        cached = self._seen.get(group)
        if cached is not None and now_s - cached[0] < CACHE_S:
            return cached[1]
        try:
            # The age counts from before the question: the answer may be that old.
            found = frozenset(await self._members(group))
        except SlackError as error:
            log.warning("a user group could not be read: %s", error, extra={"action": "group_unread", "group": group})
            return frozenset()
        self._seen[group] = (now_s, found)
        return found
