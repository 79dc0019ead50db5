"""git in the sandbox: everything that touches the run's own copy of a repository.

What a copy's configuration, hooks, attributes and links may do there, they do as any program of the run: without a
network and inside its workspace. What comes out is only ever read as data.
"""

import asyncio
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from core.errors import RetryableError, TerminalError
from core.execution.base import Limits, ProcessResult, discard_files
from core.tools import beneath
from core.tools.base import ToolContext, ToolResult
from core.tools.program import readable_text, run_program

MOST_PACK_BYTES = 500_000_000

_CALM = (
    *("-c", "safe.directory=*", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"),
    *("-c", "submodule.recurse=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false"),
    *("-c", "init.templateDir=", "-c", "core.logAllRefUpdates=true"),
)
_ENV = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_GRAFT_FILE": "/dev/null",
    "LC_ALL": "C",
}
_LIMITS = Limits(file_bytes=1 << 30, disk_bytes=2 << 30, max_output_bytes=MOST_PACK_BYTES)
_COMMIT = re.compile(r"[0-9a-f]{40}")


async def git_inside(
    context: ToolContext, *arguments: str, readable: Sequence[Path] = (), may_fail: bool = False
) -> str | None:
    """Run git in the sandbox and return what it printed; `None` if it failed and may.

    Raises:
        TerminalError: it failed, with the last thing it said.
        RetryableError: how it ended is not known.
    """
    result = await _ended(context, ("git", *_CALM, *arguments), readable=tuple(readable))
    discard_files(result)
    if result.ended == "exited" and result.exit_code == 0:
        return readable_text(result.stdout)
    if may_fail and result.ended == "exited":
        return None
    raise _failure(result)


async def program_inside(context: ToolContext, *argv: str) -> None:
    """Run a program of the system in the sandbox; raises as `git_inside`."""
    result = await _ended(context, argv)
    discard_files(result)
    if result.ended != "exited" or result.exit_code != 0:
        raise _failure(result)


async def commit_inside(context: ToolContext, path: str, branch: str) -> str:
    """The commit a branch of the workspace's repository says it is at; raises as `git_inside`."""
    name = f"refs/heads/{branch}^{{commit}}"
    found = await git_inside(context, "-C", path, "rev-parse", "--verify", "--quiet", name, may_fail=True)
    commit = (found or "").strip()
    if _COMMIT.fullmatch(commit):
        return commit
    if await git_inside(context, "-C", path, "rev-parse", "--git-dir", may_fail=True) is None:
        raise TerminalError(f"{beneath.shown(path)} of the workspace is no git repository; `git_read` makes one there")
    raise TerminalError(f"there is no branch `{branch}` in {beneath.shown(path)} of the workspace")


async def pack_inside(context: ToolContext, path: str, commit: str, to: Path) -> None:
    """Write everything that belongs to a commit of the workspace's repository into a file of ours.

    Raises:
        TerminalError: it is not all there, or too much.
        RetryableError: how it ended is not known.
    """
    pack = ("pack-objects", "--revs", "--stdout", "--quiet", "--window=0", "--threads=1")
    result = await _ended(context, ("git", *_CALM, "-C", path, *pack), stdin=f"{commit}\n".encode())
    try:
        if result.ended != "exited" or result.exit_code != 0:
            raise _failure(result)
        if result.stdout_bytes > MOST_PACK_BYTES:
            raise TerminalError(
                f"the repository is too large to be pushed from here: more than {MOST_PACK_BYTES // 1_000_000} MB"
            )
        await asyncio.to_thread(_keep, result, to)
    finally:
        discard_files(result)


def _keep(result: ProcessResult, to: Path) -> None:
    if result.stdout_file is None:
        to.write_bytes(result.stdout)
    else:
        shutil.move(result.stdout_file, to)


def inside(path: str) -> str:
    """Check a path in the workspace, for an argument; raises `ValueError` with what is wrong."""
    try:
        parts = beneath.parts_of(path)
    except beneath.PathRefused as error:
        raise ValueError(str(error)) from None
    if not parts or any(part.startswith("-") or not part.isprintable() for part in parts):
        raise ValueError("it must name a directory below the workspace, not beginning with a dash")
    return "/".join(parts)


async def _ended(
    context: ToolContext, argv: tuple[str, ...], *, readable: tuple[Path, ...] = (), stdin: bytes = b""
) -> ProcessResult:
    result = await run_program(context, argv, env=_ENV, readable=readable, limits=_LIMITS, stdin=stdin)
    if isinstance(result, ToolResult):
        raise RetryableError(result.error or "git could not be run in the sandbox")
    return result


def _failure(result: ProcessResult) -> TerminalError:
    if result.ended != "exited":
        return TerminalError(f"git could not do that in the workspace. {result.limit or result.detail}")
    said = [line for line in readable_text(result.stderr).splitlines() if line.strip()]
    return TerminalError(f"git could not do that in the workspace: {said[-1][:300] if said else result.detail}")
