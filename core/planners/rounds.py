"""Steps that are made several times: for each item of a list, or until something is so; always at most so often.

Each call of a round is a step of its own as far as the run is concerned: it has an id that never changes (`push[3]`),
its own approval and its own key. Here is what all rounds of a step come to together. Pure: the items come from inputs
and from earlier steps, which do not change any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.planners.conditions import ConditionError
from core.planners.definition import Rounds
from core.planners.references import MissingValue
from core.planners.waiting import LOOK

Json = Any
"""A JSON value from an input or a tool."""

_MOST_REASONS = 3


@dataclass(frozen=True)
class Ended:
    """How a call, or a round of several, ended or was passed over."""

    status: Literal["succeeded", "failed", "skipped"]
    out: Json = None
    """What it brought; `None` = nothing."""
    error: str = ""
    """Why it failed."""


def round_id(step: str, number: int) -> str:
    """The id of a round, counted from 1."""
    return f"{step}[{number}]"


def listed(value: Json, at_most: int) -> list[Json]:
    """The items of a list, or the lines of a text; nothing has none.

    Raises:
        MissingValue: it is no list, or has more items than may be.
    """
    match value:
        case None:
            items: list[Json] = []
        case str():
            items = [line.strip() for line in value.splitlines() if line.strip()]
        case list():
            items = value
        case _:
            raise MissingValue("what `for-each` names is no list")
    if len(items) > at_most:
        raise MissingValue(f"there are {len(items)} items, and it may be made at most {at_most} times")
    return items


class Tally:
    """What the rounds of one step have come to so far."""

    def __init__(self, rounds: Rounds, items: list[Json] | None, may_fail: bool) -> None:
        self._rounds, self._items, self._may_fail = rounds, items, may_fail
        self._number = 0
        self._skipped = 0
        self._over = False
        self._results: list[Json] = []
        self._failures: list[str] = []

    def next(self) -> int | None:
        """The number of the next round, if there is to be one."""
        if self._over or self._number >= self._most:
            return None
        self._number += 1
        return self._number

    def take(self, made: Ended, values: Mapping[str, Json]) -> None:
        """Count the round that `next` named.

        Args:
            made: How it ended.
            values: What the condition reads beside the round.
        """
        failed = made.error if made.status == "failed" else None
        self._results.append({} if made.out is None else made.out)
        self._skipped += made.status == "skipped"
        if made.status == "succeeded" and self._rounds.until is not None:
            look = {"status": made.status, "out": made.out, "error": ""}
            try:
                self._over = self._rounds.until.holds({**values, LOOK: look})
            except ConditionError as error:
                failed = f"`repeat-until` cannot be decided: {error}"
        if failed is not None:
            self._failures.append(f"{self.place}: {failed}")
            self._over = self._items is None or not self._may_fail

    @property
    def place(self) -> str:
        """Which round this is, for people."""
        return f"{self._number} of {'' if self._items is not None else 'at most '}{self._most}"

    @property
    def reason(self) -> str | None:
        """Why the step as a whole has failed, if it has."""
        if self._failures:
            more = len(self._failures) - _MOST_REASONS
            return "; ".join(self._failures[:_MOST_REASONS]) + (f"; and {more} more" if more > 0 else "")
        if self._rounds.until is not None and not self._over:
            return f"it was made {self._most} times, and what `repeat-until` says was not so after any of them"
        return None

    @property
    def out(self) -> dict[str, Json]:
        """What later steps may refer to."""
        return {"each": self._results, "count": len(self._results) - self._skipped}

    @property
    def note(self) -> str:
        """All of it in a few words."""
        made = len(self._results) - self._skipped
        times = "once" if made == 1 else f"{made} times"
        return f"{times}, {self._skipped} skipped" if self._skipped else times

    @property
    def _most(self) -> int:
        return self._rounds.at_most if self._items is None else len(self._items)
