"""Interactive elements, and which of them may stand where."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from bot.playground.blockkit import objects
from bot.playground.blockkit.checker import Checker, Json

_SELECT_KINDS = ("static", "external", "users", "conversations", "channels")
SELECTS = frozenset(f"{kind}_select" for kind in _SELECT_KINDS)
MULTI_SELECTS = frozenset(f"multi_{kind}_select" for kind in _SELECT_KINDS)
_PICKERS = frozenset({"datepicker", "datetimepicker", "timepicker", "radio_buttons", "checkboxes"})
_INPUTS = frozenset({"plain_text_input", "email_text_input", "url_text_input", "number_input", "rich_text_input"})

IN_ACTIONS = (
    frozenset({"button", "overflow", "workflow_button", "rich_text_input"}) | SELECTS | MULTI_SELECTS | _PICKERS
)
IN_SECTION = frozenset({"button", "image", "overflow", "workflow_button"}) | SELECTS | MULTI_SELECTS | _PICKERS
IN_INPUT = SELECTS | MULTI_SELECTS | _PICKERS | _INPUTS | {"file_input"}
IN_CONTEXT_ACTIONS = frozenset({"feedback_buttons", "icon_button"})
IN_CARD = frozenset({"button"})


def element(c: Checker, value: Any, where: str, allowed: frozenset[str]) -> None:
    """One element, which must be of an allowed kind."""
    if not isinstance(value, dict):
        c.fail(where, "must be an object")
        return
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in allowed:
        c.fail(
            f"{where}/type" if kind else where, f"unsupported type: {kind}" if kind else "missing required field: type"
        )
        return
    if kind == "image":
        objects.image(c, value, where)
        return
    c.string(value, "action_id", where, most=255)
    _CHECKS[kind](c, value, where)
    if value.get("focus_on_load") is True:
        c.focused += 1
        if c.focused > 1:
            c.fail(f"{where}/focus_on_load", "only one element may have focus_on_load")
    c.flag(value, "focus_on_load", where)


def _button(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type text", "action_id url value style confirm accessibility_label agent_prompt")
    objects.text(c, value, "text", where, most=75)
    c.string(value, "url", where, most=3000)
    c.string(value, "value", where, most=2000)
    c.string(value, "agent_prompt", where, most=4000)
    c.string(value, "accessibility_label", where, most=75)
    c.among(value, "style", where, ("primary", "danger"))
    objects.confirm(c, value, where)


def _workflow_button(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type text workflow", "action_id style accessibility_label")
    objects.text(c, value, "text", where, most=75)
    c.among(value, "style", where, ("primary", "danger"))


def _overflow(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type options", "action_id confirm")
    objects.options(c, value, where, most=5, with_url=True)
    objects.confirm(c, value, where)


_SELECT_COMMON = "action_id placeholder confirm focus_on_load"


def _select(c: Checker, value: Json, where: str) -> None:
    kind = value["type"].removeprefix("multi_").removesuffix("_select")
    multi = value["type"].startswith("multi_")
    own = {
        "static": "options option_groups initial_option",
        "external": "min_query_length initial_option",
        "users": "initial_user",
        "conversations": "initial_conversation default_to_current_conversation filter response_url_enabled",
        "channels": "initial_channel response_url_enabled",
    }[kind]
    if multi:
        own = re.sub(r"initial_(\w+)", r"initial_\1s", own).replace("response_url_enabled", "") + " max_selected_items"
    c.thing(value, where, "type", f"{_SELECT_COMMON} {own}")
    objects.text(c, value, "placeholder", where, most=150)
    objects.confirm(c, value, where)
    c.whole(value, "max_selected_items", where, least=1, most=100)
    c.whole(value, "min_query_length", where, least=0, most=1000)
    objects.conversation_filter(c, value, where)
    if kind == "static":
        if ("options" in value) == ("option_groups" in value):
            c.fail(where, "exactly one of options and option_groups is required")
        objects.options(c, value, where, most=100)
        objects.option_groups(c, value, where)
        _initial_among_options(c, value, where)


def _choice(c: Checker, value: Json, where: str) -> None:
    initial = "initial_option" if value["type"] == "radio_buttons" else "initial_options"
    c.thing(value, where, "type options", f"action_id confirm focus_on_load {initial}")
    objects.options(c, value, where, most=10, plain=False)
    objects.confirm(c, value, where)
    _initial_among_options(c, value, where)


def offered(value: Json) -> list[Json]:
    """The options an element offers, those of groups included."""
    found: list[Json] = []
    for holder in [value, *_listed(value.get("option_groups"))]:
        found += _listed(holder.get("options"))
    return found


def _listed(value: Any) -> list[Json]:
    """The objects of what should be a list of objects."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _initial_among_options(c: Checker, value: Json, where: str) -> None:
    choices = offered(value)
    if "initial_option" in value and value["initial_option"] not in choices:
        c.fail(f"{where}/initial_option", "must be one of the provided options")
    initial = value.get("initial_options")
    if initial is not None and (
        not isinstance(initial, list) or not initial or any(one not in choices for one in initial)
    ):
        c.fail(f"{where}/initial_options", "must be among the provided options")


def _picker(c: Checker, value: Json, where: str) -> None:
    field, pattern = {
        "datepicker": ("initial_date", r"\d{4}-\d{2}-\d{2}"),
        "timepicker": ("initial_time", r"([01]\d|2[0-3]):[0-5]\d"),
    }[value["type"]]
    zone = " timezone" if value["type"] == "timepicker" else ""
    c.thing(value, where, "type", f"action_id placeholder confirm focus_on_load {field}{zone}")
    objects.text(c, value, "placeholder", where, most=150)
    objects.confirm(c, value, where)
    if field in value and not re.fullmatch(pattern, str(value[field])):
        c.fail(f"{where}/{field}", "invalid format")


def _datetimepicker(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type", "action_id confirm focus_on_load initial_date_time")
    c.whole(value, "initial_date_time", where, least=1_000_000_000, most=9_999_999_999)
    objects.confirm(c, value, where)


def _text_input(c: Checker, value: Json, where: str) -> None:
    own = {
        "plain_text_input": "multiline min_length max_length",
        "number_input": "is_decimal_allowed min_value max_value",
    }.get(value["type"], "")
    needed = "type is_decimal_allowed" if value["type"] == "number_input" else "type"
    c.thing(
        value,
        where,
        needed,
        f"action_id placeholder initial_value dispatch_action_config focus_on_load {own}",
    )
    objects.text(c, value, "placeholder", where, most=150)
    objects.dispatch_config(c, value, where)
    c.flag(value, "multiline", where)
    c.flag(value, "is_decimal_allowed", where)
    c.whole(value, "min_length", where, least=0, most=3000)
    c.whole(value, "max_length", where, least=1, most=3000)
    if value["type"] != "number_input":
        c.string(value, "initial_value", where, most=3000, least=0)
    low, high = value.get("min_length"), value.get("max_length")
    if isinstance(low, int) and isinstance(high, int) and low > high:
        c.fail(f"{where}/min_length", "must be less than or equal to max_length")


def _rich_text_input(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type", "action_id placeholder initial_value dispatch_action_config focus_on_load")
    objects.text(c, value, "placeholder", where, most=150)
    objects.dispatch_config(c, value, where)


def _file_input(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type", "action_id filetypes max_files")
    c.whole(value, "max_files", where, least=1, most=10)
    c.items(value, "filetypes", where, most=100)


def _feedback_buttons(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type positive_button negative_button", "action_id")
    for key in ("positive_button", "negative_button"):
        one = value.get(key)
        if one is not None and c.thing(one, f"{where}/{key}", "text value", "accessibility_label"):
            objects.text(c, one, "text", f"{where}/{key}", most=75)
            c.string(one, "value", f"{where}/{key}", most=2000)


def _icon_button(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type icon text", "action_id value confirm accessibility_label visible_to_user_ids")
    c.among(value, "icon", where, ("trash",))
    objects.text(c, value, "text", where, most=75)
    c.string(value, "value", where, most=2000)
    objects.confirm(c, value, where)


_CHECKS: Mapping[str, Callable[[Checker, Json, str], None]] = {
    "button": _button,
    "workflow_button": _workflow_button,
    "overflow": _overflow,
    **dict.fromkeys(SELECTS | MULTI_SELECTS, _select),
    "radio_buttons": _choice,
    "checkboxes": _choice,
    "datepicker": _picker,
    "timepicker": _picker,
    "datetimepicker": _datetimepicker,
    "plain_text_input": _text_input,
    "email_text_input": _text_input,
    "url_text_input": _text_input,
    "number_input": _text_input,
    "rich_text_input": _rich_text_input,
    "file_input": _file_input,
    "feedback_buttons": _feedback_buttons,
    "icon_button": _icon_button,
}
