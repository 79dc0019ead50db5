"""A workspace, a scratch directory and this host's real sandbox for tools."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from core.execution.base import CallLabel, Environment
from core.execution.outside import outside_environment
from core.execution.sandbox import probe_environment
from core.secrets import SystemSecrets
from core.tools.base import Outside, Tool, ToolContext, ToolResult
from core.tools.reach import Reach
from core.tools.registry import Registry

TOOL_ENVIRONMENT = Path(__file__).resolve().parents[3] / ".venv-tools"

RUN_TAIL = "01020304"
"""What every run's id ends with, for what is named after it."""

Perform = Callable[..., Any]


@pytest.fixture(scope="session")
def environment() -> Environment:
    """The strongest sandbox here; tests of tools mean nothing without one."""
    return probe_environment(tool_environment=TOOL_ENVIRONMENT, allow_unsandboxed=False)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    path = tmp_path / "workspace"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def context(tmp_path: Path, workspace: Path, environment: Environment) -> ToolContext:
    scratch = tmp_path / "scratch"
    return ToolContext(
        # Tests beside this one look for what is left of their own run, and end it.
        label=CallLabel("t1", f"run_{uuid4().hex}{RUN_TAIL}", f"call_{tmp_path.name}", 1),
        idempotency_key="v1.key",
        workspace=workspace,
        environment=environment,
        tool_environment=TOOL_ENVIRONMENT,
        scratch_path=scratch,
        timeout_s=60,
        kill=asyncio.Event(),
        outside=Outside(
            environment=outside_environment(None),
            database_url="sqlite+aiosqlite:////nonexistent/banksman.db",
            reach=Reach(),
            secrets=SystemSecrets({}),
            secret_refs={},
        ),
    )


@pytest.fixture
def perform(context: ToolContext) -> Perform:
    """Validate the arguments as the engine does, then call the tool once."""

    async def call(tool: Tool, **args: Any) -> ToolResult:
        registry = Registry([tool])
        return await tool.perform(registry.validate(tool.name, args), context)

    return call
