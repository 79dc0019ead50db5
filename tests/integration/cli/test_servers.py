"""`banksman mcp list`, `diff` and `accept`, with servers that are really started, in a sandbox or outside of it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from core.config.accepted import accepted_path, read_accepted
from tests.docs.fences import Fence, fences
from tests.integration.cli.conftest import ROOT, CommandLine
from tests.integration.cli.test_shapes import agree
from tests.integration.tools.mcp.conftest import SERVER
from tests.patience import PATIENCE_S

CONFIG = """\
mcp:
  servers:
    notes: {command: [python, "PROGRAM"], network: host}
tools:
  mcp.notes.do: {tier: read, recovery: pure}
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return Path(shutil.copy(SERVER, tmp_path / "server.py"))


@pytest.fixture
def config(banksman: CommandLine, tmp_path: Path, program: Path) -> Path:
    path = tmp_path / "banksman.yml"
    path.write_text(CONFIG.replace("PROGRAM", str(program)))
    banksman.settings["BANKSMAN_CONFIG"] = str(path)
    return path


def fence(key: str) -> Fence:
    return next(each for each in fences(ROOT) if each.key == key)


@pytest.mark.runs_fence("docs/guides/mcp.md > Accept what it offers > 1")
def test_the_commands_of_the_guide_answer_as_it_says(banksman: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "banksman.yml"
    path.write_text(fence("docs/guides/mcp.md > Let it > 1").text)
    shown = fence("docs/guides/mcp.md > Accept what it offers > 1")

    said = [banksman(*each.split()[1:], code=0, BANKSMAN_CONFIG=str(path)).out for each in shown.commands()]

    assert shown.answers() == "".join(said).splitlines()


def test_a_tool_is_new_then_accepted_then_changed_then_accepted_again(
    banksman: CommandLine, config: Path, program: Path
) -> None:
    def standing(*, code: int = 0) -> list[tuple[str, str]]:
        listed = banksman("mcp", "list", "--json", code=code).json
        assert listed["ok"] == (code == 0)
        return [(each["name"], each["standing"]) for each in listed["tools"]]

    assert [("mcp.notes.do", "new")] == standing()
    assert ["mcp.notes.do"] == [
        each["name"] for each in banksman("mcp", "accept", "notes", "--yes", "--json", code=0).json["accepted"]
    ]
    assert [("mcp.notes.do", "accepted")] == standing()
    assert "Everything is as it was accepted." in banksman("mcp", "diff", code=0).out

    program.write_text(program.read_text().replace("Say it again", "Say it to me \u202e now"))

    assert [("mcp.notes.do", "changed")] == standing(code=1)
    difference = banksman("mcp", "diff", "notes", code=1).out
    assert "mcp.notes.do (changed: description)" in difference
    assert '-  "description": "Say it again"' in difference
    # What could turn the line round is spelled out.
    assert '+  "description": "Say it to me \\u202e now"' in difference
    banksman("mcp", "accept", "notes/do", "--yes", code=0)
    assert "Say it to me \u202e now" == read_accepted(config)["notes"]["do"]["description"]


def test_accepting_shows_first_and_takes_no_for_an_answer(banksman: CommandLine, config: Path) -> None:
    command = banksman.begin("mcp", "accept", "notes", stdin=subprocess.PIPE)
    _, shown = command.communicate("n\n", timeout=PATIENCE_S)

    assert 3 == command.returncode
    assert '"description": "Say it again"' in shown
    assert not accepted_path(config).exists()


def test_a_tool_that_runs_only_as_a_task_is_left_out(banksman: CommandLine, config: Path) -> None:
    config.write_text(config.read_text().replace('server.py"', 'server.py", task'))
    why = "mcp.notes.do  runs only as a task, and Banksman makes direct calls"

    assert f"no  {why}\n" == banksman("mcp", "list", code=0).out
    assert "Everything is as it was accepted." in banksman("mcp", "diff", code=0).out
    assert f"left out  {why}\n" == banksman("mcp", "accept", "notes", "--yes", code=0).out
    assert "runs only as a task" in banksman("mcp", "accept", "notes/do", "--yes", code=1).err
    assert not accepted_path(config).exists()


def test_accepting_says_what_a_tool_that_reaches_out_would_need(
    banksman: CommandLine, tmp_path: Path, program: Path
) -> None:
    config = tmp_path / "banksman.yml"
    # The sandbox has nothing of this machine but what is its own, so the program is an argument.
    words = json.dumps(["python", "-c", program.read_text(), "reaches-out"])
    config.write_text(f"mcp: {{servers: {{notes: {{command: {words}}}}}}}")

    said = banksman("mcp", "accept", "notes", "--yes", code=0, BANKSMAN_CONFIG=str(config)).out

    assert "It says that it reaches out, and notes runs without a network: `network: host` gives it one." in said


def test_what_is_not_offered_any_more_can_be_taken_out(banksman: CommandLine, config: Path, program: Path) -> None:
    banksman("mcp", "accept", "notes", "--yes", code=0)
    program.write_text(program.read_text().replace('"name": "do"', '"name": "other"'))

    assert ["gone", "new"] == [each["standing"] for each in banksman("mcp", "list", "--json", code=1).json["tools"]]
    banksman("mcp", "accept", "notes", "--yes", code=0)

    assert ["other"] == list(read_accepted(config)["notes"])


def test_a_server_that_does_not_answer_is_named(banksman: CommandLine, config: Path, program: Path) -> None:
    banksman("mcp", "accept", "notes", "--yes", code=0)
    program.write_text("raise SystemExit('the licence has run out')")

    listed = banksman("mcp", "list", "--json", code=1).json

    assert "the licence has run out" in listed["errors"]["notes"]
    assert ["unknown"] == [each["standing"] for each in listed["tools"]]
    assert "cannot be asked" in banksman("mcp", "accept", "notes", "--yes", code=1).err


def test_names_nobody_knows_are_refused_with_those_that_come_close(banksman: CommandLine, config: Path) -> None:
    assert "Did you mean `notes`?" in banksman("mcp", "list", "nots", code=2).err
    assert "Did you mean `do`?" in banksman("mcp", "accept", "notes/doo", "--yes", code=1).err


def test_without_servers_there_is_nothing_to_list(banksman: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "empty.yml"
    path.write_text("{}")

    assert "No MCP servers" in banksman("mcp", "list", code=0, BANKSMAN_CONFIG=str(path)).out
    assert [] == json.loads(banksman("mcp", "list", "--json", code=0, BANKSMAN_CONFIG=str(path)).out)["tools"]


def test_the_shapes_of_the_answers_are_those_of_the_page(banksman: CommandLine, config: Path, program: Path) -> None:
    config.write_text(config.read_text().replace("tools:", "    dead: {command: [none], network: host}\ntools:"))
    listed = banksman("mcp", "list", "--json", code=1).json
    differing = banksman("mcp", "diff", "--json", code=1).json
    accepted = banksman("mcp", "accept", "notes", "--yes", "--json", code=0).json
    program.write_text(program.read_text().replace("Say it again", "Say it to me"))

    agree("mcp list", listed, whole=("errors",))
    agree("mcp diff", differing, whole=("errors", "differences[].now", "differences[].accepted"))
    agree("mcp accept", accepted)


def test_checking_a_configuration_names_what_has_not_been_accepted(banksman: CommandLine, config: Path) -> None:
    before = banksman("policy", "check", str(config), "--json", code=0).json["warnings"]
    banksman("mcp", "accept", "notes", "--yes", code=0)
    after = banksman("policy", "check", str(config), "--json", code=0).json["warnings"]

    said = " ".join(before)
    assert "No tool of the MCP server `notes` has been accepted." in said
    assert "`mcp.notes.do` has not been accepted. `banksman mcp accept notes`" in said
    assert "accepted" not in " ".join(after)
