"""What a call leaves behind when its supervisor is killed is found and ended, whatever it says of itself.

Nobody helps here: the supervisor is started as a worker would, and the worker does nothing afterwards. What was running
is known from the process table of before, not from labels.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from core.execution import marks
from core.execution.base import CallLabel, Limits, ProcessSpec, SandboxLevel
from core.execution.callgroup import abandon
from core.execution.labels import VARIABLE, encode, end_call, label_of, labelled
from core.execution.local import LocalEnvironment, command
from core.execution.processes import Process, descendants, read
from core.execution.sandbox import probe_environment
from core.execution.trees import remove_tree
from tests.integration.execution.sandboxes import until

Build = Callable[..., ProcessSpec]

STRAYS = """
import os
for environment in ({{}}, {{"{variable}": "T1/another-run/another-call/3"}}):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in range(3, 64):
                try:
                    os.close(number)
                except OSError:
                    pass
            os.execve("/usr/bin/env", ["sleep-not", "sleep", "1000"], environment)
        os._exit(0)
    os.wait()
{lower}
open("running", "w").close()
while True:
    pass
""".format(
    variable=VARIABLE,
    lower="""
import ctypes, resource
libc = ctypes.CDLL(None)
for number in (160, 164, 302, 261):
    pair = (ctypes.c_uint64 * 2)(1, 1)
    libc.syscall(number, 10, pair) if number < 200 else libc.syscall(number, 0, 10, pair, 0)
""",
)
"""Two grandchildren outside of the session, one without any environment and one that names another call; then the
program itself tries to get rid of its mark, by number, on either machine."""


@contextmanager
def lone_supervisor(environment: LocalEnvironment, spec: ProcessSpec) -> Iterator[tuple[Process, list[Process]]]:
    """A supervisor whose worker does nothing, and the processes of its call, from the table."""
    directory = Path(tempfile.mkdtemp(prefix="banksman-call-", dir=environment.spool))
    request = environment.recipe.request(spec, directory)
    pipe = subprocess.PIPE
    with ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(
                command(spec),
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                env={VARIABLE: encode(spec.label)},
                start_new_session=True,
            )
        )
        stack.callback(process.kill)
        assert process.stdin is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        while not (spec.workspace / "running").exists():
            assert process.poll() is None
        supervisor = read(process.pid)
        assert supervisor is not None
        yield supervisor, [each for each in descendants(process.pid) if each.alive]
        process.kill()
        process.wait()
    for group in request["groups"]:
        abandon(group["path"])
    remove_tree(str(directory))


def living(processes: list[Process]) -> list[Process]:
    return [now for each in processes if (now := read(each.pid)) == each and now is not None and now.alive]


async def kill(supervisor: Process) -> None:
    os.kill(supervisor.pid, signal.SIGKILL)
    await until(lambda: not living([supervisor]))


async def test_strays_of_a_killed_supervisor_are_found_and_ended_by_their_mark(
    bare_environment: LocalEnvironment, python: Build, label: CallLabel
) -> None:
    """No cgroup, no environment, no parent: only the mark is left, unless the process namespace took them along."""
    with lone_supervisor(bare_environment, python(STRAYS)) as (supervisor, processes):
        strays = [each for each in processes if label_of(each.pid) != label]
        assert 2 == len(strays)
        await kill(supervisor)

        if bare_environment.level is SandboxLevel.BWRAP:
            await until(lambda: not living(processes))
        else:
            assert set(strays) <= set(labelled(run_id=label.run_id))
            assert set(strays) <= set(labelled(call=label))
            assert end_call(label) >= 2

        assert [] == living(processes)


async def test_a_run_is_found_by_its_mark_when_nobody_remembers_the_call(
    bare_environment: LocalEnvironment, python: Build, label: CallLabel
) -> None:
    """The label that stands for the forgotten one is good for ending it, and known labels are told apart."""
    with lone_supervisor(bare_environment, python(STRAYS)) as (supervisor, processes):
        strays = [each for each in processes if label_of(each.pid) != label]
        await kill(supervisor)
        if bare_environment.level is SandboxLevel.BWRAP:
            await until(lambda: not living(processes))
            return
        await until(lambda: len(living(processes)) == 2)

        known = labelled(run_id=label.run_id, known=[replace(label, call_id="call-2"), label])
        assert dict.fromkeys(strays, label) == known
        (forgotten,) = set(labelled(run_id=label.run_id).values())
        assert forgotten != label
        assert {} == labelled(run_id="another-run")
        assert 2 == end_call(forgotten)

        assert [] == living(processes)


async def test_the_cgroup_names_the_call_and_is_ended_as_a_whole(
    environment: LocalEnvironment, python: Build, label: CallLabel
) -> None:
    if not environment.recipe.controllers:
        return
    with lone_supervisor(environment, python(STRAYS)) as (_, processes):
        inside = [each for each in processes if marks.group_label(each.pid)]
        assert inside
        assert {replace(label, tenant="")} == {marks.group_label(each.pid) for each in inside}

        assert end_call(label) >= 2

        assert [] == living(processes)


async def test_every_process_of_a_call_carries_its_mark(
    bare_environment: LocalEnvironment, python: Build, label: CallLabel
) -> None:
    with lone_supervisor(bare_environment, python(STRAYS)) as (supervisor, processes):
        assert bare_environment.recipe.marked
        assert {marks.mark(label)} == {marks.mark_of(each.pid) for each in processes}
        assert marks.mark_of(supervisor.pid) is None
        end_call(label)


async def test_without_a_sandbox_a_cleared_environment_hides_nothing(
    tool_environment: Path, python: Build, label: CallLabel, tmp_path: Path
) -> None:
    (tmp_path / "spool").mkdir()
    environment = probe_environment(
        tool_environment=tool_environment, allow_unsandboxed=True, prefer=SandboxLevel.NONE, spool=tmp_path / "spool"
    )
    bare = replace(environment, recipe=replace(environment.recipe, controllers=()))
    source = STRAYS.partition("import ctypes")
    with lone_supervisor(bare, python(f"{source[0]}open('running', 'w').close()\nwhile True: pass")) as (
        supervisor,
        processes,
    ):
        await kill(supervisor)

        assert end_call(label) >= 2

        assert [] == living(processes)
    assert any("outlives a supervisor" in gap for gap in bare.recipe.gaps())


def test_a_mark_is_of_its_call_and_its_run(label: CallLabel) -> None:
    value = marks.mark(label)

    assert value != marks.mark(replace(label, fence=label.fence + 1))
    assert value != marks.mark(replace(label, call_id="call-2"))
    assert marks.is_of_run(value, label.run_id)
    assert not marks.is_of_run(value, "another-run")
    assert value == marks.mark(marks.nameless(value, label.run_id))


HOPPER = """
import os
open("running", "w").close()
while True:
    if os.fork():
        os._exit(0)
    os.setsid()
"""
"""It is never the process it was a moment ago."""


async def test_a_process_that_keeps_becoming_another_is_ended_by_its_supervisor(
    bare_environment: LocalEnvironment, python: Build, label: CallLabel
) -> None:
    result = await bare_environment.run(python(HOPPER, limits=Limits(wall_s=1)))

    assert result.ended in ("exited", "timed-out"), result
    assert {} == labelled(call=label)


async def test_a_process_that_keeps_becoming_another_is_ended_by_its_mark(
    bare_environment: LocalEnvironment, python: Build, label: CallLabel
) -> None:
    """A look at all processes misses it; that nothing is left is seen from no new process carrying the mark."""
    source = f"import os\nif os.fork():\n    import time; time.sleep(100)\n{HOPPER}"
    with lone_supervisor(bare_environment, python(source)) as (supervisor, _):
        await kill(supervisor)
        if bare_environment.level is SandboxLevel.LANDLOCK:
            assert labelled(run_id=label.run_id)
        end_call(label)

        assert [] == [pid for _ in range(30) for pid in living_marked(label)]


def living_marked(label: CallLabel) -> list[int]:
    """Every living process with this mark among the last hundred that were made."""
    last = int(Path("/proc/loadavg").read_text().split()[-1])
    found = [pid for pid in range(last - 90, last + 10) if marks.mark_of(pid) == marks.mark(label)]
    return [pid for pid in found if (process := read(pid)) is not None and process.alive]
