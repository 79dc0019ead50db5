"""What holds for every command: help, exit codes, stdout for the answer, one sentence per mistake."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.cli.conftest import ROOT, CommandLine
from tests.patience import PATIENCE_S

COMMANDS = (
    "up", "bot", "worker", "playground", "doctor", "run", "runs", "show", "events", "kill", "freeze", "thaw",
    "freezes", "pending",
    "approve", "deny", "approval", "approval show", "ask-again", "continue", "answer", "resolve", "policy",
    "policy check", "policy explain", "db", "db upgrade", "db current",
)  # fmt: skip
READS_CONFIG = (
    "up", "run runaway", "runs", "show abc", "events abc", "kill --all", "freeze everything",
    "thaw everything", "freezes", "pending", "approve abc", "deny abc",
    "approval show abc", "ask-again abc", "continue abc", "answer abc a=b", "resolve abc abc --ran",
    "policy explain abc", "policy explain --tool shell --agent a",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(bare: CommandLine, command: str) -> None:
    answer = bare(*command.split(), "--help", code=0)

    assert f"Usage: banksman {command}" in answer.out
    assert not bare.home.exists()


def test_no_command_shows_them_all(bare: CommandLine) -> None:
    answer = bare()

    assert 2 == answer.code
    shown = answer.out + answer.err
    assert all(command.split()[0] in shown for command in COMMANDS)


@pytest.mark.parametrize("arguments", [("nosuch",), ("runs", "--nosuch"), ("show",), ("runs", "--limit", "0")])
def test_a_wrong_command_line_is_usage(bare: CommandLine, arguments: tuple[str, ...]) -> None:
    answer = bare(*arguments, code=2)

    assert "" == answer.out
    assert "banksman" in answer.err


@pytest.mark.parametrize("command", ["doctor", "runs", "db current", "up"])
def test_variables_nobody_knows_are_refused_by_name(bare: CommandLine, command: str) -> None:
    answer = bare(*command.split(), code=2, BANKSMAN_HOEM="/tmp/x", BANKSMAN_PORT="http")

    assert "" == answer.out
    assert "The environment has 2 problems." in answer.err
    assert "BANKSMAN_HOEM is not a setting. Did you mean `BANKSMAN_HOME`?" in answer.err
    assert 'BANKSMAN_PORT is "http", which is no port. Write a number from 1 to 65535.' in answer.err
    assert not bare.home.exists()


BROKEN = {
    "a duplicate key": ("tools:\n  shell: {tier: read}\n  shell: {tier: workspace}\n", 3, "twice"),
    "an alias": ("tools:\n  shell: &word {tier: read}\n  files.read: *word\n", 2, "anchor"),
    "an unknown field": ("limits:\n  stepz: 5\n", 2, "Did you mean `steps`?"),
    "broken YAML": ("tools: [\n", 2, ""),
}
PLAYBOOK = "playbooks:\n  - name: a\n    stepz: []\n"


@pytest.fixture(params=BROKEN)
def broken(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, int, str]:
    """A file, the line of its mistake, and what is said about it."""
    text, line, said = BROKEN[request.param]
    (tmp_path / "broken.yml").write_text(text)
    return tmp_path / "broken.yml", line, said


@pytest.mark.parametrize("command", READS_CONFIG)
def test_a_config_that_cannot_be_used_is_said_with_its_line(
    banksman: CommandLine, broken: tuple[Path, int, str], command: str
) -> None:
    path, line, said = broken

    answer = banksman(*command.split(), "--config", str(path), code=2)

    assert "" == answer.out
    assert f"{path}:{line}:" in answer.err
    assert said in answer.err


@pytest.mark.parametrize("command", ["up", "run a"])
def test_a_playbook_that_cannot_be_used_is_said_with_its_line(
    banksman: CommandLine, tmp_path: Path, command: str
) -> None:
    (tmp_path / "broken.yml").write_text(PLAYBOOK)

    answer = banksman(*command.split(), "--config", str(tmp_path / "broken.yml"), code=2)

    assert "" == answer.out
    assert f"{tmp_path / 'broken.yml'}:3:" in answer.err
    assert "`steps`" in answer.err


def test_a_config_that_is_not_there_is_named(banksman: CommandLine) -> None:
    for answer in (
        banksman("runs", "--config", "/nowhere/banksman.yml", code=2),
        banksman("up", code=2, BANKSMAN_CONFIG="/nowhere/banksman.yml"),
    ):
        assert "/nowhere/banksman.yml" in answer.err


def test_without_a_migrated_database_the_remedy_is_said(bare: CommandLine) -> None:
    bare.home.mkdir()

    assert "Run `banksman db upgrade`" in bare("runs", code=2).err


def test_json_is_one_document_on_stdout_and_logs_are_on_stderr(banksman: CommandLine) -> None:
    """As a script gets it: a real process, whose Redis does not answer."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("banksman")), "run", "runaway", "--json"],
        env={"PATH": "/usr/bin:/bin", "BANKSMAN_HOME": str(banksman.home), "BANKSMAN_REDIS_URL": "unix:///nowhere"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )

    assert 0 == done.returncode, done
    assert "context-loaded" == json.loads(done.stdout)["run"]["state"]
    assert "WARNING" in done.stderr
