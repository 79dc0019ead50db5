"""Which paths exist where: what a reference or a condition may read at its place in a playbook.

Checked when a playbook is loaded, so that a run never starts that would stumble over a name. What a tool's result holds
is only known at run time; everything before `out.` is checked here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.nearest import did_you_mean
from core.planners.conditions import Comparison, Condition
from core.planners.definition import InputSpec
from core.planners.references import Path, Reference

FILE_FIELDS = ("name", "path", "sha256", "size", "media_type")
STATUSES = ("succeeded", "failed", "skipped")
_STEP_FIELDS = ("out", "status", "error")
_FAILED_FIELDS = ("step", "reason")

Complaint = tuple[str, str]
"""What is wrong, and the remedy."""


@dataclass(frozen=True)
class Scope:
    """What may be read at one place."""

    inputs: Mapping[str, InputSpec]
    steps: Mapping[str, bool]
    """The steps before this place; whether each has certainly succeeded there."""
    later: frozenset[str] = frozenset()
    """Steps that exist but have not run here, this one included."""
    failed: bool = False
    """Whether `failed` is known: in `on-failure` steps."""
    also: frozenset[str] = frozenset()
    """What else a path may begin with here: `look` where a step waits, `each` in a step made for each item."""
    inside: Mapping[str, str] = field(default_factory=dict)
    """Steps that are made in rounds of another one, which is named, and are seen only there."""

    @property
    def roots(self) -> tuple[str, ...]:
        """What a path may begin with."""
        return ("inputs", "steps", *(("failed",) if self.failed else ()), *sorted(self.also))


def complaint_about_reference(
    reference: Reference, *, whole: bool, scope: Scope, guard: Condition | None
) -> Complaint | None:
    """Say what is wrong with a reference, if anything.

    Args:
        whole: Whether it is the whole of its text and so keeps its type.
        guard: The condition under which its place is reached.
    """
    path = reference.path
    if (complaint := _existence(path, scope)) or path[0] in scope.also:
        return complaint
    root, name = path[0], str(path[1])
    guarded = guard is not None and guard.guards(str(root), name)
    if root == "inputs":
        spec = scope.inputs[name]
        if spec.type == "file" and len(path) == 2 and not whole:
            return f"`{reference}` is a file, not text.", f"Write `{reference}.path` or `{reference}.name`."
        if _may_be_absent(spec) and not guarded and not (whole and len(path) == 2):
            return (
                f"`{reference}` may not be given, so it cannot be used here.",
                f"Give it a `default`, or add `if: has(inputs.{name})`.",
            )
    if root == "steps":
        if path[2] == "out" and not scope.steps[name] and not guarded:
            return (
                f"Step `{name}` may be skipped or fail before this place.",
                f"Add `if: steps.{name}.status == 'succeeded'`, or run that step always.",
            )
        if path[2] == "out" and len(path) == 3 and not whole:
            return f"`{reference}` is a group of fields, not text.", f"Name one of them: `{reference}.field`."
    return None


def complaint_about_condition(condition: Condition, scope: Scope) -> Complaint | None:
    """Say what is wrong with a condition, if anything."""
    for path in (*condition.uses, *condition.tested):
        if complaint := _existence(path, scope):
            return complaint
    for path in condition.uses:
        if path[0] in scope.also:
            continue
        root, name = path[0], str(path[1])
        if condition.guards(str(root), name):
            continue
        if root == "inputs" and _may_be_absent(scope.inputs[name]):
            what = f"`inputs.{name}` may not be given; then this condition cannot be decided."
            return what, f"Begin it with `has(inputs.{name}) &&`, or give the input a `default`."
        if root == "steps" and path[2] == "out" and not scope.steps[name]:
            what = f"Step `{name}` may be skipped or fail; then this condition cannot be decided."
            return what, f"Begin it with `steps.{name}.status == 'succeeded' &&`."
    for comparison in condition.comparisons:
        if complaint := _mismatch(comparison, scope):
            return complaint
    return None


def _existence(path: Path, scope: Scope) -> Complaint | None:
    match path[0]:
        case "inputs":
            return _input_existence(path, scope)
        case "steps":
            return _step_existence(path, scope)
        case "failed":
            if not scope.failed:
                return "`failed` is known only in `on-failure` steps.", "Use `steps.id.status` to see how a step ended."
            if len(path) != 2 or path[1] not in _FAILED_FIELDS:
                return f"There is no `{Reference(path)}`.", "Write `failed.step` or `failed.reason`."
            return None
        case "look" if "look" in scope.also:
            if len(path) < 2 or path[1] not in _STEP_FIELDS:
                return f"There is no `{Reference(path)}`.", "Write `look.out.field`, `look.status` or `look.error`."
            return None
        case "each" if "each" in scope.also:
            return None
        case root:
            return f"There is no `{root}` here.", did_you_mean(str(root), scope.roots, noun="A path begins with")


def _input_existence(path: Path, scope: Scope) -> Complaint | None:
    if len(path) < 2:
        return "`inputs` names no input.", "Write `inputs.name`."
    name = str(path[1])
    if name not in scope.inputs:
        remedy = did_you_mean(name, scope.inputs, noun="Inputs") or "Declare it under `inputs`."
        return f"There is no input `{name}`.", remedy
    if len(path) == 2:
        return None
    if scope.inputs[name].type != "file":
        return f"`inputs.{name}` has no fields.", f"Write `inputs.{name}`."
    if len(path) > 3 or path[2] not in FILE_FIELDS:
        return f"There is no `{Reference(path)}`.", did_you_mean(str(path[2]), FILE_FIELDS, noun="A file has")
    return None


def _step_existence(path: Path, scope: Scope) -> Complaint | None:
    if len(path) < 2:
        return "`steps` names no step.", "Write `steps.id.out.field`."
    name = str(path[1])
    if name not in scope.steps:
        if name in scope.later:
            return f"Step `{name}` has not run at this place.", "Only steps before this one can be used: move it up."
        if (group := scope.inside.get(name)) is not None:
            what = f"Step `{name}` is made in rounds of `{group}`, so it has no single answer here."
            return what, f"Write `steps.{group}.out.each[0].{name}.out.field` for its first round."
        remedy = did_you_mean(name, scope.steps, noun="Steps before this place")
        return f"There is no step `{name}`.", remedy or "No step runs before this place."
    if len(path) < 3:
        return f"`steps.{name}` is not a value.", f"Write `steps.{name}.out.field` or `steps.{name}.status`."
    if path[2] not in _STEP_FIELDS:
        if did_you_mean(str(path[2]), _STEP_FIELDS).startswith("Did"):
            return f"There is no `{Reference(path)}`.", did_you_mean(str(path[2]), _STEP_FIELDS)
        return f"There is no `{Reference(path)}`.", f"A tool's result is below `out`: `steps.{name}.out.{path[2]}`."
    if path[2] != "out" and len(path) > 3:
        return f"`steps.{name}.{path[2]}` has no fields.", f"Write `steps.{name}.{path[2]}`."
    return None


def _mismatch(comparison: Comparison, scope: Scope) -> Complaint | None:
    path, shown = comparison.path, Reference(comparison.path)
    kind, allowed = _known_kind(path, scope)
    if kind is None:
        return None
    if comparison.kind != kind:
        what = f"`{shown}` is {kind}, but it is compared with {comparison.kind}."
        if kind == "text":
            return what, "Put the other side in quotes; for a number in a text write `int(…)` or `double(…)`."
        return what, "Compare values of the same type."
    if allowed and comparison.literal is not None and comparison.literal not in allowed:
        return f"`{shown}` is never '{comparison.literal}'.", did_you_mean(
            comparison.literal, allowed, noun="It is one of"
        )
    return None


def _known_kind(path: Path, scope: Scope) -> tuple[str | None, tuple[str, ...]]:
    """The type of what stands at a path, if it is known, and its possible values, if they are few."""
    match path:
        case ("inputs", str(name)):
            spec = scope.inputs[name]
            kinds = {"integer": "a whole number", "boolean": "true or false", "file": None}
            return kinds.get(spec.type, "text"), spec.choices
        case ("inputs", _, str(part)):
            return ("a whole number" if part == "size" else "text"), ()
        case ("steps", _, "status"):
            return "text", STATUSES
        case ("look", "status"):
            return "text", STATUSES[:2]
        case ("steps", _, "error") | ("failed", _) | ("look", "error"):
            return "text", ()
        case _:
            return None, ()


def _may_be_absent(spec: InputSpec) -> bool:
    return not spec.required and spec.default is None
