"""`banksman channel list`, `diff` and `accept`: what waits is seen, and only operators accept it."""

import asyncio
import os
import shlex
import socket
from pathlib import Path

import pytest

from core.config.load import load_config
from core.ids import TENANT
from core.runs import agreeing
from core.store.session import Database
from tests.databases import sqlite_url
from tests.docs.check import ROOT
from tests.docs.fences import fences
from tests.integration.cli.conftest import CommandLine
from tests.integration.cli.test_shapes import agree
from tests.patience import PATIENCE_S

CONFIG = """\
principals:
  olga: {roles: [operator], cli: any}
  ana: {roles: [approver], cli: any}
channels:
  "#ops": CONTRACT
  C0123456789: {tools: [look]}
playbooks: [{name: triage}, {name: repo}]
"""
FIRST = '{tools: ["files.*"], budget: "0.50", network: [api.example.com], approvers: {roles: [approver]}}'
OLGA = ("--as", "olga")
VIA = f"olga via cli:{os.getuid()}@{socket.gethostname()}"


@pytest.fixture
def config(banksman: CommandLine, tmp_path: Path) -> Path:
    path = tmp_path / "banksman.yml"
    banksman.settings["BANKSMAN_CONFIG"] = str(path)
    write(path, FIRST)
    return path


def write(path: Path, contract: str) -> None:
    path.write_text(CONFIG.replace("CONTRACT", contract))


def standings(banksman: CommandLine, code: int) -> dict[str, str]:
    found = banksman("channel", "list", "--json", code=code).json
    assert found["ok"] is (code == 0)
    return {each["channel"]: each["standing"] for each in found["channels"]}


def test_a_contract_is_new_then_accepted_then_wider_then_accepted_again(banksman: CommandLine, config: Path) -> None:
    assert {"#ops": "new", "C0123456789": "new"} == standings(banksman, 0)
    banksman("channel", "accept", "#ops", *OLGA, "--yes", code=0)
    assert {"#ops": "accepted", "C0123456789": "new"} == standings(banksman, 0)
    assert f"ok  #ops  as it was accepted · version 1, by {VIA}" in banksman("channel", "list", code=0).out

    write(config, '{tools: [shell, files.read], budget: "0.10", network: [api.example.com]}')
    assert {"#ops": "wider", "C0123456789": "new"} == standings(banksman, 1)
    said = banksman("channel", "list", code=1).out
    assert "!!  #ops  wider than the accepted one, which holds" in said
    assert "(`tools`, `approvers`)" in said
    (found,) = banksman("channel", "diff", "#ops", "--json", code=1).json["differences"]
    assert ["tools", "approvers"] == found["wider"]
    assert (["files.read"], "0.10", {"roles": ["approver"], "principals": []}) == tuple(
        found["holds"][part] for part in ("tools", "budget", "approvers")
    )
    lines = banksman("channel", "diff", "#ops", code=1).out.splitlines()
    assert {'-    "files.*"', '+    "shell"'} <= set(lines)

    banksman("channel", "accept", "#ops", *OLGA, "--yes", code=0)
    assert {"#ops": "accepted", "C0123456789": "new"} == standings(banksman, 0)
    assert "Everything is as it was accepted." in banksman("channel", "diff", "#ops", code=0).out


def test_what_is_narrower_holds_and_may_be_accepted_so_that_going_back_has_to_be(
    banksman: CommandLine, config: Path
) -> None:
    banksman("channel", "accept", "#ops", *OLGA, "--yes", code=0)
    write(config, "{tools: [], budget: '0.50', network: [api.example.com], approvers: {roles: [approver]}}")
    assert "within" == standings(banksman, 0)["#ops"]
    assert '-    "files.*"' in banksman("channel", "diff", "#ops", code=0).out
    write(config, FIRST)
    assert "accepted" == standings(banksman, 0)["#ops"]

    write(config, "{tools: [], budget: '0.50', network: [api.example.com], approvers: {roles: [approver]}}")
    banksman("channel", "accept", "#ops", *OLGA, "--yes", code=0)
    write(config, FIRST)
    assert "wider" == standings(banksman, 1)["#ops"]


def test_a_contract_that_is_gone_is_accepted_to_be_gone(banksman: CommandLine, config: Path) -> None:
    banksman("channel", "accept", "#ops", *OLGA, "--yes", code=0)
    config.write_text(config.read_text().replace(f'  "#ops": {FIRST}\n', ""))

    assert "removed" == standings(banksman, 1)["#ops"]
    assert "is not in the file any more" in banksman("channel", "list", code=1).out
    done = banksman("channel", "accept", "#ops", *OLGA, "--yes", code=0)
    assert "It is accepted that #ops has no contract any more." in done.out
    assert {"C0123456789": "new"} == standings(banksman, 0)


@pytest.mark.runs_fence("docs/guides/channels.md > Accepting a wider one > 1")
async def test_the_commands_of_the_guide_answer_as_it_says(banksman: CommandLine, config: Path) -> None:
    shown = next(each for each in fences(ROOT) if each.key == "docs/guides/channels.md > Accepting a wider one > 1")
    written = {}
    for tools in ("", ", shell"):
        config.write_text(f'channels: {{"#ops": {{budget: "0.50", tools: ["files.*", artifact, http{tools}]}}}}\n')
        written[tools] = load_config(config).contracts
    database = Database(sqlite_url(banksman.database))
    await agreeing.note_first(database, TENANT, written[""], now_ms=1)
    await database.close()

    said = [await asyncio.to_thread(banksman, *shlex.split(each)[1:], code=1) for each in shown.commands()]

    assert shown.answers() == "".join(each.out for each in said).splitlines()


@pytest.mark.parametrize("who", ["ana", None])
def test_only_operators_accept(banksman: CommandLine, config: Path, who: str | None) -> None:
    act_as = () if who is None else ("--as", who)

    refused = banksman("channel", "accept", "#ops", *act_as, "--yes", code=3)

    assert "Only an operator can accept the contract of a channel." in refused.err
    assert "new" == standings(banksman, 0)["#ops"]


def test_the_difference_is_shown_and_nothing_is_accepted_without_a_yes(banksman: CommandLine, config: Path) -> None:
    process = banksman.begin("channel", "accept", "#ops", *OLGA, stdin=-1)
    out, err = process.communicate("n\n", timeout=PATIENCE_S)

    assert (3, "") == (process.returncode, out.strip())
    assert '+    "files.*"' in err and "Accept this?" in err
    assert "new" == standings(banksman, 0)["#ops"]


def test_what_is_accepted_already_and_what_nobody_knows_is_refused(banksman: CommandLine, config: Path) -> None:
    banksman("channel", "accept", "#ops", *OLGA, "--yes", code=0)

    assert f"accepted as it is, by {VIA}" in banksman("channel", "accept", "#ops", *OLGA, "--yes", code=3).err
    assert "Did you mean `#ops`?" in banksman("channel", "accept", "#op", *OLGA, "--yes", code=2).err
    assert "There is no contract of #op." in banksman("channel", "diff", "#op", code=2).err


def test_without_contracts_there_is_nothing_to_list(banksman: CommandLine, config: Path) -> None:
    config.write_text("{}")

    assert "No contracts." in banksman("channel", "list", code=0).out
    assert [] == banksman("channel", "list", "--json", code=0).json["channels"]


def test_doctor_warns_of_what_waits_and_of_nothing_else(banksman: CommandLine, config: Path) -> None:
    def said() -> list[tuple[str, str]]:
        found = banksman("doctor", "--json").json["findings"]
        return [(each["verdict"], each["detail"]) for each in found if each["check"] == "channels"]

    banksman("channel", "accept", "#ops", *OLGA, "--yes", code=0)
    assert [] == said()
    write(config, "{}")
    ((verdict, detail),) = said()
    assert "warning" == verdict
    assert "wider in the file than the accepted one (`tools`, `network`, `budget`, `approvers`)" in detail


def test_the_shapes_of_the_answers_are_those_of_the_page(banksman: CommandLine, config: Path) -> None:
    accepted = banksman("channel", "accept", "#ops", *OLGA, "--yes", "--json", code=0).json
    write(config, "{}")
    whole = ("file", "holds", "accepted")
    listed = banksman("channel", "list", "--json", code=1).json
    differing = banksman("channel", "diff", "--json", code=1).json

    agree("channel list", listed, whole=tuple(f"channels[].{each}" for each in whole))
    agree("channel diff", differing, whole=tuple(f"differences[].{each}" for each in whole))
    agree("channel accept", accepted, whole=tuple(f"accepted.{each}" for each in whole))
