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
from core.planners.rounds import Ended, Tally, listed, round_id
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
                    self._settle(later, Ended("skipped"))
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
            return self._rounds(step, step.rounds, outcomes)
        made = self._made(step, step.id, self._title(step), outcomes)
        if isinstance(made, Act):
            self.plan.append(self._line(step, "running"))
            return made, None
        match made.status:
            case "failed":
                return None, self._failed(step, made.error, made.out)
            case "skipped":
                return self._skipped(step)
        self._settle(step, made)
        self.plan.append(self._line(step, "done"))
        return None, None

    def _made(self, step: Step, call: str, title: str, outcomes: Mapping[str, CallOutcome]) -> Act | Ended:
        """One call of a step, by its id: how it ended, or the call to make now."""
        outcome = outcomes.get(call)
        if outcome is not None:
            if outcome.status == "succeeded":
                return Ended("succeeded", outcome.out)
            return Ended("failed", outcome.out, outcome.error or "the tool gave no reason")
        args = self._prepared(step)
        if isinstance(args, str):
            return Ended("failed", error=args)
        if args is None:
            return Ended("skipped")
        return Act(call, step.tool, args, title, step.timeout_s, self._wait(step))

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
        self._settle(step, Ended("skipped"))
        self.plan.append(self._line(step, "skipped", "condition not met"))
        return None, None

    def _rounds(self, step: Step, rounds: Rounds, outcomes: Mapping[str, CallOutcome]) -> tuple[Act | None, str | None]:
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
            title = f"{self._title(step)} ({tally.place})"
            made = self._round(step, number, title, outcomes)
            if isinstance(made, Act):
                self.plan.append(PlanStep(step.id, made.title, "running"))
                self._out_of(step)
                return made, None
            if made.status == "skipped" and number == 1 and items is None:
                self._out_of(step)
                return self._skipped(step)
            tally.take(made, self.values)
        self._out_of(step)
        if tally.reason is not None:
            return None, self._failed(step, tally.reason, tally.out)
        self._settle(step, Ended("succeeded", tally.out))
        self.plan.append(self._line(step, "done", tally.note))
        return None, None

    def _round(self, step: Step, number: int, title: str, outcomes: Mapping[str, CallOutcome]) -> Act | Ended:
        """A round: one call, or several steps until the first that fails, unless that one may."""
        if not step.steps:
            return self._made(step, round_id(step.id, number), title, outcomes)
        if not isinstance(args := self._prepared(step), dict):
            return Ended("skipped") if args is None else Ended("failed", error=args)
        failed = ""
        for each in step.steps:
            if failed:
                self._settle(each, Ended("skipped"))
                continue
            named = self._title(each)
            made = self._made(each, round_id(each.id, number), f"{title}: {named}", outcomes)
            if isinstance(made, Act):
                return made
            self._settle(each, made)
            if made.status == "failed" and not each.may_fail:
                failed = f"{named}: {made.error}"
        out = {each.id: self.values["steps"][each.id] for each in step.steps}
        return Ended("failed" if failed else "succeeded", out, failed)

    def _out_of(self, step: Step) -> None:
        """Forget what is known only in a round."""
        self.values.pop(EACH, None)
        for each in step.steps:
            self.values["steps"].pop(each.id, None)

    def _wait(self, step: Step) -> Wait | None:
        if step.wait is None:
            return None
        condition = step.wait.condition
        read = read_by(condition, self.values)
        return Wait(condition.text, step.wait.deadline_ms, step.wait.every_ms, read)

    def _failed(self, step: Step, reason: str, out: Any = None) -> str:
        self._settle(step, Ended("failed", out, reason))
        self.plan.append(self._line(step, "failed", reason))
        return reason

    def _settle(self, step: Step, ended: Ended) -> None:
        out = ended.out if ended.out is not None else {}
        self.values["steps"][step.id] = {"status": ended.status, "out": out, "error": ended.error}

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
