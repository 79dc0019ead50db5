"""Tools of packages installed beside Banksman: found by their entry points in the group `banksman.tools`.

What a package offers is known from its metadata, without importing it, and that is all the bot and the commands do. Its
code is imported by the worker only, and what cannot be imported costs its own tools and nothing else. A package's word
counts no more than any tool's: without one of the operator's in `tools`, people are asked about every call. The version
of the package is part of a tool's definition, so an approval does not outlive an upgrade.
"""

import logging
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint, distributions

from core.config.builtin import BUILT_IN, RESERVED, UNDO
from core.errors import BanksmanError, ConfigError
from core.tools.base import Tool
from core.tools.registry import Registry

log = logging.getLogger(__name__)

GROUP = "banksman.tools"

_MOST_ERROR = 300


@dataclass(frozen=True)
class Offered:
    """A tool a package says it has."""

    name: str
    package: str
    """The distribution with its version: `counting 1.2`."""
    entry: EntryPoint = field(repr=False, compare=False)


@dataclass(frozen=True)
class Trouble:
    """A tool that is offered and cannot be had."""

    name: str
    package: str
    why: str

    def __str__(self) -> str:
        return f"the tool `{self.name}` of the package {self.package} cannot be used: {self.why}"


@dataclass(frozen=True)
class Loaded:
    """What the packages of this process have come to."""

    tools: tuple[Tool, ...]
    packages: Mapping[str, str]
    """By the name of each tool: its package with the version."""
    troubles: tuple[Trouble, ...]


@lru_cache(maxsize=1)
def offered_here() -> tuple[Offered, ...]:
    """What is installed in this environment; looked up once, as code is imported once."""
    return offered(distributions())


def offered(installed: Iterable[Distribution]) -> tuple[Offered, ...]:
    """What these distributions offer, sorted; of one that is there twice the first counts, as it does for imports."""
    found: dict[str, list[Offered]] = {}
    for distribution in installed:
        name = distribution.metadata["Name"]
        key = re.sub(r"[-_.]+", "-", str(name)).lower()
        if not name or key in found:
            continue
        package = f"{name} {distribution.version}"
        entries = [entry for entry in distribution.entry_points if entry.group == GROUP]
        found[key] = [Offered(entry.name, package, entry) for entry in entries]
    return tuple(sorted((one for each in found.values() for one in each), key=lambda one: (one.name, one.package)))


def checked(offers: Sequence[Offered], taken: Collection[str]) -> tuple[Offered, ...]:
    """The same, once no name means two things.

    Args:
        taken: The operator's own names.

    Raises:
        ConfigError: naming both who claim a name, and what to do.
    """
    owners = dict.fromkeys(taken, "your own `tools`") | dict.fromkeys(BUILT_IN, "Banksman itself")
    owners |= dict.fromkeys(RESERVED, "Banksman itself")
    for one in offers:
        other = owners.get(one.name)
        if other is not None:
            raise ConfigError(
                f"Two tools are called `{one.name}`: one of {other} and one of the package {one.package}. "
                "Remove one of them, or give it another name."
            )
        owners[one.name] = f"the package {one.package}"
    return tuple(offers)


def loaded(offers: Sequence[Offered]) -> Loaded:
    """Import what is offered; only the worker does."""
    tools, packages, troubles = [], {}, []
    for one in offers:
        try:
            tools.append(_tool(one))
            packages[one.name] = one.package
        except BanksmanError as error:
            troubles.append(Trouble(one.name, one.package, str(error)[:_MOST_ERROR]))
        except (Exception, SystemExit) as error:
            # Somebody else's code: whatever it raises is about its own tool and must not cost the others theirs.
            why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            troubles.append(Trouble(one.name, one.package, " ".join(why.split())[:_MOST_ERROR]))
    for trouble in troubles:
        log.error("%s", trouble, extra={"action": "tool_not_loaded", "tool": trouble.name, "package": trouble.package})
    return Loaded(tuple(tools), packages, tuple(troubles))


@lru_cache(maxsize=1)
def loaded_here() -> Loaded:
    """What is installed in this environment, imported."""
    return loaded(offered_here())


def _tool(one: Offered) -> Tool:
    if one.name.startswith("mcp.") or one.name.endswith(UNDO):
        raise ConfigError(f"names that begin with `mcp.` or end in `{UNDO}` are not for packages to give")
    found = one.entry.load()
    tool: Tool = found() if isinstance(found, type) else found
    if getattr(tool, "name", None) != one.name or not callable(getattr(tool, "perform", None)):
        raise ConfigError(f"`{one.entry.value}` is no tool named `{one.name}`")
    Registry([tool])
    return tool
