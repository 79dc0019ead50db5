"""Planting bugs in a copy of the checkout, and seeing whether their tests notice.

Each test first has to pass on the copy as it is, or its failure would prove nothing. A bug counts as caught only if
exactly its test was run and failed; an error while collecting, or a test that is gone, is an error of the table.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.mutants.table import Mutant

ROOT = Path(__file__).resolve().parents[3]
WITHIN_S = 240.0
AT_ONCE = 2

_PASSED, _FAILED = 0, 1
"""pytest's exit codes."""


class Stale(Exception):
    """A line of the table is no longer true; says which and why."""


@dataclass(frozen=True)
class Outcome:
    """What became of one planted bug."""

    mutant: Mutant
    caught: bool
    took_s: float
    said: str = ""
    """The end of what pytest said, when it was not caught."""


def mutated(mutant: Mutant, code: Path) -> str:
    """The file with the bug in it.

    Raises:
        Stale: the text that it replaces is not there, or not once.
    """
    text = (code / mutant.file).read_text()
    if text.count(mutant.old) != 1:
        raise Stale(f"{mutant.name}: {mutant.file} holds {mutant.old!r} {text.count(mutant.old)} times, not once")
    return text.replace(mutant.old, mutant.new)


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the checkout that may be broken."""
    directory = Path(tempfile.mkdtemp(prefix="mutants-")).resolve()
    try:
        for name in ("core", "bot", "worker", "tests", "bench", "agents", ".make"):
            shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "banksman.yml", "manifest.yml", "README.md"):
            shutil.copy(ROOT / name, directory / name)
        for name in (".venv", ".venv-tools"):
            (directory / name).symlink_to(ROOT / name)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def run(mutants: Sequence[Mutant]) -> list[Outcome]:
    """Plant each, two at a time.

    Raises:
        Stale: a test does not pass without the bug, or a line of the table is no longer true.
    """
    with copied() as code:
        whole = _tested(code, *dict.fromkeys(mutant.test for mutant in mutants))
        if whole.returncode != _PASSED:
            raise Stale(f"without any bug the tests give {whole.returncode}:\n{whole.stdout[-3000:]}")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(planted, mutants))


def planted(mutant: Mutant) -> Outcome:
    """Plant one bug, and see whether its test fails."""
    began_s = time.monotonic()
    with copied() as code:
        (code / mutant.file).write_text(mutated(mutant, code))
        after = _tested(code, mutant.test)
    if after.returncode not in (_PASSED, _FAILED):
        raise Stale(f"{mutant.name}: its test could not be run:\n{after.stdout[-3000:]}")
    caught = after.returncode == _FAILED and " failed" in after.stdout.strip().splitlines()[-1]
    return Outcome(mutant, caught, time.monotonic() - began_s, "" if caught else after.stdout[-2000:])


def _tested(code: Path, *tests: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "BANKSMAN"))}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly", *tests]
    return subprocess.run(
        command,
        cwd=code,
        # Before the checkout itself, which the environment has on its path.
        env={**environment, "PYTHONPATH": str(code)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=WITHIN_S * len(tests),
    )
