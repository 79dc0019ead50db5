"""A model that is none: its answers stand in a file, one for each turn. For demonstrations and tests.

A turn says `text`, `calls` (a list of `{tool, with, id}`), `plan` (a list of `{title, status}`) or `error` (the turn
fails as a vendor's would: `busy`, `refused` or `garbage`). `if` leaves it out, and `${{ … }}` puts in what came of an
earlier call that has an `id`, both as in a playbook: so a script says what it read, and not what it hoped for. After
the last turn it says its last words again. `seconds` is how long it takes to write its text
(`pace`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import TerminalError
from core.planners.agents import ModelSpec
from core.planners.conditions import ConditionError, parse_condition
from core.planners.dialogue import Answer, AskedCall, PlanItem, Prompt, Returned
from core.planners.references import MissingValue, TemplateError, template
from core.planners.thinking import ModelFailed

_STATUSES = ("pending", "running", "done", "failed", "skipped")
_NOT_MADE = {"status": "skipped", "out": {}, "error": ""}

_Turn = Mapping[str, Any]


@dataclass(frozen=True)
class Said:
    """An answer, and the turn it comes from."""

    answer: Answer
    turn: _Turn = field(default_factory=dict)


def answer(spec: ModelSpec, prompt: Prompt, n: int, position: int) -> Said:
    """The answer of a turn. May take most of a second where the script has conditions.

    Args:
        prompt: What has been said; what came of the calls of turns that were summed up since is not known any more.
        n: The number of the turn, which counts failed ones too.
        position: How many answers came before.

    Raises:
        ModelFailed: the script wants the turn to fail.
        TerminalError: the turn is not written as one.
    """
    walk = _Walk(spec)
    given = _given(prompt)
    for _ in range(position - len(given)):
        walk.next()
    for returned in given:
        walk.settle(walk.next(), returned)
    turn = walk.next()
    if turn is None:
        said = [each.text for each in prompt.said if isinstance(each, Answer) and each.text]
        return Said(Answer(n, said[-1] if said else "The script has no more turns.", (), None, spec.label, 0, 0))
    return Said(walk.spoken(turn, n), turn)


def _given(prompt: Prompt) -> list[list[Returned]]:
    """What came back for each answer that is told word for word."""
    given: list[list[Returned]] = []
    for each in prompt.said:
        if isinstance(each, Answer):
            given.append([])
        elif isinstance(each, Returned) and given:
            given[-1].append(each)
    return given


class _Walk:
    """One way through a script, from its first turn."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._at = 0
        try:
            names = [call["id"] for turn in spec.turns for call in turn.get("calls", ()) if "id" in call]
        except (TypeError, AttributeError):
            raise TerminalError(f"The calls of the script `{spec.name}` are not written as calls.") from None
        self._values: dict[str, Any] = {"steps": {str(name): _NOT_MADE for name in names}}

    def next(self) -> _Turn | None:
        """The next turn that is not left out; `None` after the last."""
        while self._at < len(self._spec.turns):
            turn = self._spec.turns[self._at]
            self._at += 1
            if self._holds(turn.get("if")):
                return turn
        return None

    def _holds(self, condition: object) -> bool:
        if condition is None:
            return True
        try:
            return parse_condition(str(condition)).holds(self._values)
        except ConditionError:
            return False  # it looks at something that is not there
        except TemplateError as error:
            raise self._wrong(f": {error.what}") from None

    def settle(self, turn: _Turn | None, returned: Sequence[Returned]) -> None:
        """Remember what came of the calls of a turn that have a name."""
        calls = turn.get("calls", ()) if turn is not None else ()
        for call, came in zip(calls, returned, strict=False):
            if "id" in call:
                out = _read(came.content) if came.ok else {}
                status, error = ("succeeded", "") if came.ok else ("failed", came.content)
                self._values["steps"][str(call["id"])] = {"status": status, "out": out, "error": error}

    def spoken(self, turn: _Turn, n: int) -> Answer:
        """A turn as the answer of a model."""
        if "error" in turn:
            kind = turn["error"]
            raise ModelFailed(f"the script says {kind}", billed=False, again=kind == "busy")
        try:
            calls = tuple(
                AskedCall(f"s{n}_{index}", str(call["tool"]), dict(self._filled(call.get("with", {}))))
                for index, call in enumerate(turn.get("calls", ()))
            )
            plan = turn.get("plan")
            items = None if plan is None else tuple(_item(each) for each in plan)
            text, size = str(self._filled(turn.get("text", ""))), len(str(turn))
            tokens = turn.get("tokens", {})
            spent = int(tokens.get("input", size)), int(tokens.get("output", size))
        except MissingValue as error:
            raise self._wrong(f": {error}") from None
        except TemplateError as error:
            raise self._wrong(f": {error.what}") from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise self._wrong(" is not written as one.") from None
        return Answer(n, text, calls, items, self._spec.label, *spent)

    def _filled(self, value: Any) -> Any:
        return template(value).expand(self._values)

    def _wrong(self, what: str) -> TerminalError:
        return TerminalError(f"Turn {self._at} of the script `{self._spec.name}`{what}")


def _read(content: str) -> Any:
    """What a tool answered; nothing where it was too long to be given whole."""
    try:
        return json.loads(content)
    except ValueError:
        return {}


def _item(each: Mapping[str, Any]) -> PlanItem:
    status = each.get("status", "pending")
    if status not in _STATUSES:
        raise ValueError(status)
    return PlanItem(str(each["title"]), status)
