"""Confirm a stop: every host that held the run reports what it found and ended; then the stop is proved."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.principals import Actor
from core.record.changes import Decided, Refusal
from core.record.rows import Snapshot, StopReportRow
from core.record.states import CallStatus
from core.runs.draft import Draft

CONFIRMED = "confirmed"


@dataclass(frozen=True)
class HostReport:
    """What one host found of a stopped run."""

    host: str
    boot_id: str
    ended: int
    """Processes of the run that had to be ended since the report before."""
    remaining: int
    """Processes of the run still alive there."""
    reporter: str
    """The part of the system that looked."""


def confirm(runs: Sequence[Snapshot], *, run_id: str, report: HostReport, now_ms: int) -> Decided | Refusal:
    """Record one host's report on a stopped run, and the proof once no host is missing.

    A call that is still `started` when the stop is proved becomes `unknown`: how it ended outside is a fact to be found
    out, not something this platform saw. A report that comes after the proof is added to it; one that says that
    something is alive after all is recorded as that.
    """
    snapshot = next((snapshot for snapshot in runs if snapshot.run.id == run_id), None)
    if snapshot is None or snapshot.run.killed_at is None:
        return Refusal("not-found", f"Run {run_id} was not stopped.")
    run = snapshot.run
    before = _reported(snapshot, report.host)
    if run.stop_confirmed_at is not None and not (report.ended or report.remaining):
        return Refusal("already", f"The stop of run {run_id} is already confirmed.")
    if before is not None and _says_nothing_new(before, report):
        return Refusal("already", f"{report.host} has said that before.")
    draft = Draft(snapshot, Actor.system(report.reporter))
    total = report.ended + (0 if before is None else before.ended)
    row = {"host": report.host, "boot_id": report.boot_id, "killed_fence": run.killed_fence, "ended": total}
    row |= {"tenant": run.tenant, "run_id": run.id, "remaining": report.remaining, "at": now_ms}
    draft.insert("stop_reports", row)
    found = {"host": report.host, "boot": report.boot_id, "ended": report.ended, "remaining": report.remaining}
    boots = [attempt.boot_id for attempt in snapshot.attempts if attempt.host == report.host]
    restarted = {"restarted": True} if came_back(boots, report.boot_id) else {}
    draft.fact("stop-reported", {**found, **restarted})
    if run.stop_confirmed_at is not None:
        return Decided((draft.seal(now_ms=now_ms),), "reported")
    clear = {other.host for other in _current(snapshot) if not other.remaining} - {report.host}
    if report.remaining == 0:
        clear.add(report.host)
    if (hosts_to_ask(snapshot) | {report.host}) - clear:
        return Decided((draft.seal(now_ms=now_ms),), "reported")
    for call in snapshot.calls:
        if call.call_status is CallStatus.STARTED:
            _lost(draft, call.id, now_ms)
    for attempt in snapshot.attempts:
        if attempt.status is None:
            values = {"status": "lost", "ended_at": now_ms, "error": "the run was stopped"}
            draft.update("call_attempts", {"call_id": attempt.call_id, "n": attempt.n}, values)
    total += sum(other.ended for other in _current(snapshot) if other.host != report.host)
    draft.run["stop_confirmed_at"] = now_ms
    draft.fact("stop-confirmed", {"hosts": sorted(clear), "processes_ended": total})
    return Decided((draft.seal(now_ms=now_ms),), CONFIRMED)


def hosts_to_ask(snapshot: Snapshot) -> set[str]:
    """Every host that has to speak before the stop of this run is proved: those that ever started a call of it, and
    whoever held it when it was stopped, for looks before a call are processes too.
    """
    found = {attempt.host for attempt in snapshot.attempts if attempt.host is not None}
    return found if snapshot.run.holder_host is None else found | {snapshot.run.holder_host}


def came_back(boots: Sequence[str | None], reported: str | None) -> bool:
    """Whether a host has booted since it last worked on a run: nothing of the run can have lived through that.

    Args:
        boots: Of its attempts there.
        reported: Of its report.
    """
    return bool(boots) and reported is not None and reported not in boots and None not in boots


def _current(snapshot: Snapshot) -> list[StopReportRow]:
    return [report for report in snapshot.reports if report.killed_fence == snapshot.run.killed_fence]


def _reported(snapshot: Snapshot, host: str) -> StopReportRow | None:
    return next((report for report in _current(snapshot) if report.host == host), None)


def _says_nothing_new(before: StopReportRow, report: HostReport) -> bool:
    return not report.ended and report.remaining == before.remaining and report.boot_id == before.boot_id


def _lost(draft: Draft, call_id: str, now_ms: int) -> None:
    lost = "the run was stopped while this was under way"
    draft.fact("call-ended", {"call": call_id, "status": CallStatus.UNKNOWN.value})
    draft.update("tool_calls", {"id": call_id}, {"status": CallStatus.UNKNOWN.value, "ended_at": now_ms, "error": lost})
