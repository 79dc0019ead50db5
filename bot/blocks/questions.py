"""What a run wants to be told: the question in its thread, and the form with typed answers."""

import json
from collections.abc import Mapping
from typing import Any

from bot.blocks import bounds
from bot.blocks.elements import (
    Block,
    Message,
    actions,
    button,
    emoji,
    line,
    message,
    person,
    prose,
    quote,
    rich,
    say,
    unparsed,
    word,
)
from bot.blocks.modals import MissingField, input_errors, inputs_modal, read_inputs
from bot.surface import ActionId, CallbackId
from core.ids import short
from core.planners.definition import InputSpec
from core.planners.inputs import NotAccepted, accept
from core.runs.approval_views import QuestionView
from core.runs.views import RunView


def question_card(asked: QuestionView, view: RunView) -> Message:
    """Ask in the thread."""
    return message(
        f"{view.agent} (run {short(view.id)}) has a question: {asked.question}",
        rich(*question(asked.question, view, "asks")),
        actions(button("Answer…", ActionId.QUESTION_ANSWER, asked.call_id, primary=True)),
    )


def question(text: str, view: RunView, verb: str) -> tuple[Block, Block]:
    """Who asks whom, and what: `verb` is `asks` or `asked`."""
    first = line(
        emoji("question"),
        word(" "),
        say(view.agent, bold=True, limit=80),
        word(f" (run {short(view.id)}) {verb} "),
        person(view.requester_slack, view.requester),
        word(":"),
    )
    return first, quote(prose(text, 2_000))


def question_modal(question: QuestionView) -> dict[str, Any]:
    """Build the form."""
    view = inputs_modal("The run", _fields(question), private_metadata=json.dumps({"call": question.call_id}))
    return {
        **view,
        "callback_id": CallbackId.QUESTION_ANSWER,
        "title": unparsed("Answer", bounds.VIEW_TITLE),
        "submit": unparsed("Answer", bounds.VIEW_TITLE),
        "blocks": [rich(quote(prose(question.question, 2_000))), *view["blocks"][1:]],
    }


def read_answers(view: Mapping[str, Any], question: QuestionView) -> tuple[dict[str, Any], dict[str, str]]:
    """The answers of a submitted form by name, or what is wrong by block."""
    fields = _fields(question)
    submitted = read_inputs((view.get("state") or {}).get("values") or {}, fields)
    errors = dict(submitted.errors)
    for name, value in submitted.values.items():
        # The same check is made again where the answer counts; here it can still be said next to the field.
        try:
            accept(question.wanted[name], value)
        except NotAccepted as error:
            errors[name] = f"{error}."
    if errors:
        return {}, dict(input_errors(errors, fields)["errors"])
    return dict(submitted.values), {}


def _fields(question: QuestionView) -> list[MissingField]:
    return [
        MissingField(
            spec.name,
            "string" if spec.type == "decimal" else spec.type,
            _hint(spec),
            spec.choices,
            spec.required,
        )
        for spec in question.wanted.values()
    ]


def _hint(spec: InputSpec) -> str:
    """The agent's words for the field, and what the field itself does not show."""
    expects = f"Expects {spec.expects}."
    if not spec.description:
        return expects
    return f"{spec.description} ({expects})" if spec.type in ("integer", "decimal") else spec.description
