"""Waiting for something to become true: what is looked for, and what one look says about it.

A wait repeats one call that changes nothing until a condition on its answer holds. The condition reads the look itself
as `look.out`, `look.status` and `look.error`; whatever else it reads is fixed when the wait begins. Pure: when to look
again, and what a look means for the rows, is decided in `core.runs`.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal

from core.config.quantities import duration_text
from core.planners.conditions import Condition, ConditionError, parse_condition
from core.planners.references import Path, Reference, TemplateError

Json = Any
"""A JSON value from an input or a tool."""

TOOL = "wait_until"
"""The tool by which an agent waits; it performs nothing itself."""

DELEGATE = "delegate"
"""The tool by which an agent hands work over, and then waits for its end."""

LOOK = "look"
"""The root under which a condition finds the look it is about."""

DONE = "look.out.done"
"""What work that was handed over is waited for with."""

EVERY_MS = 5_000
"""The first pause, unless the wait says otherwise."""

SHORTEST_MS = 1_000
LONGEST_MS = 7 * 86_400_000
"""How long a wait may take."""

MOST_VALUES = 100_000
"""Characters of all a condition reads beside its look."""

_PATHS_SHOWN = 3
_VALUE_SHOWN = 80


@dataclass(frozen=True)
class Wait:
    """What a call is repeated for."""

    condition: str
    """CEL, checked."""
    deadline_ms: int
    """How long to wait at most, from the first look."""
    every_ms: int = EVERY_MS
    """The first pause between two looks; later ones are longer."""
    values: Mapping[str, Json] = field(default_factory=dict)
    """What the condition reads beside the look, as it was when the wait began."""


@dataclass(frozen=True)
class Seen:
    """What one look says."""

    holds: bool
    text: str
    """What was seen, in a few words; text of a tool is in it."""


@dataclass(frozen=True)
class AskedWait:
    """A wait as a model asked for it."""

    tool: str
    args: Mapping[str, Json]
    wait: Wait


def read_by(condition: Condition, values: Mapping[str, Json]) -> dict[str, Json]:
    """What a condition reads of these values beside its look, and no more; what is absent stays absent."""
    kept: dict[str, Json] = {}
    for path in (*condition.uses, *condition.tested):
        if path[0] != LOOK:
            _copy(path, values, kept)
    return kept


def sees_failures(condition: str) -> bool:
    """Whether the condition itself says what a look that failed for good means."""
    return any(path[:2] == (LOOK, "status") for path in parse_condition(condition).uses)


def judged(
    condition: str,
    values: Mapping[str, Json],
    *,
    status: Literal["succeeded", "failed"],
    out: Mapping[str, Json],
    error: str = "",
) -> Seen:
    """Whether what was waited for is there, by one look that has brought something."""
    parsed = parse_condition(condition)
    look = {"status": status, "out": out, "error": error}
    try:
        holds = parsed.holds({**values, LOOK: look})
    except ConditionError as trouble:
        return Seen(False, f"its condition cannot be decided: {trouble}")
    return Seen(holds, error or _shown(parsed.uses, look))


def asked_wait(args: Mapping[str, Json], tools: Mapping[str, str]) -> AskedWait:
    """A wait as a model wrote it down.

    Args:
        tools: The tools it may repeat, by every name it may write.

    Raises:
        TemplateError: with a sentence about what is wrong, and what to write instead.
    """
    if unknown := sorted(set(args) - {"tool", "args", "condition", "deadline_s", "every_s", "for"}):
        raise TemplateError(f"`{TOOL}` takes no `{unknown[0][:40]}`.", "It takes what its schema says.")
    tool = tools.get(str(args.get("tool", "")))
    if tool is None:
        raise TemplateError(f"`{TOOL}` can repeat none of your tools of that name.", "Give `tool` the name of one.")
    given = args.get("args", {})
    if not isinstance(given, Mapping):
        raise TemplateError("`args` are the arguments of the tool, by name.", "Write a mapping.")
    condition = parse_condition(str(args.get("condition", "")))
    if foreign := [path for path in (*condition.uses, *condition.tested) if path[0] != LOOK]:
        raise TemplateError(f"There is no `{Reference(foreign[0])}` here.", "Read `look.out`, or `look.status`.")
    deadline_ms = _seconds(args, "deadline_s", None, SHORTEST_MS, LONGEST_MS)
    every_ms = _seconds(args, "every_s", EVERY_MS, SHORTEST_MS, LONGEST_MS)
    return AskedWait(tool, given, Wait(condition.text, deadline_ms, every_ms))


def _seconds(args: Mapping[str, Json], name: str, default_ms: int | None, low_ms: int, high_ms: int) -> int:
    value = args.get(name)
    if value is None and default_ms is not None:
        return default_ms
    if not isinstance(value, int) or isinstance(value, bool) or not low_ms <= value * 1000 <= high_ms:
        bounds = f"from {duration_text(low_ms)} to {duration_text(high_ms)}"
        raise TemplateError(f"`{name}` is a whole number of seconds, {bounds}.", f"Write e.g. `{name}: 600`.")
    return value * 1000


def _copy(path: Path, source: Json, into: dict[str, Json]) -> None:
    for at, part in enumerate(path):
        if not isinstance(source, Mapping) or not isinstance(part, str) or part not in source:
            return
        source = source[part]
        if at == len(path) - 1 or not isinstance(source, Mapping):
            into[part] = deepcopy(source)
            return
        into = into.setdefault(part, {})


def _shown(uses: Sequence[Path], look: Mapping[str, Json]) -> str:
    """What stands at the paths of the look that a condition reads."""
    paths = dict.fromkeys(path for path in uses if path[0] == LOOK and len(path) > 1)
    parts = [f"`{Reference(path)}` is {_value(_at(path[1:], look))}" for path in paths]
    return ", ".join(parts[:_PATHS_SHOWN])


def _at(path: Path, found: Json) -> Json:
    for part in path:
        if isinstance(found, Mapping):
            found = found.get(str(part))
        elif isinstance(found, list) and isinstance(part, int) and part < len(found):
            found = found[part]
        else:
            return None
    return found


def _value(value: Json) -> str:
    match value:
        case None:
            return "not there"
        case bool():
            return "true" if value else "false"
        case str():
            flat = " ".join(value.split())
            return f'"{flat}"' if len(flat) <= _VALUE_SHOWN else f'"{flat[:_VALUE_SHOWN]}…"'
        case int():
            return str(value)
        case list():
            return f"a list of {len(value)}"
        case _:
            return "a group of fields"
