"""The reaper as a process: one at work on a host, another standing by, started by workers that find none."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from core.execution.processes import read
from core.store import hosts
from core.store.session import Database
from tests.patience import PATIENCE_S
from worker.neighbours import Lock, reaper_lock, workers_lock

Begin = Callable[..., "subprocess.Popen[bytes]"]
ROOT = Path(__file__).resolve().parents[3]
SOCKET = ".s.PGSQL.5432"


@pytest.fixture
def home(tmp_path: Path, sqlite_template: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (home / "banksman.db").write_bytes(sqlite_template.read_bytes())
    return home


@pytest.fixture
def begin(home: Path) -> Iterator[Begin]:
    """Starts one of our modules in the home and waits until it is ready."""
    begun: list[subprocess.Popen[bytes]] = []

    def start(
        module: str, *arguments: str, ready: bool = True, log: str = "err", **settings: str
    ) -> subprocess.Popen[bytes]:
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("BANKSMAN_", "SLACK_"))}
        with (home / f"{log}.log").open("ab") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env={**mine, "BANKSMAN_HOME": str(home), **settings},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=err,
                start_new_session=True,
            )
        begun.append(process)
        assert process.stdout is not None
        if ready:
            line = process.stdout.readline()
            assert line == f"ready {process.pid}\n".encode(), (home / f"{log}.log").read_text()
        return process

    yield start
    for process in begun:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    lock = Lock(reaper_lock(home))
    wait_for(lock.is_free, "the reaper that a worker started to end")


def wait_for(look: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not look():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def said(home: Path, log: str = "err") -> list[str]:
    """The stable names of what a part logged."""
    path = home / "logs" / "reaper.log" if log == "reaper" else home / f"{log}.log"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line).get("action", "") for line in lines if line.startswith("{")]


async def seen(home: Path) -> list[int | None]:
    database = Database(f"sqlite+aiosqlite:///{home / 'banksman.db'}")
    try:
        return [row.reaper_pid for row in await hosts.listed(database)]
    finally:
        await database.close()


def test_one_is_at_work_and_the_next_takes_over_when_it_is_killed(home: Path, begin: Begin) -> None:
    first = begin("worker.reaper", log="first")
    wait_for(lambda: "reaper_ready" in said(home, "first"), "the first to be at work")
    second = begin("worker.reaper", log="second")
    wait_for(lambda: "reaper_stands_by" in said(home, "second"), "the second to stand by")
    assert "reaper_ready" not in said(home, "second")

    first.kill()
    first.wait()

    wait_for(lambda: "reaper_ready" in said(home, "second"), "the second to take over")
    second.send_signal(signal.SIGTERM)
    assert 0 == second.wait(PATIENCE_S)


async def test_it_says_in_the_database_that_it_is_at_work(home: Path, begin: Begin) -> None:
    process = begin("worker.reaper")
    deadline = time.monotonic() + PATIENCE_S
    while await seen(home) != [process.pid]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_one_that_nobody_looks_after_ends_when_the_last_worker_is_gone(home: Path, begin: Begin) -> None:
    workers = Lock(workers_lock(home))
    assert workers.take(shared=True)
    process = begin("worker.reaper", "--while-workers")
    wait_for(lambda: "reaper_ready" in said(home), "it to be at work")
    time.sleep(4)
    assert process.poll() is None, "it ended while there was a worker"

    workers.release()

    assert 0 == process.wait(PATIENCE_S)


def test_one_that_nobody_looks_after_leaves_at_once_where_another_is_at_work(home: Path, begin: Begin) -> None:
    begin("worker.reaper", log="first")
    wait_for(lambda: "reaper_ready" in said(home, "first"), "the first to be at work")

    other = begin("worker.reaper", "--while-workers", ready=False, log="other")

    assert 0 == other.wait(PATIENCE_S)
    assert [] == said(home, "other")


def test_a_worker_starts_one_if_there_is_none_and_takes_it_along_when_it_ends(home: Path, begin: Begin) -> None:
    worker = begin("worker", log="worker")
    wait_for(lambda: "reaper_ready" in said(home, "reaper"), "its reaper to be at work")

    worker.send_signal(signal.SIGTERM)

    assert 0 == worker.wait(PATIENCE_S)
    assert Lock(reaper_lock(home)).is_free()


def test_a_worker_that_is_killed_leaves_its_reaper_for_the_next_one(home: Path, begin: Begin) -> None:
    first = begin("worker", log="first")
    wait_for(lambda: "reaper_ready" in said(home, "reaper"), "its reaper to be at work")
    started = [json.loads(line) for line in (home / "first.log").read_text().splitlines() if "reaper_started" in line]
    reaper = started[0]["pid"]
    second = begin("worker", log="second")

    first.kill()
    first.wait()
    time.sleep(3)

    process = read(reaper)
    assert process is not None and process.alive, "the second worker needs it"
    assert "reaper_started" not in said(home, "second")
    os.kill(reaper, signal.SIGKILL)
    wait_for(lambda: "reaper_started" in said(home, "second"), "the second worker to start one itself")
    second.send_signal(signal.SIGTERM)
    assert 0 == second.wait(PATIENCE_S)


def test_while_the_database_is_away_it_waits_and_says_so_once(
    home: Path, begin: Begin, migrated_postgres: str, tmp_path: Path
) -> None:
    there = make_url(migrated_postgres)
    with tempfile.TemporaryDirectory(prefix="wire-") as wire:  # a socket's path has at most 107 bytes
        url = there.set(query={"host": wire}).render_as_string(hide_password=False)
        process = begin("worker.reaper", BANKSMAN_DATABASE_URL=url)
        wait_for(lambda: "reaper_blind" in said(home), "it to notice")
        time.sleep(2.5)
        assert 1 == said(home).count("reaper_blind")

        (Path(wire) / SOCKET).symlink_to(Path(str(there.query["host"])) / SOCKET)

        wait_for(lambda: "reaper_sees" in said(home), "it to go on")
        assert process.poll() is None


def test_another_versions_schema_is_refused(home: Path, begin: Begin) -> None:
    (home / "banksman.db").unlink()
    process = begin("worker.reaper", ready=False)
    assert 2 == process.wait(PATIENCE_S)
    assert "Run `banksman db upgrade`" in (home / "err.log").read_text()
