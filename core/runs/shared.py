"""Budgets that a run shares with others: which of them it draws on, who can raise them, and which are nearly used up.

Pure. They are looked at when a turn has ended, and what is told of them is told once for each cap in each thread that
draws on them: the thread of one run may have nothing to do with that of the next. What holds is decided elsewhere, on
their locked rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.budgets import end_of
from core.record.changes import Hold
from core.record.rows import RunRow
from core.runs.allowance import NEARLY

NO_CAP = 2**53 - 1

SETTINGS: Mapping[str, str] = {
    "tree": "tree",
    "person": "person-day",
    "channel": "channel-month",
    "team": "team-day",
}
"""By scope: what it is called below `budgets` in the operator's file."""

WHOSE: Mapping[str, str] = {
    "run": "this run",
    "tree": "this run with everything it started",
    "person": "everything you asked for today",
    "channel": "this channel this month",
    "team": "your team today",
}
"""By scope: how it is called where the run speaks to who asked for it."""


@dataclass(frozen=True)
class Shared:
    """One of them, as it was when its run looked."""

    budget_id: str
    scope: str
    used: int
    """Micro-USD, reserved and spent."""
    cap: int
    until_ms: int | None
    """When its day or month is over; `None` = it lasts as long as the run it belongs to."""
    raisable: bool = False
    """Whether it is as much as the run may spend, so that letting the run spend more raises it."""

    @property
    def is_nearly_spent(self) -> bool:
        return self.used * 100 >= self.cap * NEARLY

    def to_json(self) -> dict[str, Any]:
        """As a row of the outbox holds it."""
        return vars(self)


def from_json(bodies: Sequence[Mapping[str, Any]]) -> tuple[Shared, ...]:
    """Read what a row of the outbox holds."""
    return tuple(Shared(**body) for body in bodies)


def is_raisable(run: RunRow, scope: str, tree_cap: int | None) -> bool:
    """Whether letting this run spend more helps against this budget.

    Args:
        tree_cap: `budgets.tree`, which stands whatever its runs may spend; `None` = there is none.
    """
    return scope == "run" or (scope == "tree" and run.root_id == run.id and tree_cap is None)


def of(run: RunRow, holds: Sequence[Hold], used: Mapping[str, int], tree_cap: int | None) -> tuple[Shared, ...]:
    """The shared budgets among those a turn counted against, without those that have no cap.

    A run that has started nothing is all of its tree; then what it may spend itself says the same.

    Args:
        holds: Of the turn that has ended: what it gives back is not used any more.
        used: By budget id, before that.
    """
    own = next(
        (max(0, used.get(hold.budget_id, 0) + hold.amount_micro_usd) for hold in holds if hold.scope == "run"), 0
    )
    found = []
    for hold in holds:
        now = max(0, used.get(hold.budget_id, 0) + hold.amount_micro_usd)
        raisable = is_raisable(run, hold.scope, tree_cap)
        if hold.scope == "run" or hold.cap_micro_usd >= NO_CAP or (raisable and now <= own):
            continue
        found.append(Shared(hold.budget_id, hold.scope, now, hold.cap_micro_usd, end_of(hold.period), raisable))
    return tuple(found)


def nearly_spent(found: Sequence[Shared], warned: Mapping[str, int]) -> tuple[Shared, ...]:
    """Those of which the thread has to be told.

    Args:
        warned: By budget id: the cap of which it was told last.
    """
    return tuple(each for each in found if each.is_nearly_spent and warned.get(each.budget_id, -1) != each.cap)
