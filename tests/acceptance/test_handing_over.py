"""Work that goes from one process to the next: a worker that is killed among many runs, one that is told to go, a new
version that finds an older database with runs in flight.
"""

import asyncio
import os
import random
import shutil
import signal
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core.execution.labels import labelled
from core.store.session import Database
from tests.acceptance import newer_version
from tests.acceptance.conftest import Builder
from tests.acceptance.house import House, homes, until
from tests.acceptance.team import Team, run_of
from tests.acceptance.test_deaths import GATED, at_the_gate, open_gate
from tests.databases import migrate_to, sqlite_url

SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
RUNS = int(os.environ.get("RUNS", "8"))
"""Runs that are under way when a worker is killed; more of them make the long form."""

STEPS = 6
BEFORE = "0003"
"""The revision of the version before this one."""

COUNTING = f"""\
tools:
  shell: {{tier: workspace, recovery: idempotent}}
  files.read: {{tier: read, recovery: pure}}

sandbox: {{level: auto, unsandboxed: refused}}

playbooks:
  - name: counting
    title: Many short calls, each leaving a line
    steps:
{
    "".join(
        f'''      - id: s{n}
        title: Step {n}
        tool: shell
        with: {{argv: [sh, -c, "sleep 0.1; echo {n} >> lines; echo {n}"]}}
'''
        for n in range(STEPS)
    )
}      - {{id: all, title: Look, tool: shell, with: {{argv: [cat, lines]}}}}
    summary: "${{{{ steps.all.out.stdout }}}}"
  - name: long
    title: A call that outlasts the time a worker has to go
    steps:
      - id: wait
        title: Wait
        tool: shell
        with: {{argv: [sh, -c, "test -e again && exit; touch again; sleep 600"]}}
    summary: It was done the second time.
"""


@pytest.fixture
def counting(tmp_path: Path) -> str:
    (tmp_path / "counting.yml").write_text(COUNTING)
    return str(tmp_path / "counting.yml")


def is_done_once(house: House, run_id: str) -> None:
    """Completed; what was interrupted was repeated under its key, and nothing else was."""
    shown = house.reaches(run_id, "completed", "failed", "blocked", within_s=120)
    assert "completed" == shown["run"]["state"], shown
    attempts = {call["step"]: call["attempts"] for call in shown["actions"]}
    assert {*(f"s{n}" for n in range(STEPS)), "all"} == set(attempts), "no step is lost, and none is planned twice"
    assert 1 >= sum(times - 1 for times in attempts.values()), "one death interrupts one call"
    log = house.log(run_id)
    assert len(attempts) == sum(event["type"] == "call-ended" for event in log)
    lines = str(shown["run"]["outcome"]).split()
    assert list(dict.fromkeys(lines)) == [str(n) for n in range(STEPS)]
    twice = [n for n in range(STEPS) if lines.count(str(n)) > 1]
    assert all(attempts[f"s{n}"] == 2 for n in twice), "only a call that was cut off may have left its line twice"


@pytest.mark.parametrize("victim", ["first", "second"])
def test_either_worker_is_killed_at_any_moment_and_the_other_finishes_every_run(
    new_house: Builder, counting: str, victim: str
) -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    house = new_house("postgres" if victim == "first" else "sqlite", BANKSMAN_CONFIG=counting)
    second = house.another_worker()
    first = house.part("worker")
    runs = house.ask_many("counting", RUNS)
    until(lambda: any(house.show(run_id)["actions"] for run_id in runs), "the first call")
    with house.frozen():  # so that nobody starts the first one again
        until_some = rng.uniform(0.0, 1.5)
        asyncio.run(asyncio.sleep(until_some))
        os.kill(first if victim == "first" else second.pid, signal.SIGKILL)

        for run_id in runs:
            is_done_once(house, run_id)
    assert {} == {process: label for process, label in labelled().items() if label.run_id in runs}


def test_a_worker_that_is_told_to_go_finishes_what_it_can_and_hands_over_the_rest(
    new_house: Builder, counting: str
) -> None:
    house = new_house(BANKSMAN_CONFIG=counting)
    worker = house.part("worker")
    runs = house.ask_many("counting", 4)
    long = house.ask("long")
    house.working(long)
    before = house.part("bot")

    os.kill(worker, signal.SIGTERM)

    until(lambda: house.part_now("worker") not in (worker, None), "its successor", within_s=120)
    log = (house.home / "logs" / "worker.log").read_text()
    assert "slice_failed" not in log and "abandon_failed" not in log
    for run_id in runs:
        is_done_once(house, run_id)
    shown = house.reaches(long, "completed")
    assert [2] == [call["attempts"] for call in shown["actions"]]
    assert before == house.part("bot")


@pytest.fixture
def gated_and_asking(tmp_path: Path) -> str:
    more = """\
  - name: asking
    title: A question for approvers
    steps:
      - {id: make, title: Make it, tool: files.write, with: {path: first.txt, content: first}}
      - {id: act, title: Remove it, tool: files.delete, with: {path: first.txt}}
    summary: Asked and done.
"""
    (tmp_path / "two.yml").write_text(
        GATED.replace("tools:\n", "tools:\n  files.delete: {tier: compensable, recovery: opaque}\n")
        + more
        + """
principals:
  requester: {slack: [T0PLAYGRND/U0REQUESTER], cli: any}
  approver: {roles: [approver], slack: [T0PLAYGRND/U0APPROVER], cli: any}
"""
    )
    return str(tmp_path / "two.yml")


@pytest.fixture
def older_home() -> Iterator[Path]:
    home = homes("older")
    yield home
    shutil.rmtree(home, ignore_errors=True)


async def test_a_new_version_goes_on_with_the_runs_of_the_one_before(
    new_house: Builder, gated_and_asking: str, older_home: Path
) -> None:
    """The database of the version before, with one run in the middle of a call and one waiting for an approval."""
    old = new_house(BANKSMAN_CONFIG=gated_and_asking)
    cut_off, asked = old.ask("gated"), old.ask("asking", "--as", "requester")
    first = at_the_gate(old, cut_off)
    (approval,) = old.reaches(asked, "waiting-for-approval")["approvals"]
    finished = old.ask("gated")
    at_the_gate(old, finished)
    open_gate(old, finished)
    old.reaches(finished, "completed")
    log = [old.log(run_id) for run_id in (cut_off, asked, finished)]
    for part in ("worker", "bot"):
        os.kill(old.part(part), signal.SIGKILL)
    old.process.kill()
    old.process.wait()
    until(lambda: not labelled(run_id=cut_off), "its processes to end")

    await asyncio.to_thread(_copied_back, old.home, older_home)
    new = new_house(home=older_home, BANKSMAN_CONFIG=gated_and_asking)

    assert (older_home / f"banksman.db.{BEFORE}.bak").exists(), "the older file was kept"
    for run_id, before in zip((cut_off, asked, finished), log, strict=True):
        assert before == new.log(run_id)[: len(before)]
    at_the_gate(new, cut_off, fence=first)
    open_gate(new, cut_off)
    new.reaches(cut_off, "completed")
    new.cli("approve", approval["id"], "--as", "approver", "--yes")
    done = new.reaches(asked, "completed")
    assert [1, 1] == [call["attempts"] for call in done["actions"]]
    async with Team(new.url) as team:
        await team.is_heard()


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_two_versions_work_side_by_side_over_a_migration(
    new_house: Builder, gated_and_asking: str, database: str, tmp_path: Path
) -> None:
    """The newer one migrates under the older one's hands; runs of before, during and after are finished by either."""
    house = new_house(database, BANKSMAN_CONFIG=gated_and_asking)
    code = newer_version.made(tmp_path)
    before = house.ask("gated")
    fence = at_the_gate(house, before)
    asked = house.ask("asking", "--as", "requester")
    (approval,) = house.reaches(asked, "waiting-for-approval")["approvals"]

    newer_version.upgrade(house, code)

    async with Team(house.url) as team:  # the older bot and worker, on the newer schema
        root = await team.say("@banksman asking")
        asks = await team.card(root, "Waiting for approval")
        during = run_of(asks)
        await team.click(await team.answered(root, "Approve"), "Approve", by="approver")
        house.reaches(during, "completed")
    newer = house.another_worker(code=code)
    with house.frozen():  # so that nobody tries to start the older one again
        os.kill(house.part("worker"), signal.SIGTERM)
        at_the_gate(house, before, fence=fence)
        open_gate(house, before)
        house.reaches(before, "completed")
        newer_version.approve(house, code, approval["id"])
        assert [1, 1] == [call["attempts"] for call in house.reaches(asked, "completed")["actions"]]
    assert newer.poll() is None
    for part in ("bot", "worker", "reaper"):
        log = (house.home / "logs" / f"{part}.log").read_text()
        assert "Traceback" not in log, log[-4000:]


def _copied_back(home: Path, to: Path) -> None:
    """Copy an installation, with its database as the version before would have left it."""
    for name in ("artifacts", "workspaces", "playground"):
        if (home / name).exists():
            shutil.copytree(home / name, to / name)
    target = to / "banksman.db"
    asyncio.run(_made(target))
    with closing(sqlite3.connect(home / "banksman.db")) as now, closing(sqlite3.connect(target)) as then:
        then.execute("PRAGMA foreign_keys = OFF")
        tables = [row[0] for row in then.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            if table in ("alembic_version", "transitions") or table.startswith("sqlite_"):
                continue
            # What was never used is gone since.
            kept = {row[1] for row in now.execute(f"PRAGMA table_info({table})")}
            columns = [row[1] for row in then.execute(f"PRAGMA table_info({table})") if row[1] in kept]
            _insert(then, table, columns, now.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall())
        then.commit()


def _insert(connection: sqlite3.Connection, table: str, columns: Sequence[str], rows: Sequence[Any]) -> None:
    marks = ", ".join("?" * len(columns))
    connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)


async def _made(path: Path) -> None:
    database = Database(sqlite_url(path))
    await migrate_to(database, BEFORE)
    await database.close()
