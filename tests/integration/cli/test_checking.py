"""`doctor --invariants`: every rule, a line each; what breaks one, and what could not be looked at."""

from pathlib import Path

from tests.integration.cli.conftest import CommandLine
from tests.integration.cli.waiting import configured, consumed, waiting

ALL_DOWN = {
    "BANKSMAN_REDIS_URL": "redis://127.0.0.1:1/0",
    "SLACK_API_URL": "http://127.0.0.1:1/api/",
    "SLACK_BOT_TOKEN": "xoxb-secret-enough",
    "SLACK_APP_TOKEN": "xapp-secret-enough",
}
KEYS = {"id", "sentence", "verdict", "offending", "more", "why", "remedy"}


def approved(banksman: CommandLine) -> str:
    """A run whose approved call has ended; its id."""
    it = waiting(configured(banksman))
    banksman("approve", it.approval_id, "--as", "approver", "--yes", code=0)
    consumed(banksman, it, outcome="succeeded")
    return it.run_id


def test_everything_holds_with_all_else_down(banksman: CommandLine) -> None:
    approved(banksman)

    answer = banksman("doctor", "--invariants", "--json", code=0, **ALL_DOWN).json

    assert answer["ok"] is True
    assert (0, 5) == (answer["violated"], answer["not_checked"])
    assert {f"I{n}" for n in (*range(1, 34), 37, 40, 41)} == {rule["id"] for rule in answer["invariants"]}
    assert all(KEYS == set(rule) for rule in answer["invariants"])
    assert {"I10", "I11", "I12", "I33", "I41"} == {
        rule["id"] for rule in answer["invariants"] if rule["verdict"] == "not-checked" and rule["why"]
    }


def test_what_was_tampered_with_is_named_with_what_to_do(banksman: CommandLine) -> None:
    approved(banksman)
    banksman.tamper("UPDATE votes SET voter = 'requester'")

    answer = banksman("doctor", "--invariants", code=1)

    lines = answer.out.splitlines()
    (at,) = [n for n, line in enumerate(lines) if line.startswith("no ")]
    assert "I15 what is approved has its votes" in lines[at]
    assert lines[at + 1].strip().startswith("apr_")
    assert "report it" in lines[at + 2]
    assert ", 1 do not, 5 were not checked." in lines[-1]


def test_a_database_that_is_not_there_is_not_made(bare: CommandLine) -> None:
    answer = bare("doctor", "--invariants", code=2)

    assert "There is no SQLite database" in answer.err
    assert not bare.home.exists()


def test_a_database_of_another_version_is_not_judged(banksman: CommandLine) -> None:
    banksman.tamper("UPDATE alembic_version SET version_num = 'm9999'")
    assert "a newer version wrote it" in banksman("doctor", "--invariants", code=2).err

    banksman.tamper("DELETE FROM alembic_version")
    assert "has no tables yet" in banksman("doctor", "--invariants", code=2).err


def test_a_damaged_database_cannot_be_looked_at(banksman: CommandLine) -> None:
    whole = banksman.database.read_bytes()
    banksman.database.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))

    assert "cannot be read" in banksman("doctor", "--invariants", code=2).err


def test_a_server_that_is_away_cannot_be_looked_at(banksman: CommandLine) -> None:
    away = {"BANKSMAN_DATABASE_URL": "postgresql+asyncpg://nobody@127.0.0.1:1/none"}

    assert "cannot be reached" in banksman("doctor", "--invariants", code=2, **away).err


def test_nothing_is_left_beside_the_database(banksman: CommandLine) -> None:
    before = {path: path.read_bytes() for path in Path(banksman.home).rglob("*") if path.is_file()}

    banksman("doctor", "--invariants", code=0)

    assert before == {path: path.read_bytes() for path in Path(banksman.home).rglob("*") if path.is_file()}
