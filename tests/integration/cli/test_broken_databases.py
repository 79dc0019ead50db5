"""A database file that is damaged, no database, or cannot be written: whatever starts on it says so, in one sentence
that tells what to do, and ends.
"""

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.cli.conftest import CommandLine
from tests.patience import PATIENCE_S
from tests.skips import needs_disks

BANKSMAN = str(Path(sys.executable).with_name("banksman"))
DAMAGED = "The database file is damaged. Stop everything, keep a copy of it, and restore a backup."
NO_DATABASE = "The database file is no SQLite database, or is damaged."
CANNOT_WRITE = "The database file cannot be written. Let this user write it, and its directory."


def damage(banksman: CommandLine) -> None:
    whole = banksman.database.read_bytes()
    banksman.database.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))


def replace(banksman: CommandLine) -> None:
    banksman.database.write_text("not a database at all, but long enough to be looked at as one")


@pytest.mark.parametrize(("breaks", "said"), [(damage, DAMAGED), (replace, NO_DATABASE)], ids=["damaged", "replaced"])
def test_every_command_says_what_is_wrong_with_the_file(banksman: CommandLine, breaks: object, said: str) -> None:
    assert callable(breaks)
    breaks(banksman)

    for command in (("runs",), ("run", "runaway"), ("db", "current"), ("db", "upgrade")):
        answer = banksman(*command, code=2)
        assert answer.err.startswith(said), answer
        assert "Traceback" not in answer.err
    answer = banksman("doctor", code=1)
    assert said in answer.out, answer


@pytest.mark.parametrize("part", ["worker", "up"])
def test_what_starts_on_a_damaged_file_ends_with_the_sentence(banksman: CommandLine, part: str) -> None:
    damage(banksman)

    answer = banksman.real(part)

    assert (2, DAMAGED) == (answer.code, answer.err.strip().splitlines()[-1])


@needs_disks
def test_a_file_that_cannot_be_written_is_read_and_nothing_else(banksman: CommandLine) -> None:
    run_id = banksman.ask()

    assert run_id in read_only(banksman, "runs").stdout
    for command in (("run", "runaway"), ("worker",)):
        done = read_only(banksman, *command)
        assert (True, CANNOT_WRITE) == (done.returncode in (1, 2), done.stderr.strip().splitlines()[-1]), done
    assert "banksman.db cannot be written" in read_only(banksman, "doctor").stdout


def read_only(banksman: CommandLine, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command that sees the file on a disk that is mounted read-only, as root is stopped by no permissions."""
    mounts = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
    wrapped = ["unshare", "--mount", "sh", "-c", mounts, "sh", str(banksman.database), BANKSMAN, *command]
    env = {"PATH": os.environ["PATH"], "BANKSMAN_HOME": str(banksman.home), "COLUMNS": "200", **banksman.settings}
    return subprocess.run(
        wrapped, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S
    )


def test_a_database_somebody_has_locked_is_said_to_be_busy(banksman: CommandLine) -> None:
    with contextlib.closing(sqlite3.connect(banksman.database, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")

        answer = banksman("run", "runaway", code=1)

    assert "The database is busy" in answer.err
    assert [] == banksman("runs", "--json", code=0).json
