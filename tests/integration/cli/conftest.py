"""The command line, in this process or as one of its own, on a home whose database is migrated; no part runs."""

import contextlib
import json
import logging
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bot.cli.main import app
from tests import nursery
from tests.databases import sqlite_template
from tests.patience import PATIENCE_S

__all__ = ["sqlite_template"]

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


class CommandLine:
    """Runs commands on one home: `banksman("runs", "--json", code=0)`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.database = home / "banksman.db"
        self.settings: dict[str, str] = {}
        """Variables every command gets besides the home."""
        self._runner = CliRunner()

    def __call__(self, *arguments: str, code: int | None = None, **settings: str) -> Answer:
        """Run a command.

        Args:
            code: The exit code it must have; `None` = any.
            settings: Variables of the environment besides those.
        """
        # Wide, so that tables are not folded at the width of a terminal that is not there.
        env = {"BANKSMAN_HOME": str(self.home), "COLUMNS": "200", **self.settings, **settings}
        done = self._runner.invoke(app, arguments, env=env, prog_name="banksman")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        answer = Answer(done.exit_code, done.stdout, done.stderr)
        assert code is None or code == answer.code, answer
        return answer

    def begin(self, *arguments: str, stdin: int = subprocess.DEVNULL, **settings: str) -> "subprocess.Popen[str]":
        """Start a command as a process of its own, as a shell does."""
        env = {"PATH": os.environ["PATH"], "BANKSMAN_HOME": str(self.home), "LANG": "C.UTF-8"}
        return subprocess.Popen(
            nursery.command(*arguments),
            env={**env, **self.settings, **settings},
            cwd=ROOT,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, process: "subprocess.Popen[str]", *, code: int | None = None) -> Answer:
        """Wait for a command that was begun."""
        out, err = process.communicate(timeout=PATIENCE_S)
        answer = Answer(process.returncode, out, err)
        assert code is None or code == answer.code, answer
        return answer

    def real(self, *arguments: str, code: int | None = None, **settings: str) -> Answer:
        """Run a command as a process of its own, without a terminal."""
        return self.end(self.begin(*arguments, **settings), code=code)

    def tamper(self, statement: str) -> None:
        """Change rows behind the product's back, as somebody with the file can."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection, connection:
            assert connection.execute(statement).rowcount > 0, "nothing was changed"

    def ask(self, *more: str) -> str:
        """Ask for a run of the playbook that needs nothing; its id."""
        return self("run", "runaway", *more, code=0).out.strip()


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    """A home nothing was ever started in."""
    monkeypatch.chdir(ROOT)
    handlers = list(logging.getLogger().handlers)
    yield CommandLine(tmp_path / "home")
    logging.getLogger().handlers[:] = handlers


@pytest.fixture
def banksman(bare: CommandLine, sqlite_template: Path) -> CommandLine:
    """A home with a migrated database."""
    bare.home.mkdir()
    shutil.copy(sqlite_template, bare.database)
    return bare
