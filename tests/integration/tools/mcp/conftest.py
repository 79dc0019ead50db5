"""Servers that behave as told, and calls of their tools as the engine makes them."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.config.accepted import AcceptedTool
from core.config.servers import ServerWord
from core.tools.base import ToolContext, ToolResult
from core.tools.mcp.start import asked
from core.tools.mcp.tool import McpTool
from core.tools.registry import Registry
from core.tools.residents import Residents
from tests.integration.tools.conftest import context as context
from tests.integration.tools.conftest import environment as environment
from tests.integration.tools.conftest import workspace as workspace
from tests.integration.tools.http.conftest import run_row as run_row
from tests.ports import free_port

SERVER = Path(__file__).with_name("server.py")

Behaving = Callable[..., ServerWord]
Accepting = Callable[..., Awaitable[McpTool]]
Calling = Callable[..., Awaitable[ToolResult]]


@pytest.fixture
def behaving(workspace: Path) -> Behaving:
    """A server in the sandbox with one behaviour; any further setting is the config's."""
    shutil.copy(SERVER, workspace / "server.py")

    def make(behaviour: str = "normal", **settings: Any) -> ServerWord:
        program = workspace / "server.py" if settings.get("network") == "host" else "server.py"
        return ServerWord.model_validate({"command": ["python", str(program), behaviour], **settings})

    return make


@pytest.fixture
async def residents(tmp_path: Path) -> AsyncIterator[Residents]:
    """What stays between the calls of a test, as in a slice; nothing of it is left afterwards."""
    directory = tmp_path / "staying"
    directory.mkdir()
    found = Residents(directory)
    yield found
    await found.end(at_once=True)
    assert [] == list(directory.iterdir())


@pytest.fixture
def fresh(context: ToolContext, residents: Residents) -> Callable[[], ToolContext]:
    """The context of another attempt of the same slice."""
    numbers = iter(range(1000))

    def again() -> ToolContext:
        scratch = context.scratch_path.with_name(f"scratch-{next(numbers)}")
        return replace(context, scratch_path=scratch, residents=residents)

    return again


@pytest.fixture
def accepting(fresh: Callable[[], ToolContext], residents: Residents) -> Accepting:
    """A tool of a server as it is offered now, accepted; who offered it is gone again."""

    async def accept(word: ServerWord, name: str = "do", kind: type[McpTool] = McpTool) -> McpTool:
        found = await asked(word, {}, fresh(), {})
        await residents.end(at_once=True)
        assert found.status == "succeeded", found
        definition = next(each for each in found.out["tools"] if each["name"] == name)
        return kind(AcceptedTool("test", name, definition), word)

    return accept


@pytest.fixture
def calling(fresh: Callable[[], ToolContext]) -> Calling:
    """Validate the arguments as the engine does, then call the tool once."""

    async def call(tool: McpTool, *, timeout_s: float = 60, **args: Any) -> ToolResult:
        context = replace(fresh(), timeout_s=timeout_s)
        return await tool.perform(Registry([tool]).validate(tool.name, args), context)

    return call


@pytest.fixture
def unused_port() -> int:
    """A port nobody listens on."""
    return free_port()
