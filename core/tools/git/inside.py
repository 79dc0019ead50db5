"""git in the sandbox: everything that touches the run's own copy of a repository.

What a copy's configuration, hooks, attributes and links may do there, they do as any program of the run: without a
network and inside its workspace. What comes out is only ever read as data.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import TerminalError
from core.tools import beneath
from core.tools.base import ToolContext, ToolResult
from core.tools.program import discard_files, readable_text, run_program

_CALM = (
    *("-c", "safe.directory=*", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"),
    *("-c", "submodule.recurse=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false"),
)
_ENV = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_REPLACE_OBJECTS": "1", "LC_ALL": "C"}


async def git_inside(
    context: ToolContext, *arguments: str, cwd: str = ".", readable: Sequence[Path] = (), may_fail: bool = False
) -> str | None:
    """Run git in the sandbox and return what it printed; `None` if it failed and may.

    Raises:
        TerminalError: it failed, with the last thing it said.
    """
    result = await run_program(context, ("git", *_CALM, *arguments), cwd=cwd, env=_ENV, readable=tuple(readable))
    if isinstance(result, ToolResult):
        raise TerminalError(result.error or "git could not be run")
    try:
        if result.ended == "exited" and result.exit_code == 0:
            return readable_text(result.stdout)
        if may_fail and result.ended == "exited":
            return None
        said = [line for line in readable_text(result.stderr).splitlines() if line.strip()]
        raise TerminalError(f"git could not do that in the workspace: {said[-1][:300] if said else result.detail}")
    finally:
        discard_files(result)


def inside(path: str) -> str:
    """Check a path in the workspace, for an argument; raises `ValueError` with what is wrong."""
    try:
        parts = beneath.parts_of(path)
    except beneath.PathRefused as error:
        raise ValueError(str(error)) from None
    if not parts or any(part.startswith("-") for part in parts):
        raise ValueError("it must name a directory below the workspace, not beginning with a dash")
    return path


def shown(value: Any) -> str:
    """A value as a person would type it, for a sentence."""
    return json.dumps(value, ensure_ascii=False)
