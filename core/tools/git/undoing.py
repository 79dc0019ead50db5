"""The tool `git_push.undo`: takes a pushed branch away again, as long as nobody has built on it.

It acts only on the branch exactly where the push left it. One that went on carries somebody's work, and one that is
gone may have been merged: neither is for us to take back, so nobody is even asked.
"""

from dataclasses import dataclass

from pydantic import BaseModel, Field, field_validator

from core.errors import TerminalError
from core.tools.base import Prepared, ProbeAnswer, ToolContext, ToolResult
from core.tools.effects import run_effect
from core.tools.git.looking import branch_at
from core.tools.git.routes import route
from core.tools.git.urls import check_branch, check_commit
from core.tools.registry import Arguments


class GitPushUndoArguments(Arguments):
    """Which branch of which repository, and where it has to be still."""

    url: str = Field(max_length=2_000, description="the repository it was pushed to")
    branch: str = Field(max_length=200, description="the branch, as it is named there")
    commit: str = Field(description="where it was pushed to; at any other commit it stays")

    _branch = field_validator("branch")(check_branch)
    _commit = field_validator("commit")(check_commit)


@dataclass
class GitPushUndo:
    """Deletes pushed branches."""

    name: str = "git_push.undo"
    description: str = "Delete a branch that was pushed, if it still is exactly where the push left it."
    settle_s: float = 10.0

    @property
    def arguments(self) -> type[BaseModel]:
        return GitPushUndoArguments

    async def prepare(self, args: BaseModel, context: ToolContext) -> Prepared:
        """Look that the branch is where it was left. See `Preparing`."""
        assert isinstance(args, GitPushUndoArguments)
        way = await route(args.url, context)
        there = await branch_at(way, args.branch, context)
        if there is None:
            raise TerminalError(
                f"the branch `{args.branch}` is not there any more: somebody has merged or deleted it, so nothing is "
                "left to delete"
            )
        if there != args.commit:
            raise TerminalError(
                f"the branch `{args.branch}` has moved since: it is at {there[:12]}, not at {args.commit[:12]}, so "
                "nothing is deleted"
            )
        url = way.remote.url
        return Prepared(
            args={"url": url, "branch": args.branch, "commit": args.commit},
            sentence=f"Delete the branch `{args.branch}` of {url}, which is at {args.commit}",
            network=(way.remote.place,),
            creds=way.creds,
        )

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        assert isinstance(args, GitPushUndoArguments)
        way = await route(args.url, context)
        request = {
            "route": dict(way.given),
            "branch": args.branch,
            "commit": args.commit,
            "repository": str(context.scratch / "empty.git"),
        }
        return await run_effect(context, "git_push_undo", request, secrets=way.secrets)

    async def probe(self, args: BaseModel, context: ToolContext) -> ProbeAnswer:
        """Ask the other side where the branch is. See `Probing`."""
        assert isinstance(args, GitPushUndoArguments)
        way = await route(args.url, context)
        there = await branch_at(way, args.branch, context)
        if there is None:
            return ProbeAnswer("happened", {"branch": args.branch, "commit": args.commit, "url": way.remote.url})
        if there == args.commit:
            return ProbeAnswer("not-happened")
        return ProbeAnswer("cannot-tell", detail=f"the branch `{args.branch}` is there, at another commit")
