"""A wait as a call carries it: what is looked for, how often it was looked, when next, and what was seen last.

The call of a wait is one row for all its looks: each look is an attempt of it, and between looks it is an intent like
any call that is due again. Pauses grow to a hundredth of the whole wait, so that a wait of any length is told in some
130 looks.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from core.config.quantities import duration_text
from core.planners.waiting import MOST_VALUES, Wait
from core.record.rows import CallRow, dumps
from core.record.states import LONGEST_PAUSE_MS
from core.runs.toolbox import DeclaredTool

LOOKS = 100
"""Into how many pauses a wait is divided once they have grown."""

LONGEST_SLEEP_MS = LONGEST_PAUSE_MS - 60_000
"""For how long a run is put to sleep at once; a longer pause is several of these."""

_MOST_SEEN = 500


@dataclass(frozen=True)
class Waiting:
    """How far a wait is."""

    condition: str
    values: Mapping[str, Any]
    every_ms: int
    since: int
    """When it began; times are milliseconds of the wall clock."""
    until: int
    looks: int = 0
    looked_at: int = 0
    next_at: int = 0
    seen: str = ""
    """What the last look has seen; text of a tool is in it."""

    @staticmethod
    def begun(wait: Wait, now_ms: int) -> "Waiting":
        """A wait whose first look begins now."""
        return Waiting(wait.condition, wait.values, wait.every_ms, now_ms, now_ms + wait.deadline_ms)

    @staticmethod
    def of(call: CallRow) -> "Waiting | None":
        """The wait of a call; `None` = it is an ordinary call."""
        if call.wait_json is None:
            return None
        said = json.loads(call.wait_json)
        # What a newer version may have written beside it is left alone.
        return Waiting(**{field.name: said[field.name] for field in fields(Waiting) if field.name in said})

    def to_json(self) -> str:
        """As it is stored."""
        return dumps(vars(self))

    def looked(self, seen: str, now_ms: int) -> "Waiting":
        """After one more look that has not brought what is waited for."""
        after = replace(self, looks=self.looks + 1, looked_at=now_ms, seen=seen[:_MOST_SEEN])
        return replace(after, next_at=min(now_ms + after.pause_ms, max(now_ms, self.until)))

    @property
    def pause_ms(self) -> int:
        """How long to pause after the last look: half as long again as before, up to a hundredth of the whole wait."""
        grown = min(self.looks - 1, 40)
        half_as_long_again: int = self.every_ms * 3**grown // 2**grown
        return min(max(self.every_ms, (self.until - self.since) // LOOKS), half_as_long_again)

    def is_early(self, now_ms: int) -> bool:
        """Whether the next look is still to come; on a clock that was set back it is not waited for."""
        return self.looked_at <= now_ms < self.next_at

    def wakes_at(self, now_ms: int) -> int:
        """When the run has to be woken, for a look or to be put to sleep again."""
        return min(self.next_at, now_ms + LONGEST_SLEEP_MS)

    def failed(self) -> str:
        """Why the step failed once the deadline has passed."""
        waited = duration_text(max(1_000, (self.looked_at - self.since) // 1_000 * 1_000))
        looks = "once" if self.looks == 1 else f"{self.looks} times"
        return f"it waited {waited} and looked {looks}; last seen: {self.seen or 'nothing'}"


def unfit(wait: Wait | None, tool: DeclaredTool, *, verdict: str, tier: str, recovery: str) -> str | None:
    """Why a call may not be repeated until something is so, if that was asked for: a sentence."""
    name = tool.tool.name
    if wait is None:
        return None
    if tier != "read" or recovery not in ("pure", "idempotent"):
        return (
            f"`{name}` cannot be waited with: only a tool of tier `read`, safe to repeat, may be called again and again"
        )
    if verdict == "ask":
        return f"`{name}` cannot be waited with: people are asked about its calls, and each would be another question"
    if len(dumps(dict(wait.values))) > MOST_VALUES:
        return f"its condition reads more than {MOST_VALUES:,} characters beside what it looks at"
    return None
