"""Freezes: what an operator has brought to a standstill, and which runs that covers.

The rule is here on values; PostgreSQL has it once more as a condition (`core.store.batch_sql`), and a test compares the
two. A freeze stops starts and nothing else: calls under way go on to their end.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from core.clock import rfc3339
from core.record.changes import Insert

EVERYTHING_ID = "*"
"""`scope_id` of a freeze of everything."""


class Scope(StrEnum):
    """What can be frozen."""

    RUN = "run"
    AGENT = "agent"
    TOOL = "tool"
    CHANNEL = "channel"
    TEAM = "team"
    EVERYTHING = "everything"


@dataclass(frozen=True)
class Frozen:
    """One thing to freeze or to thaw: the scope and which one."""

    scope: Scope
    id: str = EVERYTHING_ID

    @property
    def name(self) -> str:
        """As commands take it: `agent:checkup`, `everything`."""
        return self.scope.value if self.scope is Scope.EVERYTHING else f"{self.scope}:{self.id}"


@dataclass(frozen=True)
class FreezeRow:
    """One freeze, open until it is thawed."""

    tenant: str
    id: str
    scope: str
    scope_id: str
    frozen_by: str
    """Who, as events name an actor: a principal, and where from if not from Slack."""
    reason: str
    frozen_at: int
    thawed_at: int | None = None
    thawed_by: str | None = None

    @property
    def what(self) -> Frozen:
        return Frozen(Scope(self.scope), self.scope_id)


@dataclass(frozen=True)
class FreezeChange:
    """A freeze as it is to be from now on, what the person is told, and what has to be said elsewhere."""

    freeze: FreezeRow
    text: str
    says: tuple[Insert, ...] = ()


class Coverable(Protocol):
    """What of a run decides which freezes cover it."""

    @property
    def id(self) -> str: ...
    @property
    def root_id(self) -> str: ...
    @property
    def parent_id(self) -> str | None: ...
    @property
    def agent(self) -> str: ...
    @property
    def root_agent(self) -> str | None: ...
    @property
    def channel(self) -> str | None: ...
    @property
    def team(self) -> str | None: ...


def covers(freeze: FreezeRow, run: Coverable, tools: Collection[str]) -> bool:
    """Whether nothing of a run may start.

    Args:
        tools: Of the calls it has open, or of the call that wants to start.
    """
    match freeze.what.scope:
        case Scope.RUN:
            return freeze.scope_id in (run.id, run.parent_id, run.root_id)
        case Scope.AGENT:
            return freeze.scope_id in (run.agent, run.root_agent)
        case Scope.TOOL:
            return freeze.scope_id in tools
        case Scope.CHANNEL:
            return freeze.scope_id == run.channel
        case Scope.TEAM:
            return freeze.scope_id == run.team
        case Scope.EVERYTHING:
            return True


def covering(freezes: Iterable[FreezeRow], run: Coverable, tools: Collection[str]) -> tuple[FreezeRow, ...]:
    """The freezes that cover a run, the earliest first."""
    found = [freeze for freeze in freezes if covers(freeze, run, tools)]
    return tuple(sorted(found, key=lambda freeze: (freeze.frozen_at, freeze.id)))


def named(what: Frozen) -> str:
    """What is frozen, in words that can begin a sentence's rest: `the agent checkup`, `everything`."""
    match what.scope:
        case Scope.EVERYTHING:
            return "everything"
        case Scope.RUN:
            return f"run {what.id}"
        case _:
            return f"the {what.scope} {what.id}"


def sentence(freeze: FreezeRow) -> str:
    """Who froze what, since when and why, and what to do."""
    what = named(freeze.what)
    return (
        f"{what[0].upper()}{what[1:]} is frozen by {freeze.frozen_by} since "
        f"{rfc3339(freeze.frozen_at)}{because(freeze.reason)}. Nothing starts until an operator thaws it: "
        f"`banksman thaw {freeze.what.name}`."
    )


def because(reason: str) -> str:
    """A reason as the end of a clause; nothing if there is none."""
    return f": {reason.rstrip('. ')}" if reason.strip() else ""
