"""Whether tools by another name, and what is said about finding lost calls, fit what comes with Banksman."""

import re
from collections.abc import Iterator

from core.config.builtin import BUILT_IN, LOOKS_ITSELF, LOOKS_WHERE_TOLD, ONE_NAME, RESERVED, UNDO
from core.config.document import Document, Path_
from core.config.models import ConfigFile, ToolWord
from core.config.problems import Problem
from core.nearest import did_you_mean

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?")
"""As tools are registered."""


def own_tool_problems(document: Document, content: ConfigFile) -> Iterator[Problem]:
    """Mistakes of `uses`, `recovery` and `probe` of every tool, each where it stands."""
    for name, word in content.tools.items():
        place: Path_ = ["tools", name]
        if word.uses is not None and (found := _misused(name, word.uses, content)) is not None:
            yield document.problem([*place, "uses"], *found)
        elif (word.uses or name) in BUILT_IN and (wrong := _unlooked(word.uses or name, name, word)) is not None:
            where, what, remedy = wrong
            yield document.problem([*place, *where], what, remedy)


def _misused(name: str, uses: str, content: ConfigFile) -> tuple[str, str] | None:
    """What is wrong with calling the tool `uses` by this name, and what to do about it."""
    if uses == name:
        return f"`{name}` uses itself.", "Remove `uses`, or give this entry a name of your own."
    if name in BUILT_IN:
        what = f"`{name}` comes with Banksman, and this would hide it."
        return what, "Give your tool another name, or remove `uses`."
    if name in RESERVED:
        return f"`{name}` is a word of agents, and this would hide it.", "Give your tool another name."
    if name.endswith(UNDO):
        return f"Names that end in `{UNDO}` are for what takes a tool's effect back.", "Give your tool another name."
    if not _NAME.fullmatch(name):
        return f"The name `{name}` has more than one dot.", "Write e.g. `pay` or `payments.charge`."
    if uses in ONE_NAME:
        return f"`{uses}` goes by one name only.", "Use it by that name."
    if uses in BUILT_IN:
        return None
    own = content.tools.get(uses)
    if own is not None and own.uses in BUILT_IN:
        return f"`{uses}` is another name itself.", f"Write `uses: {own.uses}`."
    return f"No tool `{uses}` comes with Banksman.", did_you_mean(uses, BUILT_IN, noun="There are")


def _unlooked(tool: str, name: str, word: ToolWord) -> tuple[Path_, str, str] | None:
    """What is wrong with how lost calls of a tool that comes with Banksman are to be found."""
    if word.recovery != "reconcilable":
        return None
    url = None if word.probe is None else word.probe.url
    if tool in LOOKS_ITSELF:
        what = f"`{tool}` knows by itself where to look."
        return None if url is None else (["probe", "url"], what, "Remove `url`; `settle` may stay.")
    if tool not in LOOKS_WHERE_TOLD:
        what = f"`{name}` has no way to find out whether a call that was cut off happened."
        return ["recovery"], what, "Write `recovery: opaque`, or `idempotent` if doing it twice does no harm."
    if url is None:
        what = f"Nothing says where to look whether a call of `{name}` that was cut off happened."
        return ["recovery"], what, "Add `probe: {url: https://…/{key}}`, or write `recovery: opaque`."
    return None
