"""`db`, and every command's answer to a schema that is not this version's."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from core.store import schema
from tests.integration.cli.conftest import CommandLine

FUTURE = "9999_from_the_future"


def _revision(path: Path, new: str | None = None) -> str:
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        if new is not None:
            database.execute("UPDATE alembic_version SET version_num = ?", (new,))
        return str(database.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def test_a_new_database_is_made_and_then_current(bare: CommandLine) -> None:
    bare.home.mkdir()
    head = schema.head()

    assert f"no schema yet (this version needs {head})\n" == bare("db", "current", code=1).out
    assert f"Upgraded from nothing to {head}.\n" == bare("db", "upgrade", code=0).out
    assert f"{head} (this version needs {head})\n" == bare("db", "current", code=0).out
    assert f"The database is at revision {head}.\n" == bare("db", "upgrade", code=0).out
    assert [] == bare("runs", "--json", code=0).json


def test_the_first_command_of_all_makes_the_home(bare: CommandLine) -> None:
    bare("db", "upgrade", code=0)

    assert bare.database.is_file()


@pytest.mark.parametrize("command", ["up", "db upgrade", "runs", "run runaway", "show abc", "events abc", "kill --all"])
def test_a_schema_from_the_future_is_left_alone(banksman: CommandLine, command: str) -> None:
    banksman.ask()
    _revision(banksman.database, FUTURE)

    answer = banksman(*command.split(), code=2)

    assert "" == answer.out
    assert f"The database is at revision {FUTURE}, which this version of Banksman does not know" in answer.err
    assert "Start that newer version, or point BANKSMAN_DATABASE_URL at another database." in answer.err
    assert FUTURE == _revision(banksman.database)
    _revision(banksman.database, schema.head())
    assert ["context-loaded"] == [run["state"] for run in banksman("runs", "--json", code=0).json]


def test_the_doctor_says_it_too(banksman: CommandLine) -> None:
    _revision(banksman.database, FUTURE)

    answer = banksman("doctor", "--json", code=1)

    [finding] = [finding for finding in answer.json["findings"] if finding["check"] == "database"]
    assert "bad" == finding["verdict"]
    assert FUTURE in finding["detail"]


def test_a_database_that_cannot_be_reached_is_said(banksman: CommandLine) -> None:
    url = "postgresql+asyncpg://me:hidden@127.0.0.1:1/nothing"

    for command in ("runs", "db current", "db upgrade", "up"):
        answer = banksman(*command.split(), BANKSMAN_DATABASE_URL=url)
        assert (2, "") == (answer.code, answer.out), (command, answer)
        assert "BANKSMAN_DATABASE_URL" in answer.err
        assert "hidden" not in answer.err
