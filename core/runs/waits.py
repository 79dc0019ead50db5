"""One look of a wait, pure: what it means for the rows, and whether another one may begin.

Between two looks the run holds nothing: no lease, no worker, no money, only `due_at`. What was looked up last and when
the next look is due stands in the call, so any worker goes on with it, at the next look. A wait fails only after a look
that began at its deadline or later, so time in which nobody could look is nobody's loss.
"""

import json
from dataclasses import replace
from typing import Literal

from core.planners.waiting import Seen, judged, sees_failures
from core.record.changes import RunChange
from core.record.rows import CallRow, Snapshot
from core.record.states import CallStatus, RunState
from core.runs import contracts, proposals, steps
from core.runs.draft import Draft
from core.runs.rulebook import Rulebook
from core.runs.stamps import Stamp
from core.runs.steps import CallEnd
from core.runs.waiting import Waiting

_GONE = "the worker that looked is gone"


def looked(snapshot: Snapshot, call: CallRow, wait: Waiting, end: CallEnd, stamp: Stamp) -> RunChange:
    """Record a look: what is waited for is there, or never will be, or is looked for again, or the time is over.

    A look that failed for good fails the step, unless the condition itself says what that means. One that failed
    otherwise has seen nothing.
    """
    if end.parked is not None:
        return steps.end_call(snapshot, call, end, stamp)
    end = replace(steps.storable(call, end), retry_in_ms=None)
    seen = _seen(wait, end)
    if seen.holds:
        return steps.end_call(snapshot, call, replace(end, status="succeeded", error=None), stamp)
    if end.status == "failed" and not sees_failures(wait.condition):
        return steps.end_call(snapshot, call, end, stamp)
    after = wait.looked(seen.text or wait.seen, stamp.now_ms)
    if (call.started_at or 0) >= wait.until:
        return steps.end_call(snapshot, call, CallEnd("failed", end.out, error=after.failed()), stamp)
    draft = Draft(snapshot, stamp.actor)
    # It changes nothing outside, so whatever became of it, nobody has to find that out.
    status: Literal["succeeded", "failed", "failed-safe"] = "failed-safe" if end.status == "unknown" else end.status
    steps.close_attempt(draft, call, status, end.error, stamp)
    said = {"status": CallStatus.INTENT.value, "error": end.error, "wait_json": after.to_json()}
    draft.update("tool_calls", {"id": call.id}, said)
    in_ms = max(0, after.next_at - stamp.now_ms)
    draft.fact("call-retried", {"call": call.id, "attempt": call.attempts, "in_ms": in_ms, "why": "not-yet"})
    return _asleep(draft, after, stamp)


def resume(snapshot: Snapshot, call: CallRow, wait: Waiting, rules: Rulebook, stamp: Stamp) -> RunChange:
    """Go on with a wait whose run was claimed: look again, or sleep on; or end it if it may not look any more."""
    if call.call_status is CallStatus.STARTED:
        return looked(snapshot, call, wait, CallEnd("unknown", {}, error=_GONE), stamp)
    limit = steps.over_limits(snapshot, stamp.now_ms)
    if limit is not None:
        return steps.give_up(snapshot, limit, stamp)
    if (why := _may_not(snapshot, call, rules)) is not None:
        return steps.end_call(snapshot, call, CallEnd("failed", {}, error=why, resolved_by="recovery"), stamp)
    if wait.is_early(stamp.now_ms):
        return _asleep(Draft(snapshot, stamp.actor), wait, stamp)
    return steps.start_again(snapshot, call, why="due", stamp=stamp)


def _seen(wait: Waiting, end: CallEnd) -> Seen:
    error = end.error or ""
    if end.status == "succeeded":
        return judged(wait.condition, wait.values, status="succeeded", out=end.out)
    if end.status == "failed" and sees_failures(wait.condition):
        return judged(wait.condition, wait.values, status="failed", out=end.out, error=error)
    return Seen(False, error)


def _may_not(snapshot: Snapshot, call: CallRow, rules: Rulebook) -> str | None:
    """Why this very call may not be made any more: a wait outlives the policy and the tools it began under."""
    tool = rules.toolbox.find(call.tool)
    if tool is None or tool.digest != call.tool_digest:
        return f"the tool `{call.tool}` changed while it waited"
    args = json.loads(call.envelope)["args"]
    if (barred := contracts.forbidden(snapshot, call.tool, rules)) is not None:
        return barred[1]
    word = rules.policy.decide(proposals.proposal(snapshot.run, tool, args))
    if word.verdict != "allow" or word.tier != "read":
        return f"the policy's rule `{word.rule}` no longer lets `{call.tool}` look by itself"
    return None


def _asleep(draft: Draft, wait: Waiting, stamp: Stamp) -> RunChange:
    """Give the lease back until the next look, or until the run has taken as long as it may."""
    run = draft.snapshot.run
    if draft.state is RunState.PLANNING:
        draft.move(RunState.EXECUTING)  # it stood still under a freeze before
    due_at = wait.wakes_at(stamp.now_ms)
    if run.deadline_at is not None:
        due_at = min(due_at, max(run.deadline_at, stamp.now_ms))
    draft.run |= {"lease_owner": None, "due_at": due_at, "wake": run.wake + 1, "retries": 0}
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)
