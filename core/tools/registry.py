"""The registry: which tools there are, whether arguments fit them, and what a tool was when somebody approved it.

Tools are registered by name; what packages beside Banksman offer is found by `installed`. Arguments are checked as the
JSON that will be stored and executed, so what was validated is what runs. Whether a call may run is decided by policy,
not here.
"""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from core.actions.envelope import NotCanonical, canonical, digest
from core.errors import ConfigError, TerminalError
from core.tools.base import Foreign, Tool

_NAME = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*){0,2}")
_MOST_COMPLAINTS = 5
_QUOTED_CHARACTERS = 80

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of names to values",
}


class Arguments(BaseModel):
    """Base of every tool's arguments: nothing unknown, nothing converted, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class UnknownTool(TerminalError):
    """No tool has this name."""


class InvalidArguments(TerminalError):
    """The arguments do not fit the tool; the sentence says which, and what was expected."""


class Registry:
    """The tools of one process, by name."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            self.register(tool)

    def register(self, tool: Tool) -> None:
        """Add a tool.

        Raises:
            ConfigError: Its name is taken or strange, or its arguments accept what they do not declare.
        """
        if not _NAME.fullmatch(tool.name):
            raise ConfigError(f"The tool name {tool.name!r} must look like `shell` or `files.read`.")
        if tool.name in self._tools:
            raise ConfigError(f"Two tools are called `{tool.name}`; give one of them another name.")
        if not tool.description or len(tool.description) > 500:
            raise ConfigError(f"The tool `{tool.name}` needs a description of one sentence.")
        if not isinstance(tool, Foreign) and (loose := _loose_models(tool.arguments)):
            raise ConfigError(
                f"The arguments of the tool `{tool.name}` accept undeclared or converted values in {', '.join(loose)}; "
                "derive them from `core.tools.registry.Arguments`."
            )
        definition_digest(tool)  # refuses a schema with no canonical form now rather than at the first call
        self._tools[tool.name] = tool

    def get(self, name: str) -> Tool:
        """Return a tool.

        Raises:
            UnknownTool: with the names that come close.
        """
        if name in self._tools:
            return self._tools[name]
        close = difflib.get_close_matches(name, self._tools, n=1)
        hint = f"Did you mean `{close[0]}`?" if close else f"There are: {', '.join(self.names())}."
        raise UnknownTool(f"There is no tool {_quoted(name)}. {hint}")

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self._tools))

    def validate(self, name: str, args: Mapping[str, Any]) -> BaseModel:
        """Return the typed arguments.

        Raises:
            UnknownTool: There is no such tool.
            InvalidArguments: They do not fit it, or are not JSON with one canonical form.
        """
        tool = self.get(name)
        try:
            data = canonical(dict(args))
        except NotCanonical as error:
            raise InvalidArguments(f"The arguments of `{name}` cannot be used: {error}.") from error
        try:
            return tool.arguments.model_validate_json(data)
        except ValidationError as error:
            raise InvalidArguments(_complaints(tool, error)) from error


def definition(tool: Tool) -> dict[str, Any]:
    """What a tool says of itself, as a planner sees it and an approval fixes it."""
    return {"name": tool.name, "description": tool.description, "schema": tool.arguments.model_json_schema()}


def definition_digest(tool: Tool, *, package: str | None = None) -> str:
    """Return the digest of a tool's definition; an action approved under another one does not run.

    Args:
        package: What it was installed by, with the version: another version is another tool.
    """
    said = definition(tool)
    if package is not None:
        said["package"] = package
    if isinstance(tool, Foreign):
        said["schema"] = tool.pin  # the schema of somebody else's has more forms than one
    try:
        return digest(canonical(said))
    except NotCanonical as error:
        raise ConfigError(f"The definition of the tool `{tool.name}` has no canonical form: {error}.") from error


def _loose_models(model: type[BaseModel]) -> list[str]:
    """Names of the models in `model` that are not strict or not closed."""
    schema = model.model_json_schema()
    parts = {model.__name__: schema, **schema.get("$defs", {})}
    loose = {name for name, part in parts.items() if "properties" in part and part.get("additionalProperties", True)}
    if not model.model_config.get("strict"):
        loose.add(model.__name__)
    return sorted(loose)


def _complaints(tool: Tool, error: ValidationError) -> str:
    details = error.errors(include_url=False, include_context=True)
    sentences = [_sentence(tool, detail) for detail in details[:_MOST_COMPLAINTS]]
    if len(details) > _MOST_COMPLAINTS:
        sentences.append(f"And {len(details) - _MOST_COMPLAINTS} more.")
    return " ".join(sentences)


def _sentence(tool: Tool, detail: ErrorDetails) -> str:
    kind = detail["type"]
    where = _where(detail["loc"])
    if kind == "missing":
        return f"`{tool.name}` needs `{where}`{_purpose(tool, detail)}."
    if kind == "extra_forbidden":
        known = list(tool.arguments.model_fields)
        close = difflib.get_close_matches(where, known, n=1)
        hint = (
            f"did you mean `{close[0]}`?"
            if close
            else f"it takes {', '.join(f'`{name}`' for name in known) or 'nothing'}."
        )
        return f"`{tool.name}` has no argument {_quoted(where)}; {hint}"
    if expected := _EXPECTED.get(kind):
        return f"`{where}` of `{tool.name}` must be {expected}, not {_quoted_value(detail['input'])}."
    # Rules of our own say what was expected themselves; pydantic puts its name before them.
    said = detail["msg"].removeprefix("Value error, ").rstrip(".")
    return f"`{where}` of `{tool.name}` is {_quoted_value(detail['input'])}: {said[:1].lower()}{said[1:]}."


def _where(location: tuple[int | str, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".") or "arguments"


def _purpose(tool: Tool, detail: ErrorDetails) -> str:
    first = detail["loc"][0] if len(detail["loc"]) == 1 else None
    field = tool.arguments.model_fields.get(str(first))
    return f": {field.description.rstrip('.')}" if field and field.description else ""


def _quoted(text: str) -> str:
    clean = "".join(character if character.isprintable() and character != "`" else "\ufffd" for character in text)
    return f"`{clean if len(clean) <= _QUOTED_CHARACTERS else clean[: _QUOTED_CHARACTERS - 1] + '…'}`"


def _quoted_value(value: object) -> str:
    return _quoted(value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False))
