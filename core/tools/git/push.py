"""The `git_push` tool: one commit to one new branch, exactly as it was read.

Before anybody is asked the branch is resolved to a commit, the other side's default branch to its base, and everything
between the two to the text people read: each commit with its author, message and whole patch. Nothing of the
workspace's own repository is trusted: git packs its objects in the sandbox, and from there on only a bare repository of
ours is used, where each of them was checked. Right before the start all of that is derived again. What is pushed is the
commit by its id, and only to a branch that is not there yet. Taking it away again is `undoing`.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, field_validator

from core.errors import TerminalError
from core.tools.base import Prepared, PreparedInput, ProbeAnswer, Tool, ToolContext, ToolResult
from core.tools.effects import run_effect
from core.tools.git.inside import commit_inside, inside, pack_inside
from core.tools.git.looking import answered, branch_at
from core.tools.git.routes import route
from core.tools.git.undoing import GitPushUndo
from core.tools.git.urls import check_branch, check_commit
from core.tools.registry import Arguments

_LEAST_S = 5.0
"""Time a push needs at the very least; with less it is not begun."""


class GitPushArguments(Arguments):
    """What to push, and where to."""

    url: str = Field(max_length=2_000, description="https://…, ssh://…, git@host:path, or an absolute path")
    path: str = Field(max_length=1_024, description="the repository's directory in the workspace")
    branch: str = Field(max_length=200, description="the branch: as it is named here, and as it will be named there")
    commit: str | None = Field(default=None, description="found out before anybody is asked: what the branch is at")
    base: str | None = Field(default=None, description="found out as well: where the other side's default branch is")

    _path = field_validator("path")(inside)
    _branch = field_validator("branch")(check_branch)

    @field_validator("commit", "base")
    @classmethod
    def _is_a_commit(cls, commit: str | None) -> str | None:
        return None if commit is None else check_commit(commit)


class GitPush:
    """Pushes branches."""

    name = "git_push"
    description = "Push one branch of a repository in the workspace to a new branch of another repository."
    settle_s = 10.0

    @property
    def undo(self) -> Tool:
        """Under whatever name this goes by. See `Undoing`."""
        return GitPushUndo(f"{self.name}.undo")

    @property
    def arguments(self) -> type[BaseModel]:
        return GitPushArguments

    def undo_args(self, args: Mapping[str, Any], out: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The branch, and the commit it was pushed to. See `Undoing`."""
        commit = out.get("commit") or args.get("commit")
        if commit is None:
            return None
        return {"url": args["url"], "branch": args["branch"], "commit": commit}

    async def prepare(self, args: BaseModel, context: ToolContext) -> Prepared:
        """Resolve branch and base, and read everything that would be pushed. See `Preparing`."""
        assert isinstance(args, GitPushArguments)
        way = await route(args.url, context)
        commit = await _taken_out(args, context)
        text = context.scratch / "changes.patch"
        request = {**_request(args, context, way.given, commit), "text": str(text)}
        found = answered(await run_effect(context, "git_review", request, secrets=way.secrets))
        if found["taken"] == commit:
            raise TerminalError(f"the branch `{args.branch}` is there already, at this very commit")
        if found["taken"] is not None:
            raise TerminalError(f"the branch `{args.branch}` is there already, at another commit; use another name")
        count = f"{found['commits']} commit{'' if found['commits'] == 1 else 's'}"
        url, base = way.remote.url, found["base"]
        return Prepared(
            args={"url": url, "path": args.path, "branch": args.branch, "commit": commit, "base": base},
            sentence=f"Push {count} to the new branch `{args.branch}` of {url}",
            inputs=(PreparedInput("changes.patch", await asyncio.to_thread(text.read_bytes), "text/x-diff"),),
            network=(way.remote.place,),
            creds=way.creds,
        )

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        assert isinstance(args, GitPushArguments)
        if args.commit is None:
            return ToolResult("failed", error="It was not found out which commit to push.")
        began_s = time.monotonic()
        way = await route(args.url, context)
        commit = await _taken_out(args, context)
        left_s = context.timeout_s - (time.monotonic() - began_s)
        if left_s < _LEAST_S:
            return ToolResult("failed-safe", error="there was no time left to push; give the step more")
        request = {**_request(args, context, way.given, commit), "base": args.base}
        return await run_effect(context, "git_push", request, secrets=way.secrets, timeout_s=left_s)

    async def probe(self, args: BaseModel, context: ToolContext) -> ProbeAnswer:
        """Ask the other side where the branch is. See `Probing`."""
        assert isinstance(args, GitPushArguments)
        way = await route(args.url, context)
        there = await branch_at(way, args.branch, context)
        if there is None:
            return ProbeAnswer("not-happened")
        if there == args.commit:
            return ProbeAnswer("happened", {"branch": args.branch, "commit": args.commit, "url": way.remote.url})
        return ProbeAnswer("cannot-tell", detail=f"the branch `{args.branch}` is there, at another commit")


async def _taken_out(args: GitPushArguments, context: ToolContext) -> str:
    """Bring the branch's objects out of the workspace, unchecked yet, and return the commit it says it is at."""
    commit = await commit_inside(context, args.path, args.branch)
    if args.commit is not None and commit != args.commit:
        raise TerminalError(f"the branch `{args.branch}` has moved since: it is at {commit[:12]}")
    await pack_inside(context, args.path, commit, context.scratch / "push.pack")
    return commit


def _request(args: GitPushArguments, context: ToolContext, given: Mapping[str, Any], commit: str) -> dict[str, Any]:
    return {
        "route": dict(given),
        "branch": args.branch,
        "commit": commit,
        "pack": str(context.scratch / "push.pack"),
        "repository": str(context.scratch / "push.git"),
    }
