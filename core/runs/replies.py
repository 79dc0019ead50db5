"""What people write to a run under way: which of it the model has been given, and when it is given the rest.

A reply has its place once, behind the answers that were there when it was first given, so that a prompt grows and never
changes. It is given in the commit that asks for the turn; a worker that dies after that changes nothing.
"""

from core.planners.base import Reply
from core.record.rows import RunRow, Snapshot, SteerRow, dumps
from core.runs.draft import Draft


def taken(snapshot: Snapshot) -> tuple[Reply, ...]:
    """Everything that is taken up, in order."""
    return tuple(
        Reply(row.author, row.author == snapshot.run.requester, row.text, _place(snapshot, row))
        for row in snapshot.steers
        if row.status == "taken"
    )


def give(draft: Draft, turn: int) -> None:
    """Let a turn be the first that is given what no turn was given; who wrote it does not decide from now on."""
    run, waiting = draft.snapshot.run, _waiting(draft.snapshot)
    for row in waiting:
        draft.update("steers", {"id": row.id}, {"used_by": str(turn)})
    if waiting:
        draft.run["authors_json"] = dumps(sorted({*run.authors, *_others(run, waiting)}))


def ids_given(snapshot: Snapshot) -> list[str]:
    """Those a turn that is asked for now would be the first to be given."""
    return [row.id for row in _waiting(snapshot)]


def _waiting(snapshot: Snapshot) -> list[SteerRow]:
    return [row for row in snapshot.steers if row.status == "taken" and row.used_by is None]


def _others(run: RunRow, rows: list[SteerRow]) -> set[str]:
    return {row.author for row in rows if row.author != run.requester}


def _place(snapshot: Snapshot, row: SteerRow) -> int | None:
    """After how many answers it stands."""
    if row.used_by is None:
        return None
    return sum(
        turn.n < int(row.used_by) and turn.status == "answered" and turn.covers is None for turn in snapshot.turns
    )
