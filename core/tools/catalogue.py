"""The tools that come with Banksman. A tool of your own is added here, and classified in banksman.yml."""

from collections.abc import Iterable, Mapping
from functools import cache

from core.tools.artifact import Artifact
from core.tools.ask import Ask
from core.tools.base import Tool, Undoing
from core.tools.files import DeleteFile, ListFiles, ReadFile, WriteFile
from core.tools.git.push import GitPush
from core.tools.git.read import GitRead
from core.tools.http import Http
from core.tools.repository import RepoCheckup, RepoTests
from core.tools.shell import Shell
from core.tools.table_report import TableReport


def standard_tools(artifact_cap_bytes: int) -> list[Tool]:
    """Every tool, made for an installation whose artifacts may be this large."""
    return [
        ReadFile(),
        ListFiles(),
        WriteFile(),
        DeleteFile(),
        Shell(),
        Artifact(cap_bytes=artifact_cap_bytes),
        TableReport(),
        RepoTests(),
        RepoCheckup(),
        GitRead(),
        GitPush(),
        Http(),
        Ask(),
    ]


def with_undoing(tools: Iterable[Tool]) -> list[Tool]:
    """These tools and, beside each that has one, what takes its effect back."""
    return [each for tool in tools for each in ((tool, tool.undo) if isinstance(tool, Undoing) else (tool,))]


@cache
def undoings() -> Mapping[str, Undoing]:
    """The tools whose effects can be taken back, by name."""
    return {tool.name: tool for tool in standard_tools(1) if isinstance(tool, Undoing)}


def tool_names() -> list[str]:
    """The names playbooks may use."""
    return [tool.name for tool in standard_tools(1)]


def call_names() -> list[str]:
    """The names calls have: those of playbooks, and of what takes their effects back."""
    return [tool.name for tool in with_undoing(standard_tools(1))]
