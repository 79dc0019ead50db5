"""Counting what became durable: from the events of a change once it has landed, so that nothing is counted in vain."""

from collections.abc import Mapping, Sequence
from typing import Any

from core import metrics
from core.crashpoints import reached
from core.record.changes import Answer, Decided, Refusal, Refused, RunChange
from core.record.events import Event
from core.record.rows import Snapshot


def answered(change: RunChange, answer: Answer) -> None:
    """Count a change that landed or was refused."""
    if isinstance(answer, Refused):
        metrics.REFUSALS.labels(answer.why).inc()
        reached(f"refused-{answer.why}")
        return
    for event in change.events:
        _count(event, None)


def command(answer: Decided | Refusal, before: Sequence[Snapshot]) -> None:
    """Count a command.

    Args:
        before: The locked runs it was evaluated on: how long something took is known from them.
    """
    metrics.COMMANDS.labels("refused" if isinstance(answer, Refusal) else "decided").inc()
    if isinstance(answer, Refusal):
        reached(f"refusal-{answer.why}")
    else:
        known = {snapshot.run.id: snapshot for snapshot in before}
        for change in answer.changes:
            for event in change.events:
                _count(event, known.get(change.run_id))


def _count(event: Event, before: Snapshot | None) -> None:
    draft = event.draft
    about: Mapping[str, Any] = draft.evidence[0] if draft.evidence else {}
    match draft.type:
        case "state" if draft.to_state is not None:
            metrics.TRANSITIONS.labels(draft.from_state or "none", draft.to_state).inc()
        case "approval-asked":
            metrics.APPROVALS_ASKED.inc()
        case "approval-decided":
            _closed(str(about.get("status")), about.get("approval"), event.at_ms, before)
        case "stop-requested":
            metrics.STOPS.inc()
        case "stop-confirmed":
            asked_at = None if before is None else before.run.killed_at
            # One that had nothing running is confirmed by the commit that asks for it.
            metrics.STOP_S.observe(_seconds(event.at_ms, asked_at))
            metrics.STOP_PROCESSES.inc(int(about.get("processes_ended", 0)))
        case "late-result":
            metrics.LATE_RESULTS.inc()


def _closed(outcome: str, approval_id: object, at_ms: int, before: Snapshot | None) -> None:
    metrics.APPROVALS_CLOSED.labels(outcome).inc()
    asked = None if before is None else before.approval(str(approval_id))
    if asked is not None and asked.status == "pending":
        metrics.APPROVAL_WAIT_S.labels(outcome).observe(_seconds(at_ms, asked.asked_at))


def _seconds(at_ms: int, since_ms: int | None) -> float:
    return 0.0 if since_ms is None else max(at_ms - since_ms, 0) / 1000
