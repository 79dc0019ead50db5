"""`run`: the same checks as in Slack, and nothing half-started when one fails."""

from pathlib import Path

import pytest

from tests.integration.cli.conftest import CommandLine

CSV = b"day,visits\n2026-03-01,120\n2026-03-02,135\n"
TYPED = """\
tools:
  files.list: {tier: read, recovery: pure}
playbooks:
  - name: typed
    title: Typed inputs
    inputs:
      rows: {type: integer, minimum: 1, maximum: 10, description: how many}
      kind: {type: choice, choices: [bar, line], default: bar}
    steps:
      - {id: look, title: Look, tool: files.list, with: {path: .}}
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "visits.csv").write_bytes(CSV)
    return tmp_path / "visits.csv"


@pytest.fixture
def typed(tmp_path: Path) -> str:
    (tmp_path / "typed.yml").write_text(TYPED)
    return str(tmp_path / "typed.yml")


def test_a_run_is_accepted_and_its_id_is_all_there_is_on_stdout(banksman: CommandLine, table: Path) -> None:
    answer = banksman("run", "report", "--file", str(table), code=0)

    [run] = banksman("runs", "--json", code=0).json
    assert f"{run['id']}\n" == answer.out
    assert "" == answer.err
    assert ("context-loaded", "report") == (run["state"], run["agent"])
    shown = banksman("show", run["id"], "--json", code=0).json
    assert [("visits.csv", len(CSV), "text/csv", "input")] == [
        tuple(file[name] for name in ("name", "size", "media_type", "role")) for file in shown["artifacts"]
    ]


def test_json_gives_the_whole_run(banksman: CommandLine, table: Path) -> None:
    asked = banksman("run", "report", "--file", str(table), "--json", code=0).json

    assert asked == banksman("show", asked["run"]["id"], "--json", code=0).json


def test_a_key_finds_the_first_run_and_refuses_another_request(banksman: CommandLine, table: Path) -> None:
    asked = ("run", "report", "--file", str(table), "--key", "march")
    first = banksman(*asked, code=0).out
    assert first == banksman(*asked, code=0).out

    table.write_bytes(CSV + b"2026-03-03,1\n")
    refused = banksman(*asked, code=3)
    other = banksman("run", "runaway", "--key", "march", code=3)

    assert "Use another key, or leave it out." in refused.err
    assert first.strip() in refused.err
    assert first.strip() in other.err
    assert 1 == len(banksman("runs", "--json", code=0).json)


def _a_bad_request(banksman: CommandLine, said: str, *arguments: str, code: int = 2, **settings: str) -> None:
    answer = banksman("run", *arguments, code=code, **settings)

    assert "" == answer.out
    assert said in answer.err
    assert [] == banksman("runs", "--json", code=0).json


def test_an_unknown_playbook_is_answered_with_those_there_are(banksman: CommandLine) -> None:
    _a_bad_request(banksman, "Did you mean `report`?", "reprot")


def test_no_file_is_answered_with_how_to_give_one(banksman: CommandLine) -> None:
    _a_bad_request(banksman, "Give it with `--file PATH`.", "report")


def test_a_file_that_does_not_exist_is_named(banksman: CommandLine, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.csv")
    _a_bad_request(banksman, f"There is no file {missing}.", "report", "--file", missing)
    _a_bad_request(banksman, f"There is no file {tmp_path}.", "report", "--file", str(tmp_path))


def test_an_empty_file_is_refused(banksman: CommandLine, table: Path) -> None:
    table.write_bytes(b"")
    _a_bad_request(banksman, "visits.csv is empty (0 bytes).", "report", "--file", str(table))


def test_a_file_that_is_too_large_is_refused_before_it_is_read(banksman: CommandLine, table: Path) -> None:
    with table.open("wb") as file:
        file.truncate(60_000_000)
    _a_bad_request(banksman, "has 60,000,000 bytes; `data` takes at most 50MB.", "report", "--file", str(table))
    assert [] == [file for file in banksman.home.rglob("*") if file.is_file() and file.stat().st_size > 10_000_000]


def test_a_file_of_the_wrong_kind_is_refused(banksman: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    _a_bad_request(banksman, "but notes.txt was attached.", "report", "--file", str(tmp_path / "notes.txt"))


def test_an_input_of_the_wrong_type_is_refused(banksman: CommandLine, typed: str) -> None:
    for given, said in (
        ("rows=ten", '`rows` expects a whole number from 1 to 10, not "ten".'),
        ("rows=11", '`rows` expects a whole number from 1 to 10, not "11".'),
        ("rwos=3", "There is no input `rwos`. Did you mean `rows`?"),
        ("rows", "`--input rows` is not of the form name=value."),
    ):
        _a_bad_request(banksman, said, "typed", "--input", given, "--config", typed)


def test_an_input_given_twice_is_refused(banksman: CommandLine, typed: str) -> None:
    twice = ("--input", "rows=1", "--input", "rows=2")
    _a_bad_request(banksman, "The input `rows` is given twice.", "typed", *twice, "--config", typed)


def test_words_and_options_give_the_same_inputs(banksman: CommandLine, typed: str) -> None:
    for given in (("5",), ("rows=5",), ("--input", "rows=5")):
        run = banksman("run", "typed", *given, "--key", "same", "--config", typed, "--json", code=None)
        assert run.code in (0, 3)

    assert 1 == len(banksman("runs", "--json", code=0).json)


def test_a_person_may_have_only_so_many_runs_under_way(banksman: CommandLine, tmp_path: Path) -> None:
    config = tmp_path / "few.yml"
    config.write_text(TYPED + "limits: {runs-per-person: 2}\n")
    asked = ("run", "typed", "1", "--config", str(config))
    banksman(*asked, code=0)
    banksman(*asked, "--key", "second", code=0)

    assert "You have 2 runs under way" in banksman(*asked, code=3).err
    banksman(*asked, "--key", "second", code=0)
    banksman(*asked, "--as", "operator", code=3)


def test_a_name_that_climbs_stays_a_name(banksman: CommandLine, table: Path) -> None:
    climbing = table.parent / "deep" / ".." / "visits.csv"
    (table.parent / "deep").mkdir()

    run = banksman("run", "report", "--file", str(climbing), "--json", code=0).json

    assert ["visits.csv"] == [file["name"] for file in run["artifacts"]]
