"""Running a call again because a person looked and said that it had not happened.

Such a call is planned anew as the next generation of itself: another idempotency key, so that the other side does not
take it for the first, and people are asked for this one whatever the policy says of calls like it. What the policy
forbids stays forbidden. Source: PROTOCOL 2.6.
"""

from dataclasses import replace

from core.actions.policy import Decision
from core.record.rows import CallRow, Snapshot
from core.record.states import CallStatus

RULE = "run-again"
"""Named as what decided, where the policy itself would not have asked."""

_ENDED = (CallStatus.SUCCEEDED, CallStatus.FAILED, CallStatus.UNKNOWN)


def disowned(snapshot: Snapshot, step: str) -> CallRow | None:
    """The call of a step that is to run again: the last that came to an end, if that is what was said of it."""
    ended = [call for call in snapshot.calls if call.step == step and _came_to_an_end(call)]
    return ended[-1] if ended and ended[-1].said_not_run else None


def place(snapshot: Snapshot, step: str) -> tuple[int, int]:
    """Ordinal and generation of the next call of a step; questions asked anew count on within a generation."""
    before = disowned(snapshot, step)
    mine = [call for call in snapshot.calls if call.step == step]
    if before is None:
        return len(mine), 1
    generation = before.generation + 1
    return before.ordinal + sum(1 for call in mine if call.generation == generation), generation


def with_fresh_approval(snapshot: Snapshot, step: str, decision: Decision) -> Decision:
    """Policy's word on a call, or that people are asked by the policy's usual approvers if it only runs again."""
    if decision.verdict != "allow" or (before := disowned(snapshot, step)) is None:
        return decision
    why = f"{before.resolved_by} looked and says that it did not happen; running it again takes a fresh approval."
    return replace(decision, verdict="ask", rule=RULE, why=why)


def _came_to_an_end(call: CallRow) -> bool:
    """Whether something was found out or decided about it; one that was withdrawn without a reason never was."""
    return call.call_status in _ENDED or (call.call_status is CallStatus.CANCELED and call.error is not None)
