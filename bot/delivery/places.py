"""Where a row is said and what came of it: the values that the ways of saying share."""

from dataclasses import dataclass


class NotYet(Exception):
    """Something is about to become true that this delivery should say; look again in a moment."""


@dataclass(frozen=True)
class Place:
    """A channel, and the thread in it."""

    channel: str
    thread_ts: str | None


@dataclass(frozen=True)
class Posted:
    """A message that is there now."""

    ts: str
    is_earlier: bool
    """An earlier attempt of ours had arrived after all."""
