"""A directory where the documents' commands really run: what a checkout has, with data of its own.

`make up` is started as the command its recipe runs: make itself would first look whether the environments are up to
date, and tests do not build environments. A test compares the recipe.
"""

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bot.cli import lifeline
from tests.shipped import shipped

ROOT = Path(__file__).resolve().parents[2]
UP = (".venv/bin/banksman", "up")
"""What `make up` runs."""

READY_WITHIN_S = 180.0
ENDS_WITHIN_S = 120.0
COMMAND_WITHIN_S = 120.0


def prepare(directory: Path) -> None:
    """Put into a directory what the documents' commands find in a checkout."""
    (directory / ".venv").symlink_to(ROOT / ".venv")
    shipped(directory)


@dataclass
class Program:
    """A program in the foreground of somebody's terminal."""

    process: subprocess.Popen[str]
    first_line: str
    """What it printed once it was ready."""

    @classmethod
    def start(cls, argv: tuple[str, ...], directory: Path, env: Mapping[str, str] | None = None) -> Self:
        """Start it and wait for its first line; it ends with this test process, whatever happens to that."""
        command = lifeline.command(argv, stop_signal=signal.SIGINT, grace_s=ENDS_WITHIN_S)
        with (directory / "errors.txt").open("w") as errors:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=directory,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        assert process.stdout is not None
        timer = threading.Timer(READY_WITHIN_S, process.kill)
        timer.start()
        line = process.stdout.readline().strip()
        timer.cancel()
        program = cls(process, line)
        if not line:
            program.interrupt()
        assert line, f"{argv} did not start: {(directory / 'errors.txt').read_text()}"
        return program

    def interrupt(self) -> int:
        """Press Ctrl-C and wait; its exit code."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()  # the lifeline then sends the signal
        code = self.process.wait(ENDS_WITHIN_S)
        self.process.stdout.close()
        return code


@dataclass
class Site:
    """A running installation."""

    directory: Path
    program: Program

    @classmethod
    def start(cls, directory: Path) -> Self:
        prepare(directory)
        return cls(directory, Program.start(UP, directory))

    @property
    def run_file(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory / ".banksman/run.json").read_text())
        return found

    def type(self, *commands: str, env: Mapping[str, str] | None = None) -> str:
        """Type commands into one shell, one after the other; what they print. Fails at the first that fails."""
        return shell(self.directory, *commands, env=env)

    def json(self, command: str) -> Any:
        """What a command answers as JSON."""
        return json.loads(self.type(command))

    def run(self, agent: str, *, wait: bool = True) -> str:
        """Ask for a run as the demonstration's requester; its id."""
        asked = f".venv/bin/banksman run {agent} --as requester --json {'--wait' if wait else ''}"
        return str(self.json(asked)["run"]["id"])


def shell(directory: Path, *commands: str, env: Mapping[str, str] | None = None) -> str:
    """Run commands in one shell and return their standard output; every one has to succeed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
        cwd=directory,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=COMMAND_WITHIN_S,
    )
    assert 0 == done.returncode, f"{commands} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def without_port(text: str) -> str:
    """An address as the documents show it, whichever port was free."""
    return re.sub(r"(?<=127\.0\.0\.1:)\d+", "8765", text)
