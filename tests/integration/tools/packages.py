"""Packages as `pip` leaves them behind: a module and its metadata, in a directory that Python looks in."""

from collections.abc import Mapping
from pathlib import Path

COUNTING = """
from pydantic import BaseModel
from core.tools.base import ToolContext, ToolResult
from core.tools.registry import Arguments


class CountArguments(Arguments):
    to: int


class Count:
    name = "count.up"
    description = "Counts."

    @property
    def arguments(self) -> type[BaseModel]:
        return CountArguments

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        return ToolResult("succeeded", {"counted": list(range(args.to))})
"""


def installed(
    where: Path, package: str, *, version: str = "1.2", code: str = COUNTING, tools: Mapping[str, str] | None = None
) -> Path:
    """Put a package into a directory.

    Args:
        tools: Name of each tool, and what of the package it is, after the colon; `Count` as `count.up` unless given.
    """
    module = package.replace("-", "_")
    (where / f"{module}.py").write_text(code)
    about = where / f"{module}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    lines = [f"{name} = {module}:{what}" for name, what in (tools or {"count.up": "Count"}).items()]
    (about / "entry_points.txt").write_text("\n".join(["[banksman.tools]", *lines, ""]))
    return where
