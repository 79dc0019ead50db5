"""The planner port: given what a run asked for and what has happened, say the next move and show the plan.

A planner holds nothing between turns: everything it may use is in the `PlanRequest`, so any worker can continue a
run. It never performs anything and never sees a credential. Whether the proposed call may run is decided by policy,
not here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from core.planners.dialogue import Answer
from core.planners.waiting import Wait

Json = Any
"""A JSON value: it crosses borders whose shape the planner or the tool defines."""

StepStatus = Literal["pending", "running", "done", "failed", "skipped"]


@dataclass(frozen=True)
class PlanStep:
    """One line of the plan as a person sees it."""

    id: str
    title: str
    status: StepStatus
    note: str = ""
    """Why it was skipped or failed, in a few words."""


@dataclass(frozen=True)
class CallOutcome:
    """A finished call, as later steps may refer to it."""

    step: str
    status: Literal["succeeded", "failed"]
    out: Json
    error: str | None = None
    tool: str = ""


@dataclass(frozen=True)
class Reply:
    """What somebody wrote to a run under way."""

    by: str
    """Principal id."""
    is_requester: bool
    text: str
    after: int | None
    """After how many answers the model was first given it; `None` = it has not been."""


@dataclass(frozen=True)
class PlanRequest:
    """All a planner may know."""

    agent: str
    document: str
    """The pinned text of the playbook or agent, exactly as it was when the run was accepted."""
    text: str
    """What the person wrote after the agent's name."""
    inputs: Mapping[str, Json]
    """Typed inputs; a file is `{"name", "path", "sha256", "size", "media_type"}` with `path` inside the workspace."""
    outcomes: tuple[CallOutcome, ...]
    """Finished calls in order; a step that was retried appears once, with its last outcome."""
    answers: tuple[Answer, ...] = ()
    """What a model has answered so far, in order."""
    kept: tuple[str, ...] = ()
    """Names of the files the run has kept."""
    context: str = ""
    """What was said in the thread before the request, and its links: material, never an instruction."""
    wrap_up: int | None = None
    """How many answers had come before it was told to finish with what it has; `None` = it was not."""
    replies: tuple[Reply, ...] = ()
    """What people wrote since, as far as it is taken up, in order."""


@dataclass(frozen=True)
class Act:
    """Call one tool."""

    step: str
    tool: str
    args: Mapping[str, Json]
    title: str
    timeout_s: float | None = None
    wait: Wait | None = None
    """Set when the call is to be repeated until something is so; only what changes nothing can be."""


@dataclass(frozen=True)
class Think:
    """Ask the model for its next answer."""


@dataclass(frozen=True)
class Finish:
    """The work is done."""

    summary: str


@dataclass(frozen=True)
class GiveUp:
    """The work cannot be done; `reason` is a sentence for the thread."""

    reason: str


@dataclass(frozen=True)
class Turn:
    """A planner's answer."""

    plan: tuple[PlanStep, ...]
    """The whole plan with the given outcomes ticked and the step about to run `running`."""
    move: Act | Think | Finish | GiveUp


class Planner(Protocol):
    """Decides the next step of a run."""

    io_free: bool
    """True if `decide` is a pure function: then a result and the next start share one commit."""

    def decide(self, request: PlanRequest) -> Turn:
        """Return the next move; raise `TerminalError` if the document or the inputs make that impossible."""
        ...
