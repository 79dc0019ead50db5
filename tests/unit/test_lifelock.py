"""Locks that die with their processes: held by the living, free after the dead, unknown where nobody can say."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.life import BotLife
from core.lifelock import LifeLock, look_at

ROOT = Path(__file__).resolve().parents[2]
HOLD = (
    "import subprocess, sys, time; from pathlib import Path; from core.lifelock import LifeLock; "
    "lock = LifeLock(Path(sys.argv[1])); print(lock.take(), flush=True); "
    "child = subprocess.Popen(['sleep', '30']); print(child.pid, flush=True); time.sleep(30)"
)
BOOT = "8d5f1a52-0c1f-4a57-9a55-0c0b3b5f1e11"

Hold = Callable[[Path], tuple["subprocess.Popen[str]", str]]


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Starts a process that takes a lock and has a child: `process, name = hold(path)`."""
    started: list[subprocess.Popen[str]] = []
    children: list[int] = []

    def start(path: Path) -> tuple["subprocess.Popen[str]", str]:
        process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        started.append(process)
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        children.append(int(process.stdout.readline()))
        return process, name

    yield start
    # The children first: they hold the other end of what is read here.
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    for process in started:
        process.kill()
        process.communicate()


def test_a_lock_is_held_while_its_process_lives_suspended_or_not(hold: Hold, tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    process, name = hold(path)

    assert "held" == look_at(path) == look_at(path, name)
    process.send_signal(signal.SIGSTOP)
    assert "held" == look_at(path, name)


def test_a_lock_is_free_when_its_process_was_killed_and_its_child_lives(hold: Hold, tmp_path: Path) -> None:
    process, name = hold(tmp_path / "a.lock")

    process.kill()
    process.wait()

    assert "free" == look_at(tmp_path / "a.lock", name)


def test_a_file_that_was_deleted_or_made_anew_says_nothing(hold: Hold, tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    _, name = hold(path)
    path.unlink()

    assert "unknown" == look_at(path, name)
    path.touch()
    assert "unknown" == look_at(path, name)


def test_a_lock_that_was_given_back_is_gone(tmp_path: Path) -> None:
    lock = LifeLock(tmp_path / "a.lock")
    lock.take()

    lock.release()

    assert "unknown" == look_at(tmp_path / "a.lock")


def test_a_directory_nobody_may_write_to_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert LifeLock(tmp_path / "file" / "a.lock").take() is None


def test_a_bot_of_another_boot_or_host_is_not_said_to_be_dead(tmp_path: Path) -> None:
    mine = BotLife(tmp_path, "here", BOOT, "bot_me")
    mine.begin()
    elsewhere = BotLife(tmp_path, "there", BOOT, "bot_there")
    elsewhere.begin()
    elsewhere._lock.release()

    assert not mine.has_died("bot_there")
    assert not mine.has_died("bot_me")
    assert not mine.has_died("bot_never_seen")


def test_a_boot_ends_what_the_one_before_left(tmp_path: Path) -> None:
    before = BotLife(tmp_path, "here", BOOT, "bot_before")
    before.begin()

    BotLife(tmp_path, "here", BOOT[::-1], "bot_after").begin()

    assert [f"here@{BOOT[::-1]}"] == [path.name for path in (tmp_path / "bots").iterdir()]
