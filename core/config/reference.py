"""The reference page of the environment and of banksman.yml, written from what the code accepts.

`python -m core.config.reference` prints it; a test compares it with docs/reference/config.md. The tables serve the page
on playbooks too (`core.planners.reference`).
"""

import sys
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo

from core.config import language, models, rules, servers
from core.config.fields import Bounds, Kind
from core.config.quantities import duration_text, size_text
from core.config.settings import VARIABLES

SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("principals.<name>", models.Person),
    ("groups.<TEAM/GROUP>", models.GroupWord),
    ("policy", rules.PolicySection),
    ("policy.approvers", rules.ApproversWord),
    ("policy.denials[]", rules.Denial),
    ("policy.rules[]", rules.RuleWord),
    ("channels.<channel>", models.ChannelContract),
    ("tools.<tool>", models.ToolWord),
    ("tools.<tool>.credentials[]", models.CredentialWord),
    ("tools.<tool>.probe", models.ProbeWord),
    ("mcp", servers.McpSection),
    ("mcp.servers.<name>", servers.ServerWord),
    ("mcp.servers.<name>.login", servers.ServerLogin),
    ("sandbox", models.Sandbox),
    ("limits", models.Limits),
    ("models.<name>", language.ModelWord),
    ("models.<name>.price", language.PriceWord),
    ("budgets", language.BudgetsWord),
    ("budgets.caps", language.CapsWord),
    ("secrets.<NAME>", models.SecretReference),
)

_HEAD = """# Configuration

Two places say how Banksman behaves: the environment says where things are and which keys open them, and the operator's
file says what the system does. Every mistake is reported at once, with its place and what to write instead. The
environment is read once, at start. The file is read again within seconds when it changes: people, roles, policy, tools,
limits and playbooks are taken up by what starts from then on, the sandbox and the redaction of secrets at the next
start. A file that cannot be used changes nothing, and the log says why. This page is written from the code:
`python -m core.config.reference` prints it.
"""

_ENVIRONMENT = """
## Environment

An empty value counts as unset. Relative paths are relative to the directory the process starts in. A name that begins
with `BANKSMAN_` and is not listed here is an error.
"""

_FILE = """
## banksman.yml

A file in YAML 1.2, at most 1 MB. So that nobody reads it differently from us, some of YAML is refused: duplicate keys,
anchors, aliases, merge keys, tags, directives, further documents, and words that other versions read as something else
(`yes`, `012`, `1:30`, `2026-01-31`): quote those. Numbers with a fraction are refused as well: write amounts as text.
Durations and sizes carry their unit: `250ms`, `60s`, `1h30m`; `50MB` is 50,000,000 bytes, `1GiB` is 1,073,741,824.

Every field may be left out. Fields that are not listed here are errors.
"""

_PLAYBOOKS = (
    "| `playbooks` | a list: each a playbook (`- name: …`) or the file that holds one (`- file: path`, relative to "
    "this file) | empty | What people can run; see [playbooks](../guides/playbooks.md). |\n"
    "| `agents` | a list: each an agent (`- name: …`) or the file that holds one (`- file: path`) | empty | "
    "What people can run that a model plans; see [agents](../guides/agents.md) and "
    "[their fields](playbooks.md#an-agent). |"
)


def page() -> str:
    """The whole page."""
    parts = [_HEAD, _ENVIRONMENT, "\n", *_environment_table(), _FILE, "\n"]
    parts += [*table(models.ConfigFile), f"{_PLAYBOOKS}\n"]
    for heading, model in SECTIONS:
        parts += [f"\n### `{heading}`\n\n{model.__doc__}\n\n", *table(model)]
    return "".join(parts)


def table(model: type[BaseModel]) -> Iterator[str]:
    """The fields of a model as the rows of a Markdown table."""
    yield "| field | value | default | meaning |\n|---|---|---|---|\n"
    for name, field in model.model_fields.items():
        meaning = " ".join((field.description or "").split())
        cells = (f"`{field.alias or name}`", _value(field), _default(name, field), meaning)
        yield f"| {' | '.join(cells)} |\n"


def _environment_table() -> Iterator[str]:
    yield "| variable | value | default | meaning |\n|---|---|---|---|\n"
    for variable in VARIABLES:
        yield f"| `{variable.name}` | {variable.unit} | {variable.default} | {variable.sentence} |\n"


def _value(field: FieldInfo) -> str:
    return _kind(Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation)


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        found = [each.text for each in metadata if isinstance(each, Kind)]
        text = found[-1] if found else _kind(inner)
        bounds = [each.func for each in metadata if isinstance(each, AfterValidator)]
        text = "".join([text, *(f", {each}" for each in bounds if isinstance(each, Bounds))])
        numbers = [limit for each in metadata for limit in (each.metadata if isinstance(each, FieldInfo) else (each,))]
        low = next((each.ge for each in numbers if isinstance(each, Ge)), None)
        high = next((each.le for each in numbers if isinstance(each, Le)), None)
        return f"{text} from {low} to {high:,}" if low is not None and high is not None else text
    arguments, origin = get_args(annotation), get_origin(annotation)
    if origin is types.UnionType or origin is Union:
        return _kind(next(each for each in arguments if each is not type(None)))
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in arguments)
    if origin is tuple:
        return f"a list of {_kind(arguments[0])}"
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return "fields by name" if origin is dict else "fields"
    return "a value of its type"


def _default(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value = field.get_default(call_default_factory=True, validated_data={})
    match value:
        case None | () | "":
            return "none"
        case bool():
            return f"`{str(value).lower()}`"
        case int() if name.endswith("_ms"):
            return f"`{duration_text(value)}`"
        case int() if name.endswith("_bytes"):
            return f"`{size_text(value)}`"
        case int() | str():
            return f"`{value}`"
        case _:
            return "empty" if not isinstance(value, BaseModel) else "as below"


if __name__ == "__main__":
    sys.stdout.write(page())
