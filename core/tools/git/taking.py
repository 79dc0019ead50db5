"""Taking a commit out of a workspace: its objects into a bare repository of ours, each of them checked.

They come as a pack that git made in the sandbox, which nothing of ours has looked into yet. Called in the child.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.tools.git.answers import Answer, broken, refused
from core.tools.git.command import LENIENT, Git
from core.tools.git.fetching import commit_of, fetched_base

_WANTED = "refs/banksman/wanted"
_STRICT = f"--strict={','.join(f'{flaw}=ignore' for flaw in LENIENT)}"


def take(git: Git, args: Mapping[str, Any]) -> Answer | None:
    """Make a bare repository and put a commit there, with all that belongs to it; `None` if all is well.

    Args:
        args: `repository`, a directory that is made; `pack`, the file with the objects; `commit`; `base`, the other
            side's default branch, which has to be there too, or null.
    """
    bare, base = args["repository"], args["base"]
    made = git.own("init", "--bare", "--quiet", "--template=", "--", bare)
    if not made.ok:
        return broken(made, "git could not begin")
    index = ("-C", bare, "index-pack", "--stdin", _STRICT)
    taken = git.own(*index, given=Path(args["pack"]))
    # A shallow clone holds only the end of its history, and one that is behind not the newest of the other side's.
    if base is not None and (not taken.ok or commit_of(git, bare, base) is None):
        problem = fetched_base(git, bare, base)
        if problem["status"] != "succeeded":
            return problem
        if not taken.ok:
            taken = git.own(*index, given=Path(args["pack"]))
    if not taken.ok:
        return broken(taken, "what the workspace holds is not sound")
    if commit_of(git, bare, args["commit"]) != args["commit"]:
        return refused("what the workspace holds is not the commit it says")
    kept = git.own("-C", bare, "update-ref", _WANTED, args["commit"])
    return None if kept.ok else broken(kept, "git could not keep the commit")
