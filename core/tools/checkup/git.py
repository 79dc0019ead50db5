"""Runs git on a repository that others could change: no hook, no filter, no helper, no network, no person's settings.

Only commands that work on stored objects are used; the index and the working tree stay as they are, so what the tests
left in them neither runs nor gets into a commit.
"""

import os
import subprocess
from pathlib import Path
from typing import IO

_SETTINGS = (
    "safe.directory=*",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.logAllRefUpdates=false",
    "core.useReplaceRefs=false",
    "core.splitIndex=false",
    "commit.gpgSign=false",
    "protocol.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
)
_COMPLAINT_CHARACTERS = 300


class Problem(Exception):
    """A sentence for people: what is wrong with the repository, and what to do about it."""


class Repository:
    """One repository, by the directory that holds its `.git`.

    Args:
        path: As people know it.
        temporary: A directory for an index of our own.

    Raises:
        Problem: It is none, or cannot be read.
    """

    def __init__(self, path: str, temporary: Path) -> None:
        self._name = shown(path)
        git_dir = Path(path) / ".git"
        if not git_dir.exists():
            raise Problem(
                f"{self._name} is not a git repository: it has no `.git`. Clone one there first, with `git_read`."
            )
        self._argv = ["git", f"--git-dir={git_dir.absolute()}"]
        for setting in _SETTINGS:
            self._argv += ["-c", setting]
        self._env = {
            # The label of the call is among these; it stays on every process.
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            "LC_ALL": "C",
            "HOME": str(temporary),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_GRAFT_FILE": os.devnull,
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_INDEX_FILE": str(temporary / "index"),
            "GIT_WORK_TREE": str(git_dir.parent.absolute()),
        }
        self.run("rev-parse", "--git-dir")

    def run(self, *args: str, given: bytes = b"") -> bytes:
        """Run one command to its end and return what it printed.

        Raises:
            Problem: git says that something is wrong, in its words.
        """
        done = self._finished(args, given)
        if done.returncode:
            raise Problem(f"git could not work with {self._name}: {_complaint(done.stderr)}")
        return done.stdout

    def ask(self, *args: str) -> bytes | None:
        """What a command prints without the end of its line, or `None` if it says no."""
        done = self._finished(args, b"")
        return None if done.returncode else done.stdout.rstrip(b"\n")

    def start(self, *args: str) -> "Conversation":
        """Start a command that answers line by line."""
        return Conversation(
            subprocess.Popen(
                [*self._argv, *args],
                env=self._env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            ),
            self._name,
        )

    def _finished(self, args: tuple[str, ...], given: bytes) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run([*self._argv, *args], env=self._env, input=given, capture_output=True, check=False)
        except FileNotFoundError:
            raise Problem("There is no git in the sandbox. Whoever runs this installation has to install it.") from None


class Conversation:
    """`cat-file --batch`: an object's content for its name, one after the other."""

    def __init__(self, process: "subprocess.Popen[bytes]", name: str) -> None:
        self._process = process
        self._name = name

    def content(self, object_id: str) -> bytes:
        """Return an object's bytes.

        Raises:
            Problem: It is missing.
        """
        to_git, from_git = self._pipes()
        to_git.write(f"{object_id}\n".encode())
        to_git.flush()
        words = from_git.readline().split()
        if len(words) != 3 or not words[2].isdigit():
            raise Problem(f"{self._name} is damaged: the object {object_id[:12]} is missing. Clone it again.")
        size = int(words[2])
        data = from_git.read(size)
        from_git.read(1)
        if len(data) != size:
            raise Problem(f"{self._name} is damaged: the object {object_id[:12]} cannot be read. Clone it again.")
        return data

    def close(self) -> None:
        """End the command."""
        to_git, from_git = self._pipes()
        to_git.close()
        from_git.close()
        self._process.wait()

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout


def shown(path: str | bytes) -> str:
    """Write a path for people: in backticks, printable, at most 160 characters."""
    text = path.decode(errors="replace") if isinstance(path, bytes) else path
    clean = "".join(character if character.isprintable() and character != "`" else "\ufffd" for character in text)
    return f"`{clean if len(clean) <= 160 else clean[:159] + '…'}`"


def _complaint(stderr: bytes) -> str:
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    said = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[0] if lines else "")
    clean = "".join(character if character.isprintable() else "\ufffd" for character in said)
    return clean[:_COMPLAINT_CHARACTERS] or "it gave no reason."
