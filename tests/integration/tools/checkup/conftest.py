"""Real repositories for the tools that check one up."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Somebody",
    "GIT_AUTHOR_EMAIL": "somebody@example.com",
    "GIT_AUTHOR_DATE": "1700000000 +0100",
    "GIT_COMMITTER_NAME": "Somebody",
    "GIT_COMMITTER_EMAIL": "somebody@example.com",
    "GIT_COMMITTER_DATE": "1700000000 +0100",
}


class Repo:
    """A repository in the workspace, seen from outside."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *args: str, given: bytes = b"") -> bytes:
        done = subprocess.run(["git", *args], cwd=self.path, env=_ENVIRONMENT, input=given, capture_output=True)
        assert 0 == done.returncode, done.stderr.decode()
        return done.stdout

    def commit(self, files: Mapping[str | bytes, str | bytes]) -> str:
        """Commit these files with what else is there; returns the commit."""
        for name, content in files.items():
            path = self.path / os.fsdecode(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--no-verify", "--allow-empty", "--message", "Work")
        return self.head()

    def head(self) -> str:
        return self.git("rev-parse", "HEAD").decode().strip()

    def show(self, commit: str, path: str = "CHECKUP.md") -> bytes:
        return self.git("show", f"{commit}:{path}")

    def changes(self, old: str, new: str) -> list[str]:
        """What differs between two commits, as status and path."""
        listing = self.git("diff", "--no-renames", "--name-status", "-z", old, new).split(b"\0")
        return [f"{a.decode()} {b.decode(errors='replace')}" for a, b in zip(listing[::2], listing[1::2], strict=False)]


@pytest.fixture
def repo(workspace: Path) -> Repo:
    return Repo(workspace / "repo")
