"""The tools that come with Banksman. Another one is added here and in `core.config.builtin`, and classified in
banksman.yml; a tool by another name is `uses` there. Those of packages beside it are found by `installed`.
"""

from collections.abc import Mapping
from copy import copy

from core.config.load import Config
from core.config.models import ToolWord
from core.tools.artifact import Artifact
from core.tools.ask import Ask
from core.tools.base import Probing, Tool, Undoing
from core.tools.delegate import Delegate
from core.tools.files import DeleteFile, ListFiles, ReadFile, WriteFile
from core.tools.git.push import GitPush
from core.tools.git.read import GitRead
from core.tools.http import Http
from core.tools.http_probe import ProbedHttp
from core.tools.installed import checked, loaded_here, offered_here
from core.tools.mcp.tool import mcp_names, mcp_tools
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
        Delegate(),
    ]


def all_tools(config: Config) -> list[Tool]:
    """The tools of an installation: those that come with Banksman, the operator's own names for them, beside each
    that has one what takes its effect back, those of packages beside it, and those of MCP servers that were accepted.

    Raises:
        ConfigError: two tools have one name.
    """
    checked(offered_here(), config.uses)
    found = _named(standard_tools(config.limits.artifact_bytes), config.uses)
    found += [tool.undo for tool in found if isinstance(tool, Undoing)]
    ours = [_with_probe(tool, config.tool(tool.name)) for tool in found]
    return [*ours, *loaded_here().tools, *mcp_tools(config)]


def undoings(uses: Mapping[str, str]) -> Mapping[str, Undoing]:
    """The tools whose effects can be taken back, by name.

    Args:
        uses: The operator's own names, and the tool behind each.
    """
    return {tool.name: tool for tool in _named(standard_tools(1), uses) if isinstance(tool, Undoing)}


def _named(standard: list[Tool], uses: Mapping[str, str]) -> list[Tool]:
    """These tools, and each of them once more under every other name it has."""
    found = {tool.name: tool for tool in standard}
    return [*standard, *(_renamed(copy(found[tool]), name) for name, tool in uses.items() if tool in found)]


def _renamed(tool: Tool, name: str) -> Tool:
    tool.name = name
    return tool


def _with_probe(tool: Tool, word: ToolWord) -> Tool:
    """The tool, looking for lost calls where and when the operator says."""
    if word.probe is None:
        return tool
    settle_s = word.probe.settle_ms / 1000
    if isinstance(tool, Http) and word.probe.url is not None:
        return ProbedHttp(tool.name, url=word.probe.url, settle_s=settle_s)
    if isinstance(tool, Probing):
        tool.settle_s = settle_s
    return tool


def tool_names(config: Config | None = None) -> list[str]:
    """The names playbooks may use: of the tools that come with Banksman, the operator's own, and those of servers and
    of packages, which are not imported for it.

    Raises:
        ConfigError: two tools have one name.
    """
    names = [tool.name for tool in standard_tools(1)]
    if config is None:
        return names
    packaged = [one.name for one in checked(offered_here(), config.uses)]
    return [*names, *config.uses, *packaged, *mcp_names(config)]


def call_names(config: Config) -> list[str]:
    """The names calls have: those of playbooks, and of what takes their effects back."""
    return [*tool_names(config), *(tool.undo.name for tool in undoings(config.uses).values())]
