"""Workers of one host and the lock each holds while it lives: who is dead is known at once, and nobody else is taken
for dead. Real processes hold the locks; both databases have the leases.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.execution.base import CallLabel
from core.execution.labels import labelled
from core.ids import TENANT
from core.lifelock import LifeLock, look_at
from core.record.rows import Snapshot
from core.runs.leases import Lease
from core.runs.takeover import Here
from core.store import workers
from core.store.session import Database
from tests.factories import BOOT_ID, NOW_MS, FixedClock, a_created_run, a_worker, claimed_by, identity
from tests.integration.store.looking import rows
from tests.integration.worker.conftest import until
from tests.integration.worker.test_reaping import Begin, begin
from worker.deaths import Neighbours, lock_file

__all__ = ["begin"]

ROOT = Path(__file__).resolve().parents[3]
HOLDER = """
import os, subprocess, sys
from pathlib import Path
from core.lifelock import LifeLock
from worker.deaths import lock_file

lock = LifeLock(lock_file(Path(sys.argv[1]), sys.argv[2]))
print(lock.take(), flush=True)
for line in sys.stdin:
    if line == "release\\n":
        os.close(lock._descriptor)
    if line == "start a program\\n":
        subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    print("done", flush=True)
"""
"""A process that holds a worker's lock and does what it is told."""


@dataclass
class Holder:
    """One of those processes."""

    process: "subprocess.Popen[str]"
    lock: str

    def tell(self, words: str) -> None:
        """Have it do something, and wait until it has."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{words}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def die(self) -> None:
        self.process.kill()
        self.process.wait()


@dataclass
class Watcher:
    """What looks, and what it said is free."""

    neighbours: Neighbours
    freed: list[Mapping[str, int]]

    async def heard(self) -> bool:
        return bool(self.freed)


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Callable[[str], Holder]]:
    """Starts a process that holds the lock of a worker."""
    held: list[Holder] = []

    def start(worker: str) -> Holder:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path), worker],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        held.append(Holder(process, process.stdout.readline().strip()))
        return held[-1]

    yield start
    for holder in held:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(holder.process.pid, signal.SIGKILL)
        holder.process.wait()
        assert holder.process.stdin is not None and holder.process.stdout is not None
        holder.process.stdin.close()
        holder.process.stdout.close()


@pytest.fixture
async def watcher(database: Database, tmp_path: Path) -> AsyncIterator[Watcher]:
    here = Here("host-1", BOOT_ID, tmp_path / "fences")
    freed: list[Mapping[str, int]] = []

    async def note(runs: Mapping[str, int]) -> None:
        freed.append(runs)

    watcher = Watcher(Neighbours(database, FixedClock(), tmp_path, here, own="w2", freed=note), freed)
    yield watcher
    await watcher.neighbours.aclose()


async def a_held_run(database: Database, holder: Holder, worker: str = "w1", **fields: str) -> Snapshot:
    """A run held by a worker whose process is this one."""
    lease = Lease(database, identity(worker, pid=holder.process.pid, **fields), FixedClock())
    await lease.acquire(lock=holder.lock)
    run = await a_created_run(database)
    (claimed,) = await claimed_by(database, worker, run.run.id)
    return claimed


async def taken_by_another(database: Database) -> list[tuple[str, int]]:
    """What a worker gets now that asks for anything, each with its fence."""
    await a_worker(database, "w2")
    return [(run.run.id, run.run.fence) for run in await claimed_by(database, "w2")]


async def test_what_a_killed_worker_held_is_free_at_once(
    database: Database, hold: Callable[[str], Holder], watcher: Watcher
) -> None:
    holder = hold("w1")
    run = await a_held_run(database, holder)
    await watcher.neighbours.look()
    assert [] == watcher.freed

    holder.die()

    await until(watcher.heard)
    assert {run.run.id: run.run.fence} == watcher.freed[0]
    assert [(run.run.id, run.run.fence + 1)] == await taken_by_another(database)


async def test_one_that_died_while_nobody_looked_is_found_by_the_first_look(
    database: Database, hold: Callable[[str], Holder], watcher: Watcher
) -> None:
    holder = hold("w1")
    run = await a_held_run(database, holder)
    holder.die()

    await watcher.neighbours.look()

    assert [{run.run.id: run.run.fence}] == watcher.freed
    assert [(run.run.id, run.run.fence + 1)] == await taken_by_another(database)


async def test_whoever_hears_second_is_told_that_something_may_be_free(
    database: Database, hold: Callable[[str], Holder], watcher: Watcher
) -> None:
    holder = hold("w1")
    await a_held_run(database, holder)
    await watcher.neighbours.look()
    boot_ms = FixedClock().boot_ms()
    assert await workers.end_lease(database, "w1", host="host-1", boot_id=BOOT_ID, boot_ms=boot_ms)

    holder.die()

    await until(watcher.heard)
    assert [{}] == watcher.freed
    assert not await workers.end_lease(database, "w1", host="host-1", boot_id=BOOT_ID, boot_ms=boot_ms)


async def test_one_that_is_suspended_is_not_taken_for_dead(
    database: Database, hold: Callable[[str], Holder], watcher: Watcher
) -> None:
    holder = hold("w1")
    await a_held_run(database, holder)
    await watcher.neighbours.look()
    os.kill(holder.process.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, holder.process.pid, os.WSTOPPED | os.WNOWAIT)

    await watcher.neighbours.look()

    assert [] == watcher.freed
    assert [] == await taken_by_another(database)


async def test_a_program_it_has_started_does_not_keep_it_alive(
    database: Database, hold: Callable[[str], Holder], watcher: Watcher
) -> None:
    holder = hold("w1")
    run = await a_held_run(database, holder)
    holder.tell("start a program")
    holder.die()

    await watcher.neighbours.look()

    assert [(run.run.id, run.run.fence + 1)] == await taken_by_another(database)


def deleted(path: Path, holder: Holder) -> None:
    path.unlink()


def replaced(path: Path, holder: Holder) -> None:
    path.unlink()
    path.touch()


def replaced_and_the_worker_killed(path: Path, holder: Holder) -> None:
    replaced(path, holder)
    holder.die()


def deleted_and_the_worker_killed(path: Path, holder: Holder) -> None:
    deleted(path, holder)
    holder.die()


def lost_by_a_worker_that_lives(path: Path, holder: Holder) -> None:
    holder.tell("release")
    assert "free" == look_at(path, holder.lock)


@pytest.mark.parametrize(
    "happens",
    [
        deleted,
        replaced,
        deleted_and_the_worker_killed,
        replaced_and_the_worker_killed,
        lost_by_a_worker_that_lives,
    ],
)
async def test_where_a_lock_proves_nothing_the_lease_decides(
    database: Database,
    hold: Callable[[str], Holder],
    watcher: Watcher,
    tmp_path: Path,
    happens: Callable[[Path, Holder], None],
) -> None:
    holder = hold("w1")
    await a_held_run(database, holder)
    (before,) = await rows(database, "SELECT until FROM workers")
    happens(tmp_path / "workers" / "w1.lock", holder)

    await watcher.neighbours.look()

    assert [] == watcher.freed
    assert [before] == await rows(database, "SELECT until FROM workers")
    assert [] == await taken_by_another(database)


@pytest.mark.parametrize("elsewhere", [{"host": "host-2"}, {"boot_id": "boot-0"}])
async def test_a_worker_of_another_host_or_boot_is_not_judged_by_its_lock(
    database: Database, hold: Callable[[str], Holder], watcher: Watcher, elsewhere: dict[str, str]
) -> None:
    holder = hold("w1")
    await a_held_run(database, holder, **elsewhere)
    (before,) = await rows(database, "SELECT until FROM workers")
    holder.die()

    await watcher.neighbours.look()

    assert [] == watcher.freed
    assert [before] == await rows(database, "SELECT until FROM workers")


async def test_its_runs_are_free_only_when_nothing_of_them_runs_here(
    database: Database, hold: Callable[[str], Holder], watcher: Watcher, begin: Begin, tmp_path: Path
) -> None:
    holder = hold("w1")
    run = await a_held_run(database, holder)
    left = begin(CallLabel(TENANT, run.run.id, "call_1", run.run.fence))
    newer = begin(CallLabel(TENANT, run.run.id, "call_1", run.run.fence + 1))
    (tmp_path / "fences").touch()  # so that nothing proves that nothing of it starts
    holder.die()

    await watcher.neighbours.look()

    assert [{}] == watcher.freed
    assert -signal.SIGKILL == left.wait()
    assert [] == await taken_by_another(database)
    (tmp_path / "fences").unlink()
    await watcher.neighbours.look()
    assert {newer.pid} == {process.pid for process in labelled(run_id=run.run.id)}
    assert [{}, {run.run.id: run.run.fence}] == watcher.freed
    assert [(run.run.id, run.run.fence + 1)] == await taken_by_another(database)


async def test_a_lock_that_was_given_back_leaves_nothing_and_an_old_one_is_tidied_away(
    database: Database, hold: Callable[[str], Holder], watcher: Watcher, tmp_path: Path
) -> None:
    gone, dead, living = LifeLock(lock_file(tmp_path, "gone")), hold("dead"), hold("living")
    assert gone.take() is not None
    gone.release()
    dead.die()
    locks = tmp_path / "workers"
    assert {"dead.lock", "living.lock"} == {path.name for path in locks.iterdir()}
    for age_s, removed in (1, 0), (61, 1):
        for path in locks.iterdir():
            os.utime(path, (0, NOW_MS / 1000 - age_s))
        assert removed == await watcher.neighbours.tidy()
    assert ["living.lock"] == [path.name for path in locks.iterdir()]
    assert "held" == look_at(locks / "living.lock", living.lock)


async def test_a_worker_where_nothing_can_be_locked_lives_by_its_lease(database: Database, tmp_path: Path) -> None:
    (tmp_path / "workers").touch()
    assert LifeLock(lock_file(tmp_path, "w1")).take() is None
