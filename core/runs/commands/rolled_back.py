"""The end of a rollback, written on the run it was for: rolled back if everything was done, as it was if not."""

from collections.abc import Sequence

from core.principals import Actor
from core.record.changes import Decided, Refusal, RunChange
from core.record.rows import CallRow, Snapshot
from core.record.states import TERMINAL, CallStatus, RunState
from core.runs.draft import Draft
from core.runs.undoing import undoes

_SYSTEM = Actor.system("rollback")


def close(runs: Sequence[Snapshot], *, child_id: str, now_ms: int) -> Decided | Refusal:
    """Write down on a run what became of the rollback of it; once, however often it is called.

    Args:
        runs: The whole tree.
        child_id: The rollback.
    """
    child = next((snapshot for snapshot in runs if snapshot.run.id == child_id), None)
    parent = None if child is None else _waiting(runs, child)
    if child is None or parent is None:
        return Refusal("already", f"Nothing waits for the end of run {child_id}.")
    if child.run.run_state not in TERMINAL:
        return Refusal("invalid", f"Run {child_id} has not ended: it is {child.run.state}.")
    of, done = undoes(child), _done(child)
    if child.run.run_state is not RunState.COMPLETED or done.keys() != of.keys():
        change = _let_go(parent, child, child.run.run_state, now_ms)
        return Decided((change,), f"Run {parent.run.id} stays as it was.")
    draft = Draft(parent, _SYSTEM)
    evidence = ({"call": of[step], "undone_by": call.id} for step, call in done.items())
    draft.move(RunState.ROLLED_BACK, {"run": child_id}, *evidence)
    return Decided((draft.seal(now_ms=now_ms),), f"Run {parent.run.id} is rolled back.")


def let_go_by_stop(runs: Sequence[Snapshot], stopped: Sequence[Snapshot], *, now_ms: int) -> tuple[RunChange, ...]:
    """What a stop writes on runs whose rollback it ends: they can be rolled back again."""
    pairs = ((child, _waiting(runs, child)) for child in stopped)
    return tuple(_let_go(parent, child, RunState.CANCELED, now_ms) for child, parent in pairs if parent is not None)


def _waiting(runs: Sequence[Snapshot], child: Snapshot) -> Snapshot | None:
    """The run that waits for this rollback."""
    parent = next((snapshot for snapshot in runs if snapshot.run.id == child.run.rolls_back), None)
    if parent is None or parent.run.rollback_id != child.run.id or parent.run.run_state is RunState.ROLLED_BACK:
        return None
    return parent


def _done(child: Snapshot) -> dict[str, CallRow]:
    of = undoes(child)
    return {call.step: call for call in child.calls if call.step in of and call.call_status is CallStatus.SUCCEEDED}


def _let_go(parent: Snapshot, child: Snapshot, state: RunState, now_ms: int) -> RunChange:
    draft = Draft(parent, _SYSTEM)
    draft.fact("rollback-ended", {"run": child.run.id, "state": state.value})
    draft.run["rollback_id"] = None
    return draft.seal(now_ms=now_ms)
