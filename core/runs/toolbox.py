"""The tools a run may use, each with the operator's word on it.

Joins two sources that must not trust each other: the tool (what it is) and the config (what it is allowed to be).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from core.tools.base import EffectTier, RecoveryClass, Tool
from core.tools.reach import Reach

Validate = Callable[[str, Mapping[str, Any]], BaseModel]
"""Turns the raw arguments of a tool, by its name, into typed ones, or raises `TerminalError` with a sentence."""


@dataclass(frozen=True)
class DeclaredTool:
    """A tool and what the operator declared of it."""

    tool: Tool
    digest: str
    """Of its definition: name, description and argument schema."""
    tier: EffectTier | None
    """`None`: not classified, so it asks."""
    recovery: RecoveryClass
    timeout_s: float
    key_ttl_s: float | None = None
    """How long the other side remembers an idempotency key; `None` = for ever."""
    reach: Reach = field(default_factory=Reach)
    """Where it may go, and what it acts on."""
    uses: str | None = None
    """The tool that comes with Banksman behind it, if it goes by a name of the operator's."""


class Toolbox:
    """Every declared tool by name."""

    def __init__(self, tools: Mapping[str, DeclaredTool], validate: Validate) -> None:
        self._tools = dict(tools)
        self._validate = validate

    def find(self, name: str) -> DeclaredTool | None:
        """The tool, or `None` if there is none of that name."""
        return self._tools.get(name)

    def names(self) -> list[str]:
        """Every name, sorted."""
        return sorted(self._tools)

    def validate(self, tool: Tool, args: Mapping[str, Any]) -> BaseModel:
        """Typed arguments; raises `TerminalError` with a sentence that names the argument and what it takes."""
        return self._validate(tool.name, args)
