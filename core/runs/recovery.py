"""A call found `started` when a run is claimed: whoever ran it is gone, so what may be done about it?

Decided by recovery class alone (PROTOCOL 2.8): pure and idempotent calls are repeated under the same key, reconcilable
ones ask their probe, opaque ones are never repeated by themselves.
"""

from dataclasses import dataclass, replace
from typing import Literal

from core.record.rows import CallRow
from core.runs.steps import CallEnd

_INSIDE = ("read", "workspace")
"""Tiers without an effect outside: what the last attempt says of the run's own directory is how it is."""


@dataclass(frozen=True)
class Recovery:
    """What to do with the call."""

    do: Literal["repeat", "probe", "unknown", "failed"]
    why: str


def proves_little(call: CallRow, end: CallEnd) -> bool:
    """Whether an end says only of its own attempt that nothing happened, so that it matters how those before ended."""
    if call.recovery != "idempotent" or call.attempts <= 1 or call.tier in _INSIDE:
        return False
    return end.status in ("failed", "failed-safe") and end.retry_in_ms is None


def still_in_doubt(end: CallEnd) -> CallEnd:
    """The end of a call whose last attempt failed while one before it may have done it."""
    error = f"{end.error or 'the last attempt failed'}; an attempt before it may have done it all the same"
    return replace(end, status="unknown", error=error)


def recover(call: CallRow, *, now_ms: int, most_attempts: int) -> Recovery:
    """Decide what an interrupted call of this class needs."""
    match call.recovery:
        case "pure" if call.attempts >= most_attempts:
            return Recovery("failed", f"it was interrupted {call.attempts} times")
        case "idempotent" if call.attempts >= most_attempts:
            # Not "failed": any of those attempts may have done it.
            return Recovery("unknown", f"it was interrupted {call.attempts} times")
        case "idempotent" if call.idem_valid_until is not None and now_ms >= call.idem_valid_until:
            return Recovery("unknown", "its idempotency key is too old to repeat it safely")
        case "reconcilable":
            return Recovery("probe", "the worker that ran it is gone")
        case "pure" | "idempotent":
            return Recovery("repeat", "the worker that ran it is gone")
        case _:
            return Recovery("unknown", "the worker that ran it is gone, and it is not declared safe to repeat")
