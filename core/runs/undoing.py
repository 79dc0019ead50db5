"""What a run did outside, what of that can be taken back, and what has been: read from the ledger alone, pure.

Only an effect that the operator calls `compensable`, of a tool that has an undo, can be taken back. Whether that works
is found out when it is tried; who may ask for it is `commands.rollback`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from core.record.rows import CallRow, Snapshot
from core.record.states import CallStatus
from core.tools.base import Undoing

INSIDE = frozenset({"read", "workspace"})
"""Tiers of calls that change nothing outside."""

KIND = "rollback"
"""Of the document that lists what a rollback does."""

_LEFT = {
    CallStatus.SUCCEEDED: "stands",
    CallStatus.UNKNOWN: "unsettled",
    CallStatus.STARTED: "unsettled",
}
"""Calls that changed, or may have changed, something; others had no effect."""


@dataclass(frozen=True)
class Compensation:
    """The call that takes an effect back."""

    tool: str
    args: Mapping[str, Any]


@dataclass(frozen=True)
class Effect:
    """Something a run did, or may have done, outside."""

    call: CallRow
    status: Literal["stands", "undone", "unsettled"]
    """`unsettled`: nobody knows whether it happened, or whether it was taken back."""
    undo: Compensation | None
    """What takes it back; `None` = it cannot be."""
    undone_by: str | None = None
    """The run that took it back, or may have."""


def rollbacks_of(runs: Sequence[Snapshot], run_id: str) -> list[Snapshot]:
    """The runs that were to take a run back, the first one first."""
    return sorted((each for each in runs if each.run.rolls_back == run_id), key=lambda each: each.run.created_at)


def undoes(rollback: Snapshot) -> Mapping[str, str]:
    """Each step of a rollback, and the call it takes back."""
    found: Mapping[str, str] = rollback.run.inputs.get("undoes", {})
    return found


def effects(target: Snapshot, runs: Sequence[Snapshot], undoings: Mapping[str, Undoing]) -> tuple[Effect, ...]:
    """Everything a run did outside, in the order it was planned.

    Args:
        runs: Its tree, or at least the rollbacks of it.
        undoings: The tools whose effects can be taken back, by name.
    """
    tried: dict[str, tuple[str, CallStatus]] = {}
    for rollback in rollbacks_of(runs, target.run.id):
        of = undoes(rollback)
        for call in rollback.calls:
            if call.step in of and call.call_status in _LEFT:
                tried[of[call.step]] = rollback.run.id, call.call_status
    found = []
    for call in target.calls:
        if call.tier in INSIDE or call.call_status not in _LEFT:
            continue
        status: Any = _LEFT[call.call_status]
        by, how = tried.get(call.id, (None, None))
        if by is not None:
            status = "undone" if how is CallStatus.SUCCEEDED else "unsettled"
        found.append(Effect(call, status, _compensation(call, undoings), by))
    return tuple(found)


def _compensation(call: CallRow, undoings: Mapping[str, Undoing]) -> Compensation | None:
    tool = undoings.get(call.tool)
    if tool is None or call.tier != "compensable":
        return None
    args = tool.undo_args(json.loads(call.envelope)["args"], json.loads(call.result_json or "{}"))
    return None if args is None else Compensation(tool.undo.name, args)
