"""The tools that come with Banksman. A tool of your own is added here, and classified in banksman.yml."""

from core.tools.artifact import Artifact
from core.tools.ask import Ask
from core.tools.base import Tool
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


def tool_names() -> list[str]:
    """The names playbooks may use."""
    return [tool.name for tool in standard_tools(1)]
