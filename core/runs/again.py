"""Another attempt of a call that was cut off: whether it may be made, and what a look outside means for it."""

from core.record.changes import RunChange
from core.record.rows import ApprovalRow, CallRow, Snapshot
from core.runs import asks, contracts, steps
from core.runs.rulebook import Rulebook
from core.runs.stamps import Stamp
from core.runs.steps import CallEnd
from core.tools.base import ProbeAnswer

MOST_LOOKS = 4
"""Times something that does not answer is looked at again before that counts as an answer."""

_PROBE_PAUSE_MS = 2_000


def again(
    snapshot: Snapshot,
    call: CallRow,
    approval: ApprovalRow | None,
    why: str,
    rules: Rulebook,
    stamp: Stamp,
    *,
    unsure: bool,
) -> RunChange:
    """Another attempt of the same call; under an approval only while everything it was given for still holds.

    Args:
        unsure: Whether an attempt before may have done it: then it cannot be said to have failed.
    """
    if (barred := contracts.forbidden(snapshot, call.tool, rules)) is not None:
        error = f"{call.error or why}; it is not tried again: {barred[1]}"
        end = CallEnd("unknown" if unsure else "failed", {}, error=error, resolved_by="recovery")
        return steps.end_call(snapshot, call, end, stamp)
    if approval is not None:
        tool = rules.toolbox.find(call.tool)
        used_for_ms = stamp.now_ms - (approval.consumed_at or 0)
        same = tool is not None and tool.digest == call.tool_digest
        if not same or approval.policy_digest != rules.pinned.digest or used_for_ms > asks.CONSUMED_FOR_MS:
            error = f"{call.error or why}; its approval no longer covers another attempt"
            end = CallEnd("unknown" if unsure else "failed", {}, error=error, resolved_by="recovery")
            return steps.end_call(snapshot, call, end, stamp)
    return steps.start_again(snapshot, call, why=why, stamp=stamp)


def after_probe(
    snapshot: Snapshot,
    call: CallRow,
    approval: ApprovalRow | None,
    answer: ProbeAnswer,
    rules: Rulebook,
    stamp: Stamp,
    *,
    settled_ms: int,
    most: int,
) -> RunChange:
    """What follows from a probe's answer; what may still be under way is looked for again later.

    Args:
        settled_ms: From when on nothing of the last attempt can arrive any more.
        most: Attempts a call may have.
    """
    match answer.found:
        case "happened":
            return steps.end_call(snapshot, call, CallEnd("succeeded", answer.out, resolved_by="probe"), stamp)
        case "cannot-tell":
            end = CallEnd("unknown", {}, error=answer.detail or call.error, resolved_by="probe")
            return steps.end_call(snapshot, call, end, stamp)
        case "not-happened" if stamp.now_ms >= settled_ms and call.attempts >= most:
            why = f"it did not happen in {call.attempts} attempts: {call.error or 'each was cut off'}"
            return steps.end_call(snapshot, call, CallEnd("failed", {}, error=why, resolved_by="probe"), stamp)
        case "not-happened" if stamp.now_ms >= settled_ms:
            return again(snapshot, call, approval, "its probe says that it did not happen", rules, stamp, unsure=True)
        case _ if snapshot.run.retries >= MOST_LOOKS:
            why = f"its probe gave no answer {snapshot.run.retries} times: {answer.detail or answer.found}"
            return steps.end_call(snapshot, call, CallEnd("unknown", {}, error=why, resolved_by="probe"), stamp)
        case _:
            pause_ms = _PROBE_PAUSE_MS * 2 ** min(snapshot.run.retries, 5)
            return steps.try_later(snapshot, stamp, due_at=max(settled_ms, stamp.now_ms + pause_ms))
