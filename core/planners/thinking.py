"""Asking a model: the port, what it may fail with, and what of an answer may be used.

Nothing here knows a vendor. Whatever comes back is checked before anybody acts on it: calls of tools that are not the
agent's, arguments that are no mapping, ids given twice, calls by the thousand. What may not be used is refused by name,
and the model is told; it is never carried out and never dropped in silence.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Protocol

from core.actions.envelope import NotCanonical, canonical
from core.errors import BanksmanError
from core.planners.agents import ModelSpec
from core.planners.dialogue import MAX_CALLS, MOST_ASKED, PLAN, Answer, AskedCall, PlanItem, Prompt, spelled
from core.planners.references import TemplateError
from core.planners.waiting import DELEGATE, asked_wait
from core.planners.waiting import TOOL as WAIT

_PLAN_LINES = 40
ASK = "ask"
"""The tool whose calls people answer; waiting for them is what it does."""


class ModelFailed(BanksmanError):
    """No usable answer came back.

    Args:
        billed: Whether it may have cost something: then its reserve is charged.
        again: Whether asking once more may help.
        retry_after_s: How long the vendor asks to wait.
    """

    def __init__(self, message: str, *, billed: bool, again: bool, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.billed = billed
        self.again = again
        self.retry_after_s = retry_after_s


OnText = Callable[[str], None]
"""Called with each piece of text as it comes; what it does may be lost."""


class LanguageModel(Protocol):
    """Asks one model once. No retries: those are the run's, and each is paid for separately."""

    async def answer(
        self, spec: ModelSpec, prompt: Prompt, *, n: int, position: int, key: str | None, on_text: OnText
    ) -> Answer:
        """One answer, as it came.

        Args:
            n: The number of the turn.
            position: How many answers came before.
            key: The vendor's key, if there is one.

        Raises:
            ModelFailed: nothing usable came back.
        """
        ...


def usable(answer: Answer, tools: Collection[str]) -> Answer:
    """The answer with everything in it refused that may not be carried out.

    Args:
        tools: Those it was given, by our names.
    """
    seen: set[str] = set()
    calls: list[AskedCall] = []
    plan = answer.plan
    for index, call in enumerate(answer.calls[:MOST_ASKED]):
        id_ = call.id
        if not id_ or id_ in seen:
            id_ = f"call_{answer.n}_{index}"
        seen.add(id_)
        refusal = call.refusal
        if not refusal and index >= MAX_CALLS:
            refusal = f"Not carried out: one answer may ask for {MAX_CALLS} calls."
        elif not refusal and call.tool == PLAN:
            published = _published(call)
            plan, refusal = (published, "") if published is not None else (plan, "Not published: give `steps`.")
        elif not refusal and (trouble := _unusable(call)):
            refusal = f"Not carried out: its arguments cannot be used: {trouble}."
        elif not refusal and call.tool not in tools:
            there = ", ".join(sorted(tools)[:20]) or "none"
            refusal = f"Not carried out: you have no tool {call.tool[:80]!r}. You have: {there}."
        elif not refusal and call.tool == WAIT:
            call, refusal = _waiting(call, tools)
        calls.append(replace(call, id=id_, refusal=refusal))
    return replace(answer, calls=tuple(calls), plan=plan)


def _waiting(call: AskedCall, tools: Collection[str]) -> tuple[AskedCall, str]:
    """A wait with the tool it repeats by our name, and why it is not carried out, if so."""
    repeatable = [tool for tool in tools if tool not in (PLAN, WAIT, ASK, DELEGATE)]
    names = {spelled(tool): tool for tool in repeatable} | {tool: tool for tool in repeatable}
    try:
        asked = asked_wait(call.args, names)
    except TemplateError as error:
        return call, f"Not carried out: {error.what} {error.remedy}"
    return replace(call, args={**call.args, "tool": asked.tool}), ""


def _unusable(call: AskedCall) -> str:
    """Why the arguments have no single form, so that nobody could be asked about exactly them; empty if they have."""
    try:
        canonical(dict(call.args))
    except NotCanonical as error:
        return error.user_text.rstrip(".")
    return ""


def _published(call: AskedCall) -> tuple[PlanItem, ...] | None:
    steps = call.args.get("steps")
    if not isinstance(steps, list) or len(steps) > _PLAN_LINES:
        return None
    items = []
    for each in steps:
        if not isinstance(each, dict) or not isinstance(each.get("title"), str):
            return None
        status = each.get("status", "pending")
        if status not in ("pending", "running", "done", "failed", "skipped"):
            return None
        items.append(PlanItem(" ".join(each["title"].split())[:200], status))
    return tuple(items)
