"""The `git_read` tool: a clone of a repository in the workspace, with nothing of it run.

The address is cloned outside the sandbox into a bare repository of ours, which runs nothing; from there git in the
sandbox makes the working copy, so that a link somebody planted in the workspace leads nowhere.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, field_validator

from core.errors import BanksmanError, TerminalError
from core.tools import beneath
from core.tools.base import ToolContext, ToolResult
from core.tools.effects import run_effect
from core.tools.git.inside import git_inside, inside, program_inside
from core.tools.git.routes import route
from core.tools.registry import Arguments

_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}")
_MOST_ENTRIES = 100_000
_MARK = "banksman.call"
"""In a clone's configuration: the call that made it, which may replace it."""


class GitReadArguments(Arguments):
    """What to clone, and where to."""

    url: str = Field(max_length=2_000, description="https://…, ssh://…, git@host:path, or an absolute path")
    path: str = Field(max_length=1_024, description="a new directory in the workspace for the clone")
    ref: str | None = Field(default=None, max_length=200, description="a branch, tag or whole commit id to check out")
    depth: int | None = Field(default=None, ge=1, le=100_000, description="how many commits of each branch to fetch")

    _path = field_validator("path")(inside)

    @field_validator("ref")
    @classmethod
    def _is_a_ref(cls, ref: str | None) -> str | None:
        if ref is not None and (not _REF.fullmatch(ref) or ".." in ref):
            raise ValueError("a branch, a tag, or a commit in full is expected")
        return ref


class GitRead:
    """Clones repositories."""

    name = "git_read"
    description = "Clone a git repository into the run's workspace."

    @property
    def arguments(self) -> type[BaseModel]:
        return GitReadArguments

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        assert isinstance(args, GitReadArguments)
        way = await route(args.url, context)
        mirror = context.scratch / "mirror.git"
        request = {"route": dict(way.given), "target": str(mirror), "ref": args.ref, "depth": args.depth}
        cloned = await run_effect(context, "git_mirror", request, secrets=way.secrets)
        if cloned.status != "succeeded":
            # It only reads, so nothing can have happened.
            return replace(cloned, status="failed" if cloned.status == "failed" else "failed-safe")
        found = dict(cloned.out)
        await _place(context, args.path, mirror, way.remote.url, found)
        found.pop("tag")
        return ToolResult("succeeded", {**found, "path": args.path, "url": way.remote.url})


async def _place(context: ToolContext, path: str, mirror: Path, url: str, found: dict[str, Any]) -> None:
    """Make the working copy under a name of its own, and move it where it is wanted once it is whole."""
    part = f".clone-{context.label.call_id}"
    if _is_there(context, part):
        await program_inside(context, "rm", "-rf", "--", part)
    named = found["branch"] or found["tag"]
    how = ("--branch", named) if named else ("--no-checkout",)
    mark = ("--config", f"{_MARK}={context.label.call_id}")
    clone = ("clone", "--quiet", "--no-hardlinks", "--template=", *mark, *how, "--", f"file://{mirror}", part)
    try:
        await git_inside(context, "-c", "protocol.file.allow=always", *clone, readable=[mirror])
        await git_inside(context, "-C", part, "remote", "set-url", "origin", url)
        if not named:
            await git_inside(context, "-C", part, "checkout", "--quiet", "--detach", found["commit"])
        await _make_room(context, path)
        await program_inside(context, "mv", "--", part, path)
    except BanksmanError:
        await program_inside(context, "rm", "-rf", "--", part)
        raise


async def _make_room(context: ToolContext, path: str) -> None:
    """Remove what an earlier attempt of this call left at the path, and nothing else."""
    parent = path.rpartition("/")[0]
    if parent:
        await program_inside(context, "mkdir", "-p", "--", parent)
    if not _is_there(context, path):
        return
    config = f"{path}/.git/config"
    made_by = await git_inside(context, "config", "--file", config, "--get", _MARK, may_fail=True)
    if (made_by or "").strip() != context.label.call_id:
        raise TerminalError(f"there is something at {beneath.shown(path)} of the workspace already; use another path")
    await program_inside(context, "rm", "-rf", "--", path)


def _is_there(context: ToolContext, path: str) -> bool:
    """Whether the workspace has something of this name, a link that leads nowhere included."""
    parent = path.rpartition("/")[0]
    entries, _ = beneath.list_entries(context.workspace, parent, recursive=False, max_entries=_MOST_ENTRIES)
    return any(entry.path == path for entry in entries)
