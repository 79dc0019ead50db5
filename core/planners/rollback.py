"""Following a rollback: its compensations one after another, none of them twice, and no further after one that failed.

The document was written when the rollback was asked for and lists them in the order in which they are done. The same
request always gets the same answer, so any worker can go on where another stopped.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from core.ids import short
from core.planners.base import Act, Finish, GiveUp, PlanRequest, PlanStep, Turn

_MOST_NAMED = 10


class RollbackPlanner:
    """Plans runs that take another run back."""

    io_free = True

    def decide(self, request: PlanRequest) -> Turn:
        """Return the next compensation, the end, or the sentence that says who is needed."""
        document: Mapping[str, Any] = json.loads(request.document)
        steps: Sequence[Mapping[str, Any]] = document["undo"]
        outcomes = {outcome.step: outcome for outcome in request.outcomes}
        plan: list[PlanStep] = []
        for at, step in enumerate(steps):
            outcome = outcomes.get(step["step"])
            if outcome is not None and outcome.status == "succeeded":
                plan.append(PlanStep(step["step"], step["title"], "done"))
                continue
            later = steps[at + 1 :]
            if outcome is None:
                plan.append(PlanStep(step["step"], step["title"], "running"))
                plan += [PlanStep(each["step"], each["title"], "pending") for each in later]
                return Turn(tuple(plan), Act(step["step"], step["tool"], step["args"], step["title"]))
            reason = outcome.error or "the tool gave no reason"
            plan.append(PlanStep(step["step"], step["title"], "failed", reason))
            plan += [PlanStep(each["step"], each["title"], "skipped", "not reached") for each in later]
            needs = f"{at} of {len(steps)} undone; the step `{step['step']}` needs you: {reason}"
            return Turn(tuple(plan), GiveUp(needs))
        return Turn(tuple(plan), Finish(_summary(document)))


def _summary(document: Mapping[str, Any]) -> str:
    many, run = len(document["undo"]), short(document["run"])
    effects = "1 effect" if many == 1 else f"{many} effects"
    text = f"Undid {effects} of run {run}: everything of it that can be undone."
    stays = [f"`{each['tool']}` in step `{each['step']}`" for each in document["stays"]]
    if stays:
        more = f" and {len(stays) - _MOST_NAMED} more" if len(stays) > _MOST_NAMED else ""
        text += f"\nCould not be undone: {', '.join(stays[:_MOST_NAMED])}{more}."
    return text
