"""`${{ … }}`: where a value of an input or an earlier step goes.

The only template language there is: a path, no operators. A reference that is the whole of a text keeps its JSON type;
inside a longer text it becomes text, scalars only. One pass: what a reference brings in is data and never looked at
again, so a value that itself contains `${{` stays as it is. `$${{` writes a literal `${{`. Whether a path exists is
checked in `scope.py`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Any
"""A JSON value from an input or a tool."""

Path = tuple[str | int, ...]
"""A path of names and list indexes: `("steps", "check", "out", "rows", 0)`."""

_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*|\[[0-9]{1,6}\])*")
_PART = re.compile(r"\.?([A-Za-z_][A-Za-z0-9_-]*)|\[([0-9]+)\]")
_OPEN = re.compile(r"(\$?)\$\{\{")


class TemplateError(Exception):
    """A text is not a template we understand; carries a sentence and a remedy."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class MissingValue(Exception):
    """A reference found nothing, or something that does not fit; the message is a sentence."""


@dataclass(frozen=True)
class Reference:
    """One `${{ … }}`."""

    path: Path

    def __str__(self) -> str:
        text = ""
        for part in self.path:
            text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
        return text


@dataclass(frozen=True)
class Joined:
    """A text with references inside."""

    parts: tuple[str | Reference, ...]


@dataclass(frozen=True)
class Template:
    """A JSON value in which texts may refer to other values."""

    value: "Json | Reference | Joined | dict[str, Template] | list[Template]"

    def references(self) -> Iterator[tuple[Path, Reference, bool]]:
        """Yield where each reference stands, the reference, and whether it is the whole of its text."""
        match self.value:
            case Reference():
                yield (), self.value, True
            case Joined(parts):
                yield from (((), part, False) for part in parts if isinstance(part, Reference))
            case dict():
                for key, inner in self.value.items():
                    yield from (((key, *path), reference, whole) for path, reference, whole in inner.references())
            case list():
                for index, inner in enumerate(self.value):
                    yield from (((index, *path), reference, whole) for path, reference, whole in inner.references())

    def expand(self, values: Mapping[str, Json]) -> Json:
        """Put the values in; raise `MissingValue` with a sentence if one is not there or cannot be text."""
        match self.value:
            case Reference():
                return _look_up(self.value, values)
            case Joined(parts):
                return "".join(part if isinstance(part, str) else _as_text(part, values) for part in parts)
            case dict():
                return {key: inner.expand(values) for key, inner in self.value.items()}
            case list():
                return [inner.expand(values) for inner in self.value]
            case _:
                return self.value


def template(value: Json) -> Template:
    """Read a JSON value as a template; raise `TemplateError` for the first text that is not one.

    Keys are never templates; `compile.py` refuses references in them.
    """
    match value:
        case str():
            return Template(_text(value))
        case Mapping():
            return Template({key: template(inner) for key, inner in value.items()})
        case list():
            return Template([template(inner) for inner in value])
        case _:
            return Template(value)


def mentions_reference(text: str) -> bool:
    """Whether a text that may not hold references holds one."""
    return "${{" in text


def _text(text: str) -> Json | Reference | Joined:
    parts: list[str | Reference] = []
    at = 0
    while found := _OPEN.search(text, at):
        parts.append(text[at : found.start()])
        if found[1]:
            parts.append("${{")
            at = found.end()
            continue
        close = text.find("}}", found.end())
        if close < 0:
            raise TemplateError(
                "A `${{` is not closed.", "Close it with `}}`, or write `$${{` for the characters themselves."
            )
        parts.append(_reference(text[found.end() : close]))
        at = close + 2
    parts.append(text[at:])
    kept = [part for part in parts if part != ""]
    if len(kept) == 1 and isinstance(kept[0], Reference):
        return kept[0]
    if all(isinstance(part, str) for part in kept):
        return "".join(str(part) for part in kept)
    return Joined(tuple(kept))


def _reference(inner: str) -> Reference:
    text = inner.strip()
    if not _PATH.fullmatch(text):
        shown = text[:60]
        if not text:
            raise TemplateError("`${{ }}` names nothing.", "Write e.g. `${{ inputs.name }}`.")
        raise TemplateError(
            f"`{shown}` is not a reference.",
            "Write a path: `inputs.name` or `steps.id.out.field`. Nothing is computed here; conditions go into `if`.",
        )
    return Reference(tuple(part[1] if part[1] is not None else int(part[2]) for part in _PART.finditer(text)))


def _look_up(reference: Reference, values: Mapping[str, Json]) -> Json:
    found: Json = values
    for index, part in enumerate(reference.path):
        by_name = isinstance(found, Mapping) and isinstance(part, str) and part in found
        by_index = isinstance(found, list | tuple) and isinstance(part, int) and part < len(found)
        if by_name or by_index:
            found = found[part]
        elif index == 1 and len(reference.path) == 2 and reference.path[0] == "inputs":
            return None  # an optional input that was not given
        else:
            raise MissingValue(_nothing_at(reference, index, found))
    return found


def _nothing_at(reference: Reference, index: int, found: Json) -> str:
    missing = Reference(reference.path[: index + 1])
    if isinstance(found, Mapping) and index > 2 and found:
        there = ", ".join(sorted(str(key) for key in found)[:8])
        return f"`{missing}` is not there; there is {there}"
    return f"`{missing}` is not there"


def _as_text(reference: Reference, values: Mapping[str, Json]) -> str:
    value = _look_up(reference, values)
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int():
            return str(value)
        case None:
            raise MissingValue(f"`{reference}` is empty, so it cannot be part of a text")
        case _:
            kind = (
                "a group of fields"
                if isinstance(value, Mapping)
                else "a list"
                if isinstance(value, list)
                else "a fraction"
            )
            raise MissingValue(f"`{reference}` is {kind}, so it cannot be part of a text")
