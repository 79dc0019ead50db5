"""The ten states of a run and the only transitions between them, as data.

The database enforces the same table by a foreign key from `events(from_state, to_state)`; the diagram in docs/ is
generated from it. Which change causes a transition is decided in `core.runs`, not here.
"""

from collections.abc import Mapping
from enum import StrEnum


class RunState(StrEnum):
    """Where a run is."""

    CREATED = "created"
    CONTEXT_LOADED = "context-loaded"
    PLANNING = "planning"
    WAITING_FOR_APPROVAL = "waiting-for-approval"
    EXECUTING = "executing"
    BLOCKED = "blocked"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    ROLLED_BACK = "rolled-back"


class BlockedReason(StrEnum):
    """Why a run cannot go on by itself; each has a remedy a person can take."""

    QUESTION = "question"
    AMBIGUOUS_EFFECT = "ambiguous-effect"
    BUDGET = "budget"
    LOOP = "loop"
    FROZEN = "frozen"
    APPROVAL_EXPIRED = "approval-expired"
    MISSING_SECRET = "missing-secret"
    EGRESS_DENIED = "egress-denied"
    DEPENDENCY_DOWN = "dependency-down"
    POLICY_ERROR = "policy-error"
    ARTIFACT_INTEGRITY = "artifact-integrity"
    MODEL_ERROR = "model-error"


class CallStatus(StrEnum):
    """Where one tool call is (`intent` until something may be happening outside)."""

    INTENT = "intent"
    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELED = "canceled"


_S = RunState
_ENDINGS = frozenset({_S.FAILED, _S.CANCELED})

TRANSITIONS: Mapping[RunState, frozenset[RunState]] = {
    _S.CREATED: frozenset({_S.CONTEXT_LOADED}) | _ENDINGS,
    _S.CONTEXT_LOADED: frozenset({_S.PLANNING, _S.BLOCKED}) | _ENDINGS,
    _S.PLANNING: frozenset({_S.EXECUTING, _S.WAITING_FOR_APPROVAL, _S.COMPLETED, _S.BLOCKED}) | _ENDINGS,
    _S.WAITING_FOR_APPROVAL: frozenset({_S.EXECUTING, _S.PLANNING, _S.BLOCKED}) | _ENDINGS,
    _S.EXECUTING: frozenset({_S.PLANNING, _S.COMPLETED, _S.BLOCKED}) | _ENDINGS,
    _S.BLOCKED: frozenset({_S.PLANNING, _S.WAITING_FOR_APPROVAL}) | _ENDINGS,
    _S.COMPLETED: frozenset({_S.ROLLED_BACK}),
    _S.FAILED: frozenset({_S.ROLLED_BACK}),
    _S.CANCELED: frozenset({_S.ROLLED_BACK}),
    _S.ROLLED_BACK: frozenset(),
}

TERMINAL = frozenset({_S.COMPLETED, _S.FAILED, _S.CANCELED, _S.ROLLED_BACK})
"""Ended; only a finished rollback moves one on."""

DRIVEN = frozenset({_S.CONTEXT_LOADED, _S.PLANNING, _S.EXECUTING})
"""A worker may claim these whenever they are due."""


MACHINES = ("probe", "recovery")
"""Who settles calls without being a person; nobody else is named so."""

DUE_NOW = 0
"""`due_at` of a run that has something to do at once: earlier than every clock, so no clock can be wrong about it."""

LONGEST_PAUSE_MS = 660_000
"""No run is ever told to wait longer. One that is due later was written by a clock that was set back since."""


def allowed(source: RunState, target: RunState) -> bool:
    """Whether the table has this transition."""
    return target in TRANSITIONS[source]


def diagram() -> str:
    """The table as a Mermaid state diagram, in the order the states are declared."""
    lines = ["stateDiagram-v2", "    [*] --> created"]
    for source in RunState:
        lines += [f"    {_node(source)} --> {_node(target)}" for target in RunState if allowed(source, target)]
    declared = [f'    state "{state}" as {_node(state)}' for state in RunState if "-" in state]
    return "\n".join([lines[0], *declared, *lines[1:]])


def _node(state: RunState) -> str:
    return state.value.replace("-", "_")
