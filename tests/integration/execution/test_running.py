"""A program runs in its sandbox: what it finds there, what comes back, and why it may not start."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.execution.base import Limits, ProcessSpec, SandboxLevel
from core.execution.local import LocalEnvironment

Build = Callable[..., ProcessSpec]

DRAW = """
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
plt.plot([1, 3, 2])
plt.savefig("picture.png")
print("drawn")
"""


async def test_a_picture_is_drawn_with_matplotlib(environment: LocalEnvironment, spec: Build, workspace: Path) -> None:
    """The tools' packages work under 1 GiB of memory, and the file is in the workspace on this host."""
    result = await environment.run(spec("python", "-c", DRAW, limits=Limits(wall_s=80)))

    assert (result.ended, result.exit_code, result.stdout) == ("exited", 0, b"drawn\n"), result
    assert (workspace / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert ["picture.png"] == [path.name for path in workspace.iterdir()]


async def test_input_and_both_outputs_are_passed_byte_for_byte(environment: LocalEnvironment, python: Build) -> None:
    sent = bytes(range(256)) * 2000
    source = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()); sys.stderr.write('apart')"

    result = await environment.run(python(source, stdin=sent))

    assert sent == result.stdout
    assert b"apart" == result.stderr
    assert (len(sent), 5) == (result.stdout_bytes, result.stderr_bytes)
    assert result.stdout_file is None


async def test_input_that_nobody_reads_does_not_block(environment: LocalEnvironment, python: Build) -> None:
    result = await environment.run(python("print('done')", stdin=b"x" * 2_000_000))

    assert (result.ended, result.exit_code, result.stdout) == ("exited", 0, b"done\n")


async def test_an_exit_code_comes_back(environment: LocalEnvironment, python: Build) -> None:
    result = await environment.run(python("raise SystemExit(7)"))

    assert (result.ended, result.exit_code, result.signal) == ("exited", 7, None)
    assert "It failed with exit code 7." == result.detail


async def test_a_signal_comes_back(environment: LocalEnvironment, python: Build) -> None:
    result = await environment.run(python("import os; os.kill(os.getpid(), 11)"))

    assert (result.ended, result.exit_code, result.signal) == ("signaled", None, 11)
    assert "It was ended by the signal SIGSEGV." == result.detail


async def test_the_environment_is_only_what_was_asked_for(
    environment: LocalEnvironment, python: Build, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    source = "import json, os; print(json.dumps(dict(os.environ)))"

    result = await environment.run(python(source, env={"REPORT_TITLE": "März"}))

    found = json.loads(result.stdout)
    confined = environment.level is SandboxLevel.BWRAP
    assert "März" == found["REPORT_TITLE"]
    assert ("/workspace" if confined else str(workspace)) == found["HOME"]
    allowed = {"PATH", "HOME", "LANG", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_NOSYSTEM"}
    allowed |= {"BANKSMAN_CALL", "REPORT_TITLE"}
    assert set() == found.keys() - allowed - {"PWD"}


async def test_only_the_three_standard_descriptors_are_open(environment: LocalEnvironment, python: Build) -> None:
    """Even a descriptor that the worker has made inheritable stays with the worker."""
    source = """
import os
def open_(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
print([number for number in range(256) if open_(number)])
"""
    with Path(__file__).open() as secret:
        os.set_inheritable(secret.fileno(), True)
        result = await environment.run(python(source))

    assert b"[0, 1, 2]\n" == result.stdout


async def test_a_subdirectory_can_be_the_working_directory(
    environment: LocalEnvironment, python: Build, workspace: Path
) -> None:
    (workspace / "a" / "b").mkdir(parents=True)

    result = await environment.run(python("open('here', 'w').close()", cwd="a/b"))

    assert 0 == result.exit_code, result
    assert (workspace / "a" / "b" / "here").exists()


@pytest.mark.parametrize("cwd", ["..", "/", "out", "missing"])
async def test_a_working_directory_outside_is_refused(
    environment: LocalEnvironment, python: Build, workspace: Path, cwd: str
) -> None:
    (workspace / "out").symlink_to("/")

    result = await environment.run(python("print('ran')", cwd=cwd))

    assert ("not-started", b"") == (result.ended, result.stdout)
    assert "working directory" in result.detail


@pytest.mark.parametrize("program", ["no-such-program", "./missing", "/no/such/path"])
async def test_a_program_that_does_not_exist_is_named(environment: LocalEnvironment, spec: Build, program: str) -> None:
    result = await environment.run(spec(program))

    assert ("not-started", None) == (result.ended, result.exit_code)
    assert f"{program} could not be started: there is no program {program!r} in the sandbox." == result.detail


async def test_a_program_in_the_workspace_runs(environment: LocalEnvironment, spec: Build, workspace: Path) -> None:
    script = workspace / "hello"
    script.write_text("#!/bin/sh\necho hello\n")
    script.chmod(0o755)

    result = await environment.run(spec("./hello"))

    assert (b"hello\n", 0) == (result.stdout, result.exit_code), result


async def test_extra_readable_paths_can_be_read_and_not_written(
    environment: LocalEnvironment, python: Build, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "data").write_text("numbers")
    source = f"""
print(open({str(shared / "data")!r}).read())
try:
    open({str(shared / "data")!r}, "a")
except OSError:
    print("refused")
"""
    result = await environment.run(python(source, readable=(shared,)))

    assert b"numbers\nrefused\n" == result.stdout, result


async def test_arguments_are_passed_as_they_are(environment: LocalEnvironment, spec: Build) -> None:
    """No shell looks at them, although one is part of the bwrap level."""
    odd = ["", "two words", "$HOME", "`id`", "'\"", "-n", "*", "naïve\n"]

    result = await environment.run(
        spec("python", "-I", "-S", "-c", "import json, sys; print(json.dumps(sys.argv[1:]))", *odd)
    )

    assert odd == json.loads(result.stdout)


async def test_a_cache_that_came_with_the_tools_is_there_and_stays_clean(
    environment: LocalEnvironment, python: Build, tmp_path: Path
) -> None:
    """A program works on a copy, so that one call cannot prepare anything for the next."""
    cache = tmp_path / "tool-cache"
    cache.mkdir()
    (cache / "fonts").write_text("list")
    recipe = replace(environment.recipe, layout=replace(environment.recipe.layout, cache=cache))
    source = """
import os
path = os.environ["XDG_CACHE_HOME"] + "/fonts"
print(open(path).read())
open(path, "w").write("planted")
"""
    result = await replace(environment, recipe=recipe).run(python(source))

    assert (b"list\n", 0) == (result.stdout, result.exit_code), result
    assert "list" == (cache / "fonts").read_text()


@pytest.mark.parametrize("env", [{"A\0B": "x"}, {"A": "x\0--bind\0/\0/host"}, {"A=B": "x"}, {"": "x"}])
async def test_a_broken_environment_is_refused(
    environment: LocalEnvironment, python: Build, env: dict[str, str]
) -> None:
    """A NUL would be the end of one option of bwrap and the beginning of another."""
    result = await environment.run(python("print('ran')", env=env))

    assert ("not-started", b"") == (result.ended, result.stdout)
    assert "environment" in result.detail


async def test_a_readable_path_that_does_not_exist_is_named(
    environment: LocalEnvironment, python: Build, tmp_path: Path
) -> None:
    result = await environment.run(python("print('ran')", readable=(tmp_path / "missing",)))

    assert "not-started" == result.ended
    assert "missing" in result.detail


async def test_a_spool_that_is_gone_is_said(environment: LocalEnvironment, python: Build, tmp_path: Path) -> None:
    result = await replace(environment, spool=tmp_path / "gone").run(python("print('ran')"))

    assert "not-started" == result.ended
    assert "no place for its temporary files" in result.detail
