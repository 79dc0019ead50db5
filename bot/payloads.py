"""What Slack posts, read once and strictly: events as JSON, clicks and views as JSON in a form, commands as a form.

Bolt reads bodies by guessing (a command whose text says "payload" becomes an empty one) and raises on shapes it does
not expect, so it is handed what is read here and nothing else. Whose payload it is, is decided by `listeners.guard`.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl

JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"

MAX_DEPTH = 64
"""Slack's own payloads nest some 15 deep."""

_MAX_FIELDS = 64
_OBJECT = (dict,)
_NAMED = (dict, str)
_SHAPES: Mapping[str, tuple[type, ...]] = {
    "event": _OBJECT,
    "view": _OBJECT,
    "message": _OBJECT,
    "previous_message": _OBJECT,
    "container": _OBJECT,
    "item": _OBJECT,
    "assistant_thread": _OBJECT,
    "function_data": _OBJECT,
    "team": _NAMED,
    "enterprise": _NAMED,
    "user": _NAMED,
    "channel": _NAMED,
    "type": (str,),
    "team_id": (str,),
    "api_app_id": (str,),
    "event_id": (str,),
    "trigger_id": (str,),
    "response_url": (str,),
    "callback_id": (str,),
}
"""What a field is wherever it stands, in a payload and in its event. `null` is always possible."""
_LISTS_OF_OBJECTS = ("actions", "authorizations", "response_urls", "files")


class Unreadable(ValueError):
    """Not a payload of Slack's; the message says what is wrong without repeating any of it."""


def payload_in(media_type: str, text: str) -> dict[str, Any]:
    """Read a body.

    Args:
        media_type: `JSON_TYPE` or `FORM_TYPE`.
        text: The body, already known to be Slack's.

    Raises:
        Unreadable: Not JSON, not an object, not of a shape that listeners expect.
    """
    payload = _object(text) if media_type == JSON_TYPE else _form(text)
    _check_shape(payload)
    if isinstance(payload.get("event"), dict):
        _check_shape(payload["event"])
    return payload


def _form(text: str) -> dict[str, Any]:
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=_MAX_FIELDS
        )
    except ValueError as error:
        raise Unreadable("the form cannot be read") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Unreadable("a field of the form comes twice")
    if "payload" not in fields:
        _check_values(fields)
        return dict(fields)
    if len(fields) > 1:
        raise Unreadable("a form has a payload and more")
    return _object(fields["payload"])


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse_number)
    except Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        raise Unreadable("the JSON cannot be read") from error
    if not isinstance(found, dict):
        raise Unreadable("the JSON is no object")
    _check_values(found)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("a key of the JSON comes twice")
    return found


def _refuse_number(_name: str) -> NoReturn:
    raise Unreadable("a number is none")


def _check_values(found: dict[str, Any]) -> None:
    """Refuse what no database takes, and what is nested deeper than anybody's recursion likes."""
    todo: list[tuple[Any, int]] = [(found, 1)]
    while todo:
        value, depth = todo.pop()
        if isinstance(value, str):
            # Half a surrogate pair is no text; some databases have no NUL.
            if "\0" in value or (not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value)):
                raise Unreadable("a text has characters that are none")
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise Unreadable("a number is none")
        elif isinstance(value, dict | list):
            if depth > MAX_DEPTH:
                raise Unreadable("the JSON is nested too deep")
            inner = [*value, *value.values()] if isinstance(value, dict) else value
            todo += [(each, depth + 1) for each in inner]


def _check_shape(found: Mapping[str, Any]) -> None:
    for name, types in _SHAPES.items():
        if (value := found.get(name)) is not None and not isinstance(value, types):
            raise Unreadable(f"`{name}` is of another kind")
    for name in _LISTS_OF_OBJECTS:
        value = found.get(name)
        if value is None:
            continue
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise Unreadable(f"`{name}` is of another kind")
        if name == "authorizations":
            for each in value:
                _check_shape(each)
