"""The fields of a JSON value as the reference page names them: a dot into an object, `[]` into each item of a list."""

from collections.abc import Mapping, Sequence
from typing import Any


def paths(value: Any, *, whole: Sequence[str] = ()) -> set[str]:
    """Every field that holds a value, for example `run.id` and `actions[].tool`.

    Args:
        value: With at least one item in every list whose fields are wanted.
        whole: Fields whose content is not part of the shape.
    """
    return set(_below(value, "", frozenset(whole)))


def _below(value: Any, path: str, whole: frozenset[str]) -> list[str]:
    if path in whole:
        return [path]
    match value:
        case Mapping():
            dot = f"{path}." if path else ""
            return [found for name, inner in value.items() for found in _below(inner, f"{dot}{name}", whole)]
        case list():
            return [found for item in value for found in _below(item, f"{path}[]", whole)]
        case _:
            return [path]
