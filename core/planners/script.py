"""A model that is none: its answers stand in a file, one for each turn. For demonstrations and tests.

A turn says `text`, `calls` (a list of `{tool, with}`), `plan` (a list of `{title, status}`) or `error` (the turn fails
as a vendor's would: `busy`, `refused` or `garbage`), and in `seconds` how long it takes to write its text (see
`pace`). After the last one it says that it has nothing more to say.
"""

from collections.abc import Mapping
from typing import Any

from core.errors import TerminalError
from core.planners.agents import ModelSpec
from core.planners.dialogue import Answer, AskedCall, PlanItem
from core.planners.thinking import ModelFailed

_STATUSES = ("pending", "running", "done", "failed", "skipped")


def answer(spec: ModelSpec, n: int, position: int) -> Answer:
    """The answer of a turn.

    Args:
        n: The number of the turn, which counts failed ones too.
        position: How many answers came before.

    Raises:
        ModelFailed: the script wants the turn to fail.
        TerminalError: the turn is not written as one.
    """
    if position >= len(spec.turns):
        return Answer(n, "The script has no more turns.", (), None, spec.label, 0, 0)
    turn: Mapping[str, Any] = spec.turns[position]
    try:
        if "error" in turn:
            kind = turn["error"]
            raise ModelFailed(f"the script says {kind}", billed=False, again=kind == "busy")
        calls = tuple(
            AskedCall(f"s{n}_{index}", str(call["tool"]), dict(call.get("with", {})))
            for index, call in enumerate(turn.get("calls", ()))
        )
        plan = turn.get("plan")
        items = None if plan is None else tuple(_item(each) for each in plan)
        text, size = str(turn.get("text", "")), len(str(turn))
        tokens = turn.get("tokens", {})
        return Answer(
            n, text, calls, items, spec.label, int(tokens.get("input", size)), int(tokens.get("output", size))
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise TerminalError(f"Turn {position + 1} of the script `{spec.name}` is not written as one.") from None


def _item(each: Mapping[str, Any]) -> PlanItem:
    status = each.get("status", "pending")
    if status not in _STATUSES:
        raise ValueError(status)
    return PlanItem(str(each["title"]), status)
