"""The form asks for what is missing and reads back what was entered."""

from typing import Any

import pytest

from bot.blocks.modals import MissingField, input_errors, inputs_modal, read_inputs
from tests.unit.blocks.shapes import leaves, shown

FIELDS = (
    MissingField("title", "string", "What it is called", default="Report"),
    MissingField("rows", "integer", default=10),
    MissingField("deep", "boolean", default=False),
    MissingField("chart", "choice", choices=("bar", "line"), default="line"),
    MissingField("data", "file", "A CSV"),
    MissingField("note", "string", required=False),
)


def state(**answers: dict[str, Any]) -> dict[str, Any]:
    """`view.state.values` as Slack sends it."""
    at = {field.name: f"in{index}:{field.name}" for index, field in enumerate(FIELDS)}
    return {at[name]: {"answer": answer} for name, answer in answers.items()}


ANSWERS = state(
    title={"type": "plain_text_input", "value": "March"},
    rows={"type": "number_input", "value": "12"},
    deep={"type": "radio_buttons", "selected_option": {"value": "true"}},
    chart={"type": "static_select", "selected_option": {"value": "bar"}},
    data={"type": "file_input", "files": [{"id": "F0CSV"}]},
    note={"type": "plain_text_input", "value": None},
)


def test_each_type_gets_its_element_and_default() -> None:
    view = inputs_modal("report", FIELDS, private_metadata="{}")

    elements = [block["element"] for block in leaves(view, "input")]
    assert ["plain_text_input", "number_input", "radio_buttons", "static_select", "file_input", "plain_text_input"] == [
        element["type"] for element in elements
    ]
    assert ("Report", "10") == (elements[0]["initial_value"], elements[1]["initial_value"])
    assert ("false", "line") == (elements[2]["initial_option"]["value"], elements[3]["initial_option"]["value"])
    assert [False] * 5 + [True] == [block["optional"] for block in leaves(view, "input")]
    assert "run_inputs" == view["callback_id"]


def test_a_complete_form_is_read_with_its_types() -> None:
    submitted = read_inputs(ANSWERS, FIELDS)

    assert {"title": "March", "rows": 12, "deep": True, "chart": "bar"} == submitted.values
    assert {"data": "F0CSV"} == submitted.files
    assert {} == submitted.errors


@pytest.mark.parametrize(
    ("name", "answer", "error"),
    [
        ("title", {"value": "  "}, "Please fill this in."),
        ("title", {}, "Please fill this in."),
        ("rows", {"value": "a dozen"}, "Please write a whole number, for example 12."),
        ("rows", {"value": "1.5"}, "Please write a whole number, for example 12."),
        ("rows", {"value": "9" * 17}, "Please write a whole number, for example 12."),
        ("deep", {"selected_option": {"value": "perhaps"}}, "Please choose Yes or No."),
        ("chart", {"selected_option": {"value": "pie"}}, "Please write one of: bar, line"),
        ("data", {"files": []}, "Please choose a file."),
        ("data", {"files": [{"id": "F1"}, {"id": "F2"}]}, "Please choose one file."),
        ("data", {"files": "nonsense"}, "Please choose a file."),
        ("rows", "nonsense", "Please fill this in."),
    ],
)
def test_a_wrong_answer_is_told_at_its_field(name: str, answer: Any, error: str) -> None:
    submitted = read_inputs(ANSWERS | state(**{name: answer}), FIELDS)

    assert {name: error} == submitted.errors
    at = next(index for index, field in enumerate(FIELDS) if field.name == name)
    assert {"response_action": "errors", "errors": {f"in{at}:{name}": error}} == input_errors(submitted.errors, FIELDS)


def test_choices_a_menu_cannot_hold_are_typed() -> None:
    wanted = MissingField("which", "choice", choices=("a" * 80, "b"))

    view = inputs_modal("report", [wanted], private_metadata="")

    [block] = leaves(view, "input")
    assert "plain_text_input" == block["element"]["type"]
    assert "One of: " + "a" * 80 + ", b" == block["hint"]["text"]
    assert {"which": "b"} == read_inputs({"in0:which": {"answer": {"value": "b"}}}, [wanted]).values


def test_errors_stand_above_a_form_that_is_opened_again() -> None:
    view = inputs_modal("report", FIELDS, private_metadata="", errors={"data": "That is not a CSV."})

    assert "✗ data: That is not a CSV." in shown(view)


def test_two_fields_with_odd_names_stay_apart() -> None:
    wanted = (MissingField("größe", "string"), MissingField("grö ße", "string"))

    submitted = read_inputs(
        {
            block["block_id"]: {"answer": {"value": block["label"]["text"]}}
            for block in leaves(inputs_modal("a", wanted, private_metadata=""), "input")
        },
        wanted,
    )

    assert {"größe": "größe", "grö ße": "grö ße"} == submitted.values


def test_private_metadata_slack_would_refuse_is_a_bug_of_ours() -> None:
    with pytest.raises(ValueError, match="private_metadata holds 3001 characters"):
        inputs_modal("report", FIELDS, private_metadata="x" * 3001)
