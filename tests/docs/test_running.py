"""The blocks of the documents that talk to a running Banksman, run as they stand."""

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docs.fences import Fence
from tests.docs.names import first_cells, section_of
from tests.docs.paths import paths
from tests.docs.site import COMMAND_WITHIN_S, ROOT, UP, Program, Site, prepare, shell, without_port
from tests.patience import PATIENCE_S
from tests.ports import free_port


@pytest.mark.runs_fence("README.md > Try it > 1")
def test_make_up_starts_everything_and_says_where(fence: Fence, site: Site) -> None:
    recipe = re.search(r"^up:.*\n\t@exec (?P<command>.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert recipe is not None
    assert " ".join(UP) == recipe["command"].replace("$(BIN)", ".venv/bin")
    assert ["make up"] == fence.commands()
    assert fence.answers() == [without_port(site.program.first_line)]


@pytest.mark.runs_fence("README.md > Try it > 2")
def test_the_same_works_from_a_second_terminal(fence: Fence, site: Site) -> None:
    written = site.type(*fence.commands())

    run, word = written.split(maxsplit=2)[:2]
    assert "Completed" == word
    assert ["chart.png", "summary.md", "summary.json"] == re.findall(r"^ +output +(\S+)", written, re.MULTILINE)
    assert re.search(rf"^{run} +completed +report +requester ", written, re.MULTILINE), written


@pytest.mark.runs_fence("README.md > Real Slack > 1")
def test_with_tokens_in_the_environment_it_connects_to_slack_instead(fence: Fence, directory: Path) -> None:
    """The playground, started apart, is the Slack it connects to: the bot knows it only by its address."""
    *exports, last = fence.commands()
    assert "make up" == last
    tokens = " ".join(exports).replace("xoxb-...", "xoxb-playground").replace("xapp-...", "xapp-playground")

    for name in ("slack", "here"):
        (directory / name).mkdir()
        prepare(directory / name)
    port = free_port()
    slack = Program.start((".venv/bin/banksman", "playground"), directory / "slack", {"BANKSMAN_PORT": str(port)})
    try:
        api = f"http://127.0.0.1:{port}/api/"
        script = f"{tokens}\nexec {' '.join(UP)}"
        up = Program.start(("/bin/sh", "-c", script), directory / "here", {"SLACK_API_URL": api})
        try:
            assert f"Banksman is ready: connected to Slack at {api}" == up.first_line
            parts = json.loads((directory / "here/.banksman/run.json").read_text())["parts"]
            assert {"bot", "worker", "reaper"} == set(parts)
        finally:
            assert 0 == up.interrupt()
        assert [] == [name for name, pid in parts.items() if Path(f"/proc/{pid}").exists()]
    finally:
        slack.interrupt()


@pytest.mark.runs_fence("docs/operations.md > Doctor > 1")
def test_doctor_finds_nothing_wrong_here(fence: Fence, site: Site) -> None:
    written = site.type(*fence.commands())

    for check in ("config", "database", "redis", "artifacts", "sandbox", "slack"):
        assert re.search(rf"^(ok|!!) +{check} ", written, re.MULTILINE), written


@pytest.mark.runs_fence("docs/operations.md > Doctor > 2")
def test_the_doctor_finds_every_rule_kept_while_everything_runs(fence: Fence, site: Site, a_report: str) -> None:
    written = site.type(*fence.commands())

    assert ", 0 do not, 5 were not checked." in written, written


@pytest.mark.runs_fence("docs/operations.md > Doctor > 3")
def test_the_doctor_finds_every_file_intact_while_everything_runs(fence: Fence, site: Site, a_report: str) -> None:
    written = site.type(*fence.commands())

    assert re.search(r"^[1-9]\d* files intact, 0 damaged;", written, re.MULTILINE), written


@pytest.mark.runs_fence("docs/operations.md > Where data lives > 1")
def test_the_home_can_be_closed_to_others_while_everything_runs(fence: Fence, site: Site) -> None:
    site.type(*fence.commands())

    assert 0o700 == (site.directory / ".banksman").stat().st_mode & 0o777


@pytest.mark.runs_fence("docs/operations.md > Backup and restore > 1")
def test_a_backup_taken_while_it_runs_can_be_read(fence: Fence, site: Site, tmp_path: Path, a_report: str) -> None:
    site.type(*fence.commands())
    prepare(tmp_path)
    (tmp_path / ".banksman").mkdir()
    (site.directory / "backup.db").rename(tmp_path / ".banksman/banksman.db")
    shell(tmp_path, f"tar -xf {site.directory}/backup-artifacts.tar -C .banksman")

    restored = json.loads(shell(tmp_path, f".venv/bin/banksman show {a_report} --json"))
    assert site.json(f".venv/bin/banksman show {a_report} --json") == restored
    assert 4 == len(restored["artifacts"])
    for artifact in restored["artifacts"]:
        digest = artifact["sha256"]
        assert artifact["size"] == (tmp_path / ".banksman/artifacts/sha256" / digest[:2] / digest[2:]).stat().st_size


@pytest.mark.runs_fence("docs/operations.md > Backup and restore > 2")
def test_every_open_run_of_a_restored_database_can_be_stopped(fence: Fence, site: Site) -> None:
    run = site.run("runaway", wait=False)
    _wait_until(lambda: site.json(f".venv/bin/banksman show {run} --json")["run"]["state"] == "executing")

    written = site.type(*fence.commands())

    assert f"Stop requested for run {run}." in written
    _wait_until(lambda: site.json(f".venv/bin/banksman show {run} --json")["stop"]["confirmed_at"])
    shown = site.json(f".venv/bin/banksman show {run} --json")
    assert ("canceled", "operator", "restored from a backup") == (
        shown["run"]["state"],
        shown["stop"]["by"],
        shown["stop"]["reason"],
    )
    _assert_evidence_is_documented(site.json(f".venv/bin/banksman events {run} --json"))


@pytest.mark.runs_fence("docs/operations.md > SQLite or PostgreSQL > 1")
def test_a_postgresql_database_is_prepared_as_described(fence: Fence, postgres_url: str, tmp_path: Path) -> None:
    prepare(tmp_path)
    shown = "postgresql+asyncpg://banksman:secret@db.example.com/banksman"
    typed = [line.replace(shown, f"'{postgres_url}'") for line in fence.commands()]
    assert any(postgres_url in line for line in typed)

    written = shell(tmp_path, 'PATH="$PWD/.venv/bin:$PATH"', *typed)

    assert re.search(r"^Upgraded from nothing to (\d+)\.\n\1 \(this version needs \1\)$", written, re.MULTILINE), (
        written
    )


@pytest.mark.runs_fence("docs/reference/events.md > The chain > 2")
def test_the_chain_of_a_real_run_holds_as_described(fence: Fence, site: Site, a_report: str) -> None:
    (site.directory / "chain.py").write_text(_chain_program())

    written = site.type(*fence.commands(), env={"RUN": a_report})

    assert fence.answers() == written.splitlines()
    _assert_evidence_is_documented(json.loads((site.directory / "events.json").read_text()))


@pytest.mark.runs_fence("docs/reference/events.md > The chain > 1")
def test_the_program_on_the_events_page_sees_every_change(fence: Fence, site: Site, a_report: str) -> None:
    program: dict[str, Any] = {"__name__": "chain"}
    exec(fence.text, program)
    events = site.json(f".venv/bin/banksman events {a_report} --json")
    assert program["first_wrong"](a_report, events) is None

    for name, value in _other_values(events[5]).items():
        changed = [*events[:5], {**events[5], name: value}, *events[6:]]
        assert 6 == program["first_wrong"](a_report, changed), f"a changed {name} is not seen"
    assert 5 == program["first_wrong"](a_report, [*events[:4], events[5], events[4], *events[6:]])
    assert 6 == program["first_wrong"](a_report, [*events[:5], *events[6:]])
    assert 1 == program["first_wrong"]("run_other", events)


def test_the_page_of_json_shapes_describes_what_doctor_and_run_json_hold(site: Site) -> None:
    page = _page("reference/json.md")

    for section, value in (
        ("doctor", site.json(".venv/bin/banksman doctor --json")),
        ("doctor --invariants", site.json(".venv/bin/banksman doctor --invariants --json")),
        ("doctor --artifacts", site.json(".venv/bin/banksman doctor --artifacts --json")),
        ("run.json", site.run_file),
    ):
        assert sorted(first_cells(section_of(page, section) or "")) == sorted(
            paths(value, whole=("settings", "invariants[].offending", "listed"))
        )


@pytest.mark.parametrize(
    ("code", "command", "said"),
    [
        (1, "show run_nobodys", "There is no run"),
        (2, "runs --limit 0", "--limit"),
        (3, "kill {run} --as operator", "has already ended"),
    ],
)
def test_exit_codes_mean_what_the_page_says(code: int, command: str, said: str, site: Site, a_report: str) -> None:
    codes = re.findall(r"^\| (\d+) \| ", section_of(_page("reference/commands.md"), "Exit codes") or "", re.MULTILINE)
    typed = [".venv/bin/banksman", *command.format(run=a_report).split()]

    done = subprocess.run(typed, cwd=site.directory, capture_output=True, text=True, timeout=COMMAND_WITHIN_S)

    assert ["0", "1", "2", "3", "130"] == codes
    assert (code, "") == (done.returncode, done.stdout)
    assert said in done.stderr


@pytest.fixture(scope="session")
def a_report(site: Site) -> str:
    """The id of a run that completed."""
    (site.directory / "a-report.csv").write_text("day,visits\n2026-01-01,10\n2026-01-02,14\n")
    return site.run("report --file a-report.csv")


def _other_values(event: dict[str, Any]) -> dict[str, Any]:
    """Another value for each field of an event."""
    evidence = [{**event["evidence"][0], "attempt": 2}]
    special = {
        "at": "2026-01-01T00:00:00.000Z",
        "seq": event["seq"] + 1,
        "fence": event["fence"] + 1,
        "evidence": evidence,
    }
    return {name: special.get(name, "human:other" if name == "actor" else "other") for name in event}


def _page(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def _chain_program() -> str:
    return _page("reference/events.md").partition("```python\n")[2].partition("```")[0]


def _assert_evidence_is_documented(events: list[dict[str, Any]]) -> None:
    """Every key of every piece of evidence stands in its row of the page."""
    section = section_of(_page("reference/events.md"), "Evidence") or ""
    rows = dict(re.findall(r"^\| (`[^|]+?) \| (.+) \|$", section, re.MULTILINE))
    for event in events:
        name = f"`state` to `{event['to']}`" if event["type"] == "state" else f"`{event['type']}`"
        for piece in event["evidence"]:
            for key in piece:
                assert f"`{key}`" in rows[name], f"{name} has {key!r}, which its row does not name"


def _wait_until(condition: Callable[[], Any]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "it did not become true in time"
        time.sleep(0.2)
