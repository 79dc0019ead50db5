"""What a thread's session with us says: one word for all runs of the thread, as a view of their states.

The words are those of Slack's agent sessions, https://docs.slack.dev/ai/agent-sessions. A run decides nothing by them:
where Slack has no sessions, nothing is lost but its own stop button.
"""

from collections.abc import Mapping
from enum import StrEnum

from core.record.states import RunState


class Session(StrEnum):
    """What a session says, the most alive first: of several runs in one thread, the first of these is shown."""

    PROCESSING = "processing"
    """Something is being done for the thread; Slack shows its stop button."""
    SUSPENDED = "suspended"
    """Nothing goes on before a person acts."""
    CLOSED = "closed"
    """Nothing is under way. Asking for something else opens the session again."""


_S, _R = Session, RunState

SESSION_OF: Mapping[RunState, Session] = {
    _R.CREATED: _S.PROCESSING,
    _R.CONTEXT_LOADED: _S.PROCESSING,
    _R.PLANNING: _S.PROCESSING,
    _R.EXECUTING: _S.PROCESSING,
    _R.WAITING_FOR_APPROVAL: _S.SUSPENDED,
    _R.BLOCKED: _S.SUSPENDED,
    _R.COMPLETED: _S.CLOSED,
    _R.FAILED: _S.CLOSED,
    _R.CANCELED: _S.CLOSED,
    _R.ROLLED_BACK: _S.CLOSED,
}
"""What one run says."""

RANK: Mapping[RunState, int] = {state: list(Session).index(session) for state, session in SESSION_OF.items()}
"""How alive a run is; 0 is the most."""
