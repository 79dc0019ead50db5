"""Crash points: armed by hand or by orders in a directory, free and silent otherwise."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.crashpoints import LABELS, arm
from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
PASS = "import sys; from core.crashpoints import arm, crashpoint; arm(sys.argv[1]);"
TWICE = f"{PASS} crashpoint('CP13', 'opaque'); print('once', flush=True); crashpoint('CP13', 'pure'); print('twice')"


def run(spec: str) -> tuple[int, str]:
    """Pass CP13 twice in a process armed like this; its exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", TWICE, spec], capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE_S
    )
    return done.returncode, done.stdout


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in ("orders", "passed", "fired"):
        (tmp_path / name).mkdir()
    return tmp_path


def order(directory: Path, name: str) -> None:
    (directory / "orders" / name).touch()


@pytest.mark.parametrize(
    ("spec", "printed"), [("CP13", ""), ("CP13@2", "once\n"), ("CP12,CP13@2", "once\n"), ("CP13@1,CP13@2", "once\n")]
)
def test_a_process_dies_the_nth_time_it_passes(spec: str, printed: str) -> None:
    assert (-signal.SIGKILL, printed) == run(spec)


@pytest.mark.parametrize("spec", ["", "CP12", "CP13@3"])
def test_a_process_that_is_not_armed_for_it_passes(spec: str) -> None:
    assert (0, "once\ntwice\n") == run(spec)


def test_a_process_can_be_told_to_stand_still() -> None:
    process = subprocess.Popen([sys.executable, "-c", TWICE, "CP13:stop@2"], stdout=subprocess.PIPE, cwd=ROOT)
    try:
        assert process.stdout is not None
        assert b"once\n" == process.stdout.readline()
        stat = Path(f"/proc/{process.pid}/stat")
        while stat.read_text().rpartition(")")[2].split()[0] != "T":
            assert process.poll() is None
        process.send_signal(signal.SIGCONT)
        assert b"twice\n" == process.stdout.readline()
        assert 0 == process.wait(10)
    finally:
        process.kill()
        process.communicate()


def test_an_order_is_carried_out_once_by_whoever_passes_first(directory: Path) -> None:
    order(directory, "CP13")

    assert (-signal.SIGKILL, "") == run(str(directory))
    assert (0, "once\ntwice\n") == run(str(directory))
    assert [] == list((directory / "orders").iterdir())
    assert "opaque\nopaque\npure\n" == (directory / "passed" / "CP13").read_text()
    assert "opaque SIGKILL" in (directory / "fired" / "CP13").read_text()


def test_an_order_can_be_about_something(directory: Path) -> None:
    order(directory, "CP13~pure.kill")
    order(directory, "CP12")

    assert (-signal.SIGKILL, "once\n") == run(str(directory))
    assert ["CP12"] == [left.name for left in (directory / "orders").iterdir()]


def test_the_wall_clock_can_be_set_wrong_and_the_other_cannot(directory: Path) -> None:
    shifted = "import sys; from core.crashpoints import arm; from core.clock import SystemClock; arm(sys.argv[1]); "
    shifted += "clock = SystemClock(); print(clock.wall_ms(), clock.boot_ms())"
    (directory / "clock").write_text("-600000")
    before = SystemClock()
    wall_ms, boot_ms = before.wall_ms(), before.boot_ms()
    done = subprocess.run(
        [sys.executable, "-c", shifted, str(directory)], capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE_S
    )
    wall, boot = (int(each) for each in done.stdout.split())
    assert wall_ms - 600_000 <= wall < wall_ms - 540_000
    assert boot_ms <= boot < boot_ms + 60_000


@pytest.mark.parametrize("spec", ["CP25", "CP13:run", "13"])
def test_what_is_no_label_is_said(spec: str) -> None:
    with pytest.raises(ValueError, match="write a label from CP01 to CP24"):
        arm(spec)


def test_every_label_stands_in_the_shipped_code_and_no_other() -> None:
    shipped = [path for room in ("core", "bot", "worker") for path in (ROOT / room).rglob("*.py")]
    found = {label for path in shipped for label in re.findall(r'crashpoint\("(CP\d\d)"', path.read_text())}
    assert sorted(LABELS) == sorted(found)
