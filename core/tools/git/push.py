"""The `git_push` tool: one commit to one new branch, exactly as it was read.

Before anybody is asked the branch is resolved to a commit, the other side's default branch to its base, and everything
between the two to the text people read: each commit with its author, message and whole patch. Nothing of the
workspace's own repository is trusted: git makes a bundle of it in the sandbox, and from there on only a bare repository
of ours is used, whose objects were checked. Right before the start all of that is derived again. What is pushed is the
commit by its id, and only to a branch that is not there yet.
"""

import asyncio
import re
import subprocess
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, field_validator

from core.errors import RetryableError, TerminalError
from core.tools import beneath
from core.tools.base import Prepared, PreparedInput, ProbeAnswer, ToolContext, ToolResult
from core.tools.effects import run_effect
from core.tools.git.inside import git_inside, inside
from core.tools.git.read import secret_for
from core.tools.git.urls import Remote, check_branch, reachable, remote
from core.tools.reach import credential_for
from core.tools.registry import Arguments

MOST_PATCH_BYTES = 200_000
"""More than a person would read."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_BUNDLE = ".banksman-push.bundle"
_MOST_BUNDLE_BYTES = 500_000_000
_OWN_S = 120.0
_FORMAT = (
    "commit %H%nparents %P%nAuthor: %an <%ae>%nDate: %ad%nCommitter: %cn <%ce>%nCommitDate: %cd%n%n%w(0,4,4)%B%w(0,0,0)"
)
_LOG = (
    *("log", "--reverse", "--topo-order", "--no-color", "--no-decorate", "--date=iso-strict", "--patch", "--binary"),
    *(
        "--full-index",
        "--no-ext-diff",
        "--no-textconv",
        "--no-renames",
        "--diff-merges=first-parent",
        "--src-prefix=a/",
    ),
    *("--dst-prefix=b/", "--unified=3", "--no-indent-heuristic", "--diff-algorithm=myers", f"--format={_FORMAT}"),
)


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
        if commit and not _COMMIT.fullmatch(commit):
            raise ValueError("a commit is written in full: 40 hexadecimal digits")
        return commit


class GitPush:
    """Pushes branches."""

    name = "git_push"
    description = "Push one branch of a repository in the workspace to a new branch of another repository."
    settle_s = 10.0

    @property
    def arguments(self) -> type[BaseModel]:
        return GitPushArguments

    async def prepare(self, args: BaseModel, context: ToolContext) -> Prepared:
        """Resolve branch and base, and read everything that would be pushed. See `Preparing`."""
        assert isinstance(args, GitPushArguments)
        found, at = await _reached(args, context)
        bare = await _own_copy(args, context)
        commit = await _commit_of(args, context, bare)
        answer = await _looked(found, at, context, into=bare)
        refs = answer["refs"]
        taken = refs.get(f"refs/heads/{args.branch}")
        if taken == commit:
            raise TerminalError(f"the branch `{args.branch}` is there already, at this very commit")
        if taken is not None:
            raise TerminalError(f"the branch `{args.branch}` is there already; use another name")
        base = answer["base"]
        patch, count = await asyncio.to_thread(_patch, bare, base, commit)
        plural = "s" if count != 1 else ""
        return Prepared(
            args={"url": found.url, "path": args.path, "branch": args.branch, "commit": commit, "base": base},
            sentence=f"Push {count} commit{plural} to the new branch {args.branch} of {found.url}",
            inputs=(PreparedInput("changes.patch", patch, "text/x-diff"),),
            network=(found.place,),
            creds=_creds(found, context),
        )

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        assert isinstance(args, GitPushArguments)
        if args.commit is None:
            return ToolResult("failed", error="It was not found out which commit to push.")
        found, at = await _reached(args, context)
        bare = await _own_copy(args, context)
        await _commit_of(args, context, bare)
        request = {**at, "repository": str(bare), "branch": args.branch, "commit": args.commit}
        return await run_effect(context, "git_push", request, secrets=secret_for(found, context))

    async def probe(self, args: BaseModel, context: ToolContext) -> ProbeAnswer:
        """Ask the other side where the branch is. See `Probing`."""
        assert isinstance(args, GitPushArguments)
        found, at = await _reached(args, context)
        answer = await _looked(found, at, context, into=None)
        there = answer["refs"].get(f"refs/heads/{args.branch}")
        if there == args.commit:
            return ProbeAnswer("happened", {"branch": args.branch, "commit": args.commit, "url": found.url})
        if there is None:
            return ProbeAnswer("not-happened")
        return ProbeAnswer("cannot-tell", detail=f"the branch `{args.branch}` is there, at another commit")


async def undo(args: GitPushArguments, context: ToolContext) -> ToolResult:
    """Delete the pushed branch, if it still is where it was pushed to."""
    found, at = await _reached(args, context)
    bare = context.scratch / "empty.git"
    await asyncio.to_thread(_own, "init", "--bare", "--quiet", "--template=", str(bare))
    request = {**at, "repository": str(bare), "branch": args.branch, "commit": args.commit}
    return await run_effect(context, "git_delete", request, secrets=secret_for(found, context))


async def _reached(args: GitPushArguments, context: ToolContext) -> tuple[Remote, dict[str, Any]]:
    found = remote(args.url)
    return found, await asyncio.to_thread(reachable, found, context.outside.reach, context.outside.private)


async def _looked(found: Remote, at: dict[str, Any], context: ToolContext, *, into: Path | None) -> dict[str, Any]:
    request = {**at, "into": None if into is None else str(into)}
    answer = await run_effect(context, "git_look", request, secrets=secret_for(found, context))
    match answer.status:
        case "succeeded":
            return dict(answer.out)
        case "failed":
            raise TerminalError(answer.error or "the repository cannot be looked at")
        case _:
            raise RetryableError(answer.error or "the repository does not answer")


async def _own_copy(args: GitPushArguments, context: ToolContext) -> Path:
    """A bare repository of ours with what the branch holds, checked; the workspace's is only read in the sandbox."""
    branch = f"refs/heads/{args.branch}"
    known = await git_inside(
        context, "-C", args.path, "rev-parse", "--verify", "--quiet", f"{branch}^{{commit}}", may_fail=True
    )
    if known is None:
        raise TerminalError(f"there is no branch `{args.branch}` in `{args.path}` of the workspace")
    target = f"{args.path}/{_BUNDLE}"
    await git_inside(context, "-C", args.path, "bundle", "create", "--quiet", _BUNDLE, branch)
    bundle, bare = context.scratch / "push.bundle", context.scratch / "push.git"
    await asyncio.to_thread(_take, context.workspace, target, bundle)
    await asyncio.to_thread(_own, "init", "--bare", "--quiet", "--template=", str(bare))
    fetch = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", str(bundle), f"+{branch}:refs/banksman/wanted")
    await asyncio.to_thread(_own, "-C", str(bare), *fetch)
    return bare


def _take(workspace: Path, name: str, to: Path) -> None:
    """Copy the bundle out of the workspace, following no link, and remove it there."""
    beneath.copy_out(workspace, name, to, max_bytes=_MOST_BUNDLE_BYTES)
    beneath.delete_file(workspace, name)


async def _commit_of(args: GitPushArguments, context: ToolContext, bare: Path) -> str:
    """The commit in our copy; it has to be the approved one, where one was approved."""
    found = await asyncio.to_thread(_own, "-C", str(bare), "rev-parse", "refs/banksman/wanted^{commit}")
    commit = found.decode().strip()
    if args.commit is not None and commit != args.commit:
        raise TerminalError(f"the branch `{args.branch}` has moved since: it is at {commit[:12]}")
    return commit


def _patch(bare: Path, base: str | None, commit: str) -> tuple[bytes, int]:
    """Every commit that would be pushed, in full, and how many."""
    span = [commit] if base is None else [f"{base}..{commit}"]
    count = int(_own("-C", str(bare), "rev-list", "--count", *span).decode())
    if count == 0:
        raise TerminalError("there is nothing to push: the other side has all of it")
    patch = _own("-C", str(bare), *_LOG, *span)
    if len(patch) > MOST_PATCH_BYTES:
        raise TerminalError(
            f"what would be pushed is {len(patch):,} bytes to read, and at most {MOST_PATCH_BYTES:,} are asked about; "
            "push it in parts"
        )
    return patch, count


def _own(*arguments: str) -> bytes:
    """Run git on a bare repository of ours; blocks."""
    settings = ("core.hooksPath=/dev/null", "fetch.fsckObjects=true", "transfer.fsckObjects=true", "gc.auto=0")
    attributes = ("core.attributesFile=/dev/null", "protocol.allow=never", "protocol.file.allow=always")
    options = [part for setting in (*settings, *attributes) for part in ("-c", setting)]
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_ATTR_NOSYSTEM": "1",
    }
    done = subprocess.run(
        ["git", *options, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_OWN_S,
        check=False,
    )
    if done.returncode != 0:
        said = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        last = said[-1][:300] if said else "git said nothing"
        raise TerminalError(f"what the workspace holds is no branch that can be pushed: {last}")
    return done.stdout


def _creds(found: Remote, context: ToolContext) -> tuple[dict[str, str], ...]:
    secret_for(found, context)  # what is missing is said before anybody is asked
    credential = credential_for(context.outside.reach, found.host) if found.scheme == "https" else None
    return () if credential is None else ({"ref": credential.secret, "host": found.host},)
