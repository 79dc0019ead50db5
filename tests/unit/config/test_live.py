"""The operator's file while it changes: real files, written, broken and mended."""

import logging
import os
from pathlib import Path

import pytest

from core.config import Config, load_config
from core.config.live import LiveConfig
from core.errors import ConfigError

STEPS = "limits: {{steps: {}}}\n"
BROKEN = "limits:\n  stps: 1\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "banksman.yml"
    found.write_text(STEPS.format(1))
    return found


@pytest.fixture
def live(path: Path) -> LiveConfig:
    found = LiveConfig(path, load_config(path))
    assert not found.check() and not found.check(), "nothing has changed since it was read"
    return found


def actions(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [vars(record)["action"] for record in caplog.records]


def problem_of(live: LiveConfig) -> str:
    return live.problem or ""


def test_a_changed_file_holds_from_the_next_look_on(
    path: Path, live: LiveConfig, caplog: pytest.LogCaptureFixture
) -> None:
    before = live.current.digest
    path.write_text(STEPS.format(22))

    with caplog.at_level(logging.INFO):
        assert live.check()

    assert (22, None) == (live.current.limits.steps, live.problem)
    assert not live.check() and not live.check()
    (said,) = caplog.records
    assert ("config_changed", before, live.current.digest) == (
        vars(said)["action"],
        vars(said)["from"],
        vars(said)["to"],
    )


def test_a_file_that_cannot_be_used_changes_nothing_and_is_said_once(
    path: Path, live: LiveConfig, caplog: pytest.LogCaptureFixture
) -> None:
    before = live.current
    path.write_text(BROKEN)

    assert not any(live.check() for _ in range(4))

    assert live.current.limits == before.limits
    assert f"{path}:2:3" in problem_of(live) and "Did you mean `steps`?" in problem_of(live)
    assert ["config_refused"] == actions(caplog)
    assert "ERROR" == caplog.records[0].levelname


def test_another_mistake_is_said_again(path: Path, live: LiveConfig, caplog: pytest.LogCaptureFixture) -> None:
    path.write_text(BROKEN)
    live.check()
    path.write_text(BROKEN.replace("1", "2"))

    for _ in range(3):
        live.check()

    assert ["config_refused", "config_refused"] == actions(caplog)


def test_a_mended_file_holds_again(path: Path, live: LiveConfig, caplog: pytest.LogCaptureFixture) -> None:
    path.write_text(BROKEN)
    live.check()
    path.write_text(STEPS.format(3))

    assert live.check()
    assert (3, None) == (live.current.limits.steps, live.problem)


def test_a_file_put_back_as_it_was_is_no_change_and_no_problem_any_more(
    path: Path, live: LiveConfig, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(BROKEN)
    live.check()
    path.write_text(STEPS.format(1))

    with caplog.at_level(logging.INFO):
        assert not live.check()

    assert live.problem is None
    assert ["config_refused", "config_mended"] == actions(caplog)


def test_a_file_that_is_gone_keeps_what_it_said(path: Path, live: LiveConfig) -> None:
    path.unlink()

    assert not live.check() and not live.check()
    assert 1 == live.current.limits.steps
    assert "does not exist" in problem_of(live)

    path.write_text(STEPS.format(4))
    assert live.check()
    assert (4, "") == (live.current.limits.steps, problem_of(live))


def test_a_file_that_is_only_touched_or_laid_out_anew_is_no_change(
    path: Path, live: LiveConfig, caplog: pytest.LogCaptureFixture
) -> None:
    os.utime(path, ns=(1, 1))
    assert not live.check()
    path.write_text("# a comment\nlimits:\n  steps: 1\n")

    with caplog.at_level(logging.INFO):
        assert not live.check()

    assert [] == caplog.records


def test_a_file_put_in_the_place_of_the_other_is_seen(path: Path, live: LiveConfig, tmp_path: Path) -> None:
    """As editors save: another file of the same size, and here even of the same time."""
    stat = path.stat()
    (tmp_path / "new").write_text(STEPS.format(9))
    os.utime(tmp_path / "new", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (tmp_path / "new").rename(path)

    assert live.check()
    assert 9 == live.current.limits.steps


def test_a_second_change_within_one_tick_of_the_clock_is_seen(path: Path, live: LiveConfig) -> None:
    path.write_text(STEPS.format(2))
    stat = path.stat()
    assert live.check()
    path.write_text(STEPS.format(3))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert live.check()
    assert 3 == live.current.limits.steps


def test_a_change_between_reading_and_watching_is_seen(path: Path) -> None:
    config = load_config(path)
    path.write_text(STEPS.format(5))
    live = LiveConfig(path, config)

    assert live.check()
    assert 5 == live.current.limits.steps


def test_a_change_while_the_file_is_read_is_seen(path: Path) -> None:
    """The file changes right after it was read, in the same tick, and back again before it is looked at."""
    texts = iter([STEPS.format(7), STEPS.format(8)])

    def meanwhile(config: Config) -> None:
        stat = path.stat()
        path.write_text(next(texts, path.read_text()))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    live = LiveConfig(path, load_config(path), meanwhile)
    for _ in range(6):
        live.check()

    assert 8 == live.current.limits.steps


def test_a_file_that_stays_as_it_is_is_not_read_again(path: Path) -> None:
    read: list[str] = []
    live = LiveConfig(path, load_config(path), lambda config: read.append(config.digest))
    for _ in range(5):
        live.check()

    assert 1 == len(read)


def test_playbook_files_are_watched_as_they_come_and_go(path: Path, live: LiveConfig, tmp_path: Path) -> None:
    path.write_text("playbooks: [{file: a.yml}]\n")
    assert not live.check() and not live.check()
    assert "a.yml: This file does not exist." in problem_of(live)

    (tmp_path / "a.yml").write_text("name: alpha\n")
    assert live.check(), "only the other file has changed"
    assert (["alpha"], "") == (list(live.current.playbooks), problem_of(live))

    (tmp_path / "a.yml").write_text("name: omega\n")
    assert live.check()
    assert ["omega"] == list(live.current.playbooks)

    path.write_text("playbooks: [{file: b.yml}]\n")
    assert not live.check()
    assert ["omega"] == list(live.current.playbooks)
    (tmp_path / "b.yml").write_text("name: beta\n")
    assert live.check()
    (tmp_path / "a.yml").write_text("name: : :\n")
    assert not live.check() and not live.check()
    assert (["beta"], "") == (list(live.current.playbooks), problem_of(live))


@pytest.mark.parametrize("mistake", ["playbooks: [{name: a}, {name: a}]\n", "limits: {steps: 0}\n", "a: &b 1\n", ""])
def test_what_the_reader_refuses_is_a_problem_whatever_it_is(mistake: str, path: Path, live: LiveConfig) -> None:
    path.write_text(mistake)

    assert not live.check()
    assert problem_of(live).startswith(str(path))


def test_what_is_read_and_not_understood_is_not_taken_up(path: Path) -> None:
    def understood(config: Config) -> None:
        if config.limits.steps > 100:
            raise ConfigError("Nobody takes so many steps. Write fewer.")

    live = LiveConfig(path, load_config(path), understood)
    live.check()
    path.write_text(STEPS.format(101))
    assert not live.check()
    assert (1, "Nobody takes so many steps. Write fewer.") == (live.current.limits.steps, live.problem)
    path.write_text(STEPS.format(99))
    assert live.check()
