"""Arguments of a tool over MCP: whatever the schema that was accepted takes, and nothing it does not name.

The schema is somebody else's. It refers to nothing outside of itself, and its patterns are left to the server: a
pattern can be written so that looking for it never ends.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, RootModel, model_validator

from core.tools.registry import InvalidArguments

_SAID_CHARACTERS = 300


def arguments_of(name: str, schema: Mapping[str, Any]) -> type[BaseModel]:
    """The model of a tool's arguments: a mapping, checked against its JSON schema."""
    shown = dict(schema)

    class McpArguments(RootModel[dict[str, Any]]):
        model_config = ConfigDict(strict=True, frozen=True)

        @model_validator(mode="after")
        def _fits(self) -> "McpArguments":
            if (wrong := complaint(schema, self.root)) is not None:
                raise InvalidArguments(f"The arguments of `{name}` do not fit: {wrong}.")
            return self

        @classmethod
        def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
            """The schema as the server gave it."""
            return dict(shown)

    return McpArguments


def complaint(schema: Mapping[str, Any], args: Mapping[str, Any]) -> str | None:
    """What is wrong with arguments, or `None` if they fit."""
    import jsonschema  # costs more than all other tools together, and few installations have servers
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    closed = _without_patterns(dict(schema))
    if "additionalProperties" not in closed and not any(key in closed for key in ("allOf", "anyOf", "oneOf", "$ref")):
        closed["additionalProperties"] = False  # a server says nothing of a name it does not know, or mistypes
    try:
        validator = jsonschema.Draft202012Validator(closed, registry=Registry())
        error = next(iter(sorted(validator.iter_errors(dict(args)), key=lambda each: each.json_path)), None)
    except (Unresolvable, jsonschema.SchemaError, RecursionError, TypeError, ValueError, AttributeError, KeyError):
        return "the schema that was accepted of it makes no sense"
    if error is None:
        return None
    where = error.json_path.removeprefix("$").removeprefix(".")
    said = error.message if len(error.message) <= _SAID_CHARACTERS else f"{error.message[:_SAID_CHARACTERS]}…"
    return f"`{where}`: {said}" if where else said


def _without_patterns(value: Any) -> Any:
    match value:
        case dict():
            return {
                key: _without_patterns(each)
                for key, each in value.items()
                if not (key == "pattern" and isinstance(each, str)) and key != "patternProperties"
            }
        case list():
            return [_without_patterns(each) for each in value]
        case _:
            return value
