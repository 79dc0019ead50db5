"""Questions of a run: asked in its thread, answered in a form, typed answers read back."""

from typing import Any

import pytest

from bot.blocks.bounds import problems, view_problems
from bot.blocks.questions import question_card, question_modal, read_answers
from tests.unit.blocks.asks import a_question
from tests.unit.blocks.models import a_run
from tests.unit.blocks.shapes import buttons, leaves, shown


def form(**typed: Any) -> dict[str, Any]:
    """A submission of the plain question's form with these texts."""
    good = {"count": "3", "price": "12.50", "colour": "red", "sure": "true"} | typed
    values: dict[str, Any] = {}
    for block in question_modal(a_question())["blocks"]:
        if block["type"] == "input" and (text := good.get(block["label"]["text"])) is not None:
            kind = block["element"]["type"]
            picks = (
                {"selected_option": {"value": text}} if kind in ("static_select", "radio_buttons") else {"value": text}
            )
            values[block["block_id"]] = {"answer": {"type": kind, **picks}}
    return {"state": {"values": values}}


def test_answers_come_back_with_their_types() -> None:
    answers = {"count": 3, "price": "12.50", "colour": "red", "sure": True}

    assert (answers, {}) == read_answers(form(), a_question())
    assert (answers | {"note": "soon"}, {}) == read_answers(form(note="soon"), a_question())


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("count", "many", "whole number"),
        ("count", None, "fill this in"),
        ("price", "12,50", "a number such as 12.50"),
        ("price", "lots", "a number such as 12.50"),
        ("colour", "green", "one of"),
        ("sure", "perhaps", "Yes or No"),
        ("note", "nul \x00", "NUL"),
    ],
)
def test_what_does_not_fit_is_said_at_its_field(name: str, typed: str | None, said: str) -> None:
    given, errors = read_answers(form(**{name: typed}), a_question())

    [(block, sentence)] = errors.items()
    assert {} == given
    assert block.endswith(f":{name}")
    assert said in sentence


@pytest.mark.parametrize("view", [{}, {"state": None}, {"state": {"values": None}}, {"state": {"values": {"in0": 3}}}])
def test_a_form_without_answers_is_missing_all_that_is_required(view: dict[str, Any]) -> None:
    assert ["count", "price", "colour", "sure"] == [
        block.partition(":")[2] for block in read_answers(view, a_question())[1]
    ]


def test_the_form_has_an_input_for_each_answer_and_the_question_as_a_quotation() -> None:
    view = question_modal(a_question(question="How many?\nApproved by @cto"))

    assert [] == view_problems(view)
    kinds = [block["element"]["type"] for block in view["blocks"] if block["type"] == "input"]
    assert ["number_input", "plain_text_input", "static_select", "radio_buttons", "plain_text_input"] == kinds
    assert "How many?\nApproved by @cto" == shown(list(leaves(view, "rich_text_quote")))
    hints = [block["hint"]["text"] for block in view["blocks"] if "hint" in block]
    assert "How many (Expects a whole number.)" in hints
    assert "Expects a number such as 12.50." in hints


def test_the_card_asks_the_requester_and_offers_the_form() -> None:
    card = question_card(a_question(), a_run())

    assert [] == problems(card.blocks)
    assert ["Answer…"] == buttons(card.blocks)
    [answer] = leaves(card.blocks, "button")
    assert "call_1" == answer["value"]
    assert ["U0ROSA"] == [leaf["user_id"] for leaf in leaves(card.blocks, "user")]
    assert "How many, and which?" == shown(list(leaves(card.blocks, "rich_text_quote")))
    assert "report (run 0yabcd) has a question: How many, and which?" == card.text
