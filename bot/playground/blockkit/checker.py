"""Collects what is wrong with a payload, in Slack's own manner of saying it.

A problem reads `must be less than 3001 characters [json-pointer:/blocks/0/text/text]`.
"""

from collections.abc import Callable, Collection
from typing import Any, Literal

Json = dict[str, Any]
Surface = Literal["message", "modal", "home"]


class Checker:
    """One pass over one payload; `errors` is empty when Slack would take it."""

    def __init__(self, surface: Surface, file_known: Callable[[Json], bool] = lambda _: True) -> None:
        self.surface: Surface = surface
        self.file_known = file_known
        self.errors: list[str] = []
        self.text_total = 0
        self.markdown_total = 0
        self.focused = 0

    def fail(self, path: str, problem: str) -> None:
        self.errors.append(f"{problem} [json-pointer:{path}]")

    def thing(self, value: Any, path: str, required: str, optional: str = "") -> bool:
        """Whether this is an object with these keys (space-separated names) and no others."""
        if not isinstance(value, dict):
            self.fail(path, "must be an object")
            return False
        before = len(self.errors)
        needed = required.split()
        for key in needed:
            if value.get(key) is None:
                self.fail(path, f"missing required field: {key}")
        for key in value:
            if key not in needed and key not in optional.split():
                self.fail(path, f"invalid additional property: {key}")
        return len(self.errors) == before

    def string(self, value: Json, key: str, path: str, *, most: int, least: int = 1) -> None:
        """An optional text field of limited length."""
        text = value.get(key)
        if text is None:
            return
        where = f"{path}/{key}"
        if not isinstance(text, str):
            self.fail(where, "must be a string")
        elif len(text) < least:
            self.fail(where, f"must be more than {least - 1} characters")
        elif len(text) > most:
            self.fail(where, f"must be less than {most + 1} characters")

    def flag(self, value: Json, key: str, path: str) -> None:
        if key in value and not isinstance(value[key], bool):
            self.fail(f"{path}/{key}", "must be a boolean")

    def whole(self, value: Json, key: str, path: str, *, least: int, most: int) -> None:
        if key not in value:
            return
        number = value[key]
        if not isinstance(number, int) or isinstance(number, bool):
            self.fail(f"{path}/{key}", "must be an integer")
        elif not least <= number <= most:
            self.fail(f"{path}/{key}", f"must be between {least} and {most}")

    def among(self, value: Json, key: str, path: str, allowed: Collection[str]) -> None:
        if key in value and value[key] not in allowed:
            self.fail(f"{path}/{key}", f"must be a valid enum value: {', '.join(sorted(allowed))}")

    def items(self, value: Json, key: str, path: str, *, most: int, least: int = 1) -> list[Any]:
        """The items of a list of limited length; an empty list when there is nothing to look into."""
        where = f"{path}/{key}"
        items = value.get(key)
        if items is None:
            return []
        if not isinstance(items, list):
            self.fail(where, "must be an array")
            return []
        if len(items) < least:
            self.fail(where, f"no fewer than {least} items allowed")
        if len(items) > most:
            self.fail(where, f"no more than {most} items allowed")
        return items
