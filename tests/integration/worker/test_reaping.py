"""The reaper: what it ends, whom it waits for, what it leaves alone; on both databases, with real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.execution.base import CallLabel
from core.execution.hostfence import fence_file, passed
from core.execution.labels import VARIABLE, encode, labelled
from core.execution.processes import read
from core.execution.reaper import Ended
from core.ids import TENANT
from core.record.changes import RunChange
from core.record.rows import Snapshot
from core.runs import reading, steps
from core.runs.commands.kill import kill
from core.runs.reaping import PATIENCE_MS, Reaped, Reaper
from core.store import hosts, workers
from core.store.session import Database
from tests.factories import (
    BOOT_ID,
    NOW_MS,
    REQUESTER,
    FixedClock,
    a_claimed_run,
    a_created_run,
    a_worker,
    an_executing_run,
    claimed_by,
    landed,
    stamp,
)
from tests.integration.worker.conftest import until

Begin = Callable[[CallLabel], "subprocess.Popen[bytes]"]

SLEEP = "import time\nwhile True: time.sleep(60)"


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def reaper(database: Database, clock: FixedClock, tmp_path: Path) -> Reaper:
    return Reaper(database, clock, "host-1", BOOT_ID, tmp_path / "fences", os.getpid())


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Starts a process of a call, as a supervisor that nobody looks after."""
    begun = []

    def start(label: CallLabel) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", SLEEP, f"{VARIABLE}={encode(label)}"],
            env={VARIABLE: encode(label)},
            start_new_session=True,
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.wait()


def call_of(run: Snapshot, *, fence: int | None = None) -> CallLabel:
    return CallLabel(TENANT, run.run.id, run.calls[0].id, run.run.fence if fence is None else fence)


def killed(run: Snapshot) -> RunChange:
    decided = kill([run], run_id=run.run.id, by=REQUESTER, reason="", now_ms=NOW_MS)
    return decided.changes[0]  # type: ignore[union-attr]


async def lives(run: Snapshot) -> int:
    return len(labelled(run_id=run.run.id))


async def stop_of(database: Database, run: Snapshot) -> reading.StopView:
    view = await reading.view(database, TENANT, run.run.id)
    assert view is not None and view.stop is not None
    return view.stop


async def test_a_stop_is_proved_without_the_worker(
    database: Database, reaper: Reaper, begin: Begin, tmp_path: Path
) -> None:
    run = await an_executing_run(database)
    process = begin(call_of(run))
    await workers.remove(database, "w1")
    await landed(database, killed(run))
    assert (await stop_of(database, run)).confirmed_at_ms is None

    assert Reaped(stops=1, confirmed=1) == await reaper.tick()

    assert -signal.SIGKILL == process.wait(10)
    assert 0 == await lives(run)
    stop = await stop_of(database, run)
    assert (NOW_MS, 1, ()) == (stop.confirmed_at_ms, stop.processes_ended, stop.unconfirmed_hosts)
    assert ["unknown"] == [call.status for call in stop.calls]
    log = await reading.log(database, TENANT, run.run.id)
    assert ["stop-reported", "call-ended", "stop-confirmed"] == [event.type for event in log[-3:]]
    assert {"system:reaper:host-1"} == {event.actor for event in log[-3:]}
    fence = fence_file(str(tmp_path / "fences"), run.run.id)
    assert passed(fence, run.run.fence) and not passed(fence, run.run.fence + 1)
    assert Reaped() == await reaper.tick(), "it is proved once"


async def test_a_worker_that_is_well_speaks_first(
    database: Database, reaper: Reaper, begin: Begin, clock: FixedClock
) -> None:
    run = await an_executing_run(database)
    process = begin(call_of(run))
    await a_worker(database, "w1", clock=clock, pid=os.getpid())
    await landed(database, killed(run))

    assert Reaped() == await reaper.tick()
    assert process.poll() is None

    clock.advance(PATIENCE_MS)
    assert Reaped(stops=1, confirmed=1) == await reaper.tick()
    assert -signal.SIGKILL == process.wait(10)


@pytest.mark.parametrize("state", ["suspended", "gone"])
async def test_a_worker_that_is_suspended_or_gone_is_not_waited_for(
    database: Database, reaper: Reaper, begin: Begin, clock: FixedClock, state: str
) -> None:
    run = await an_executing_run(database)
    process = begin(call_of(run))
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", SLEEP]) as worker:
        await a_worker(database, "w1", clock=clock, pid=worker.pid)
        if state == "suspended":
            worker.send_signal(signal.SIGSTOP)
            await until(lambda: _is_stopped(worker.pid))
        else:
            worker.kill()
            worker.wait()
        await landed(database, killed(run))

        assert Reaped(stops=1, confirmed=1) == await reaper.tick()

        worker.kill()
    assert -signal.SIGKILL == process.wait(10)


async def _is_stopped(pid: int) -> bool:
    process = read(pid)
    return process is not None and process.state == "T"


async def test_what_lost_its_run_is_ended_at_the_second_look(
    database: Database, reaper: Reaper, begin: Begin, clock: FixedClock
) -> None:
    run = await an_executing_run(database)
    old = begin(call_of(run))
    await workers.remove(database, "w1")
    await a_worker(database, "w2", clock=clock)
    (taken,) = await claimed_by(database, "w2", run.run.id, clock=clock)
    new = begin(call_of(taken))

    assert Reaped() == await reaper.tick()
    assert Reaped(strays=1) == await reaper.tick()

    assert -signal.SIGKILL == old.wait(10)
    assert new.poll() is None, "whoever holds the run now was ended too"
    assert Reaped() == await reaper.tick()
    log = [event.type for event in await reading.log(database, TENANT, run.run.id)]
    assert "stop-reported" not in log


async def test_what_outlives_its_workers_lease_is_ended(
    database: Database, reaper: Reaper, begin: Begin, clock: FixedClock
) -> None:
    """A worker that is suspended cannot end its own; nobody else may have claimed the run yet."""
    run = await an_executing_run(database)
    process = begin(call_of(run))
    assert Reaped() == await reaper.tick()
    assert Reaped() == await reaper.tick(), "its lease runs"

    await workers.remove(database, "w1")

    assert Reaped() == await reaper.tick()
    clock.advance(9_999)
    assert Reaped() == await reaper.tick(), "it may only be renewed late"
    clock.advance(1)
    assert Reaped(strays=1) == await reaper.tick()
    assert -signal.SIGKILL == process.wait(10)
    view = await reading.view(database, TENANT, run.run.id)
    assert view is not None and "executing" == view.state, "what becomes of the run is its next holder's decision"


async def test_what_was_given_back_is_ended(database: Database, reaper: Reaper, begin: Begin) -> None:
    run = await an_executing_run(database)
    process = begin(call_of(run))
    await landed(database, steps.release(run, stamp(), due_at=0))

    assert [Reaped(), Reaped(strays=1)] == [await reaper.tick(), await reaper.tick()]
    assert -signal.SIGKILL == process.wait(10)


async def test_calls_this_database_knows_nothing_of_are_left_alone(
    database: Database, reaper: Reaper, begin: Begin
) -> None:
    """Two installations on one host: each ends its own."""
    await a_created_run(database)
    process = begin(CallLabel(TENANT, f"run-elsewhere-{os.getpid()}", "call-1", 1))

    for _ in range(3):
        assert Reaped() == await reaper.tick()

    assert process.poll() is None


async def test_what_turns_up_after_the_proof_is_ended_and_said(
    database: Database, reaper: Reaper, begin: Begin
) -> None:
    run = await an_executing_run(database)
    await workers.remove(database, "w1")
    await landed(database, killed(run))
    assert Reaped(stops=1, confirmed=1) == await reaper.tick()
    late = begin(call_of(run))

    assert [Reaped(), Reaped(strays=1)] == [await reaper.tick(), await reaper.tick()]

    assert -signal.SIGKILL == late.wait(10)
    assert 1 == (await stop_of(database, run)).processes_ended
    assert "stop-reported" == (await reading.log(database, TENANT, run.run.id))[-1].type


async def test_a_report_that_could_not_be_written_is_written_later_with_the_same_count(
    database: Database, reaper: Reaper, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await an_executing_run(database)
    begin(call_of(run))
    await workers.remove(database, "w1")
    await landed(database, killed(run))

    async def away(*_: object) -> None:
        raise OSError("the database is away")

    with monkeypatch.context() as broken, pytest.raises(OSError, match="away"):
        broken.setattr(database.journal, "command", away)
        await reaper.tick()
    assert 0 == await lives(run)

    assert Reaped(stops=1, confirmed=1) == await reaper.tick()
    assert 1 == (await stop_of(database, run)).processes_ended


async def test_a_run_that_was_only_looked_at_is_asked_about_where_it_was_held(
    database: Database, reaper: Reaper, begin: Begin
) -> None:
    """Looks before a call are processes too, and have no attempt."""
    run = await a_claimed_run(database)
    look = begin(CallLabel(TENANT, run.run.id, "call-look", run.run.fence))
    await workers.remove(database, "w1")
    await landed(database, killed(run))
    stop = await stop_of(database, run)
    assert (None, ("host-1",)) == (stop.confirmed_at_ms, stop.unconfirmed_hosts)

    assert Reaped(stops=1, confirmed=1) == await reaper.tick()

    assert -signal.SIGKILL == look.wait(10)


async def test_what_cannot_be_ended_does_not_keep_others_waiting(
    database: Database, reaper: Reaper, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, other = await an_executing_run(database), await an_executing_run(database, "w2")
    for run in (stuck, other):
        await landed(database, killed(run))
    for worker in ("w1", "w2"):
        await workers.remove(database, worker)

    def ends(run_id: str, **_: object) -> Ended:
        if run_id == stuck.run.id:
            raise OSError("it cannot be looked at")
        return Ended(0, 0)

    monkeypatch.setattr("core.runs.reaping.end_run", ends)
    with pytest.raises(OSError, match="looked at"):
        await reaper.tick()

    assert (await stop_of(database, other)).confirmed_at_ms == NOW_MS
    assert (await stop_of(database, stuck)).confirmed_at_ms is None


async def test_without_a_fence_nothing_is_proved(database: Database, reaper: Reaper, tmp_path: Path) -> None:
    run = await an_executing_run(database)
    await workers.remove(database, "w1")
    await landed(database, killed(run))
    (tmp_path / "fences").write_text("in the way")
    assert Reaped(stops=1) == await reaper.tick()
    (tmp_path / "fences").unlink()
    assert Reaped(stops=1, confirmed=1) == await reaper.tick()


async def test_another_hosts_word_is_not_ours_to_give(database: Database, clock: FixedClock, tmp_path: Path) -> None:
    run = await an_executing_run(database)
    await workers.remove(database, "w1")
    await landed(database, killed(run))
    other = Reaper(database, clock, "host-2", BOOT_ID, tmp_path / "fences", os.getpid())

    assert Reaped() == await other.tick()

    assert ("host-1",) == (await stop_of(database, run)).unconfirmed_hosts


async def test_a_host_that_came_back_says_so(database: Database, clock: FixedClock, tmp_path: Path) -> None:
    run = await an_executing_run(database, boot_id="boot-before")
    await workers.remove(database, "w1")
    await landed(database, killed(run))
    back = Reaper(database, clock, "host-1", "boot-after", tmp_path / "fences", os.getpid())

    assert Reaped(stops=1, confirmed=1) == await back.tick()

    assert ("host-1",) == (await stop_of(database, run)).restarted_hosts


async def test_a_host_is_written_down_with_its_boot_every_five_seconds(
    database: Database, reaper: Reaper, clock: FixedClock
) -> None:
    await reaper.tick()
    row = hosts.HostRow("host-1", BOOT_ID, os.getpid(), NOW_MS)
    assert [row] == await hosts.listed(database)
    clock.advance(4_999)
    await reaper.tick()
    assert [row] == await hosts.listed(database)
    clock.advance(1)
    await reaper.tick()
    assert [NOW_MS + 5_000] == [each.seen_at for each in await hosts.listed(database)]
