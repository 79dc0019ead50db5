"""What every change of a worker carries, and the few words they share."""

from dataclasses import dataclass

from core.planners.base import PlanStep
from core.principals import Actor

GO_ON = "Then let this run ask again, or stop it."
"""What helps once a person has mended something."""


@dataclass(frozen=True)
class Stamp:
    """What makes a change this worker's: who, where and when."""

    worker: str
    host: str
    now_ms: int
    boot_id: str | None = None

    @property
    def actor(self) -> Actor:
        return Actor.system(f"worker:{self.worker}")


def plan_line(step: PlanStep) -> dict[str, str]:
    """A line of the plan as a run stores it."""
    return {"id": step.id, "title": step.title, "status": step.status, "note": step.note}
