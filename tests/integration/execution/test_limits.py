"""Each limit is met, contained and explained in a sentence, with cgroups and without."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.execution.base import CallLabel, Limits, ProcessSpec
from core.execution.cgroups import discover, requests
from core.execution.labels import labelled
from core.execution.limits import duration, size
from core.execution.local import LocalEnvironment
from tests.integration.execution.sandboxes import until

Build = Callable[..., ProcessSpec]

GREEDY = """
import time
held = []
while True:
    held.append(bytearray(b"x") * (4 << 20))
    time.sleep(0.005)
"""
BOMB = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
MANY = """
import os, time
for _ in range(40):
    if os.fork() == 0:
        time.sleep(1000)
time.sleep(1000)
"""
FLOOD = """
import os
block = b"0123456789abcdef" * 65536
for _ in range(100):
    os.write(1, block)
"""


async def test_memory_is_limited_for_all_processes_together(
    environment: LocalEnvironment, python: Build, label: CallLabel
) -> None:
    result = await environment.run(python(GREEDY, limits=Limits(memory_bytes=128 << 20, wall_s=8)))

    assert ("limit", "It used more than 128 MiB of memory and was stopped.") == (result.ended, result.limit), result
    assert result.detail == result.limit
    assert any(mechanism.startswith("memory:") for mechanism in result.enforced)


async def test_memory_is_limited_without_cgroups_too(bare_environment: LocalEnvironment, python: Build) -> None:
    result = await bare_environment.run(python(GREEDY, limits=Limits(memory_bytes=128 << 20, wall_s=8)))

    # A process that is faster than whoever watches it runs into its own limit, which the kernel holds.
    stopped = ("limit", "It used more than 128 MiB of memory and was stopped.") == (result.ended, result.limit)
    refused = result.exit_code == 1 and b"MemoryError" in result.stderr
    assert stopped or refused, result


async def test_one_huge_request_for_memory_is_refused_without_cgroups(
    bare_environment: LocalEnvironment, python: Build
) -> None:
    """The program hears of it and explains itself."""
    result = await bare_environment.run(python("bytearray(4 << 30)", limits=Limits(memory_bytes=256 << 20)))

    assert ("exited", 1) == (result.ended, result.exit_code)
    assert b"MemoryError" in result.stderr


async def test_memory_of_many_small_processes_adds_up(bare_environment: LocalEnvironment, python: Build) -> None:
    source = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        held = bytearray(b"x") * (30 << 20)
        time.sleep(1000)
time.sleep(1000)
"""
    result = await bare_environment.run(python(source, limits=Limits(memory_bytes=100 << 20, wall_s=8)))

    assert "It used more than 100 MiB of memory and was stopped." == result.limit, result
    assert result.processes_ended >= 6


async def test_a_fork_bomb_is_contained(environment: LocalEnvironment, python: Build, label: CallLabel) -> None:
    result = await environment.run(python(BOMB, limits=Limits(processes=64, wall_s=8)))

    assert ("limit", "It started more than 64 processes and threads and was stopped.") == (
        result.ended,
        result.limit,
    ), result
    assert 0 < result.processes_ended <= 64
    assert {} == labelled(call=label)


async def test_too_many_processes_are_noticed_without_cgroups(
    bare_environment: LocalEnvironment, python: Build
) -> None:
    result = await bare_environment.run(python(MANY, limits=Limits(processes=20, wall_s=8)))

    assert "It started more than 20 processes and threads and was stopped." == result.limit, result
    assert result.processes_ended >= 20


async def test_a_fork_bomb_that_hides_is_counted_and_explained_without_cgroups(
    bare_environment: LocalEnvironment, python: Build, label: CallLabel
) -> None:
    """Each process leaves its session and its parent; the report still says how many there were, and why they ended."""
    source = """
import os, time
def grow(depth):
    os.setsid()
    for _ in range(3):
        if depth and os.fork() == 0:
            grow(depth - 1)
    time.sleep(1000 if depth % 2 else 0.5)
    os._exit(0)
if os.fork() == 0:
    grow(4)
time.sleep(1000)
"""
    result = await bare_environment.run(python(source, limits=Limits(processes=20, wall_s=8)))

    assert "It started more than 20 processes and threads and was stopped." == result.limit == result.detail, result
    assert 20 < result.processes_ended <= 122
    assert {} == labelled(call=label)


async def test_processor_time_is_limited(environment: LocalEnvironment, python: Build) -> None:
    result = await environment.run(python("while True: pass", limits=Limits(cpu_s=1, wall_s=9)))

    assert "It used more than 1 s of processor time and was stopped." == result.limit, result


async def test_the_size_of_a_file_is_limited(environment: LocalEnvironment, spec: Build, workspace: Path) -> None:
    result = await environment.run(
        spec("dd", "if=/dev/zero", "of=big", "bs=65536", "count=100", limits=Limits(file_bytes=1 << 20))
    )

    assert "It wrote a file larger than 1 MiB and was stopped." == result.limit, result
    assert 1 << 20 == (workspace / "big").stat().st_size


async def test_disk_space_is_limited_over_all_files(environment: LocalEnvironment, python: Build) -> None:
    source = """
import os, time
for number in range(1000):
    with open(f"file-{number}", "wb") as file:
        file.write(os.urandom(1 << 20))
    time.sleep(0.02)
"""
    result = await environment.run(python(source, limits=Limits(disk_bytes=8 << 20, wall_s=9)))

    assert "It filled more than 8 MiB of disk space and was stopped." == result.limit, result


async def test_removed_files_that_are_still_open_count(environment: LocalEnvironment, python: Build) -> None:
    source = """
import os, time
held = []
for number in range(12):
    held.append(open(f"file-{number}", "wb", buffering=0))
    os.unlink(f"file-{number}")
    held[-1].write(os.urandom(1 << 20))
time.sleep(1000)
"""
    result = await environment.run(python(source, limits=Limits(disk_bytes=8 << 20, wall_s=9)))

    assert "It filled more than 8 MiB of disk space and was stopped." == result.limit, result


async def test_what_the_workspace_held_before_does_not_count(
    environment: LocalEnvironment, python: Build, workspace: Path
) -> None:
    (workspace / "input").write_bytes(os.urandom(4 << 20))

    result = await environment.run(python("print('fine')", limits=Limits(disk_bytes=1 << 20)))

    assert "exited" == result.ended, result


async def test_open_files_are_limited(environment: LocalEnvironment, python: Build) -> None:
    source = "held = [open('/dev/null') for _ in range(100)]"

    result = await environment.run(python(source, limits=Limits(open_files=50)))

    assert 1 == result.exit_code
    assert b"Too many open files" in result.stderr


async def test_an_output_flood_is_counted_kept_and_capped(environment: LocalEnvironment, python: Build) -> None:
    """100 MiB: the beginning comes back, 3 MiB are in a file, the rest is a number."""
    limits = Limits(keep_output_bytes=1 << 16, max_output_bytes=3 << 20, wall_s=9)

    result = await environment.run(python(FLOOD, limits=limits))

    block = b"0123456789abcdef" * 65536
    assert ("exited", 100 << 20) == (result.ended, result.stdout_bytes), result
    assert block[: 1 << 16] == result.stdout
    assert result.stdout_file is not None
    assert (block * 3) == result.stdout_file.read_bytes()
    assert "Of 100 MiB written to stdout, the first 3 MiB were kept." in result.detail
    assert result.stderr_file is None
    result.stdout_file.unlink()


async def test_output_beyond_what_is_kept_goes_to_a_file_whole(environment: LocalEnvironment, python: Build) -> None:
    limits = Limits(keep_output_bytes=1000)

    result = await environment.run(python("import sys; sys.stderr.write('ab' * 1000)", limits=limits))

    assert (b"ab" * 500, 2000) == (result.stderr, result.stderr_bytes)
    assert result.stderr_file is not None
    assert b"ab" * 1000 == result.stderr_file.read_bytes()
    assert 0o600 == result.stderr_file.stat().st_mode & 0o777
    result.stderr_file.unlink()


async def test_output_that_cannot_be_kept_is_said_and_still_counted(
    environment: LocalEnvironment, python: Build, tmp_path: Path
) -> None:
    """The spool is a file system of 1 MiB, as a full disk would be."""
    spool = tmp_path / "small"
    spool.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", spool], check=False)
    if mounted.returncode != 0:  # an ordinary user: the place of the file is taken instead, which fails as well
        source = "import os, time; time.sleep(0.5); os.write(1, b'x' * 3000000)"
    else:
        source = "import os; os.write(1, b'x' * 3000000)"
    limits = Limits(keep_output_bytes=1000, wall_s=8)
    try:
        task = asyncio.create_task(replace(environment, spool=spool).run(python(source, limits=limits)))
        if mounted.returncode != 0:
            await until(lambda: list(spool.iterdir()))
            (directory,) = spool.iterdir()
            directory.with_name(f"{directory.name}.stdout").mkdir()
        result = await task
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", spool], check=True)

    assert ("exited", b"x" * 1000, 3_000_000) == (result.ended, result.stdout, result.stdout_bytes), result
    assert "could not be kept" in result.detail


async def test_a_flood_that_never_ends_is_ended_by_the_clock(environment: LocalEnvironment, spec: Build) -> None:
    limits = Limits(wall_s=1, keep_output_bytes=100, max_output_bytes=1000)

    result = await environment.run(spec("yes", limits=limits))

    assert "timed-out" == result.ended
    assert result.stdout_bytes > 1000
    assert result.stdout_file is not None
    assert 1000 == result.stdout_file.stat().st_size
    result.stdout_file.unlink()


@pytest.mark.parametrize(
    ("count", "said"),
    [(200, "200 bytes"), (1 << 10, "1 KiB"), (1536 << 10, "1.5 MiB"), (1 << 30, "1 GiB"), (5 << 30, "5 GiB")],
)
def test_sizes_are_said_as_people_say_them(count: int, said: str) -> None:
    assert said == size(count)


@pytest.mark.parametrize(("seconds", "said"), [(0.5, "0.5 s"), (60, "60 s"), (90.0, "90 s"), (1800, "30 min")])
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert said == duration(seconds)


def test_a_delegated_version_2_tree_is_used_before_version_1(
    tmp_path: Path, label: CallLabel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On directories that look like the kernel's, for hosts unlike this one."""
    service = tmp_path / "unified" / "system.slice" / "banksman.service"
    service.mkdir(parents=True)
    (service / "cgroup.controllers").write_text("cpu memory pids\n")
    (service / "cgroup.subtree_control").write_text("")
    (service / "cgroup.procs").write_text("")
    (tmp_path / "pids").mkdir()
    mountinfo = (
        f"30 1 0:1 / {tmp_path}/unified rw - cgroup2 cgroup2 rw\n"
        f"31 1 0:2 / {tmp_path}/pids rw - cgroup cgroup rw,pids\n"
    )
    membership = "3:pids:/\n0::/system.slice/banksman.service\n"

    version_1 = discover(mountinfo=mountinfo, membership=membership)
    os.setxattr(service, "user.delegate", b"1")
    version_2 = discover(mountinfo=mountinfo, membership=membership)

    assert [(tmp_path / "pids", 1, {"processes"})] == [(c.base, c.version, set(c.controls)) for c in version_1]
    assert [(service, 2, {"memory", "processes"})] == [(c.base, c.version, set(c.controls)) for c in version_2]
    assert "+memory +pids" == (service / "cgroup.subtree_control").read_text()
    assert (service / "banksman-service").is_dir()
    (request,) = requests(version_2, label, Limits(memory_bytes=1 << 20, processes=9), "nonce")
    assert [
        ["memory.max", "1048576"],
        ["memory.swap.max", "0"],
        ["memory.oom.group", "1"],
        ["pids.max", "9"],
    ] == request["settings"]
    assert ["cgroup.kill", "1"] == request["freeze"]


def test_a_container_that_sees_part_of_a_tree_finds_its_own_group(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    mountinfo = f"31 1 0:2 /docker/abc {tmp_path} rw - cgroup cgroup rw,memory\n"

    (found,) = discover(mountinfo=mountinfo, membership="4:memory:/docker/abc/inner\n")

    assert tmp_path / "inner" == found.base


def test_hosts_without_usable_trees_have_none(tmp_path: Path) -> None:
    assert () == discover(mountinfo="", membership="0::/\n")
    mountinfo = f"31 1 0:2 / {tmp_path}/missing rw - cgroup cgroup rw,memory\n"
    assert () == discover(mountinfo=mountinfo, membership="4:memory:/\n")
