"""The names the documents may use, and must: commands, settings, states, event types.

`SOURCES` is the one list to extend: a line here and a function that returns what the code has. A source that finds
nothing is an error, because a check against nothing cannot fail. Two kinds of comparison:

- a *mentioned* name may stand anywhere in the documents and must stand somewhere; anything that looks like one must
exist;
- a *listed* name is a first cell, in code font, of a table on one reference page, or in one section of it: exactly what
the code has stands there.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import typer

from bot.cli.main import app
from core import metrics
from core.config import settings
from core.ops import server
from core.record import events, states
from core.store import standing
from core.tools.catalogue import tool_names

_CODE_SPAN = re.compile(r"(`+)(?P<code>.+?)\1")
_FIRST_CELL = re.compile(r"^ *\| *`(?P<name>[^`|]+)` *\|", re.MULTILINE)
_HEADING = re.compile(r"^#+ +(?P<text>.+?) *$", re.MULTILINE)
_FENCED = re.compile(r"^ *(```+|~~~+).*?^ *\1 *$", re.MULTILINE | re.DOTALL)

COMMAND = re.compile(
    r"(?<![\w@/.-])(?:(?:[\w.-]+/)+)?banksman +(?P<name>(?:approval|channel|db|mcp|policy) +[a-z-]+|[a-z][a-z-]*)"
)
"""`banksman up` and `banksman db upgrade`, also by a relative path; neither `@banksman …` nor `/banksman …`, which are
Slack's. A new group of commands is added beside `db`; a test says so."""
SETTING = re.compile(r"\b(?P<name>BANKSMAN_[A-Z0-9_]+|SLACK_[A-Z_]+)\b")


@dataclass(frozen=True)
class Source:
    """One kind of name and where the code keeps it."""

    kind: str
    names: Callable[[], set[str]]
    pattern: re.Pattern[str] | None = None
    """How the documents mention one, with a group `name`; matched in code font only."""
    page: str | None = None
    """The reference page that lists them, relative to the root."""
    section: str | None = None
    """The heading on that page whose table lists them, without code font; the whole page otherwise."""


def setting_names() -> set[str]:
    return {variable.name for variable in settings.VARIABLES}


def state_names() -> set[str]:
    return {state.value for state in states.RunState}


def reason_names() -> set[str]:
    return {reason.value for reason in states.BlockedReason}


def metric_names() -> set[str]:
    """Every metric of ours under the name it has in queries, without the endings of histograms."""
    counted = {f"{each.name}{'_total' if each.type == 'counter' else ''}" for each in metrics.REGISTRY.collect()}
    measured = {f"banksman_{name}" for name in (*standing.GAUGES, server.MEASURED)}
    return {name for name in counted if name.startswith("banksman_")} | measured


def command_names() -> set[str]:
    """Every command as it is typed after `banksman`: `up`, `db upgrade`."""
    return set(commands())


def commands() -> dict[str, Any]:
    """Every command by its name, as the command line library keeps it."""
    return dict(_leaves(typer.main.get_command(app), ()))


def _leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(path), command
    else:
        for name, child in inner.items():
            yield from _leaves(child, (*path, name))


def _typed_commands() -> set[str]:
    return {f"banksman {name}" for name in command_names()}


SOURCES: tuple[Source, ...] = (
    Source("run state", state_names, page="docs/reference/states.md", section="The ten states"),
    Source("blocked reason", reason_names, page="docs/reference/states.md", section="Why a run blocks"),
    Source("event type", lambda: set(events.EVENT_TYPES), page="docs/reference/events.md", section="Types"),
    Source("tool", lambda: set(tool_names()), page="docs/guides/tools.md", section="The tools that come with Banksman"),
    Source("setting", setting_names, pattern=SETTING),
    Source("environment variable", setting_names, page="docs/reference/config.md", section="Environment"),
    Source("metric", metric_names, page="docs/operations.md", section="Metrics"),
    Source("command", command_names, pattern=COMMAND),
    Source("command in the overview", _typed_commands, page="docs/reference/commands.md", section="Commands"),
)


def code_of(text: str) -> str:
    """Only what a document sets in code font: its blocks and its spans."""
    blocks = [found.group() for found in _FENCED.finditer(text)]
    spans = [found["code"] for found in _CODE_SPAN.finditer(_FENCED.sub("", text))]
    return "\n".join([*blocks, *spans])


def section_of(text: str, heading: str) -> str | None:
    """What stands between a heading, named without code font, and the next one of any level."""
    bare = _FENCED.sub("", text)
    found = list(_HEADING.finditer(bare))
    for this, after in zip(found, [*found[1:], None], strict=True):
        if this["text"].replace("`", "") == heading:
            return bare[this.end() : None if after is None else after.start()]
    return None


def first_cells(text: str) -> list[str]:
    """The first cells of all table rows that are wholly in code font, in order."""
    return [found["name"] for found in _FIRST_CELL.finditer(text)]


def name_problems(texts: dict[str, str], sources: tuple[Source, ...]) -> Iterator[str]:
    """Compare documents and code in both directions.

    Args:
        texts: Path relative to the root, to the document's text.
        sources: What to compare with.
    """
    for source in sources:
        names = source.names()
        if not names:
            yield f"the source of {source.kind} names finds none in the code: correct it in tests/docs/names.py"
        elif source.page is not None:
            yield from _listed(source, names, source.page, texts)
        elif source.pattern is not None:
            yield from _mentioned(source, names, source.pattern, texts)
        else:
            yield f"the source of {source.kind} names says neither how nor where documents name them"


def _mentioned(source: Source, names: set[str], pattern: re.Pattern[str], texts: dict[str, str]) -> Iterator[str]:
    seen: set[str] = set()
    for document, text in texts.items():
        here = {" ".join(found["name"].split()) for found in pattern.finditer(code_of(text))}
        seen |= here
        for name in sorted(here - names):
            yield f"{document} names the {source.kind} {name!r}, which does not exist: correct the page"
    for name in sorted(names - seen):
        yield f"the {source.kind} {name!r} is in no document: describe it in README.md or docs/"


def _listed(source: Source, names: set[str], page: str, texts: dict[str, str]) -> Iterator[str]:
    if page not in texts:
        yield f"{page} is missing: it lists every {source.kind} in a table, the name in code font in the first column"
        return
    text = texts[page] if source.section is None else section_of(texts[page], source.section)
    if text is None:
        yield f"{page} has no heading {source.section!r}: below it stands a table of every {source.kind}"
        return
    listed = set(first_cells(text))
    for name in sorted(listed - names):
        yield f"{page} lists the {source.kind} {name!r}, which does not exist: correct the page"
    for name in sorted(names - listed):
        yield f"{page} does not list the {source.kind} {name!r}: add it"
