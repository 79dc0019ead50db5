"""The effects that change another repository: a push of one new branch, and its undoing.

What `ready_…` does comes first and changes nothing there: it rehearses the push with the other side, so that whatever
can be refused is refused before the last look. After that only the other side's word on the branch is a result; without
it nobody knows.
"""

import re
from collections.abc import Mapping
from typing import Any

from core.tools.git.answers import Answer, Done, broken, failed, refused, succeeded
from core.tools.git.command import Git
from core.tools.git.fetching import looked
from core.tools.git.taking import take

_HTTP_REFUSAL = re.compile(r"RPC failed; HTTP (4(?!08|09|25|29)[0-9]{2})\b")
"""An answer to the request that carried the push which says that it was not processed."""
_PUSH = ("push", "--porcelain", "--no-verify", "--no-signed", "--no-follow-tags", "--recurse-submodules=no")


def ready_to_push(args: Mapping[str, Any], secrets: Mapping[str, str], _key: str, timeout_s: float) -> Answer:
    """Take the commit into a bare repository of ours, and rehearse the push.

    Args:
        args: `route`; `branch`; `commit`; `base`, of the other side, or null; `pack`, the file with the commit's
            objects; `repository`, a directory that is made.
    """
    git = Git(args["route"], secrets, timeout_s)
    return take(git, args) or rehearsed(git, args)


def rehearsed(git: Git, args: Mapping[str, Any]) -> Answer:
    """Push as far as that changes nothing: the other side lets us in and the branch is free."""
    done = git.remote(*_push(git, args, "--dry-run"))
    return succeeded() if done.ok else _refused(done, args) or failed(done)


def push(args: Mapping[str, Any], secrets: Mapping[str, str], _key: str, timeout_s: float) -> Answer:
    """Push one commit to one branch, expecting that it is not there; after `ready_to_push`."""
    git = Git(args["route"], secrets, timeout_s)
    return _sent(git.remote(*_push(git, args)), args)


def ready_to_delete(args: Mapping[str, Any], secrets: Mapping[str, str], _key: str, timeout_s: float) -> Answer:
    """Look whether the branch still is where it was pushed to, and rehearse the deletion.

    Args:
        args: `route`; `branch`; `commit`, where it has to be still; `repository`, a directory that is made.
    """
    git = Git(args["route"], secrets, timeout_s)
    made = git.own("init", "--bare", "--quiet", "--template=", "--", args["repository"])
    if not made.ok:
        return broken(made, "git could not begin")
    there = looked(git, args["branch"])
    if there["status"] != "succeeded":
        return there
    if there["out"]["taken"] is None:
        return refused(f"the branch `{args['branch']}` is not there any more")
    if there["out"]["taken"] != args["commit"]:
        return refused(f"the branch `{args['branch']}` went on: somebody else has pushed to it")
    done = git.remote(*_deletion(git, args, "--dry-run"))
    return succeeded() if done.ok else _refused(done, args) or failed(done)


def delete(args: Mapping[str, Any], secrets: Mapping[str, str], _key: str, timeout_s: float) -> Answer:
    """Delete a branch, expecting that it still is at one commit; after `ready_to_delete`."""
    git = Git(args["route"], secrets, timeout_s)
    return _sent(git.remote(*_deletion(git, args)), args)


def _push(git: Git, args: Mapping[str, Any], *options: str) -> list[str]:
    ref = f"refs/heads/{args['branch']}"
    lease = f"--force-with-lease={ref}:"
    return _command(git, args, [*options, lease], f"{args['commit']}:{ref}")


def _deletion(git: Git, args: Mapping[str, Any], *options: str) -> list[str]:
    ref = f"refs/heads/{args['branch']}"
    lease = f"--force-with-lease={ref}:{args['commit']}"
    return _command(git, args, [*options, lease], f":{ref}")


def _command(git: Git, args: Mapping[str, Any], options: list[str], refspec: str) -> list[str]:
    return ["-C", args["repository"], *_PUSH, *options, *git.served("receive-pack"), "--", git.url, refspec]


def _sent(done: Done, args: Mapping[str, Any]) -> Answer:
    """What the other side said of the branch. `=` is ours too: a commit that nobody else has, where it was to go."""
    if done.ok and (_verdict(done, args) or "!")[0] in "*=-":
        return succeeded({"branch": args["branch"], "commit": args["commit"], "url": args["route"]["url"]})
    if (answer := _refused(done, args)) is not None:
        return answer
    if (refusal := _HTTP_REFUSAL.search(done.err)) is not None:
        return refused(f"the other side did not take the push (HTTP {refusal[1]})")
    why = "it took too long" if done.code is None else done.last
    return {"status": "unknown", "out": {}, "error": f"the other side's answer was lost: {why}"}


def _refused(done: Done, args: Mapping[str, Any]) -> Answer | None:
    """The other side's no, if it said one."""
    verdict = _verdict(done, args) or ""
    if not verdict.startswith("!") or "[remote failure]" in verdict:
        return None
    branch = f"the branch `{args['branch']}`"
    if "stale info" in verdict:
        return refused(f"{branch} is not as it was expected to be: somebody else has pushed to it")
    told = [line.removeprefix("remote:").strip() for line in done.err.splitlines() if line.startswith("remote:")]
    said = " ".join(line for line in told if line)
    return refused(f"the other side refused {branch}: {verdict.split(chr(9))[-1]}{f' ({said[:500]})' if said else ''}")


def _verdict(done: Done, args: Mapping[str, Any]) -> str | None:
    """The line on our branch: a sign, the refs, and a summary, with tabs between."""
    ending = f":refs/heads/{args['branch']}"
    lines = [line for line in done.text.splitlines() if line.count("\t") >= 2]
    return next((line for line in lines if line.split("\t")[1].endswith(ending)), None)
