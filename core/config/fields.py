"""The kinds of fields the operator's files are made of, and how their mistakes become sentences.

A model built from these refuses unknown fields and never converts one type into another. `problems_in` turns what
pydantic found into `Problem`s with file, line and remedy. Playbooks are read with the same kinds.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from core.config.document import Document, Path_
from core.config.problems import ConfigProblems, Problem, excerpt
from core.config.quantities import duration_text, parse_duration_ms, parse_size_bytes, size_text
from core.nearest import did_you_mean

M = TypeVar("M", bound="Model")


class Model(BaseModel):
    """A mapping in a file: frozen, no unknown fields, fields named with dashes."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=lambda name: name.removesuffix("_ms").removesuffix("_bytes").rstrip("_").replace("_", "-"),
        populate_by_name=False,
        validate_default=False,
        use_attribute_docstrings=True,
    )


@dataclass(frozen=True)
class Kind:
    """How the reference page describes a field's values."""

    text: str


def wrong(what: str, remedy: str) -> PydanticCustomError:
    """Refuse a value with our own sentence and remedy."""
    return PydanticCustomError("sentence", "{what}", {"what": what, "remedy": remedy})


def _duration(value: Any) -> int:
    ms = parse_duration_ms(value) if isinstance(value, str) else None
    if ms is None:
        raise wrong(f"{_shown(value)} is not a duration.", "Write a number with its unit, e.g. `60s`, `30m`, `24h`.")
    return ms


def _size(value: Any) -> int:
    count = parse_size_bytes(value) if isinstance(value, str) else None
    if count is None:
        raise wrong(f"{_shown(value)} is not a size.", "Write a number with its unit, e.g. `50MB` or `1GiB`.")
    return count


@dataclass(frozen=True)
class Bounds:
    """Keeps a quantity within limits and can say them."""

    low: int
    high: int
    noun: str
    shown: Callable[[int], str]

    def __str__(self) -> str:
        return f"from {self.shown(self.low)} to {self.shown(self.high)}"

    def __call__(self, value: int) -> int:
        if not self.low <= value <= self.high:
            raise wrong(f"{self.shown(value)} is out of range.", f"Write a {self.noun} {self}.")
        return value


def durations(low_ms: int, high_ms: int) -> AfterValidator:
    """Bound a `Duration`."""
    return AfterValidator(Bounds(low_ms, high_ms, "duration", duration_text))


def sizes(low_bytes: int, high_bytes: int) -> AfterValidator:
    """Bound a `Size`."""
    return AfterValidator(Bounds(low_bytes, high_bytes, "size", size_text))


def matching(pattern: str, what: str, example: str) -> AfterValidator:
    """Demand a form of a text."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise wrong(f"{excerpt(value)} is not {what}.", f"Write e.g. `{example}`.")
        return value

    return AfterValidator(check)


Duration = Annotated[int, BeforeValidator(_duration), Kind("a duration, e.g. `60s`, `1h30m`")]
"""Milliseconds, written with units."""
Size = Annotated[int, BeforeValidator(_size), Kind("a size, e.g. `50MB`, `1GiB`")]
"""Bytes, written with a unit."""
Text = Annotated[StrictStr, Kind("text")]
Flag = Annotated[StrictBool, Kind("`true` or `false`")]
Count = Annotated[StrictInt, Kind("a whole number")]


def validated(model: type[M], document: Document, *, without: tuple[str, ...] = ()) -> M:
    """Read `document` as `model`, leaving out the named top-level fields; raise `ConfigProblems` with all mistakes."""
    plain = document.plain()
    if isinstance(plain, dict):
        plain = {key: value for key, value in plain.items() if key not in without}
    try:
        return model.model_validate(plain)
    except ValidationError as error:
        raise ConfigProblems(list(problems_in(error, model, document, extra=without))) from None


def problems_in(
    error: ValidationError, model: type[BaseModel], document: Document, *, extra: tuple[str, ...] = ()
) -> Iterator[Problem]:
    """Say each mistake as a sentence, placed in the file; `extra` names further fields of the top level."""
    details = error.errors(include_url=False)
    for detail in details:
        if detail["type"] == "too_short" and any(_is_below(other["loc"], detail["loc"]) for other in details):
            continue  # items with mistakes of their own were not counted
        path = [part for part in detail["loc"] if part != "[key]"]
        what, remedy = _sentence(detail, path, model, extra)
        yield document.problem(
            path, what, remedy, at_key=detail["type"] == "extra_forbidden" or "[key]" in detail["loc"]
        )


def _is_below(loc: tuple[str | int, ...], parent: tuple[str | int, ...]) -> bool:
    return len(loc) > len(parent) and loc[: len(parent)] == parent


def _sentence(detail: ErrorDetails, path: Path_, model: type[BaseModel], extra: tuple[str, ...]) -> tuple[str, str]:
    context = detail.get("ctx", {})
    got = _shown(detail.get("input"))
    match detail["type"]:
        case "sentence":
            return str(context["what"]), str(context["remedy"])
        case "extra_forbidden":
            known = [*_fields_at(model, path[:-1]), *(extra if len(path) == 1 else ())]
            return f"`{path[-1]}` is not a setting here.", did_you_mean(str(path[-1]), known, noun="Possible here")
        case "missing":
            return f"`{path[-1]}` is missing.", f"Add `{path[-1]}: …`."
        case "literal_error":
            expected = _choices_at(model, path)
            remedy = (
                did_you_mean(str(detail.get("input")), expected, noun="Write one of")
                if expected
                else "See the reference."
            )
            return f"{got} is not possible here.", remedy
        case "string_type":
            return f"{got} is not text.", _quote_remedy(detail.get("input"))
        case "int_type" | "int_parsing" | "int_from_float":
            return f"{got} is not a whole number.", "Write a plain number without quotes, e.g. `5`."
        case "bool_type":
            return f"{got} is neither true nor false.", "Write `true` or `false` without quotes."
        case "dict_type" | "model_type" | "model_attributes_type" | "mapping_type":
            return (
                f"{got} stands where fields are expected.",
                "Write `name: value` lines below it, indented, or remove it.",
            )
        case "tuple_type" | "list_type" | "frozen_set_type" | "set_type":
            return f"{got} stands where a list is expected.", "Write a list: `[one, two]`, or one `- …` line for each."
        case "greater_than_equal":
            return f"{got} is too small.", f"Write at least {context['ge']}."
        case "less_than_equal":
            return f"{got} is too large.", f"Write at most {context['le']}."
        case "too_short":
            return "This is empty.", "Write at least one entry."
        case "too_long":
            return "There are too many entries here.", f"Write at most {context['max_length']}."
        case "string_too_short":
            return "This text is empty.", "Write something, or remove the field."
        case "string_too_long":
            return "This text is too long.", f"Write at most {context['max_length']} characters."
        case _:
            return f"{got} does not fit here ({detail['msg']}).", "See docs/reference/config.md."


def _quote_remedy(value: Any) -> str:
    if isinstance(value, bool):
        return f'Quote it if it is text: "{str(value).lower()}".'
    if isinstance(value, int):
        return f'Quote it if it is text: "{value}".'
    return "Write a text."


def _shown(value: Any) -> str:
    match value:
        case None:
            return "Nothing"
        case bool():
            return f"`{str(value).lower()}`"
        case str():
            return excerpt(value)
        case int():
            return f"`{value}`"
        case dict():
            return "A group of fields"
        case list():
            return "A list"
        case _:
            return "This"


def unwrapped(annotation: Any) -> Any:
    """Strip `Annotated` and `| None` from a field's annotation."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
            continue
        arguments = [each for each in get_args(annotation) if each is not type(None)]
        if get_origin(annotation) not in (dict, tuple, list, Literal) and len(arguments) == 1:
            annotation = arguments[0]
            continue
        return annotation


def _annotation_at(model: type[BaseModel], path: Path_) -> Any:
    current: Any = model
    for part in path:
        current = unwrapped(current)
        if isinstance(current, type) and issubclass(current, BaseModel):
            fields = {field.alias or name: field for name, field in current.model_fields.items()}
            if not isinstance(part, str) or part not in fields:
                return None
            current = fields[part].annotation
        elif get_origin(current) is dict:
            current = get_args(current)[1]
        elif get_origin(current) in (tuple, list):
            current = get_args(current)[0]
        else:
            return None
    return unwrapped(current)


def _fields_at(model: type[BaseModel], path: Path_) -> list[str]:
    found = _annotation_at(model, path)
    if isinstance(found, type) and issubclass(found, BaseModel):
        return [field.alias or name for name, field in found.model_fields.items()]
    return []


def _choices_at(model: type[BaseModel], path: Path_) -> list[str]:
    found = _annotation_at(model, path)
    return [str(each) for each in get_args(found)] if get_origin(found) is Literal else []
