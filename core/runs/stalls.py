"""Agents that get nowhere: seen before each turn, told to the model once, and the second time to a person.

What is looked at are the calls since the last time, so that a plan made anew gets a chance of its own. Where that was
stands in the run; a person who lets it go on is one of those places, and may say for how many steps nothing is looked
at: then it goes on as it does, and what it has done since is looked at after that.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.loops import Mark, Stall, digest_of, stall
from core.planners.waiting import DELEGATE
from core.record.rows import CallRow, Snapshot, dumps
from core.record.states import CallStatus

_ENDED = (CallStatus.SUCCEEDED, CallStatus.FAILED)
_MOST_ERROR = 60
"""Characters of an error that say of which kind it is."""


@dataclass(frozen=True)
class Found:
    """A stall."""

    stall: Stall
    again: bool
    """Whether its model was told of one before, or a person let it go on for some steps: then it is parked."""


def look(snapshot: Snapshot) -> Found | None:
    """Whether the run has gone round in circles since it was last said."""
    before = entries(snapshot)
    last = before[-1] if before else {}
    if snapshot.run.steps < last.get("until", 0):
        return None
    since = max((entry["calls"] for entry in before), default=0)
    ended = [call for call in snapshot.calls[since:] if call.call_status in _ENDED]
    fresh = _kept_first(snapshot)
    found = stall([_mark(call, call.id in fresh) for call in ended if not has_waited(call)])
    return None if found is None else Found(found, "why" in last or "until" in last)


def noted(snapshot: Snapshot, found: Found, *, answers: int) -> str:
    """`stalls_json` with this one added."""
    entry = {"calls": len(snapshot.calls), "answers": answers, "why": found.stall.text}
    return dumps([*entries(snapshot), entry])


def let_go_on(snapshot: Snapshot, steps: int = 0) -> str:
    """`stalls_json` once a person has let the run go on.

    Args:
        steps: For how many nothing is looked at; 0 = its model is told first if it stalls again.
    """
    until = {"until": snapshot.run.steps + steps} if steps else {}
    return dumps([*entries(snapshot), {"calls": len(snapshot.calls), "answers": 0, **until}])


def notes(snapshot: Snapshot) -> tuple[tuple[int, str], ...]:
    """What the model is told of its stalls, each after so many of its answers."""
    return tuple((entry["answers"], _told(entry["why"])) for entry in entries(snapshot) if "why" in entry)


def entries(snapshot: Snapshot) -> Sequence[Mapping[str, Any]]:
    """Where it was found to stall, and where a person let it go on, in order."""
    found: list[Mapping[str, Any]] = json.loads(snapshot.run.stalls_json)
    return found


def _told(why: str) -> str:
    return (
        f"You are getting nowhere: {why}. Say in a new plan what you have learned and what you will do differently, "
        "or end and say what stands in the way. If this goes on, the work is stopped and a person is asked."
    )


def has_waited(call: CallRow) -> bool:
    """Whether this was a wait that looked more than once: that is patience with a deadline, and no loop."""
    return call.wait_json is not None and call.attempts > 1 and call.tool != DELEGATE


def _mark(call: CallRow, progress: bool) -> Mark:
    args = json.loads(call.envelope)["args"]
    failed = call.call_status is CallStatus.FAILED
    error = (call.error or "it failed")[:_MOST_ERROR] if failed else ""
    return Mark(
        title=call.title or call.tool,
        action=digest_of(call.tool, dumps(args)),
        outcome=digest_of(call.result_json or "", call.error or ""),
        error=digest_of(call.tool, error) if failed else "",
        progress=progress,
    )


def _kept_first(snapshot: Snapshot) -> set[str]:
    """The calls that have kept a file which no earlier one had."""
    position = {call.id: call.position for call in snapshot.calls}
    kept = [(each.sha256, each.call_id) for each in snapshot.artifacts if each.call_id in position]
    first: dict[str, int] = {}
    for digest, call_id in kept:
        first[digest] = min(first.get(digest, position[call_id]), position[call_id])
    return {call_id for digest, call_id in kept if first[digest] == position[call_id]}
