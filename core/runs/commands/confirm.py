"""Confirm a stop: every host that held the run reports what it found and ended; then the stop is proved."""

from collections.abc import Sequence

from core.principals import Actor
from core.record.changes import Decided, Refusal
from core.record.rows import Snapshot
from core.record.states import CallStatus
from core.runs.draft import Draft

CONFIRMED = "confirmed"


def confirm(
    runs: Sequence[Snapshot], *, run_id: str, host: str, ended: int, remaining: int, reporter: str, now_ms: int
) -> Decided | Refusal:
    """Record one host's report on a stopped run, and the proof once no host is missing.

    Args:
        ended: Processes of the run the host had to end.
        remaining: Processes of the run still alive there.

    A call that is still `started` when the stop is proved becomes `unknown`: how it ended outside is a fact to be found
    out, not something this platform saw.
    """
    snapshot = next((snapshot for snapshot in runs if snapshot.run.id == run_id), None)
    if snapshot is None or snapshot.run.killed_at is None:
        return Refusal("not-found", f"Run {run_id} was not stopped.")
    run = snapshot.run
    if run.stop_confirmed_at is not None:
        return Refusal("already", f"The stop of run {run_id} is already confirmed.")
    draft = Draft(snapshot, Actor.system(reporter))
    report = {"host": host, "killed_fence": run.killed_fence, "ended": ended, "remaining": remaining}
    draft.insert("stop_reports", {"tenant": run.tenant, "run_id": run.id, "at": now_ms, **report})
    clear = {
        report.host for report in snapshot.reports if report.killed_fence == run.killed_fence and not report.remaining
    }
    clear.discard(host)
    if remaining == 0:
        clear.add(host)
    if (hosts_to_ask(snapshot) | {host}) - clear:
        return Decided((draft.seal(now_ms=now_ms),), "reported")
    total = ended + sum(other.ended for other in snapshot.reports if other.host != host)
    for call in snapshot.calls:
        if call.call_status is CallStatus.STARTED:
            _lost(draft, call.id, now_ms)
    for attempt in snapshot.attempts:
        if attempt.status is None:
            values = {"status": "lost", "ended_at": now_ms, "error": "the run was stopped"}
            draft.update("call_attempts", {"call_id": attempt.call_id, "n": attempt.n}, values)
    draft.run["stop_confirmed_at"] = now_ms
    draft.fact("stop-confirmed", {"hosts": sorted(clear), "processes_ended": total})
    return Decided((draft.seal(now_ms=now_ms),), CONFIRMED)


def hosts_to_ask(snapshot: Snapshot) -> set[str]:
    """Every host that has to speak before the stop of this run is proved: those that ever started a call of it."""
    return {attempt.host for attempt in snapshot.attempts if attempt.host is not None}


def _lost(draft: Draft, call_id: str, now_ms: int) -> None:
    lost = "the run was stopped while this was under way"
    draft.fact("call-ended", {"call": call_id, "status": CallStatus.UNKNOWN.value})
    draft.update("tool_calls", {"id": call_id}, {"status": CallStatus.UNKNOWN.value, "ended_at": now_ms, "error": lost})
