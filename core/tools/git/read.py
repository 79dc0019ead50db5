"""The `git_read` tool: a clone of a repository in the workspace, with nothing of it run.

The address is cloned outside the sandbox into a bare repository of ours, which runs nothing; from there git in the
sandbox makes the working copy, so that a link somebody planted in the workspace leads nowhere.
"""

import asyncio
import re
from pathlib import Path

from pydantic import BaseModel, Field, field_validator

from core.errors import TerminalError
from core.secrets import SecretRef
from core.tools.base import ToolContext, ToolResult
from core.tools.effects import run_effect
from core.tools.git.inside import git_inside, inside
from core.tools.git.urls import Remote, reachable, remote
from core.tools.program import discard_files, run_program
from core.tools.reach import credential_for
from core.tools.registry import Arguments

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}")


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
            raise ValueError("a branch, a tag, or a commit in full")
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
        found = remote(args.url)
        at = await asyncio.to_thread(reachable, found, context.outside.reach, context.outside.private)
        mirror = context.scratch / "mirror.git"
        request = {**at, "target": str(mirror), "depth": args.depth}
        cloned = await run_effect(context, "git_mirror", request, secrets=secret_for(found, context))
        if cloned.status != "succeeded":
            status = "failed-safe" if cloned.status == "unknown" else cloned.status
            return ToolResult(status, error=cloned.error, processes_ended=cloned.processes_ended)
        # A clone that was cut off before may lie there; inside the workspace it is the run's own to remove.
        await _removed(context, args.path)
        head = await _head(context, args, mirror)
        await git_inside(context, "-C", args.path, "remote", "set-url", "origin", found.url)
        return ToolResult("succeeded", {**head, "path": args.path, "url": found.url})


async def _head(context: ToolContext, args: GitReadArguments, mirror: Path) -> dict[str, object]:
    source = f"file://{mirror}"
    clone = ("clone", "--quiet", "--no-hardlinks", "--template=", "--", source, args.path)
    await git_inside(context, "-c", "protocol.file.allow=always", *clone, readable=[mirror])
    default = await git_inside(context, "-C", args.path, "symbolic-ref", "--quiet", "--short", "HEAD", may_fail=True)
    if args.ref is not None:
        await _check_out(context, args.path, args.ref)
    commit = await git_inside(
        context, "-C", args.path, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", may_fail=True
    )
    if commit is None:
        raise TerminalError("the repository has no commits yet")
    branch = await git_inside(context, "-C", args.path, "symbolic-ref", "--quiet", "--short", "HEAD", may_fail=True)
    files = await git_inside(context, "-C", args.path, "ls-files")
    return {
        "commit": commit.strip(),
        "branch": (branch or "").strip(),
        "default_branch": (default or "").strip(),
        "files": len((files or "").splitlines()),
    }


async def _check_out(context: ToolContext, path: str, ref: str) -> None:
    if _COMMIT.fullmatch(ref):
        candidates = [(ref, ["--detach", ref])]
    else:
        candidates = [
            (f"refs/remotes/origin/{ref}", ["-B", ref, "--no-track", f"refs/remotes/origin/{ref}"]),
            (f"refs/tags/{ref}", ["--detach", f"refs/tags/{ref}"]),
        ]
    for name, how in candidates:
        known = await git_inside(
            context, "-C", path, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", may_fail=True
        )
        if known is not None:
            await git_inside(context, "-C", path, "checkout", "--quiet", *how)
            return
    raise TerminalError(f"the repository has no branch, tag or commit `{ref}`")


async def _removed(context: ToolContext, path: str) -> None:
    """Remove what an earlier attempt left at a path, in the sandbox."""
    result = await run_program(context, ("rm", "-rf", "--", path))
    if not isinstance(result, ToolResult):
        discard_files(result)


def secret_for(found: Remote, context: ToolContext) -> dict[str, str]:
    """The secret for an address, by the operator's word; raises `MissingSecret`."""
    outside = context.outside
    credential = credential_for(outside.reach, found.host) if found.scheme == "https" else None
    if credential is None:
        return {}
    where = outside.secret_refs.get(credential.secret)
    if where is None:
        where = SecretRef.parse(credential.secret, "")
    return {"secret": outside.secrets.resolve(where).get_secret_value()}
