"""What anybody can see of a history from outside, as plain values: the only words the model has."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """A run as anybody sees it."""

    state: str
    requester: str
    channel: str | None
    parent: str | None
    fence: int


@dataclass(frozen=True)
class Call:
    """A call as anybody sees it."""

    run: str
    step: str
    what: str
    """Tool and arguments."""
    tool: str
    recovery: str
    acts: bool
    status: str
    attempts: int
    question: str | None
    by_word: bool
    """Whether somebody other than its own attempt said how it ended."""
    by_machine: bool
    """Whether that was a probe, or the end of all tries."""
    policy: str
    """The one its action names."""


@dataclass(frozen=True)
class Asked:
    """A question as anybody sees it."""

    run: str
    call: str
    status: str
    quorum: int
    policy: str
    ends_ms: int
    use_by_ms: int | None
    parked: bool
    votes: frozenset[str]
    """Of those who agree."""


@dataclass(frozen=True)
class Effect:
    """Something that happened outside, and in which step its sender was last told that it may."""

    call: str
    run: str
    looked_at: int


@dataclass(frozen=True)
class Seen:
    """Everything there is to see at one moment."""

    step: int
    now_ms: int
    runs: Mapping[str, Run]
    calls: Mapping[str, Call]
    asked: Mapping[str, Asked]
    effects: tuple[Effect, ...]
