"""Budgets in a commit: what a change takes out of them is decided on their locked rows, all of it or nothing.

Runs are locked before budgets, and budgets in the order of their ids, by everyone. A budget's row remembers the cap it
was last used under, or what had been used when somebody lowered the cap below that.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from core.record.changes import Hold, RunChange

UNIT = "micro-usd"


class OverBudget(Exception):
    """A budget does not have that much left; the transaction is undone."""

    def __init__(self, hold: Hold) -> None:
        super().__init__(hold.budget_id)
        self.hold = hold


@dataclass(frozen=True)
class Held:
    """What becomes of one budget."""

    id: str
    cap: int
    used: int


def rows_of(change: RunChange, now_ms: int) -> list[dict[str, object]]:
    """The budgets of a change as rows with nothing used yet, in the order in which they are locked."""
    by_id = {hold.budget_id: hold for hold in change.holds}
    return [
        {
            "tenant": change.tenant,
            "id": id_,
            "scope": hold.scope,
            "scope_id": hold.scope_id,
            "unit": UNIT,
            "period": hold.period,
            "cap": max(0, hold.cap_micro_usd),
            "used": 0,
            "warned": 0,
            "created_at": now_ms,
        }
        for id_, hold in sorted(by_id.items())
    ]


def held(change: RunChange, used: Mapping[str, int]) -> list[Held]:
    """What each budget of a change becomes.

    Args:
        used: By budget id, as the locked rows say.

    Raises:
        OverBudget: one of them does not have that much left.
    """
    now = dict(used)
    caps: dict[str, int] = {}
    for hold in change.holds:
        after = max(0, now[hold.budget_id] + hold.amount_micro_usd)
        if hold.amount_micro_usd > 0 and after > hold.cap_micro_usd:
            raise OverBudget(hold)
        now[hold.budget_id] = after
        caps[hold.budget_id] = hold.cap_micro_usd
    return [Held(id_, max(cap, now[id_]), now[id_]) for id_, cap in sorted(caps.items())]
