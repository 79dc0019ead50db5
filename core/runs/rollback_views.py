"""Read models of what a run did outside and of its rollback."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from core.clock import rfc3339
from core.record.rows import Snapshot
from core.record.states import RunState
from core.runs.commands.rollback import why_not
from core.runs.undoing import effects
from core.tools.base import Undoing


@dataclass(frozen=True)
class EffectView:
    """Something a run did, or may have done, outside."""

    action_id: str
    step: str
    tool: str
    status: Literal["stands", "undone", "unsettled"]
    """`unsettled`: nobody knows whether it happened, or whether it was undone."""
    undo: str | None
    """The tool that undoes it; `None` = it cannot be undone."""
    undone_by: str | None
    """The run that undid it, or may have."""

    def as_json(self) -> dict[str, Any]:
        """One entry of `effects` in `show`."""
        return {
            "action_id": self.action_id,
            "step": self.step,
            "tool": self.tool,
            "status": self.status,
            "undo": self.undo,
            "undone_by": self.undone_by,
        }


@dataclass(frozen=True)
class RollbackView:
    """The rollback of a run: under way, or what made it rolled back."""

    run_id: str
    state: RunState
    """Of the run that does it."""
    by: str
    """Principal who asked for it."""
    by_slack: str | None
    asked_at_ms: int

    def as_json(self) -> dict[str, Any]:
        """`rollback` in `show`."""
        asked_at = rfc3339(self.asked_at_ms)
        return {"run_id": self.run_id, "state": self.state.value, "by": self.by, "asked_at": asked_at}


@dataclass(frozen=True)
class Undoable:
    """Everything about undoing one run."""

    effects: tuple[EffectView, ...] = ()
    """In the order they were planned."""
    rollback: RollbackView | None = None
    possible: bool = False
    """Whether somebody who may could have it rolled back now."""
    rolls_back: str | None = None
    """The run this one undoes, if it is a rollback."""


def undoable(target: Snapshot, tree: Sequence[Snapshot], known: Mapping[str, Undoing]) -> Undoable:
    """What a run did outside, and how far that was undone.

    Args:
        tree: The run and everything below it.
        known: The tools whose effects can be taken back, by name.
    """
    found = tuple(
        EffectView(
            action_id=effect.call.id,
            step=effect.call.step,
            tool=effect.call.tool,
            status=effect.status,
            undo=None if effect.undo is None else effect.undo.tool,
            undone_by=effect.undone_by,
        )
        for effect in effects(target, tree, known)
    )
    child = next((each.run for each in tree if each.run.id == target.run.rollback_id), None)
    rollback = None
    if child is not None:
        rollback = RollbackView(child.id, child.run_state, child.requester, child.requester_slack, child.created_at)
    return Undoable(found, rollback, why_not(target, tree, known) is None, target.run.rolls_back)
