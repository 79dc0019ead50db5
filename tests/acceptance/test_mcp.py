"""Tools over MCP in a whole installation: real servers answer runs, and one that changed is not called any more.

Whole processes, real servers, the real sandbox. The guide's own configuration and commands are what runs first.
"""

import shutil
from pathlib import Path

import pytest

from tests.acceptance.conftest import Builder
from tests.acceptance.house import ROOT, banksman, homes
from tests.docs.fences import Fence, fences

SERVER = ROOT / "tests" / "integration" / "tools" / "mcp" / "server.py"

PEOPLE = """\
principals:
  requester: {cli: any}
  approver: {roles: [approver], cli: any}
policy:
  approvers: {roles: [approver]}
"""
NOTES = """\
mcp: {servers: {notes: {command: [python, "PROGRAM"], network: host, env: {CALLED: "CALLED_FILE"}}}}
tools: {mcp.notes.do: {tier: irreversible, recovery: opaque, timeout: 60s}}
playbooks:
  - name: note
    title: Write a note
    inputs: {text: {type: string}}
    steps:
      - {id: write, title: Write it, tool: mcp.notes.do, with: {text: "${{ inputs.text }}"}}
    summary: "Wrote ${{ steps.write.out.text }}"
"""


def fence(key: str) -> Fence:
    return next(each for each in fences(ROOT) if each.key == key)


@pytest.mark.runs_fence("docs/guides/mcp.md > Let it > 1")
def test_a_server_from_the_registry_answers_a_run_as_the_guide_says(new_house: Builder) -> None:
    home = homes("house")
    config = home / "banksman.yml"
    config.write_text(PEOPLE + fence("docs/guides/mcp.md > Let it > 1").text)
    banksman(home, "mcp", "accept", "time/get_current_time", "--yes", BANKSMAN_CONFIG=str(config))
    house = new_house(home=home, BANKSMAN_CONFIG=str(config))

    run = house.cli("run", "clock", "--input", "place=Europe/Oslo", "--as", "requester").out.strip()

    shown = house.reaches(run, "completed")
    assert shown["run"]["outcome"].startswith("It is 2")
    [action] = shown["actions"]
    assert ("mcp.time.get_current_time", "read", "pure") == (action["tool"], action["tier"], action["recovery"])


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_tool_that_acts_outside_asks_and_a_changed_one_is_not_called(
    database: str, new_house: Builder, tmp_path: Path
) -> None:
    home = homes("house")
    config, program, called = home / "banksman.yml", tmp_path / "server.py", tmp_path / "called.txt"
    shutil.copy(SERVER, program)
    config.write_text(PEOPLE + NOTES.replace("PROGRAM", str(program)).replace("CALLED_FILE", str(called)))
    banksman(home, "mcp", "accept", "notes", "--yes", BANKSMAN_CONFIG=str(config))
    house = new_house(database, home=home, BANKSMAN_CONFIG=str(config))

    def asked(text: str) -> str:
        return house.cli("run", "note", "--input", f"text={text}", "--as", "requester").out.strip()

    first = asked("one")
    [approval] = house.reaches(first, "waiting-for-approval")["approvals"]
    assert not called.exists()
    house.cli("approve", approval["id"], "--as", "approver", "--yes")
    assert "Wrote one" == house.reaches(first, "completed")["run"]["outcome"]
    assert "one" == called.read_text()

    late = asked("two")
    [approval] = house.reaches(late, "waiting-for-approval")["approvals"]
    program.write_text(program.read_text().replace("Say it again", "Say it to me"))
    house.cli("approve", approval["id"], "--as", "approver", "--yes")
    assert "has changed since it was accepted" in house.reaches(late, "failed")["run"]["outcome"]
    third = asked("three")
    why = house.reaches(third, "failed")["run"]["outcome"]

    assert "has changed since it was accepted (description)" in why
    assert "one" == called.read_text()
    assert "Say it to me" in house.cli("mcp", "diff", "notes", code=1).out
    house.cli("mcp", "accept", "notes/do", "--yes")
    house.cli("mcp", "list", code=0)
