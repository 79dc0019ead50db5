"""Processes that are forked for tests begin and end as those that a shell starts."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import nursery

SERVES = ("-m", "http.server", "0", "--bind", "127.0.0.1")


def begun() -> "subprocess.Popen[bytes]":
    """A process that goes on until it is ended."""
    process = subprocess.Popen(nursery.command(*SERVES), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    assert process.stdout.read(7) == b"Serving"
    return process


@pytest.mark.parametrize(("said", "code"), [('{"a": 1}', 0), ("{", 1)])
def test_it_has_the_streams_the_directory_and_the_environment_it_was_given(
    tmp_path: Path, said: str, code: int
) -> None:
    (tmp_path / "in.json").write_text(said)
    settings = {"PATH": "/nowhere"}

    done = subprocess.run(
        nursery.command("-m", "json.tool", "in.json"), cwd=tmp_path, env=settings, capture_output=True, check=False
    )
    spoken = subprocess.run(nursery.command("-m", "json.tool"), input=said.encode(), capture_output=True, check=False)

    assert (code, code) == (done.returncode, spoken.returncode), done
    assert done.stdout == spoken.stdout and bool(done.stdout) == (code == 0)
    assert bool(done.stderr) == (code != 0)


def test_a_command_of_ours_finds_its_arguments(tmp_path: Path) -> None:
    done = subprocess.run(
        nursery.command("show", "run_none"), env={"BANKSMAN_HOME": str(tmp_path)}, capture_output=True, check=False
    )
    real = subprocess.run(
        [str(Path(sys.executable).with_name("banksman")), "show", "run_none"],
        env={"BANKSMAN_HOME": str(tmp_path)},
        capture_output=True,
        check=False,
    )

    assert (real.returncode, real.stdout, real.stderr) == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_passed_on_and_it_ends_by_it(number: signal.Signals) -> None:
    with begun() as process:
        process.send_signal(number)

        assert -number == process.wait()


def test_it_ends_with_whoever_asked_for_it() -> None:
    with begun() as process:
        process.kill()

        assert process.stdout is not None
        process.stdout.read()  # to its end, which comes when nobody has it open any more
