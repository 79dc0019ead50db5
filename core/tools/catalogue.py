"""The tools that come with Banksman. Another one is added here and in `core.config.builtin`, and classified in
banksman.yml; a tool by another name is `uses` there.
"""

from core.config.load import Config
from core.config.models import ToolWord
from core.tools.artifact import Artifact
from core.tools.ask import Ask
from core.tools.base import Probing, Tool
from core.tools.files import DeleteFile, ListFiles, ReadFile, WriteFile
from core.tools.git.push import GitPush
from core.tools.git.read import GitRead
from core.tools.http import Http
from core.tools.http_probe import ProbedHttp
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


def all_tools(config: Config) -> list[Tool]:
    """The tools of an installation: those that come with Banksman, and the operator's own names for them."""
    cap_bytes = config.limits.artifact_bytes
    found = [_with_probe(tool, config.tool(tool.name)) for tool in standard_tools(cap_bytes)]
    for name, uses in config.uses.items():
        tool = next(each for each in standard_tools(cap_bytes) if each.name == uses)
        tool.name = name
        found.append(_with_probe(tool, config.tool(name)))
    return found


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
    """The names playbooks may use: of the tools that come with Banksman, and the operator's own."""
    return [*(tool.name for tool in standard_tools(1)), *(config.uses if config is not None else ())]
