"""A playbook once it is understood: inputs, steps and summary, checked and ready to be followed.

Values only. `compile.py` makes them, `playbook.py` follows them, `binding.py` fills the inputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.planners.conditions import Condition
from core.planners.references import Template

Json = Any
"""A JSON value whose shape an input or a tool defines."""

EACH = "each"
"""The root under which a round finds its item."""

InputType = Literal["string", "integer", "decimal", "boolean", "choice", "file"]


@dataclass(frozen=True)
class InputSpec:
    """One thing a playbook asks for."""

    name: str
    type: InputType
    required: bool
    default: Json = None
    """What it is when it is not given; `None` = then it is absent."""
    description: str = ""
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    max_length: int = 4_000
    """Characters, for a string."""
    extensions: tuple[str, ...] = ()
    """Small letters without the dot, for a file; empty = any, unless `media` says otherwise."""
    media: tuple[str, ...] = ()
    """Media types, `image/*` included."""
    max_bytes: int | None = None
    """For a file; `None` = whatever may be uploaded."""
    more: int = 0
    """For a file: how many further ones it takes, as inputs `<name>_2` and on."""

    @property
    def expects(self) -> str:
        """What to give, in a few words: `a whole number from 1 to 10`."""
        match self.type:
            case "string":
                return "text"
            case "integer":
                return f"a whole number{_range(self.minimum, self.maximum)}"
            case "decimal":
                return "a number such as 12.50"
            case "boolean":
                return "yes or no"
            case "choice":
                return f"one of {', '.join(self.choices)}"
            case "file":
                kinds = " or ".join(f".{each}" for each in self.extensions) or " or ".join(self.media)
                return f"a file ({kinds})" if kinds else "a file"


@dataclass(frozen=True)
class WaitSpec:
    """What a step waits for."""

    condition: Condition
    deadline_ms: int
    every_ms: int


@dataclass(frozen=True)
class Rounds:
    """How often a step is made: each round is a call of its own, or one of each of its steps."""

    at_most: int
    each: Template | None = None
    """The list it is made for, item by item."""
    until: Condition | None = None
    """Or what is to be so after a round for it to be the last."""


@dataclass(frozen=True)
class Step:
    """One call of one tool, or the same call round by round, or several steps round by round."""

    id: str
    title: Template
    """May refer to inputs only: it is shown before anything ran."""
    tool: str
    """Empty where it has steps of its own."""
    args: Template
    condition: Condition | None = None
    timeout_s: float | None = None
    may_fail: bool = False
    """`on-failure: continue`: the playbook goes on after it failed."""
    wait: WaitSpec | None = None
    """Set when its call is repeated until something is so."""
    rounds: Rounds | None = None
    """Set when it is made several times."""
    steps: tuple["Step", ...] = ()
    """What one round of it is, if that is more than a call."""

    @property
    def certain(self) -> bool:
        """Whether it has succeeded whenever the steps after it run."""
        return (self.condition is None or (self.rounds is not None and self.chooses)) and not self.may_fail

    @property
    def chooses(self) -> bool:
        """Whether its condition is about each item of its list and not about the whole step."""
        used = () if self.condition is None else (*self.condition.uses, *self.condition.tested)
        return any(path[0] == EACH for path in used)


@dataclass(frozen=True)
class SummaryLine:
    """A line of the summary."""

    text: Template
    condition: Condition | None = None


@dataclass(frozen=True)
class Playbook:
    """A whole playbook."""

    name: str
    title: str
    description: str
    inputs: Mapping[str, InputSpec]
    """By name, in the order of the file."""
    steps: tuple[Step, ...]
    on_failure: tuple[Step, ...]
    """Run in order after a step failed and the playbook stops; the run ends with the first failure's reason."""
    summary: tuple[SummaryLine, ...]

    @property
    def tools(self) -> frozenset[str]:
        """Everything it may call."""
        steps = (*self.steps, *self.on_failure)
        return frozenset(each.tool for step in steps for each in (step.steps or (step,)))


def _range(low: int | None, high: int | None) -> str:
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f", at least {low}"
    return f", at most {high}" if high is not None else ""
