"""What a person enters into an element, as Slack writes it into `state.values` and `actions[0]`.

Pure. A raw value is what the page or a script sends: a text, an option's value, a list of them, a date; or the same
already in Slack's own form, which is taken apart and checked like the rest.
"""

from collections.abc import Callable
from typing import Any

from bot.playground import richtext
from bot.playground.blockkit.elements import MULTI_SELECTS, offered

Json = dict[str, Any]

STATELESS = frozenset({"button", "overflow", "workflow_button", "feedback_buttons", "icon_button", "image"})
_ONE_OPTION = frozenset({"static_select", "external_select", "radio_buttons", "overflow"})
_MANY_OPTIONS = frozenset({"multi_static_select", "multi_external_select", "checkboxes"})
_SIMPLE = {
    "plain_text_input": "value", "email_text_input": "value", "url_text_input": "value", "number_input": "value",
    "users_select": "selected_user", "channels_select": "selected_channel",
    "conversations_select": "selected_conversation", "multi_users_select": "selected_users",
    "multi_channels_select": "selected_channels", "multi_conversations_select": "selected_conversations",
    "datepicker": "selected_date", "timepicker": "selected_time", "datetimepicker": "selected_date_time",
    "rich_text_input": "rich_text_value", "file_input": "files",
}  # fmt: skip
_INITIAL = {
    "selected_user": "initial_user", "selected_channel": "initial_channel",
    "selected_conversation": "initial_conversation", "selected_users": "initial_users",
    "selected_channels": "initial_channels", "selected_conversations": "initial_conversations",
    "selected_date": "initial_date", "selected_time": "initial_time", "selected_date_time": "initial_date_time",
    "value": "initial_value", "rich_text_value": "initial_value",
}  # fmt: skip


class InputError(ValueError):
    """A person could not have entered this; the message says why."""


def field_of(kind: str) -> str:
    """The name under which a value of this element kind is found."""
    if kind in _ONE_OPTION:
        return "selected_option"
    if kind in _MANY_OPTIONS:
        return "selected_options"
    return _SIMPLE.get(kind, "value")


def initial(element: Json) -> Json:
    """The state of an element nobody touched."""
    kind = element["type"]
    field = field_of(kind)
    if field == "selected_option":
        return {"type": kind, field: element.get("initial_option")}
    if field == "selected_options":
        return {"type": kind, field: element.get("initial_options", [])}
    empty: Any = [] if kind in MULTI_SELECTS or kind == "file_input" else None
    return {"type": kind, field: element.get(_INITIAL.get(field, ""), empty)}


def entered(element: Json, raw: Any, *, exists: Callable[[str], bool], forge: bool = False) -> Json:
    """The state of an element after a person entered `raw`.

    Args:
        exists: Whether an id (of a user or a channel) exists in the team.
        forge: Skip the checks; for tests that send what no client would.

    Raises:
        InputError: No client could have produced this.
    """
    kind = element["type"]
    field = field_of(kind)
    if isinstance(raw, dict) and (field in raw or raw.get("type") == kind):
        raw = raw.get(field)
    if raw is None or raw == "" or raw == []:
        return {**initial({"type": kind}), field: [] if kind in MULTI_SELECTS or kind in _MANY_OPTIONS else None}
    if kind in _ONE_OPTION:
        return {"type": kind, field: _option(element, raw, forge)}
    if kind in _MANY_OPTIONS:
        chosen = raw if isinstance(raw, list) else [raw]
        return {"type": kind, field: [_option(element, one, forge) for one in chosen]}
    if kind == "rich_text_input":
        return {"type": kind, field: raw if isinstance(raw, dict) else richtext.from_text(str(raw), block_id="input")}
    if not forge:
        _check(element, kind, field, raw, exists)
    if kind == "datetimepicker":
        return {"type": kind, field: int(raw)}
    if kind in MULTI_SELECTS and not isinstance(raw, list):
        raw = [raw]
    return {"type": kind, field: str(raw) if field == "value" else raw}


def _option(element: Json, raw: Any, forge: bool) -> Json:
    value = raw.get("value") if isinstance(raw, dict) else raw
    for option in offered(element):
        if option["value"] == value:
            return option
    if forge or element["type"] in ("external_select", "multi_external_select"):
        return (
            raw if isinstance(raw, dict) else {"text": {"type": "plain_text", "text": str(value)}, "value": str(value)}
        )
    offers = ", ".join(repr(one["value"]) for one in offered(element)) or "nothing"
    raise InputError(f"{value!r} is not among the options; it offers {offers}")


def _check(element: Json, kind: str, field: str, raw: Any, exists: Callable[[str], bool]) -> None:
    if field == "value":
        if not isinstance(raw, str | int | float):
            raise InputError(f"a {kind} takes a text")
        least, most = element.get("min_length", 0), element.get("max_length", 3000)
        if not least <= len(str(raw)) <= most:
            raise InputError(f"between {least} and {most} characters are needed, not {len(str(raw))}")
    elif field in ("selected_user", "selected_channel", "selected_conversation"):
        if not isinstance(raw, str) or not exists(raw):
            raise InputError(f"{raw!r} does not exist in this team")
    elif field in ("selected_users", "selected_channels", "selected_conversations"):
        for one in raw if isinstance(raw, list) else [raw]:
            if not isinstance(one, str) or not exists(one):
                raise InputError(f"{one!r} does not exist in this team")
    elif field == "selected_date_time" and not str(raw).isdigit():
        raise InputError("a date and time is given as whole Unix seconds")


def clicked(
    block: Json, element: Json, raw: Any, *, action_ts: str, exists: Callable[[str], bool], forge: bool
) -> Json:
    """The `actions[0]` of a click on this element.

    Raises:
        InputError: The element does not offer this value.
    """
    kind = element["type"]
    action: Json = {
        "type": kind,
        "action_id": element["action_id"],
        "block_id": block["block_id"],
        "action_ts": action_ts,
    }
    for key in ("text", "style", "confirm", "placeholder", "url"):
        if key in element and (key != "confirm" or kind != "overflow"):
            action[key] = element[key]
    if kind == "feedback_buttons":
        choices = [element["positive_button"], element["negative_button"]]
        chosen = next((one for one in choices if one["value"] == raw), None)
        if chosen is None and not forge:
            raise InputError(f"{raw!r} is neither of the two feedback buttons")
        return {**action, **(chosen or {"value": raw})}
    if kind in ("button", "icon_button", "workflow_button"):
        value = element.get("value") if raw is None else raw
        if value != element.get("value") and not forge:
            raise InputError(f"this button carries {element.get('value')!r}, not {raw!r}")
        return {**action, **({"value": value} if value is not None else {})}
    for key in ("initial_option", "initial_options", "initial_date", "initial_time", "initial_user"):
        if key in element:
            action[key] = element[key]
    state = entered(element, raw, exists=exists, forge=forge)
    return {**action, **{key: value for key, value in state.items() if key != "type"}}


def is_empty(state: Json) -> bool:
    """Whether nothing was entered, as a required input must not be left."""
    return all(value in (None, "", []) for key, value in state.items() if key != "type")
