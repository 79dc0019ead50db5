"""Every way a call ends leaves nothing of it: kill, cancellation, time, a dead worker, a dead supervisor, strays."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.execution.base import CallLabel, Limits, ProcessResult, ProcessSpec, SandboxLevel
from core.execution.labels import VARIABLE, end_call, labelled
from core.execution.local import LocalEnvironment, SupervisorLost
from core.execution.processes import descendants
from core.execution.sandbox import probe_environment
from tests.integration.execution.sandboxes import until

Build = Callable[..., ProcessSpec]

RUNAWAY = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(3, 40):
            try:
                os.close(number)
            except OSError:
                pass
        os.execve("/usr/bin/env", ["env", "-i", "sleep", "1000"], {})
    os._exit(0)
os.wait()
open("running", "w").close()
while True:
    pass
"""
"""A busy loop, and a child that has left its session, its parent, its environment and its good manners."""


async def _started(
    environment: LocalEnvironment, spec: ProcessSpec, kill: asyncio.Event
) -> asyncio.Task[ProcessResult]:
    task = asyncio.create_task(environment.run(spec, kill=kill))
    await until(lambda: task.done() or (spec.workspace / "running").exists())
    assert not task.done(), task.result()
    return task


async def test_kill_ends_the_whole_tree(environment: LocalEnvironment, python: Build, label: CallLabel) -> None:
    kill = asyncio.Event()
    task = await _started(environment, python(RUNAWAY), kill)
    assert len(labelled(call=label)) >= 3  # the supervisor, the loop, the stray

    kill.set()
    result = await task

    assert ("killed", None, None) == (result.ended, result.exit_code, result.signal)
    assert 2 == result.processes_ended
    assert "It was stopped on request." == result.detail
    assert {} == labelled(call=label)


async def test_without_a_sandbox_kill_ends_the_whole_tree_as_well(
    tool_environment: Path, python: Build, label: CallLabel, tmp_path: Path
) -> None:
    (tmp_path / "spool").mkdir()
    environment = probe_environment(
        tool_environment=tool_environment, allow_unsandboxed=True, prefer=SandboxLevel.NONE, spool=tmp_path / "spool"
    )
    kill = asyncio.Event()
    task = await _started(environment, python(RUNAWAY), kill)

    kill.set()
    result = await task

    assert ("killed", 2, SandboxLevel.NONE) == (result.ended, result.processes_ended, result.level)


async def test_kill_before_the_start_runs_nothing(
    environment: LocalEnvironment, python: Build, workspace: Path
) -> None:
    kill = asyncio.Event()
    kill.set()

    result = await environment.run(python("open('ran', 'w').close(); import time; time.sleep(100)"), kill=kill)

    assert "killed" == result.ended
    assert 0 == result.stdout_bytes


async def test_kill_at_any_moment_is_a_kill(environment: LocalEnvironment, python: Build, label: CallLabel) -> None:
    """Also while the supervisor, the sandbox or the program is only just starting."""
    outcomes = []
    for delay_s in (0.0, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12):
        kill = asyncio.Event()
        task = asyncio.create_task(environment.run(python("import time; time.sleep(100)"), kill=kill))
        await asyncio.sleep(delay_s)
        kill.set()
        outcomes.append((await task).ended)
        assert {} == labelled(call=label)

    assert ["killed"] * len(outcomes) == outcomes


async def test_cancellation_returns_only_when_nothing_is_left(
    environment: LocalEnvironment, python: Build, label: CallLabel
) -> None:
    task = await _started(environment, python(RUNAWAY), asyncio.Event())

    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # an impatient caller changes nothing
    with pytest.raises(asyncio.CancelledError):
        await task

    assert {} == labelled(call=label)


async def test_a_timeout_of_the_caller_ends_the_call(
    environment: LocalEnvironment, python: Build, label: CallLabel
) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await environment.run(python(RUNAWAY))

    assert {} == labelled(call=label)


async def test_the_wall_clock_ends_the_call(environment: LocalEnvironment, python: Build, label: CallLabel) -> None:
    result = await environment.run(python(RUNAWAY, limits=Limits(wall_s=1)))

    assert ("timed-out", 2) == (result.ended, result.processes_ended), result
    assert "It ran for more than 1 s and was stopped." == result.limit == result.detail
    assert {} == labelled(call=label)


async def test_closing_its_output_does_not_hide_a_program(environment: LocalEnvironment, python: Build) -> None:
    """The end of the output is not the end of the program; only the clock ends this one."""
    source = "import os, time; print('last words', flush=True); os.close(1); os.close(2); os.close(0); time.sleep(1000)"

    result = await environment.run(python(source, limits=Limits(wall_s=1)))

    assert ("timed-out", b"last words\n", 1) == (result.ended, result.stdout, result.processes_ended)


async def test_strays_are_ended_and_counted(environment: LocalEnvironment, python: Build) -> None:
    """The program ends well, but leaves two children behind, one of which holds its output open."""
    source = """
import os, signal
for _ in range(2):
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(write, b"x")
        os.execvp("sleep", ["sleep", "1000"])
    os.read(read, 1)
print("left them")
"""
    result = await environment.run(python(source))

    assert ("exited", 0, b"left them\n", 2) == (
        result.ended,
        result.exit_code,
        result.stdout,
        result.processes_ended,
    ), result
    assert "2 processes it had left running were ended." in result.detail


async def test_zombies_are_reaped(environment: LocalEnvironment, python: Build) -> None:
    """A program that never waits for its children leaves zombies, which are nobody's survivors."""
    source = """
import os
for _ in range(20):
    if os.fork() == 0:
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
print("done")
"""
    result = await environment.run(python(source))

    assert ("exited", b"done\n") == (result.ended, result.stdout)
    assert result.processes_ended <= 20  # some may still have been on their way out


async def test_a_stopped_program_is_ended_too(environment: LocalEnvironment, python: Build) -> None:
    source = "import os, signal; open('running', 'w').close(); os.kill(os.getpid(), signal.SIGSTOP)"
    kill = asyncio.Event()
    task = await _started(environment, python(source), kill)

    kill.set()

    assert "killed" == (await task).ended


WORKER = """
import asyncio, json, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from core.execution.base import CallLabel, ProcessSpec, SandboxLevel
from core.execution.sandbox import probe_environment
asked = json.loads(sys.argv[2])
environment = probe_environment(
    tool_environment=Path(asked["tools"]), allow_unsandboxed=False, prefer=SandboxLevel(asked["level"]),
    spool=Path(asked["spool"]),
)
spec = ProcessSpec(
    argv=("python", "-I", "-S", "-c", asked["source"]), workspace=Path(asked["workspace"]),
    label=CallLabel(*asked["label"]),
)
asyncio.run(environment.run(spec))
"""


async def test_a_worker_killed_with_sigkill_takes_its_calls_along(
    environment: LocalEnvironment, label: CallLabel, workspace: Path, tool_environment: Path
) -> None:
    """Nobody tells the supervisor: it notices that the lifeline has gone."""
    root = Path(__file__).resolve().parents[3]
    asked = {
        "tools": str(tool_environment),
        "level": environment.level,
        "spool": str(environment.spool),
        "workspace": str(workspace),
        "label": [label.tenant, label.run_id, label.call_id, label.fence],
        "source": RUNAWAY,
    }
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, str(root), json.dumps(asked))
    await until(lambda: worker.returncode is not None or (workspace / "running").exists())
    assert worker.returncode is None

    worker.send_signal(signal.SIGKILL)
    await worker.wait()

    await until(lambda: not labelled(call=label))
    assert environment.spool is not None
    await until(lambda: not any(environment.spool.iterdir()))  # type: ignore[union-attr]


async def test_a_killed_supervisor_is_reported_and_its_call_ended(
    environment: LocalEnvironment, python: Build, label: CallLabel
) -> None:
    """Whoever kills the supervisor (the kernel, out of memory) does not set the program free."""
    task = await _started(environment, python(RUNAWAY), asyncio.Event())
    supervisor = next(p for p in labelled(call=label) if p.parent == os.getpid())

    os.kill(supervisor.pid, signal.SIGKILL)

    with pytest.raises(SupervisorLost):
        await task
    # The child that cleared its environment has lost its label: at the bwrap level it died with its namespace, at the
    # other its cgroup still named it. `nothing_is_left` finds that cgroup gone.
    assert {} == labelled(call=label)


async def test_sigterm_to_the_supervisor_ends_its_call(
    environment: LocalEnvironment, python: Build, label: CallLabel
) -> None:
    task = await _started(environment, python(RUNAWAY), asyncio.Event())
    supervisor = next(p for p in labelled(call=label) if p.parent == os.getpid())

    os.kill(supervisor.pid, signal.SIGTERM)

    assert "killed" == (await task).ended


async def test_every_process_of_a_call_can_be_found_by_its_label(
    environment: LocalEnvironment, python: Build, label: CallLabel
) -> None:
    kill = asyncio.Event()
    task = await _started(environment, python(RUNAWAY), kill)
    supervisor = next(p for p in labelled(call=label) if p.parent == os.getpid())

    command = Path(f"/proc/{supervisor.pid}/cmdline").read_bytes().decode()
    assert f"{VARIABLE}={label.tenant}/{label.run_id}/{label.call_id}/{label.fence}" in command
    assert {p.pid for p in descendants(supervisor.pid)} <= {p.pid for p in labelled(run_id=label.run_id)}
    assert {} == labelled(call=replace(label, fence=label.fence + 1))
    assert {} == labelled(run_id="another")

    kill.set()
    await task


async def test_a_call_can_be_ended_by_its_label_from_outside(
    environment: LocalEnvironment, python: Build, label: CallLabel
) -> None:
    """What the reaper does for a worker that is stopped or gone."""
    task = await _started(environment, python(RUNAWAY), asyncio.Event())

    ended = await asyncio.to_thread(end_call, label)

    assert ended >= 2
    assert ("signaled", signal.SIGKILL) == ((await task).ended, (await task).signal)


async def test_a_call_whose_supervisor_is_stopped_can_be_ended_by_its_label(
    environment: LocalEnvironment, python: Build, label: CallLabel
) -> None:
    task = await _started(environment, python(RUNAWAY), asyncio.Event())
    supervisor = next(p for p in labelled(call=label) if p.parent == os.getpid())
    os.kill(supervisor.pid, signal.SIGSTOP)

    ended = await asyncio.to_thread(end_call, label)

    assert ended >= 3
    with pytest.raises(SupervisorLost):
        await task


async def test_many_calls_at_once_do_not_mix(
    environments: Callable[[SandboxLevel], LocalEnvironment],
    environment: LocalEnvironment,
    tmp_path: Path,
    label: CallLabel,
) -> None:
    async def one(number: int) -> bytes:
        workspace = tmp_path / f"workspace-{number}"
        workspace.mkdir()
        source = "import sys; sys.stdout.write(sys.stdin.read() * 1000)"
        spec = ProcessSpec(
            argv=("python", "-I", "-S", "-c", source),
            workspace=workspace,
            label=replace(label, call_id=f"call-{number}"),
            stdin=str(number).encode(),
        )
        return (await environment.run(spec)).stdout

    results = await asyncio.gather(*(one(number) for number in range(6)))

    assert [str(number).encode() * 1000 for number in range(6)] == results
