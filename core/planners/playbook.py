"""Following a playbook: from what has happened to the next call, deterministically and without any I/O.

The same request always gets the same answer, so any worker can go on where another stopped. Conditions and references
see inputs and the outcome of every step before; a step that cannot be prepared counts as failed, with a sentence. After
a failure the `on-failure` steps run, and the run ends with the first reason whatever becomes of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.actions.envelope import NotCanonical, canonical
from core.config.load import PlaybookSource
from core.errors import TerminalError
from core.planners.base import Act, CallOutcome, Finish, GiveUp, PlanRequest, PlanStep, Turn
from core.planners.compile import compile_pinned, compile_playbook, compile_playbooks
from core.planners.conditions import ConditionError
from core.planners.definition import EACH, Playbook, Rounds, Step
from core.planners.references import MissingValue, Template
from core.planners.rounds import Tally, listed, round_id
from core.planners.waiting import Wait, read_by

__all__ = ["PlaybookPlanner", "PlaybookSource", "compile_pinned", "compile_playbook", "compile_playbooks"]

_MAX_SUMMARY = 3_000


class PlaybookPlanner:
    """Plans runs of playbooks."""

    io_free = True

    def decide(self, request: PlanRequest) -> Turn:
        """Return the next move.

        Raises:
            TerminalError: the pinned playbook or the inputs cannot be used at all.
        """
        playbook = compile_pinned(request.document)
        return _Walk(playbook, request).turn()


@dataclass
class _Walk:
    playbook: Playbook
    request: PlanRequest
    plan: list[PlanStep] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)

    def turn(self) -> Turn:
        self.values = {"inputs": self._inputs(), "steps": {}}
        outcomes = {outcome.step: outcome for outcome in self.request.outcomes}
        first_failure: tuple[Step, str] | None = None
        for index, step in enumerate(self.playbook.steps):
            act, reason = self._advance(step, outcomes)
            if act is not None:
                self._pending(self.playbook.steps[index + 1 :])
                return Turn(tuple(self.plan), act)
            if reason is not None and not step.may_fail:
                first_failure = (step, reason)
                self.plan += [self._line(later, "skipped", "not reached") for later in self.playbook.steps[index + 1 :]]
                for later in self.playbook.steps[index + 1 :]:
                    self._settle(later, "skipped")
                break
        if first_failure is None:
            return Turn(tuple(self.plan), Finish(self._summary()))
        return self._after_failure(*first_failure, outcomes)

    def _after_failure(self, step: Step, reason: str, outcomes: Mapping[str, CallOutcome]) -> Turn:
        self.values["failed"] = {"step": step.id, "reason": reason}
        also: list[str] = []
        for index, cleanup in enumerate(self.playbook.on_failure):
            act, trouble = self._advance(cleanup, outcomes)
            if act is not None:
                self._pending(self.playbook.on_failure[index + 1 :])
                return Turn(tuple(self.plan), act)
            if trouble is not None and not cleanup.may_fail:
                also.append(f"{self._title(cleanup)}: {trouble}")
        sentence = f"{self._title(step)}: {reason}"
        if also:
            sentence += f" (and afterwards: {'; '.join(also)})"
        return Turn(tuple(self.plan), GiveUp(sentence))

    def _advance(self, step: Step, outcomes: Mapping[str, CallOutcome]) -> tuple[Act | None, str | None]:
        """Account for one step: the call to make now, or why it failed, or neither when it is behind us."""
        if step.rounds is not None:
            return self._round(step, step.rounds, outcomes)
        outcome = outcomes.get(step.id)
        if outcome is not None:
            if outcome.status == "succeeded":
                self._settle(step, "succeeded", outcome.out)
                self.plan.append(self._line(step, "done"))
                return None, None
            return None, self._failed(step, outcome.error or "the tool gave no reason", outcome.out)
        args = self._prepared(step)
        if isinstance(args, str):
            return None, self._failed(step, args)
        if args is None:
            return self._skipped(step)
        self.plan.append(self._line(step, "running"))
        return Act(step.id, step.tool, args, self._title(step), step.timeout_s, self._wait(step)), None

    def _prepared(self, step: Step) -> dict[str, Any] | str | None:
        """The arguments of a call; or why it cannot be prepared; or `None`: its condition does not hold."""
        try:
            if step.condition is not None and not step.condition.holds(self.values):
                return None
            args: dict[str, Any] = step.args.expand(self.values)
            canonical(args)
        except ConditionError as error:
            return f"its condition cannot be decided: {error}"
        except MissingValue as error:
            return str(error)
        except NotCanonical as error:
            return f"its arguments cannot be used: {error}"
        return args

    def _skipped(self, step: Step) -> tuple[None, None]:
        self._settle(step, "skipped")
        self.plan.append(self._line(step, "skipped", "condition not met"))
        return None, None

    def _round(self, step: Step, rounds: Rounds, outcomes: Mapping[str, CallOutcome]) -> tuple[Act | None, str | None]:
        """Account for a step that is made several times: its next round, or how all of them ended together."""
        items: list[Any] | None = None
        if rounds.each is not None:
            try:
                if step.condition is not None and not step.chooses and not step.condition.holds(self.values):
                    return self._skipped(step)
                items = listed(rounds.each.expand(self.values), rounds.at_most)
            except ConditionError as error:
                return None, self._failed(step, f"its condition cannot be decided: {error}")
            except MissingValue as error:
                return None, self._failed(step, str(error))
        tally = Tally(rounds, items, step.may_fail)
        while (number := tally.next()) is not None:
            if items is not None:
                self.values[EACH] = items[number - 1]
            outcome, args = outcomes.get(round_id(step.id, number)), None
            if outcome is None and isinstance(args := self._prepared(step), dict):
                title = f"{self._title(step)} ({tally.place})"
                act = Act(round_id(step.id, number), step.tool, args, title, step.timeout_s, self._wait(step))
                self.plan.append(PlanStep(step.id, title, "running"))
                self.values.pop(EACH, None)
                return act, None
            if outcome is None and args is None and number == 1 and items is None:
                return self._skipped(step)
            tally.take(outcome, args if isinstance(args, str) else None, self.values)
        self.values.pop(EACH, None)
        if tally.reason is not None:
            return None, self._failed(step, tally.reason, tally.out)
        self._settle(step, "succeeded", tally.out)
        self.plan.append(self._line(step, "done", tally.note))
        return None, None

    def _wait(self, step: Step) -> Wait | None:
        if step.wait is None:
            return None
        condition = step.wait.condition
        read = read_by(condition, self.values)
        return Wait(condition.text, step.wait.deadline_ms, step.wait.every_ms, read)

    def _failed(self, step: Step, reason: str, out: Any = None) -> str:
        self._settle(step, "failed", out, reason)
        self.plan.append(self._line(step, "failed", reason))
        return reason

    def _settle(self, step: Step, status: str, out: Any = None, error: str = "") -> None:
        self.values["steps"][step.id] = {"status": status, "out": out if out is not None else {}, "error": error}

    def _pending(self, steps: tuple[Step, ...]) -> None:
        self.plan += [self._line(step, "pending") for step in steps]

    def _line(self, step: Step, status: Any, note: str = "") -> PlanStep:
        return PlanStep(step.id, self._title(step), status, note)

    def _title(self, step: Step) -> str:
        return _rendered(step.title, self.values)

    def _summary(self) -> str:
        lines = []
        for line in self.playbook.summary:
            try:
                if line.condition is not None and not line.condition.holds(self.values):
                    continue
            except ConditionError:
                continue  # the work is done; a line nobody can decide about is left out
            lines.append(_rendered(line.text, self.values))
        text = "\n".join(lines).strip() or f"{self.playbook.title}: done."
        return text if len(text) <= _MAX_SUMMARY else f"{text[: _MAX_SUMMARY - 1]}…"

    def _inputs(self) -> dict[str, Any]:
        """The given inputs and the defaults of the others; one that is absent stays absent."""
        specs = self.playbook.inputs
        if unknown := [name for name in self.request.inputs if name not in specs]:
            raise TerminalError(f"the playbook has no input {', '.join(sorted(unknown))}")
        given = {name: value for name, value in self.request.inputs.items() if value is not None}
        if missing := [name for name, spec in specs.items() if spec.required and name not in given]:
            raise TerminalError(f"the playbook needs {', '.join(missing)}, which was not given")
        defaults = {name: spec.default for name, spec in specs.items() if spec.default is not None}
        return {**defaults, **given}


def _rendered(text: Template, values: Mapping[str, Any]) -> str:
    """Expand a text for people; what is not there is said so instead of failing work that is done."""
    try:
        found = text.expand(values)
    except MissingValue as error:
        return f"({error})"
    match found:
        case bool():
            return "true" if found else "false"
        case None:
            return ""
        case str():
            return found
        case int():
            return str(found)
        case _:
            return "(a group of values)"
