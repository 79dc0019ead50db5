"""What Slack would say to a payload: its block shapes as a JSON Schema, the SDK's models, and a walk over its texts.

The schema is written from Slack's reference pages; it knows exactly the shapes we use, so anything else is an error.
https://docs.slack.dev/reference/block-kit/
"""

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
from slack_sdk.models.blocks import Block

from bot.surface import ActionId, CallbackId

TEXT = {"type": "string", "minLength": 1, "maxLength": 3000}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": required | (optional or {}),
        "additionalProperties": False,
    }


def _text(most: int) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1, "maxLength": most}
    return _object({"type": {"const": "plain_text"}, "text": text, "emoji": {"type": "boolean"}})


_MRKDWN = _object({"type": {"const": "mrkdwn"}, "text": TEXT, "verbatim": {"const": True}})
_STYLE = {"type": "object", "additionalProperties": {"type": "boolean"}, "minProperties": 1}
_LEAF = {
    "oneOf": [
        _object({"type": {"const": "text"}, "text": TEXT}, {"style": _STYLE}),
        _object({"type": {"const": "user"}, "user_id": {"type": "string", "pattern": "^[UW][A-Z0-9]+$"}}),
        _object({"type": {"const": "channel"}, "channel_id": {"type": "string", "pattern": "^[CDG][A-Z0-9]+$"}}),
        _object({"type": {"const": "emoji"}, "name": {"type": "string", "pattern": "^[a-z0-9_]+$"}}),
        _object(
            {
                "type": {"const": "date"},
                "timestamp": {"type": "integer", "minimum": 0},
                "format": {"type": "string", "pattern": r"^[{}a-z_ ]+$"},
                "fallback": TEXT,
            }
        ),
        _object({"type": {"const": "link"}, "url": {"type": "string", "pattern": "^https://"}, "text": TEXT}),
    ]
}
_PART = _object(
    {
        "type": {"enum": ["rich_text_section", "rich_text_quote"]},
        "elements": {"type": "array", "minItems": 1, "items": _LEAF},
    }
)
_EXACT = _object(
    {
        "type": {"const": "rich_text_preformatted"},
        "elements": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": _object({"type": {"const": "text"}, "text": TEXT}),
        },
    }
)
_BOLDLY = {"enum": ["danger", "primary"]}
_CONFIRM = _object({"title": _text(100), "text": _text(300), "confirm": _text(30), "deny": _text(30), "style": _BOLDLY})
_RUN_ID, _APPROVAL = "run_[0-9a-z]{26}", "apr_[0-9a-z]{26}:[0-9a-f]{16}"
VALUES = {
    ActionId.RUN_KILL: _RUN_ID,
    ActionId.RUN_DETAILS: _RUN_ID,
    ActionId.RUN_ROLL_BACK: _RUN_ID,
    ActionId.RUN_INPUTS: ".{1,2000}",
    ActionId.RUN_FUND: f"{_RUN_ID}:[0-9]+(:[a-z]+)?",
    ActionId.RUN_WRAP_UP: _RUN_ID,
    ActionId.APPROVAL_AGAIN: _RUN_ID,
    ActionId.RUN_STEER: _RUN_ID,
    ActionId.RUN_CONTINUE: f"{_RUN_ID}:[0-9]+",
    ActionId.REPLY_TAKE: f"{_RUN_ID}:.{{1,1900}}",
    ActionId.REPLY_LEAVE: f"{_RUN_ID}:.{{1,1900}}",
    ActionId.QUESTION_ANSWER: "call_.{1,60}",
    ActionId.CALL_RAN: f"{_RUN_ID}:.{{0,1900}}",
    ActionId.CALL_NOT_RUN: f"{_RUN_ID}:.{{0,1900}}",
}
"""What the value of a button looks like; of all others it is a question's id and the beginning of a digest."""


def _button(action_id: str) -> dict[str, Any]:
    return _object(
        {
            "type": {"const": "button"},
            "action_id": {"const": action_id},
            "text": _text(75),
            "value": {"type": "string", "pattern": f"^{VALUES.get(ActionId(action_id), _APPROVAL)}$"},
        },
        {"style": _BOLDLY, "confirm": _CONFIRM},
    )


_MENU_OPTION = _object({"text": _text(75), "value": {"type": "string", "pattern": f"^{_RUN_ID}:(off|ask|auto)$"}})
_MENU = _object(
    {
        "type": {"const": "overflow"},
        "action_id": {"const": ActionId.RUN_REPLIES.value},
        "options": {"type": "array", "minItems": 1, "maxItems": 5, "items": _MENU_OPTION},
    }
)
_PRESSED = {"oneOf": [*(_button(each.value) for each in ActionId if each is not ActionId.RUN_REPLIES), _MENU]}
_BLOCK = {
    "oneOf": [
        _object({"type": {"const": "header"}, "text": _text(150)}),
        _object({"type": {"const": "divider"}}),
        _object(
            {
                "type": {"const": "rich_text"},
                "elements": {"type": "array", "minItems": 1, "items": {"oneOf": [_PART, _EXACT]}},
            }
        ),
        _object(
            {
                "type": {"const": "context"},
                "elements": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 10,
                    "items": {"oneOf": [_text(2000), _MRKDWN]},
                },
            }
        ),
        _object(
            {
                "type": {"const": "actions"},
                "elements": {"type": "array", "minItems": 1, "maxItems": 25, "items": _PRESSED},
            }
        ),
    ]
}
_OPTION = _object({"text": _text(75), "value": {"type": "string", "minLength": 1, "maxLength": 150}})
_ACTION = {"action_id": {"type": "string", "minLength": 1, "maxLength": 255}}
_CHOOSE = {"options": {"type": "array", "minItems": 1, "maxItems": 100, "items": _OPTION}}
_INPUT = _object(
    {
        "type": {"const": "input"},
        "block_id": {"type": "string", "minLength": 1, "maxLength": 255},
        "label": _text(2000),
        "element": {
            "oneOf": [
                _object(
                    {"type": {"const": "plain_text_input"}} | _ACTION,
                    {
                        "max_length": {"type": "integer", "maximum": 3000},
                        "min_length": {"type": "integer", "minimum": 0, "maximum": 3000},
                        "multiline": {"type": "boolean"},
                        "focus_on_load": {"type": "boolean"},
                        "initial_value": TEXT,
                    },
                ),
                _object(
                    {"type": {"const": "number_input"}, "is_decimal_allowed": {"const": False}} | _ACTION,
                    {"initial_value": TEXT},
                ),
                _object({"type": {"const": "static_select"}} | _ACTION | _CHOOSE, {"initial_option": _OPTION}),
                _object({"type": {"const": "radio_buttons"}} | _ACTION | _CHOOSE, {"initial_option": _OPTION}),
                _object({"type": {"const": "file_input"}, "max_files": {"const": 1}} | _ACTION),
            ]
        },
    },
    {"hint": _text(2000), "optional": {"type": "boolean"}},
)

_MESSAGE = jsonschema.Draft202012Validator({"type": "array", "minItems": 1, "maxItems": 50, "items": _BLOCK})
_VIEW_BLOCKS = {"type": "array", "minItems": 1, "maxItems": 100, "items": {"oneOf": [*_BLOCK["oneOf"], _INPUT]}}
_MODAL = jsonschema.Draft202012Validator(
    _object(
        {
            "type": {"const": "modal"},
            "callback_id": {"enum": [each.value for each in CallbackId]},
            "title": _text(24),
            "close": _text(24),
            "private_metadata": {"type": "string", "maxLength": 3000},
            "blocks": _VIEW_BLOCKS,
        },
        {"submit": _text(24)},
    )
)
_HOME = jsonschema.Draft202012Validator(_object({"type": {"const": "home"}, "blocks": _VIEW_BLOCKS}))


def assert_sendable_blocks(blocks: tuple[dict[str, Any], ...]) -> None:
    """Fail with the first thing Slack would refuse about a message's blocks."""
    _MESSAGE.validate(list(blocks))
    _assert_sdk_takes(list(blocks))


def assert_sendable_modal(view: dict[str, Any]) -> None:
    _MODAL.validate(view)
    _assert_sdk_takes(view["blocks"])


def assert_sendable_home(view: dict[str, Any]) -> None:
    _HOME.validate(view)
    _assert_sdk_takes(view["blocks"])


def _assert_sdk_takes(blocks: list[dict[str, Any]]) -> None:
    for block in blocks:
        parsed = Block.parse(block)
        assert parsed is not None, f"the SDK does not know {block['type']}"
        assert parsed.to_dict()["type"] == block["type"]


def leaves(value: Any, kind: str | None = None) -> Iterator[Mapping[str, Any]]:
    """Every object with a `type` (of this kind) anywhere in a payload."""
    if isinstance(value, Mapping):
        if "type" in value and (kind is None or value["type"] == kind):
            yield value
        for inner in value.values():
            yield from leaves(inner, kind)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner, kind)


def shown(value: Any) -> str:
    """Every text of a payload, as it is read from top to bottom."""
    return "".join(str(leaf["text"]) for leaf in leaves(value) if isinstance(leaf.get("text"), str))


def buttons(value: Any) -> list[str]:
    """The labels of all buttons, in order."""
    return [str(leaf["text"]["text"]) for leaf in leaves(value, "button")]


def boxes(value: Any) -> str:
    """What stands in fixed width of its own: the exact text, joined."""
    return "".join(part["elements"][0]["text"] for part in leaves(value, "rich_text_preformatted"))
