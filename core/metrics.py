"""What this process counts, for Prometheus: every metric on one page, and the text they are given out as.

Counted where it happens, by one line there; what only the database knows is measured when somebody asks
(`core.store.standing`) and rendered beside it. Label values come from closed lists of ours, or are names the operator
gave (tools), bounded by `Names`; never an id, a text or a person.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"

REGISTRY = CollectorRegistry()
"""Ours alone: no other library in the process adds to it."""
ProcessCollector(registry=REGISTRY)

_SHORT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_WORK_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)
_STOP_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
_PEOPLE_S = (5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 43_200.0, 86_400.0)
_BATCH = (1, 2, 5, 10, 20, 50, 100, 200)


def _counter(name: str, sentence: str, *labels: str) -> Counter:
    return Counter(f"banksman_{name}", sentence, labels, registry=REGISTRY)


def _histogram(name: str, sentence: str, buckets: Iterable[float], *labels: str) -> Histogram:
    return Histogram(f"banksman_{name}", sentence, labels, registry=REGISTRY, buckets=tuple(buckets))


PARTS = Gauge("banksman_part_info", "Which part of Banksman this process is.", ["part"], registry=REGISTRY)
PASSES = _counter("loop_passes_total", "Passes of a periodic loop, by how they ended.", "loop", "result")

CLAIMS = _counter("runs_claimed_total", "Runs this worker took up.")
SLICES_OPEN = Gauge("banksman_slices_under_way", "Runs this worker is driving now.", registry=REGISTRY)
SLICES = _histogram("slice_duration_seconds", "Slices driven here, by how they ended.", _WORK_S, "ended")
RUNS_LOST = _counter("lease_losses_total", "Runs whose slice had to end because they were not ours any more.", "reason")
TRANSITIONS = _counter("run_transitions_total", "Moves of runs committed by this process.", "from_state", "to_state")

ATTEMPTS = _counter("tool_call_attempts_total", "Attempts of tool calls that ended here.", "tool", "status")
RETRIES = _counter("tool_call_retries_total", "Attempts that will be followed by another one.", "tool")
ATTEMPT_S = _histogram("tool_call_attempt_duration_seconds", "How long attempts took.", _WORK_S, "tool")
LATE_RESULTS = _counter("late_results_total", "Results kept that came after their attempt had lost the run.")

APPROVALS_ASKED = _counter("approvals_asked_total", "Questions to approvers.")
APPROVALS_CLOSED = _counter("approvals_closed_total", "Questions to approvers that were closed.", "outcome")
APPROVAL_WAIT_S = _histogram(
    "approval_wait_seconds", "From a question to approvers to its end by a command.", _PEOPLE_S, "outcome"
)

STOPS_ASKED = _counter("stops_asked_total", "Stops asked for on a surface of this process and granted.", "surface")
STOPS = _counter("stops_requested_total", "Runs whose stop this process committed.")
STOP_S = _histogram("stop_confirmation_seconds", "From a stop requested to the same stop confirmed.", _STOP_S)
STOP_PROCESSES = _counter("stop_processes_ended_total", "Processes that stops confirmed here had to end.")

ARTIFACTS_DAMAGED = _counter("artifacts_damaged_total", "Reads of stored files that were gone or had changed.")
ARTIFACTS_TRASHED = _counter("artifacts_trashed_total", "Stored files that nothing names any more, put into the trash.")
ARTIFACTS_RESTORED = _counter(
    "artifacts_restored_total", "Stored files taken out of the trash because something names them again."
)

BATCHES = _histogram("journal_batch_changes", "Changes in one commit of the journal.", _BATCH)
BATCH_S = _histogram("journal_commit_duration_seconds", "How long one commit of the journal took.", _SHORT_S)
COMMANDS = _counter("journal_commands_total", "Commands evaluated on locked runs.", "answer")
REFUSALS = _counter("journal_refusals_total", "Changes the journal refused, wrote nothing of, and why.", "reason")
TROUBLES = _counter("journal_troubles_total", "Commits that went wrong: replayed, or with their reply lost.", "kind")

DELIVERIES = _counter("slack_deliveries_total", "Rows of the outbox dealt with.", "kind", "outcome")
SLACK_CALLS = _counter("slack_calls_total", "Calls to Slack's Web API.", "method", "outcome")
SLACK_WAIT_S = _histogram(
    "slack_limit_wait_seconds", "How long calls waited for our own Slack limits.", _SHORT_S, "priority"
)
REQUESTS_REFUSED = _counter("http_requests_refused_total", "HTTP mode: requests refused.", "reason")


class Names:
    """Label values of one kind that somebody outside this code chose: the first hundred that look like names."""

    _SHAPE = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
    _MOST = 100

    def __init__(self) -> None:
        self._known: set[str] = set()

    def __call__(self, name: str) -> str:
        """The name itself, or `other` for what is no name or one too many."""
        if name in self._known:
            return name
        if len(self._known) >= self._MOST or not self._SHAPE.fullmatch(name):
            return OTHER
        self._known.add(name)
        return name


tool_name = Names()
delivery_kind = Names()
refusal = Names()


def attempt_ended(tool: str, status: str, seconds: float, *, again: bool) -> None:
    """Count an attempt of a tool call."""
    tool = tool_name(tool)
    ATTEMPTS.labels(tool, status).inc()
    ATTEMPT_S.labels(tool).observe(max(seconds, 0.0))
    if again:
        RETRIES.labels(tool).inc()


@dataclass(frozen=True)
class Measured:
    """A value read from somewhere else when it was asked for."""

    name: str
    """Without the prefix."""
    sentence: str
    values: Mapping[str, float]
    """By label value; one without a label is under the empty string."""
    label: str = ""


class _Given:
    def __init__(self, measured: Iterable[Measured]) -> None:
        self._measured = measured

    def collect(self) -> Iterable[Metric]:
        for each in self._measured:
            family = GaugeMetricFamily(
                f"banksman_{each.name}", each.sentence, labels=[each.label] if each.label else []
            )
            for label, value in each.values.items():
                family.add_metric([label] if each.label else [], value)
            yield family


def rendered(measured: Iterable[Measured] = ()) -> bytes:
    """Everything counted and measured, in Prometheus' text format."""
    beside = CollectorRegistry()
    beside.register(_Given(measured))
    return prometheus_client.generate_latest(REGISTRY) + prometheus_client.generate_latest(beside)
