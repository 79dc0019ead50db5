"""From a playbook as written to a playbook that can be followed, or to every sentence about what is wrong with it.

The same checks run when the operator's file is loaded and when a run's pinned text is read back. What a tool makes of
its arguments is the tool's business and checked when it is called.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from core.config.document import Document, from_plain
from core.config.fields import (
    Count,
    Duration,
    Flag,
    Kind,
    Model,
    Size,
    Text,
    durations,
    matching,
    sizes,
    validated,
)
from core.config.load import PlaybookSource
from core.config.models import AgentName, ToolName
from core.config.problems import ConfigProblems, Problem
from core.errors import TerminalError
from core.nearest import did_you_mean
from core.planners.agents import compile_agent
from core.planners.conditions import RESERVED, Condition, parse_condition
from core.planners.definition import EACH, InputSpec, Playbook, Rounds, Step, SummaryLine, WaitSpec
from core.planners.inputs import NotAccepted, accept
from core.planners.references import Template, TemplateError, mentions_reference, template
from core.planners.scope import Scope, complaint_about_condition, complaint_about_reference
from core.planners.waiting import EVERY_MS, LONGEST_MS, LOOK, SHORTEST_MS

_INTERPRETERS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "python", "python3", "perl", "ruby", "node", "php"})
_CODE_FLAGS = frozenset({"-c", "-e", "-lc", "-ec", "-xc", "--eval", "-r"})


def _lines(value: Any) -> Any:
    """Let a summary be a text, a list of texts, or a list of lines with fields."""
    if isinstance(value, str):
        return [{"text": value}]
    if isinstance(value, list):
        return [{"text": each} if isinstance(each, str) else each for each in value]
    return value


Name = Annotated[
    Text, matching(r"[a-z][a-z0-9_]{0,39}", "a name (small letters, digits, `_`)", "row_count"), Kind("a name")
]
Extension = Annotated[Text, matching(r"[a-z0-9]{1,10}", "a file extension", "csv")]
MediaType = Annotated[Text, matching(r"[a-z0-9][a-z0-9.+-]*/([a-z0-9][a-z0-9.+-]*|\*)", "a media type", "text/csv")]


class InputFields(Model):
    """One input."""

    type: Literal["string", "integer", "decimal", "boolean", "choice", "file"]
    """`decimal` is a number kept as text, exactly as written, for amounts."""
    required: Flag | None = None
    """Whether a run cannot begin without it. Left out: yes, unless there is a `default`."""
    default: Any = None
    """What it is when it is not given. Not for files."""
    description: Text = ""
    """A few words for the person who is asked for it."""
    choices: Annotated[tuple[Text, ...], Field(max_length=100)] = ()
    """For `choice`: what may be chosen."""
    minimum: Count | None = None
    """For `integer`."""
    maximum: Count | None = None
    """For `integer`."""
    max_length: Annotated[Count, Field(ge=1, le=20_000)] | None = None
    """For `string`: characters, 4,000 unless said otherwise."""
    extensions: tuple[Extension, ...] = ()
    """For `file`: which names are accepted, e.g. `[csv, tsv]`. With `media`, one of the two must fit."""
    media: tuple[MediaType, ...] = ()
    """For `file`: which media types are accepted, e.g. `[text/csv, image/*]`."""
    max_size_bytes: Annotated[Size, sizes(1, 2**40)] | None = None
    """For `file`: the largest one accepted; never more than `limits.upload`."""


class WaitFields(Model):
    """What a step waits for. Its call is repeated until then; nothing is held meanwhile."""

    condition: Text
    """A CEL condition. It reads the last look as `look.out`, `look.status` and `look.error`."""
    deadline_ms: Annotated[Duration, durations(SHORTEST_MS, LONGEST_MS)]
    """How long to wait. When it has passed, the step fails and says what was seen last."""
    every_ms: Annotated[Duration, durations(SHORTEST_MS, LONGEST_MS)] = EVERY_MS
    """The first pause between two looks. Pauses grow, up to a hundredth of `deadline`."""


class CallFields(Model):
    """One call of one tool."""

    id: Name
    """Names the step: `steps.<id>.out`."""
    title: Text = ""
    """The line people see in the plan. May refer to inputs. Left out: made from the id."""
    tool: ToolName | None = None
    """The tool to call."""
    with_: dict[Text, Any] = Field(default_factory=dict)
    """Its arguments. Texts may hold references."""
    if_: Text | None = None
    """A CEL condition; when it is false the step is skipped."""
    timeout_ms: Annotated[Duration, durations(100, 30 * 60_000)] | None = None
    """How long the call may take; at most `30m`. Left out: the tool's own."""
    on_failure: Literal["fail", "continue"] = "fail"
    """`continue` notes the failure and goes on."""
    wait_until: WaitFields | None = None
    """Repeat the call until something is so. Only for tools that change nothing."""


class StepFields(CallFields):
    """One call of one tool, or something made several times."""

    for_each: Any = None
    """Make the step once for each item of a list: a reference to one, or a list, or a text, line by line. The item is
    `each`."""
    repeat_until: Text | None = None
    """Make the step again until this CEL condition on what came of it (`look.out`, or its `steps`) holds."""
    at_most: Annotated[Count, Field(ge=1, le=200)] | None = None
    """With `for-each` or `repeat-until`, and required there: how often it may be made."""
    steps: Annotated[tuple[CallFields, ...], Field(max_length=20)] = ()
    """With `for-each` or `repeat-until`, instead of `tool`: what one round is, step by step."""


class SummaryFields(Model):
    """A line of the summary."""

    text: Text
    """The line. May refer to inputs and steps."""
    if_: Text | None = None
    """A CEL condition; when it is false the line is left out."""


class PlaybookFields(Model):
    """A playbook."""

    name: AgentName
    """What people type: `@banksman <name>`."""
    title: Annotated[Text, Field(max_length=200)] = ""
    """What people see. Left out: the name."""
    description: Annotated[Text, Field(max_length=1_000)] = ""
    """What it is good for, shown where one chooses."""
    inputs: Annotated[dict[Name, InputFields], Field(max_length=30)] = Field(default_factory=dict)
    """What it asks for, in the order in which people give it."""
    steps: Annotated[tuple[StepFields, ...], Field(min_length=1, max_length=200)]
    """What it does, in order."""
    on_failure: Annotated[tuple[StepFields, ...], Field(max_length=20)] = ()
    """Steps to run after a step failed; the run then ends with that step's reason."""
    summary: Annotated[
        tuple[SummaryFields, ...], BeforeValidator(_lines), Kind("text, or a list of lines"), Field(max_length=50)
    ] = ()
    """What is said at the end: a text, or lines that may have an `if` each."""


def compile_playbook(source: PlaybookSource, *, tools: Collection[str] | None = None) -> Playbook:
    """Understand a playbook.

    Args:
        tools: The tools there are; `None` leaves the names unchecked.

    Raises:
        ConfigProblems: with every mistake, its place and the remedy.
    """
    if source.kind == "agent":
        return compile_agent(source.name, source.document, tools=tools)
    return _Compiler(source.document, tools).playbook()


def compile_playbooks(
    sources: Iterable[PlaybookSource], *, tools: Collection[str] | None = None
) -> dict[str, Playbook]:
    """Understand all of them; the mistakes of all are raised together."""
    problems: list[Problem] = []
    found: dict[str, Playbook] = {}
    for source in sources:
        try:
            found[source.name] = compile_playbook(source, tools=tools)
        except ConfigProblems as error:
            problems += error.problems
    if problems:
        raise ConfigProblems(problems)
    return found


@lru_cache(maxsize=256)
def compile_pinned(text: str) -> Playbook:
    """Understand the text a run pinned (`PlaybookSource.text`); raise `TerminalError` if this version cannot."""
    try:
        plain = json.loads(text)
    except ValueError:
        raise TerminalError("the pinned playbook is not readable; run it again from the current one") from None
    try:
        return _Compiler(from_plain(plain, file="pinned playbook"), None).playbook()
    except ConfigProblems as error:
        first = error.problems[0]
        raise TerminalError(
            f"this version cannot follow the playbook the run began with ({first.path}: {first.what} {first.remedy}); "
            "run it again from the current one"
        ) from None


class _Compiler:
    def __init__(self, document: Document, tools: Collection[str] | None) -> None:
        self.document = document
        self.tools = tools
        self.problems: list[Problem] = []

    def playbook(self) -> Playbook:
        fields = validated(PlaybookFields, self.document)
        inputs = {name: self._input(name, given) for name, given in fields.inputs.items()}
        self._unique_ids(fields)
        main = [step.id for step in fields.steps]
        inside = {each.id: step.id for step in (*fields.steps, *fields.on_failure) for each in step.steps}
        steps = self._steps(("steps",), fields.steps, Scope(inputs, {}, later=frozenset(main), inside=inside))
        ended = {step.id: step.certain for step in steps}
        cleaning = frozenset(step.id for step in fields.on_failure)
        # Any of them may have been the one that failed, and those after it never ran.
        unsure = Scope(inputs, dict.fromkeys(main, False), cleaning, failed=True, inside=inside)
        on_failure = self._steps(("on-failure",), fields.on_failure, unsure)
        scope = Scope(inputs, ended, cleaning, inside=inside)
        summary = tuple(self._summary_line(index, line, scope) for index, line in enumerate(fields.summary))
        for path in (("name",), ("description",)):
            self._no_references(path, fields.name if path == ("name",) else fields.description)
        if self.problems:
            raise ConfigProblems(self.problems)
        title = fields.title or fields.name
        return Playbook(fields.name, title, fields.description, MappingProxyType(inputs), steps, on_failure, summary)

    def _refuse(self, path: tuple[str | int, ...], what: str, remedy: str, *, at_key: bool = False) -> None:
        self.problems.append(self.document.problem(path, what, remedy, at_key=at_key))

    def _unique_ids(self, fields: PlaybookFields) -> None:
        seen: set[str] = set()
        for path, step in _placed(fields):
            if step.id in seen:
                self._refuse((*path, "id"), f"There are two steps `{step.id}`.", "Rename one of them.")
            if step.id in RESERVED:
                what = f"`{step.id}` is a word of the condition language."
                self._refuse((*path, "id"), what, "Choose another id.")
            seen.add(step.id)

    def _input(self, name: str, given: InputFields) -> InputSpec:
        path = ("inputs", name)
        if name in RESERVED:
            self._refuse(path, f"`{name}` is a word of the condition language.", "Choose another name.", at_key=True)
        for field, kind in _ONLY_FOR.items():
            if getattr(given, field) not in (None, ()) and given.type != kind:
                alias = InputFields.model_fields[field].alias or field
                what = f"`{alias}` has no meaning for type `{given.type}`."
                self._refuse((*path, alias), what, f"Remove it, or write `type: {kind}`.", at_key=True)
        if given.type == "choice" and len(given.choices) < 2:
            self._refuse(
                path, "A choice needs at least two possibilities.", "Write `choices: [one, two]`.", at_key=True
            )
        if given.minimum is not None and given.maximum is not None and given.minimum > given.maximum:
            self._refuse((*path, "minimum"), "`minimum` is larger than `maximum`.", "Swap the two.")
        spec = InputSpec(
            name=name,
            type=given.type,
            required=given.default is None if given.required is None else given.required,
            description=given.description,
            choices=given.choices,
            minimum=given.minimum,
            maximum=given.maximum,
            max_length=given.max_length or 4_000,
            extensions=given.extensions,
            media=given.media,
            max_bytes=given.max_size_bytes,
        )
        return self._with_default(path, spec, given)

    def _with_default(self, path: tuple[str | int, ...], spec: InputSpec, given: InputFields) -> InputSpec:
        if given.default is None:
            return spec
        if given.required:
            what = "An input with a `default` is never missing, so it cannot be required."
            self._refuse((*path, "required"), what, "Remove one of the two.")
        if spec.type == "file":
            self._refuse((*path, "default"), "A file has no default.", "Remove it, or write `required: false`.")
            return spec
        try:
            default = accept(spec, given.default)
        except NotAccepted as error:
            self._refuse((*path, "default"), f"The default does not fit: {error}.", f"Write {spec.expects}.")
            return spec
        return InputSpec(**{**spec.__dict__, "default": default, "required": False})

    def _steps(self, group: tuple[str | int, ...], steps: Sequence[CallFields], outer: Scope) -> tuple[Step, ...]:
        before = dict(outer.steps)
        found: list[Step] = []
        for index, step in enumerate(steps):
            remaining = outer.later - before.keys()
            compiled = self._step((*group, index), step, replace(outer, steps=dict(before), later=remaining))
            found.append(compiled)
            # After a failure the next on-failure step runs whatever became of this one.
            before[step.id] = compiled.certain and not outer.failed
        return tuple(found)

    def _step(self, path: tuple[str | int, ...], step: CallFields, scope: Scope) -> Step:
        several = step if isinstance(step, StepFields) else None
        group = several is not None and bool(several.steps)
        self._tool(path, step, group)
        each = several is not None and several.for_each is not None
        within = replace(scope, also=scope.also | {EACH}) if each else scope
        condition = self._condition((*path, "if"), step.if_, within)
        steps = () if several is None else self._round_of(path, several, within)
        rounds = None if several is None else self._rounds(path, several, scope, condition, steps)
        title = step.title or step.id.replace("_", " ").capitalize()
        shown = self._template((*path, "title"), title, Scope(scope.inputs, {}, scope.later | scope.steps.keys()), None)
        self._code_injection((*path, "with"), step.with_)
        args = self._template((*path, "with"), step.with_, within, condition)
        return Step(
            id=step.id,
            title=shown,
            tool=step.tool or "",
            args=args,
            condition=condition,
            timeout_s=step.timeout_ms / 1000 if step.timeout_ms is not None else None,
            may_fail=step.on_failure == "continue",
            wait=self._wait((*path, "wait-until"), step.wait_until, within),
            rounds=rounds,
            steps=steps,
        )

    def _tool(self, path: tuple[str | int, ...], step: CallFields, group: bool) -> None:
        if not group:
            if step.tool is None:
                self._refuse((*path, "tool"), "`tool` is missing.", "Add `tool: …`, the tool it calls.", at_key=True)
            elif self.tools is not None and step.tool not in self.tools:
                remedy = did_you_mean(step.tool, sorted(self.tools), noun="Tools")
                self._refuse((*path, "tool"), f"There is no tool `{step.tool}`.", remedy)
            return
        of_calls = (step.tool, step.with_ or None, step.timeout_ms, step.wait_until)
        for name, given in zip(("tool", "with", "timeout", "wait-until"), of_calls, strict=True):
            if given is not None:
                what = f"A step with `steps` calls nothing itself, so `{name}` has no meaning."
                self._refuse((*path, name), what, "Move it to one of its steps.", at_key=True)

    def _round_of(self, path: tuple[str | int, ...], step: StepFields, scope: Scope) -> tuple[Step, ...]:
        if not step.steps:
            return ()
        if step.for_each is None and step.repeat_until is None:
            what = "`steps` are made several times, and nothing says for what."
            self._refuse((*path, "steps"), what, "Add `for-each` or `repeat-until`.", at_key=True)
        mine = frozenset(each.id for each in step.steps)
        inside = {name: group for name, group in scope.inside.items() if name not in mine}
        return self._steps((*path, "steps"), step.steps, replace(scope, later=scope.later | mine, inside=inside))

    def _rounds(
        self,
        path: tuple[str | int, ...],
        step: StepFields,
        scope: Scope,
        condition: Condition | None,
        steps: tuple[Step, ...],
    ) -> Rounds | None:
        named = "for-each" if step.for_each is not None else "repeat-until"
        if step.for_each is None and step.repeat_until is None:
            if step.at_most is not None:
                what = "`at-most` bounds `for-each` or `repeat-until`, and there is neither."
                self._refuse((*path, "at-most"), what, "Remove it.", at_key=True)
            return None
        if step.for_each is not None and step.repeat_until is not None:
            what = "A step has `for-each` or `repeat-until`, not both."
            self._refuse((*path, "repeat-until"), what, "Remove one of them.", at_key=True)
        if step.at_most is None:
            what = f"Nothing says how often `{named}` may make this step."
            self._refuse((*path, named), what, "Add `at-most: 20`.", at_key=True)
            return None
        if step.repeat_until is not None:
            looking = replace(scope, also=scope.also | {LOOK})
            if steps:
                ended = {**scope.steps, **{each.id: each.certain for each in steps}}
                looking = replace(scope, steps=ended, inside={})
            return Rounds(step.at_most, until=self._condition((*path, named), step.repeat_until, looking))
        if not isinstance(step.for_each, str | list):
            self._refuse((*path, named), "This is no list.", "Write `[a, b]` or `${{ steps.x.out.list }}`.")
            return None
        # A condition about the items is looked at when they are known, so it cannot say whether they can be.
        used = () if condition is None else (*condition.uses, *condition.tested)
        guard = None if any(each[0] == EACH for each in used) else condition
        return Rounds(step.at_most, each=self._template((*path, named), step.for_each, scope, guard))

    def _wait(self, path: tuple[str | int, ...], wait: WaitFields | None, scope: Scope) -> WaitSpec | None:
        if wait is None:
            return None
        looking = replace(scope, also=scope.also | {LOOK})
        condition = self._condition((*path, "condition"), wait.condition, looking)
        return None if condition is None else WaitSpec(condition, wait.deadline_ms, wait.every_ms)

    def _summary_line(self, index: int, line: SummaryFields, scope: Scope) -> SummaryLine:
        path, written = ("summary", index), self.document.root.plain()["summary"]
        condition = self._condition((*path, "if"), line.if_, scope)
        at = ("summary",) if isinstance(written, str) else path if isinstance(written[index], str) else (*path, "text")
        return SummaryLine(self._template(at, line.text, scope, condition), condition)

    def _condition(self, path: tuple[str | int, ...], text: str | None, scope: Scope) -> Condition | None:
        if text is None:
            return None
        try:
            condition = parse_condition(text)
        except TemplateError as error:
            self._refuse(path, error.what, error.remedy)
            return None
        if complaint := complaint_about_condition(condition, scope):
            self._refuse(path, *complaint)
        return condition

    def _template(self, path: tuple[str | int, ...], value: Any, scope: Scope, guard: Condition | None) -> Template:
        """Read every text on its own, so that one mistake does not hide the next."""
        if isinstance(value, Mapping):
            inner: dict[str, Template] = {}
            for key, each in value.items():
                self._no_references((*path, key), key)
                if not key.isascii():
                    self._refuse((*path, key), "Names of arguments are plain ASCII.", "Rename it.", at_key=True)
                inner[key] = self._template((*path, key), each, scope, guard)
            return Template(inner)
        if isinstance(value, list):
            return Template([self._template((*path, index), each, scope, guard) for index, each in enumerate(value)])
        try:
            found = template(value)
        except TemplateError as error:
            self._refuse(path, error.what, error.remedy)
            return Template(value)
        for _, reference, whole in found.references():
            if complaint := complaint_about_reference(reference, whole=whole, scope=scope, guard=guard):
                self._refuse(path, *complaint)
        return found

    def _no_references(self, path: tuple[str | int, ...], text: str) -> None:
        if mentions_reference(text):
            self._refuse(
                path, "A reference cannot stand here.", "Use it in a value below `with`, or in `summary`.", at_key=True
            )

    def _code_injection(self, path: tuple[str | int, ...], args: Mapping[str, Any]) -> None:
        argv = args.get("argv")
        if not isinstance(argv, list) or not argv or not all(isinstance(each, str) for each in argv):
            return
        if PurePosixPath(argv[0]).name not in _INTERPRETERS:
            return
        for index, each in enumerate(argv[1:], start=1):
            if mentions_reference(each) and argv[index - 1] in _CODE_FLAGS:
                self._refuse(
                    (*path, "argv", index),
                    "A reference inside program text would let a value become code.",
                    "Pass it as an argument of its own after the program text and read it there (`$1`, `sys.argv[1]`).",
                )


def _placed(fields: PlaybookFields) -> Iterator[tuple[tuple[str | int, ...], CallFields]]:
    """Every step and where it stands, those of rounds included."""
    for group, steps in (("steps", fields.steps), ("on-failure", fields.on_failure)):
        for index, step in enumerate(steps):
            yield (group, index), step
            for inner, each in enumerate(step.steps):
                yield (group, index, "steps", inner), each


_ONLY_FOR = {
    "choices": "choice",
    "minimum": "integer",
    "maximum": "integer",
    "max_length": "string",
    "extensions": "file",
    "media": "file",
    "max_size_bytes": "file",
}
