"""Who a person or a part of the system is, and which roles they hold.

A principal is a name from the operator's config, or `slack:TEAM/USER` / `cli:user@host` for somebody the config does
not name (such a one has no roles). E-mail is never an identity. Mapping Slack users is done in `bot.identity`, roles
come from config.
"""

from dataclasses import dataclass
from typing import Literal

ActorKind = Literal["human", "agent", "system"]


@dataclass(frozen=True)
class Principal:
    """Somebody who asks, decides or stops."""

    id: str
    """Stable id: a config name, `slack:TEAM/USER` or `cli:user@host`."""
    roles: frozenset[str] = frozenset()
    slack_user: str | None = None
    """Slack user id to mention, when known."""
    via: str = ""
    """How they reached us when that is worth recording, e.g. `cli:1000@host`."""
    external: bool = False
    """From another organisation or a guest: may never start, vote or stop."""

    @property
    def is_operator(self) -> bool:
        return "operator" in self.roles


@dataclass(frozen=True)
class Actor:
    """Who caused an event, as recorded: kind and id, never a name or text."""

    kind: ActorKind
    id: str

    @staticmethod
    def system(part: str) -> "Actor":
        return Actor("system", part)

    @staticmethod
    def of(principal: Principal) -> "Actor":
        return Actor("human", principal.id if not principal.via else f"{principal.id} via {principal.via}")
