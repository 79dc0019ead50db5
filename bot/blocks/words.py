"""Our own words for states, reasons and quantities, the same on every surface.

Short, sentence case, no jargon a reader of the channel would have to look up. Texts of people and tools are not here.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from core.record.states import TERMINAL, BlockedReason, RunState
from core.runs.views import RunView, StopView

STATE_WORDS: Mapping[RunState, tuple[str, str]] = {
    RunState.CREATED: ("eyes", "Accepted"),
    RunState.CONTEXT_LOADED: ("hourglass_flowing_sand", "Queued"),
    RunState.PLANNING: ("memo", "Planning"),
    RunState.WAITING_FOR_APPROVAL: ("raised_hand", "Waiting for approval"),
    RunState.EXECUTING: ("gear", "Running"),
    RunState.BLOCKED: ("warning", "Blocked"),
    RunState.COMPLETED: ("white_check_mark", "Completed"),
    RunState.FAILED: ("x", "Failed"),
    RunState.CANCELED: ("octagonal_sign", "Stopped"),
    RunState.ROLLED_BACK: ("leftwards_arrow_with_hook", "Rolled back"),
}
"""Emoji short name and words of each state."""

REASON_WORDS: Mapping[BlockedReason, tuple[str, str]] = {
    BlockedReason.QUESTION: ("it has a question", "Press Answer and fill in the form."),
    BlockedReason.AMBIGUOUS_EFFECT: (
        "an effect may or may not have happened",
        "Check the target by hand before anything is repeated.",
    ),
    BlockedReason.BUDGET: ("it has used up what it may", "Let it have more, or stop it."),
    BlockedReason.LOOP: ("it has asked as often as it may", "Look at Details, then let it ask again or stop it."),
    BlockedReason.FROZEN: ("an operator froze it", "It goes on when the freeze is lifted."),
    BlockedReason.APPROVAL_EXPIRED: ("nobody decided in time", "Ask for the approval again, or stop the run."),
    BlockedReason.MISSING_SECRET: ("a credential is missing", "An administrator has to provide it; then it goes on."),
    BlockedReason.EGRESS_DENIED: (
        "it may not reach that address",
        "Allow the address in the configuration, or stop the run.",
    ),
    BlockedReason.DEPENDENCY_DOWN: ("something it needs cannot be reached", "It goes on once that works again."),
    BlockedReason.POLICY_ERROR: ("the policy could not be evaluated", "An administrator has to repair the policy."),
    BlockedReason.ARTIFACT_INTEGRITY: (
        "a stored file no longer matches its digest",
        "An administrator has to bring the file back; then let it ask again.",
    ),
    BlockedReason.MODEL_ERROR: (
        "the model gave no usable answer",
        "Stop it and ask again, or wait for the model to recover.",
    ),
}
"""Why, as the end of "Blocked because …", and what helps when the run itself names no remedy."""


def title(agent: str, rolls_back: str | None) -> str:
    """What a run is called: its playbook, or the rollback of it; holds a name of the operator's."""
    return agent if rolls_back is None else f"Rollback of {agent}"


def is_ended(view: RunView) -> bool:
    """Whether nothing more will happen by itself, so nothing is left to stop."""
    return view.state in TERMINAL


def badge(state: RunState, stop: StopView | None = None) -> tuple[str, str]:
    """Emoji and words for a state; a stop that is not yet proved reads *Stopping*."""
    if state is RunState.CANCELED and stop is not None and stop.confirmed_at_ms is None:
        return "octagonal_sign", "Stopping"
    return STATE_WORDS[state]


def duration(span_ms: int) -> str:
    """Write a span for people: `0.4 s`, `42 s`, `3 min 05 s`, `2 h 07 min`, `3 d 4 h`."""
    span_ms = max(span_ms, 0)
    seconds = span_ms // 1000
    if seconds < 10:
        return f"{span_ms / 1000:.1f} s"
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02} s"
    if seconds < 86_400:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"
    return f"{seconds // 86_400} d {seconds % 86_400 // 3600} h"


def ago(at_ms: int, now_ms: int) -> str:
    """Write how long ago something was, coarsely, so that a card does not change each second."""
    seconds = max(now_ms - at_ms, 0) // 1000
    for unit_s, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit_s:
            return f"{seconds // unit_s} {name} ago"
    return "just now"


def size(count_bytes: int) -> str:
    """Write a size in decimal units: `312 B`, `4.2 kB`, `50 MB`."""
    if count_bytes < 1000:
        return f"{count_bytes} B"
    amount, units = count_bytes / 1000, ["TB", "GB", "MB", "kB"]
    unit = units.pop()
    while amount >= 999.5 and units:
        amount, unit = amount / 1000, units.pop()
    return f"{amount:.1f} {unit}" if amount < 10 else f"{amount:.0f} {unit}"


def money(micro_usd: int) -> str:
    """Write micro-dollars: cents from a dollar on, four decimals below, so that small costs do not read as nothing."""
    dollars = micro_usd / 1_000_000
    if micro_usd and abs(micro_usd) < 100:
        return "under $0.0001"
    return f"${dollars:,.2f}" if abs(micro_usd) >= 1_000_000 else f"${dollars:.4f}"


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 file`, `3 files`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def utc(at_s: int) -> str:
    """The time a client shows when it cannot format one itself."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
