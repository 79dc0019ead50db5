"""The form for inputs a playbook still needs: build it, show what was wrong, read what was submitted.

Field names and types come from the playbook, defaults and choices too; what a person types is checked here for its
type only. Whether the run may start with it is decided by the core.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bot.blocks import bounds
from bot.blocks.elements import Block, context, line, rich, say, unparsed, word
from bot.blocks.text import length, plain
from bot.blocks.words import count, size
from bot.surface import CallbackId

FieldType = Literal["string", "integer", "boolean", "choice", "file"]
Value = str | int | bool

_ANSWER = "answer"
"""`action_id` of every input; which field it is, the block says."""

_FIELDS = 90
_INTEGER = re.compile(r"[+-]?[0-9]{1,16}")
_LARGEST = 2**53 - 1
_ODD = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True)
class MissingField:
    """One input to ask for."""

    name: str
    type: FieldType
    description: str = ""
    choices: tuple[str, ...] = ()
    """For `choice`: what may be picked."""
    required: bool = True
    default: Value | None = None

    @property
    def is_file(self) -> bool:
        return self.type == "file"


@dataclass(frozen=True)
class Submitted:
    """What a submitted form holds."""

    values: Mapping[str, Value] = field(default_factory=dict)
    """By field name; optional fields left empty are absent."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Slack file ids by field name."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """One sentence by field name; if there is any, nothing else should be used."""


def inputs_modal(
    agent: str, fields: Sequence[MissingField], *, private_metadata: str, errors: Mapping[str, str] | None = None
) -> Block:
    """Build the form.

    Args:
        agent: The playbook's name.
        fields: What is missing, in the playbook's order.
        private_metadata: Ours, returned with the submission; at most 3,000 characters, never shown.
        errors: Sentences by field name to show above the form, for when it is opened again.

    Raises:
        ValueError: `private_metadata` is too long; that is a bug of the caller, not of a person.
    """
    if length(private_metadata) > bounds.PRIVATE_METADATA:
        raise ValueError(
            f"private_metadata holds {length(private_metadata)} characters, Slack takes {bounds.PRIVATE_METADATA}"
        )
    blocks: list[Block] = [
        rich(line(say(agent, bold=True, limit=80), word(" needs a little more before it can start.")))
    ]
    for name, sentence in list((errors or {}).items())[:5]:
        blocks.append(rich(line(word("✗ "), say(name, bold=True, limit=80), word(": "), say(sentence))))
    blocks += [_input(at, wanted) for at, wanted in enumerate(fields[:_FIELDS])]
    if len(fields) > _FIELDS:
        blocks.append(
            context(word(f"{count(len(fields) - _FIELDS, 'more field')} do not fit here; use the command line."))
        )
    return {
        "type": "modal",
        "callback_id": CallbackId.RUN_INPUTS,
        "title": unparsed("Inputs", bounds.VIEW_TITLE),
        "submit": unparsed("Start", bounds.VIEW_TITLE),
        "close": unparsed("Cancel", bounds.VIEW_TITLE),
        "private_metadata": private_metadata,
        "blocks": blocks,
    }


def input_errors(errors: Mapping[str, str], fields: Sequence[MissingField]) -> dict[str, Any]:
    """The answer to a submission that shows each sentence at its field and keeps the form open."""
    at = {wanted.name: _block_id(index, wanted) for index, wanted in enumerate(fields)}
    shown = {at[name]: plain(sentence, 200) or "Please change this." for name, sentence in errors.items() if name in at}
    return {"response_action": "errors", "errors": shown}


def read_inputs(state_values: Mapping[str, Any], fields: Sequence[MissingField]) -> Submitted:
    """Read `view.state.values` of a submission.

    Args:
        state_values: As Slack sent it; anything unexpected counts as not answered.
        fields: The fields the form was built from, in the same order.
    """
    values: dict[str, Value] = {}
    files: dict[str, str] = {}
    errors: dict[str, str] = {}
    for at, wanted in enumerate(fields):
        answer = _mapping(_mapping(state_values.get(_block_id(at, wanted))).get(_ANSWER))
        if wanted.is_file:
            uploaded = [file["id"] for file in answer.get("files") or () if isinstance(_mapping(file).get("id"), str)]
            if len(uploaded) == 1:
                files[wanted.name] = uploaded[0]
            elif uploaded:
                errors[wanted.name] = "Please choose one file."
            elif wanted.required:
                errors[wanted.name] = "Please choose a file."
            continue
        typed = _typed(answer)
        if typed is None or not typed.strip():
            if wanted.required:
                errors[wanted.name] = "Please fill this in."
            continue
        try:
            values[wanted.name] = _value(wanted, typed)
        except ValueError as wrong:
            errors[wanted.name] = str(wrong)
    return Submitted(values, files, errors)


def _value(wanted: MissingField, typed: str) -> Value:
    match wanted.type:
        case "integer":
            if not _INTEGER.fullmatch(typed.strip()) or abs(int(typed)) > _LARGEST:
                raise ValueError("Please write a whole number, for example 12.")
            return int(typed)
        case "boolean":
            if typed not in {"true", "false"}:
                raise ValueError("Please choose Yes or No.")
            return typed == "true"
        case "choice":
            if typed not in wanted.choices:
                raise ValueError(f"Please write one of: {plain(', '.join(wanted.choices), 120)}")
            return typed
        case _:
            return typed


def _typed(answer: Mapping[str, Any]) -> str | None:
    picked = _mapping(answer.get("selected_option")).get("value")
    value = answer.get("value") if picked is None else picked
    return value if isinstance(value, str) else None


def _mapping(value: Any) -> Mapping[str, Any]:  # Any: a payload from outside
    return value if isinstance(value, Mapping) else {}


def _block_id(at: int, wanted: MissingField) -> str:
    # The position keeps ids unique and short whatever a playbook calls its inputs; the name makes payloads readable.
    return f"in{at}:{_ODD.sub('', wanted.name)}"[: bounds.IDENTIFIER]


def _input(at: int, wanted: MissingField) -> Block:
    element, note = _element(wanted)
    block: Block = {
        "type": "input",
        "block_id": _block_id(at, wanted),
        "optional": not wanted.required,
        "label": unparsed(wanted.name, 150),
        "element": element | {"action_id": _ANSWER},
    }
    if hint := " ".join(part for part in (plain(wanted.description, 1000), note) if part):
        block["hint"] = unparsed(hint, bounds.INPUT_HINT)
    return block


def _element(wanted: MissingField) -> tuple[Block, str]:
    """The input element of a field, and what its hint has to add."""
    match wanted.type:
        case "file":
            limit = size(bounds.FILE_INPUT_BYTES)
            return {
                "type": "file_input",
                "max_files": 1,
            }, f"Up to {limit} here; attach a larger file to your message instead."
        case "integer":
            return {"type": "number_input", "is_decimal_allowed": False} | _initial(wanted), ""
        case "boolean":
            return _options("radio_buttons", (("Yes", "true"), ("No", "false")), _spelled(wanted.default)), ""
        case "choice" if _pickable(wanted.choices):
            return _options(
                "static_select", [(choice, choice) for choice in wanted.choices], _spelled(wanted.default)
            ), ""
        case "choice":
            return {"type": "plain_text_input"} | _initial(wanted), "One of: " + plain(", ".join(wanted.choices), 800)
        case _:
            return {"type": "plain_text_input", "max_length": bounds.INPUT_VALUE} | _initial(wanted), ""


def _pickable(choices: Sequence[str]) -> bool:
    """Whether Slack's menu can hold these exactly: a choice that would be cut is typed instead."""
    fits = all(
        choice.strip() and length(choice) <= bounds.OPTION_TEXT and choice == plain(choice, bounds.OPTION_TEXT)
        for choice in choices
    )
    return fits and 0 < len(choices) <= bounds.OPTIONS and len(set(choices)) == len(choices)


def _options(kind: str, choices: Sequence[tuple[str, str]], picked: str | None) -> Block:
    options = [{"text": unparsed(text, bounds.OPTION_TEXT), "value": value} for text, value in choices]
    element: Block = {"type": kind, "options": options}
    if initial := [option for option in options if option["value"] == picked]:
        element["initial_option"] = initial[0]
    return element


def _initial(wanted: MissingField) -> Block:
    # A default that cannot be shown exactly is not offered: what is submitted must be what was seen.
    text = _spelled(wanted.default)
    return {"initial_value": text} if text and text == plain(text, bounds.INPUT_VALUE) else {}


def _spelled(value: Value | None) -> str | None:
    return str(value).lower() if isinstance(value, bool) else None if value is None else str(value)
