"""The `shell` tool in this host's real sandbox."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from core.tools.base import ToolContext
from core.tools.shell import Shell, ShellArguments
from tests.integration.tools.conftest import TOOL_ENVIRONMENT, Perform
from tests.patience import PATIENCE_S


async def test_a_program_runs_and_its_output_comes_back(perform: Perform) -> None:
    result = await perform(
        Shell(), argv=["python", "-c", "import sys; print('hello'); print('careful', file=sys.stderr)"]
    )

    assert "succeeded" == result.status
    assert {
        "exit_code": 0,
        "stdout": "hello\n",
        "stdout_truncated": False,
        "stdout_bytes": 6,
        "stderr": "careful\n",
        "stderr_truncated": False,
        "stderr_bytes": 8,
    } == result.out


async def test_python_is_the_tool_environments(perform: Perform) -> None:
    result = await perform(Shell(), argv=["python", "-c", "import sys, matplotlib; print(sys.prefix)"])

    assert f"{TOOL_ENVIRONMENT}\n" == result.out["stdout"]


async def test_no_shell_reads_the_arguments(perform: Perform) -> None:
    result = await perform(Shell(), argv=["echo", "$HOME", "`id`", "; rm -rf /", "*"])

    assert "$HOME `id` ; rm -rf / *\n" == result.out["stdout"]


async def test_a_failing_program_fails_with_its_last_words(perform: Perform) -> None:
    result = await perform(Shell(), argv=["python", "-c", "raise SystemExit('the config is missing')"])

    assert "failed" == result.status
    assert 1 == result.out["exit_code"]
    assert "`python`: It failed with exit code 1. It said last: the config is missing" == result.error


async def test_exit_codes_can_be_declared_fine(perform: Perform) -> None:
    result = await perform(Shell(), argv=["sh", "-c", "exit 3"], ok_exit_codes=[0, 3])

    assert ("succeeded", 3) == (result.status, result.out["exit_code"])


async def test_a_program_that_is_not_there_is_a_sentence(perform: Perform) -> None:
    result = await perform(Shell(), argv=["no-such-program"])

    assert "failed" == result.status
    assert "no-such-program" in result.error


async def test_a_program_that_takes_too_long_is_ended(context: ToolContext) -> None:
    result = await Shell().perform(ShellArguments(argv=["sleep", "60"]), replace(context, timeout_s=0.3))

    assert "failed" == result.status
    assert "`sleep`: It ran for more than" in (result.error or "")
    assert 1 <= result.processes_ended


async def test_a_killed_program_is_ended_at_once(context: ToolContext, workspace: Path) -> None:
    program = "import pathlib, time; pathlib.Path('started').touch(); time.sleep(60)"
    call = asyncio.create_task(Shell().perform(ShellArguments(argv=["python", "-c", program]), context))
    async with asyncio.timeout(PATIENCE_S):
        while not (workspace / "started").exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.02)
    context.kill.set()

    result = await call

    assert ("failed", "`python` was stopped.") == (result.status, result.error)


async def test_a_long_output_is_shortened_and_kept_whole(perform: Perform) -> None:
    program = "for n in range(40_000): print(f'line {n:05}')"
    result = await perform(Shell(), argv=["python", "-c", program])

    assert result.out["stdout_truncated"]
    assert 440_000 == result.out["stdout_bytes"]
    assert result.out["stdout"].startswith("line 00000\n")
    assert result.out["stdout"].endswith("line 39999\n")
    assert "characters left out" in result.out["stdout"]
    assert len(json.dumps(result.out)) < 64 * 1024
    [whole] = result.produced
    assert ("stdout.txt", 440_000) == (whole.name, whole.path.stat().st_size)


async def test_a_very_long_output_is_kept_whole_too(perform: Perform, context: ToolContext) -> None:
    result = await perform(Shell(), argv=["python", "-c", "print('x' * 3_000_000)"])

    [whole] = result.produced
    assert context.scratch == whole.path.parent
    assert 3_000_001 == whole.path.stat().st_size == result.out["stdout_bytes"]


async def test_output_that_is_no_text_becomes_readable(perform: Perform) -> None:
    program = r"import sys; sys.stdout.buffer.write(b'\x1b[31mred\x1b[0m \xff\x00 ok\r\n')"
    result = await perform(Shell(), argv=["python", "-c", program])

    assert "red \ufffd\ufffd ok\n" == result.out["stdout"]


@pytest.mark.parametrize("cwd", ["..", "/etc", "a/../../b"])
async def test_the_working_directory_stays_inside(perform: Perform, cwd: str) -> None:
    with pytest.raises(Exception, match="`cwd` of `shell`"):
        await perform(Shell(), argv=["pwd"], cwd=cwd)


async def test_a_working_directory_that_leads_out_by_a_link_is_refused(perform: Perform, workspace: Path) -> None:
    (workspace / "out").symlink_to("/")

    result = await perform(Shell(), argv=["ls"], cwd="out")

    assert "failed" == result.status
