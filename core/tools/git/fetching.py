"""Effects that only read from an address: a mirror of it, and a look at its branches.

Each is called in the child that acts outside (`core.tools.effects`), blocks, gets plain data and answers plain data.
"""

import re
from collections.abc import Mapping
from typing import Any

from core.tools.git.answers import Answer, Done, failed, later, refused, succeeded
from core.tools.git.command import Git

BASE = "refs/banksman/base"
"""Where the other side's default branch is kept in a repository of ours."""

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def mirror(args: Mapping[str, Any], secrets: Mapping[str, str], _key: str, timeout_s: float) -> Answer:
    """Clone an address into a bare repository of ours, and find what is wanted in it.

    Args:
        args: `route`; `target`, a directory that is made; `ref`, a branch, tag or commit, or null for the default
            branch; `depth`, how many commits of each branch, or null for all.

    Returns:
        In `out`: `commit`, `branch` (empty for a tag or commit), `tag`, `default_branch`, `files` (how many).
    """
    git = Git(args["route"], secrets, timeout_s)
    depth = [] if args["depth"] is None else ["--depth", str(args["depth"]), "--no-single-branch"]
    command = ["clone", "--bare", "--no-local", "--no-hardlinks", "--quiet", "--template=", *depth]
    done = git.remote(*command, *git.served("upload-pack"), "--", git.url, args["target"])
    if not done.ok:
        return failed(done)
    found = _wanted(git, args["target"], args["ref"])
    if found is None and args["ref"] is None:
        return refused("the repository has no commits yet")
    if found is None:
        hint = "" if args["depth"] is None else " among what was fetched; leave `depth` out to fetch everything"
        return refused(f"the repository has no branch, tag or commit `{args['ref']}`{hint}")
    listed = git.own("-C", args["target"], "ls-tree", "-r", "-z", "--name-only", found["commit"])
    if not listed.ok:
        return failed(listed)
    return succeeded({**found, "files": listed.out.count(b"\0")})


def look(args: Mapping[str, Any], secrets: Mapping[str, str], _key: str, timeout_s: float) -> Answer:
    """Ask an address where its default branch and one other branch are.

    Args:
        args: `route` and `branch`.

    Returns:
        In `out`: `head` (name of the default branch), `base` and `taken` (commits), each null where there is none.
    """
    return looked(Git(args["route"], secrets, timeout_s), args["branch"])


def looked(git: Git, branch: str) -> Answer:
    """See `look`."""
    done = git.remote(
        "ls-remote", "--symref", *git.served("upload-pack"), "--", git.url, "HEAD", f"refs/heads/{branch}"
    )
    if not done.ok:
        return failed(done)
    found: dict[str, str | None] = {"head": None, "base": None, "taken": None}
    for line in done.text.splitlines():
        what, _, name = line.partition("\t")
        if what.startswith("ref: refs/heads/") and name == "HEAD":
            found["head"] = what.removeprefix("ref: refs/heads/")
        elif name in ("HEAD", f"refs/heads/{branch}") and _COMMIT.fullmatch(what):
            found["base" if name == "HEAD" else "taken"] = what
    return succeeded(found)


def fetched_base(git: Git, bare: str, base: str) -> Answer:
    """Fetch the default branch of an address into a repository of ours; it has to be at `base` still."""
    fetch = ("-C", bare, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head")
    done = git.remote(*fetch, *git.served("upload-pack"), "--", git.url, f"+HEAD:{BASE}")
    if not done.ok:
        return failed(done)
    if commit_of(git, bare, base) is None:
        return later("the repository's default branch moved while it was being read")
    return succeeded()


def commit_of(git: Git, bare: str, name: str) -> str | None:
    """The commit a name stands for in a repository of ours, if there is one."""
    done = git.own("-C", bare, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return done.text.strip() if done.ok else None


def _wanted(git: Git, bare: str, ref: str | None) -> dict[str, str] | None:
    head = git.own("-C", bare, "symbolic-ref", "--quiet", "HEAD")
    default = _branch(head)
    if ref is None:
        candidates = [("HEAD", default, "")]
    else:
        candidates = [(f"refs/heads/{ref}", ref, ""), (f"refs/tags/{ref}", "", ref)]
        if _COMMIT.fullmatch(ref):
            candidates.insert(0, (ref, "", ""))
    for name, branch, tag in candidates:
        if (commit := commit_of(git, bare, name)) is not None:
            return {"commit": commit, "branch": branch, "tag": tag, "default_branch": default}
    return None


def _branch(head: Done) -> str:
    return head.text.strip().removeprefix("refs/heads/") if head.ok else ""
