"""A repository to read from and push to, a run's copy of it, and the contexts in which the tools work on them."""

import asyncio
import itertools
import os
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.tools.base import Prepared, ToolContext
from core.tools.git.push import GitPush, GitPushArguments
from core.tools.git.read import GitRead, GitReadArguments
from core.tools.git.undoing import GitPushUndo, GitPushUndoArguments

_WHO = ("-c", "user.name=Dev", "-c", "user.email=dev@example.org", "-c", "init.defaultBranch=main")
_TIMES = {"GIT_AUTHOR_DATE": "2026-01-02T03:04:05+0200", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05+0200"}


def git(cwd: Path, *arguments: str, given: bytes = b"", may_fail: bool = False) -> str:
    """Run git as a developer would, without the settings of whoever runs the tests."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **_TIMES}
    done = subprocess.run(["git", *_WHO, *arguments], cwd=cwd, env=environment, input=given, capture_output=True)
    assert may_fail or done.returncode == 0, done.stderr.decode()
    return done.stdout.decode(errors="surrogateescape").strip()


def commit(repository: Path, message: str = "Change something", **files: str | bytes) -> str:
    """Commit files (`a_py="…"` is `a.py`) on what is checked out; returns the commit."""
    for name, content in files.items():
        path = repository / name.replace("_", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "--allow-empty", "-m", message)
    return git(repository, "rev-parse", "HEAD")


def make_shop(directory: Path) -> None:
    """`shop.git`, with the branches `main` and `other` and the tag `v1`, and `dev`, somebody's clone of it."""
    shop, dev = directory / "shop.git", directory / "dev"
    git(directory, "init", "-q", "--bare", str(shop))
    git(directory, "clone", "-q", str(shop), str(dev))
    commit(dev, "Sell things", a_py="x = 1  \n")
    git(dev, "tag", "v1")
    commit(dev, "Sell more", b_py="y = 2\n")
    git(dev, "push", "-q", "origin", "HEAD:main", "HEAD:other", "v1")


@dataclass
class Place:
    """Everything one test works with."""

    shop: Path
    """The bare repository; tools may use what is beside it."""
    dev: Path
    context: ToolContext
    _attempts: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def workspace(self) -> Path:
        return self.context.workspace

    @property
    def repo(self) -> Path:
        """The run's copy, which `cloned` makes."""
        return self.workspace / "repo"

    @property
    def outside(self) -> Path:
        """A file that nothing may ever write."""
        return self.shop.parent / "outside"

    def cloned(self, *options: str) -> Path:
        """Make the run's copy, with one commit on the branch `fix`."""
        git(self.workspace, "clone", "-q", *options, f"file://{self.shop}", "repo")
        git(self.repo, "checkout", "-q", "-b", "fix")
        commit(self.repo, "Mend white space", a_py="x = 1\n")
        return self.repo

    def attempt(self, **changes: Any) -> ToolContext:
        """The context of one attempt."""
        scratch = self.context.scratch_path.with_name(f"scratch-{next(self._attempts)}")
        return replace(self.context, scratch_path=scratch, kill=asyncio.Event(), **changes)

    async def read(self, **args: Any) -> Any:
        arguments = GitReadArguments(**{"url": str(self.shop), "path": "repo", **args})
        return await GitRead().perform(arguments, self.attempt())

    async def prepare(self, **args: Any) -> Prepared:
        arguments = GitPushArguments(**{"url": str(self.shop), "path": "repo", "branch": "fix", **args})
        return await GitPush().prepare(arguments, self.attempt())

    async def push(self, prepared: Prepared, **changes: Any) -> Any:
        return await GitPush().perform(GitPushArguments(**prepared.args), self.attempt(**changes))

    async def probe(self, prepared: Prepared) -> Any:
        return await GitPush().probe(GitPushArguments(**prepared.args), self.attempt())

    async def undo(self, **args: Any) -> Any:
        """Take a push back as it was approved."""
        return await GitPushUndo().perform(GitPushUndoArguments(**args), self.attempt())

    def branches(self) -> dict[str, str]:
        """The shop's branches and their commits."""
        return branches(self.shop)


def branches(repository: Path) -> dict[str, str]:
    lines = git(repository, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads").splitlines()
    return dict(line.split() for line in lines)


def copied(template: Path, to: Path) -> None:
    for name in ("shop.git", "dev"):
        shutil.copytree(template / name, to / name, symlinks=True)
    git(to / "dev", "remote", "set-url", "origin", str(to / "shop.git"))


def patch_of(prepared: Prepared) -> str:
    """What people read."""
    (shown,) = prepared.inputs
    return shown.data.decode("utf-8", "surrogateescape")
