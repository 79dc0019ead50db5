"""What a run wants to be told: the question in its thread, and the form with typed answers."""

import json
from collections.abc import Mapping
from typing import Any

from bot.blocks import bounds
from bot.blocks.approval_card import Known
from bot.blocks.elements import (
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
from core.runs.approval_views import QuestionView
from core.runs.views import RunView


def question_card(question: QuestionView, view: RunView, known: Known, *, now_ms: int) -> Message:
    """Ask in the thread."""
    first = line(
        emoji("question"),
        word(" "),
        say(view.agent, bold=True, limit=80),
        word(f" (run {short(view.id)}) asks "),
        person(view.requester_slack, view.requester),
        word(":"),
    )
    return message(
        f"{view.agent} (run {short(view.id)}) has a question: {question.question}",
        rich(first, quote(prose(question.question, 2_000))),
        actions(button("Answer…", ActionId.QUESTION_ANSWER, question.call_id, primary=True)),
    )


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
    if submitted.errors:
        return {}, dict(input_errors(submitted.errors, fields)["errors"])
    return dict(submitted.values), {}


def _fields(question: QuestionView) -> list[MissingField]:
    return [
        MissingField(
            spec.name,
            "string" if spec.type == "decimal" else spec.type,
            spec.description or f"Expects {spec.expects}.",
            spec.choices,
            spec.required,
        )
        for spec in question.wanted.values()
    ]
