"""Disks that are full or broken, and a database somebody else has locked: people are told, nothing is lost or doubled,
and everything goes on once it can. One house for all of them, on small disks of its own.
"""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import pytest

from core.ids import TENANT
from tests.acceptance.disks import DiskHouse
from tests.acceptance.house import homes, until
from tests.acceptance.team import Team, button, cards, run_of, said
from tests.acceptance.test_operators import is_ready
from tests.acceptance.test_story import CSV
from tests.skips import needs_disks

pytestmark = needs_disks

CONFIG = """\
principals:
  requester: {slack: [T0PLAYGRND/U0REQUESTER], cli: any}
  approver: {roles: [approver], slack: [T0PLAYGRND/U0APPROVER], cli: any}
tools:
  files.read: {tier: read, recovery: pure}
  files.write: {tier: workspace, recovery: idempotent}
  artifact: {tier: workspace, recovery: idempotent}
  files.delete: {tier: compensable, recovery: idempotent}
  shell: {tier: workspace, recovery: idempotent}
sandbox: {level: auto, unsandboxed: refused}
playbooks:
  - name: note
    title: Leave a file
    steps:
      - {id: write, title: Write, tool: files.write, with: {path: note.txt, content: a note}}
      - {id: keep, title: Keep, tool: artifact, with: {path: note.txt}}
    summary: Noted.
  - name: copy
    title: Keep what was given
    inputs: {data: {type: file, extensions: [csv]}}
    steps:
      - {id: keep, title: Keep, tool: artifact, with: {path: "${{ inputs.data.path }}"}}
    summary: Kept.
  - name: gated
    title: Wait for a file
    steps:
      - id: gate
        title: Wait at the gate
        tool: shell
        with: {argv: [sh, -c, "echo came >> ../count; while [ ! -e go ]; do sleep 0.05; done; echo through"]}
    summary: ${{ steps.gate.out.stdout }}
  - name: asks
    title: Ask first
    steps:
      - {id: write, title: Write, tool: files.write, with: {path: note.txt, content: a note}}
      - {id: delete, title: Delete, tool: files.delete, with: {path: note.txt}}
    summary: Deleted.
"""


@pytest.fixture(scope="module")
def small() -> Iterator[DiskHouse]:
    """A house whose database, artifacts and workspaces are on a small disk each."""
    home = homes("disks")
    (home / "disks.yml").write_text(CONFIG)
    database = f"sqlite+aiosqlite:///{home}/db/banksman.db"
    disks = {"db": "24m", "artifacts": "1m", "workspaces": "1m"}
    house = DiskHouse.on(home, disks, BANKSMAN_CONFIG=str(home / "disks.yml"), BANKSMAN_DATABASE_URL=database)
    try:
        yield house
    finally:
        house.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
async def people(small: DiskHouse) -> AsyncIterator[Team]:
    async with Team(small.url) as people:
        await people.is_heard()
        yield people


def parts(house: DiskHouse) -> list[int]:
    """Pids of what must live through all of this."""
    return [house.part(module) for module in ("bot", "worker")]


def blocked_by(house: DiskHouse, run_id: str, reason: str, *saying: str) -> None:
    run = house.reaches(run_id, "blocked", "failed", "completed")["run"]
    assert ("blocked", reason) == (run["state"], run["blocked_reason"]), run
    for part in saying:
        assert part in run["blocked_detail"], run


async def test_a_full_artifact_disk_is_said_and_all_goes_on_once_there_is_room(small: DiskHouse, people: Team) -> None:
    before = parts(small)
    with small.full("artifacts"):
        run_id = small.ask("note")
        root = await people.say("@banksman copy", ("visits.csv", CSV))
        await people.answered(root, "cannot be stored yet", "disk of the artifact store is full", "goes on by itself")
        blocked_by(small, run_id, "dependency-down", "disk of the artifact store is full", "make room", "ask again")
        assert [] == small.show(run_id)["artifacts"], "nothing is said to be there that is not"

    await people.card(root, "Completed")
    small.cli("ask-again", run_id)
    shown = small.reaches(run_id, "completed")

    assert ["note.txt"] == [file["name"] for file in shown["artifacts"]]
    assert 1 == len(cards(await people.thread(root)))
    assert before == parts(small)


def test_a_full_workspace_and_a_file_that_cannot_be_read_block_a_run_until_they_are_mended(small: DiskHouse) -> None:
    with small.full("workspaces"):
        run_id = small.ask("copy", "--file", str(small.csv()))
        blocked_by(small, run_id, "dependency-down", "working directories is full", "make room", "ask again")
    [file] = small.show(run_id)["artifacts"]
    sha256 = file["sha256"]

    with small.broken(small.home / "artifacts" / "sha256" / sha256[:2] / sha256[2:]):
        small.cli("ask-again", run_id)
        blocked_by(small, run_id, "dependency-down", "artifact store could not be used (EIO)", "ask again")
        assert "cannot be read" in small.cli("doctor", "--artifacts", code=1).out

    small.cli("ask-again", run_id)
    assert "completed" == small.reaches(run_id, "completed", "failed")["run"]["state"]


async def test_a_full_database_refuses_what_it_cannot_keep_and_loses_nothing(small: DiskHouse, people: Team) -> None:
    before, under_way = parts(small), small.ask("gated")
    small.reaches(under_way, "executing")
    accepted = [under_way]
    with small.full("db"):
        refused = await people.say("@banksman note")
        await people.private("requester", "could not be stored", "disk of the database is full")
        for _ in range(10):
            done = small.cli("run", "note", code=None)
            if done.code != 0:
                break
            accepted.append(done.out.strip())
        assert (1, True) == (done.code, done.err.startswith("The disk of the database is full")), done
        until(lambda: not is_ready(small, "worker"), "the worker to say that it cannot work")

    until(lambda: is_ready(small, "worker"), "the worker to be ready again")
    small.there(small.home / "workspaces" / TENANT / under_way / "go").touch()
    for run_id in accepted:
        assert "completed" == small.reaches(run_id, "completed", "failed", "blocked")["run"]["state"]
    again = await people.say("@banksman note")
    await people.card(again, "Completed")
    assert len(cards(await people.thread(refused))) <= 1, "Slack may have brought it again by now"
    assert before == parts(small), "nobody died of it"


@contextmanager
def locked(house: DiskHouse) -> Iterator[None]:
    """Another process (this one) has the database for itself."""
    path = house.home / "db" / "banksman.db"
    with ThreadPoolExecutor(1, initializer=house.moved_in) as pool:
        connection = pool.submit(sqlite3.connect, path, isolation_level=None, check_same_thread=False).result()
        with closing(connection):
            pool.submit(connection.execute, "BEGIN EXCLUSIVE").result()
            try:
                yield
            finally:
                connection.execute("ROLLBACK")


async def test_a_database_somebody_has_locked_is_waited_for_and_people_are_told(small: DiskHouse, people: Team) -> None:
    before, under_way = parts(small), small.ask("gated")
    small.reaches(under_way, "executing")
    root = await people.say("@banksman asks")
    question = await people.until(root, lambda thread: next(iter(_with(thread, "Approve")), None), "the question")
    with locked(small):
        await people.click(question, "Approve", "approver")
        refused = await people.say("@banksman note")
        await people.told(root, "That was not recorded, so nothing has happened", "approver")
        await people.private("requester", "could not be stored", "The database is busy")
        until(lambda: not is_ready(small, "worker"), "the worker to say that it cannot work")

    until(lambda: is_ready(small, "worker"), "the worker to be ready again")
    small.there(small.home / "workspaces" / TENANT / under_way / "go").touch()
    await people.click(question, "Approve", "approver")
    await people.card(root, "Completed")
    assert "completed" == small.reaches(under_way, "completed", "failed", "blocked")["run"]["state"]
    [approval] = small.show(_run(await people.thread(root)))["approvals"]
    assert ("consumed", 1) == (approval["status"], len(approval["votes"]))
    assert len(cards(await people.thread(refused))) <= 1
    assert before == parts(small)


def _with(thread: list[dict[str, Any]], label: str) -> list[dict[str, Any]]:
    return [each for each in said(thread) if button(each, label) is not None]


def _run(thread: list[dict[str, Any]]) -> str:
    return run_of(cards(thread)[0])
