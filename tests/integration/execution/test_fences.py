"""The fences of a host: a call of a run that went on without its worker does not start, however late it wakes."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from core.execution.base import CallLabel, ProcessSpec
from core.execution.hostfence import KEPT_S, fence_file, forget_old, passed, raise_fence
from core.execution.labels import VARIABLE, encode, labelled
from core.execution.local import LocalEnvironment
from core.execution.reaper import Ended, end_run

Build = Callable[..., ProcessSpec]

MARK = "import pathlib; pathlib.Path('ran').touch()"


@pytest.fixture
def fences(tmp_path: Path) -> Path:
    return tmp_path / "fences"


@pytest.mark.parametrize(("above", "runs"), [(0, True), (1, False), (5, False), (-1, True)])
async def test_a_call_starts_only_up_to_its_fence(
    environment: LocalEnvironment,
    python: Build,
    label: CallLabel,
    fences: Path,
    workspace: Path,
    above: int,
    runs: bool,
) -> None:
    raise_fence(str(fences), label.run_id, label.fence + above)

    result = await replace(environment, fences=fences).run(python(MARK))

    assert ("exited" if runs else "killed") == result.ended
    assert runs is (workspace / "ran").exists()


async def test_a_worker_that_wakes_between_the_look_and_the_start_starts_nothing(
    environment: LocalEnvironment, python: Build, label: CallLabel, fences: Path, workspace: Path
) -> None:
    """The order that matters: somebody looks, finds nothing, says so; only then the call comes to its start."""
    assert Ended(0, 0) == await asyncio.to_thread(end_run, label.run_id, below=label.fence + 1, fences=fences)

    result = await replace(environment, fences=fences).run(python(MARK))

    assert ("killed", 0) == (result.ended, result.processes_ended)
    assert not (workspace / "ran").exists()


async def test_however_a_start_and_a_look_meet_nothing_outlives_the_look(
    environment: LocalEnvironment, python: Build, label: CallLabel, fences: Path
) -> None:
    fenced = replace(environment, fences=fences)
    outcomes = set()
    for n in range(12):
        call = replace(label, run_id=f"{label.run_id}-{n}")
        task = asyncio.create_task(fenced.run(replace(python("while True: pass"), label=call)))
        await asyncio.sleep(n * 0.02)
        found = await asyncio.to_thread(end_run, call.run_id, below=call.fence + 1, fences=fences)
        assert 0 == found.remaining
        try:
            outcomes.add((await task).ended)
        except Exception as error:  # its supervisor was ended before it could report
            outcomes.add(type(error).__name__)
        assert Ended(0, 0) == await asyncio.to_thread(end_run, call.run_id, below=call.fence + 1, fences=fences)
    assert outcomes <= {"killed", "signaled", "not-started", "SupervisorLost"}


def test_a_fence_is_never_lowered(fences: Path) -> None:
    path = fence_file(str(fences), "run_1")
    assert not passed(path, 0)
    raise_fence(str(fences), "run_1", 5)
    raise_fence(str(fences), "run_1", 3)
    assert passed(path, 4) and not passed(path, 5)
    assert [path] == [str(each) for each in written(fences)], "nothing half-written is left"


def test_a_fence_is_never_lowered_by_two_at_once(fences: Path) -> None:
    for number in range(200):
        run_id = f"run_{number}"
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda fence, run_id=run_id: raise_fence(str(fences), run_id, fence), (7, 6)))
        assert passed(fence_file(str(fences), run_id), 6)


async def test_a_fence_that_cannot_be_written_keeps_nothing_alive_and_proves_nothing(
    environment: LocalEnvironment, python: Build, label: CallLabel, tmp_path: Path
) -> None:
    (tmp_path / "fences").write_text("in the way")
    task = asyncio.create_task(environment.run(python("while True: pass")))
    while not labelled(call=label):  # noqa: ASYNC110 (processes, not tasks)
        await asyncio.sleep(0.05)

    found = await asyncio.to_thread(end_run, label.run_id, below=label.fence + 1, fences=tmp_path / "fences")

    assert (False, 0) == (found.fenced, found.remaining) and found.ended >= 1
    assert {} == labelled(call=label)
    await asyncio.gather(task, return_exceptions=True)


def test_what_a_process_says_of_its_fence_does_not_spare_it(label: CallLabel, fences: Path) -> None:
    """Only supervisors are believed, and no program can pass for one."""
    lying = replace(label, fence=999_999_999)
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"], env={VARIABLE: encode(lying)}
    ) as process:
        found = end_run(label.run_id, below=label.fence + 1, fences=fences)
        assert Ended(1, 0) == found
        assert -signal.SIGKILL == process.wait(10)


def written(fences: Path) -> list[Path]:
    return sorted(path for path in fences.iterdir() if not path.name.startswith("."))


def test_whatever_a_run_is_called_its_fence_stays_in_the_directory(fences: Path) -> None:
    for name in ("../../etc/passwd", "a/b", "..", "über", "x\0y"):
        raise_fence(str(fences), name, 2)
        assert passed(fence_file(str(fences), name), 1)
    assert 5 == len(written(fences))


def test_a_fence_is_forgotten_when_nobody_can_be_behind_it(fences: Path) -> None:
    raise_fence(str(fences), "old", 5)
    raise_fence(str(fences), "new", 5)
    now_s = (fences / "new").stat().st_mtime
    os.utime(fences / "old", (now_s - KEPT_S - 1, now_s - KEPT_S - 1))
    assert 1 == forget_old(str(fences), now_s=now_s)
    assert ["new"] == [each.name for each in written(fences)]
    assert 0 == forget_old(str(fences / "missing"), now_s=now_s)
