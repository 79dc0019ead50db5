"""Reading a change: which way the run went, what was recorded, what was written."""

from typing import Any

from core.record.changes import RunChange
from core.record.rows import Snapshot
from core.record.states import allowed


def moves(before: Snapshot, change: RunChange) -> list[str]:
    """The states a change leads through: one event per transition, each beginning where the last ended."""
    path = [before.run.run_state]
    for event in change.events:
        source, target = event.draft.from_state, event.draft.to_state
        assert (event.draft.type == "state") == (target is not None)
        if target is not None:
            assert source == path[-1]
            assert allowed(source, target)
            path.append(target)
    assert path[-1] == change.run.get("state", before.run.state)
    return [state.value for state in path[1:]]


def facts(change: RunChange) -> list[str]:
    """The types of all events that are not transitions."""
    return [event.draft.type for event in change.events if event.draft.type != "state"]


def evidence(change: RunChange, type_: str) -> list[dict[str, Any]]:
    """The evidence of the first event of a type."""
    return [dict(item) for event in change.events if event.draft.type == type_ for item in event.draft.evidence]


def patched(change: RunChange, table: str) -> dict[str, Any]:
    """What a change sets in the one row of a table that it updates."""
    (update,) = [update for update in change.updates if update.table == table]
    return dict(update.values)


def inserted_rows(change: RunChange, table: str) -> list[dict[str, Any]]:
    """The rows a change adds to a table."""
    return [dict(insert.values) for insert in change.inserts if insert.table == table]
