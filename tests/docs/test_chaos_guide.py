"""What the guide on the chaos suite lets a reader type works, with fewer histories."""

import shlex
import subprocess
import sys

import pytest

from tests.docs.check import ROOT
from tests.docs.fences import Fence
from tests.patience import PATIENCE_S


@pytest.mark.runs_fence("docs/guides/chaos.md > What runs > 1")
def test_the_simulation_runs_alone(fence: Fence) -> None:
    said = []
    for command in fence.commands():
        words = shlex.split(command.replace("50000", "3"), comments=True)
        assert words.pop(0) == "python"
        done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
        assert 0 == done.returncode, done.stdout + done.stderr
        said.append(done.stdout)
    assert "3 histories in" in said[0] and "0 broken" in said[0]
    assert said[1].startswith("seed 7\n") and said[1].endswith("it holds\n")
