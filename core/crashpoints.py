"""Crash points: named places where a process can be told to die or to stand still, compiled into the shipped code.

Free when not armed. `CHAOS=CP13@2` kills this process with SIGKILL the second time it passes CP13, `CP13:stop` suspends
it there. `CHAOS=/directory` waits for orders that come while it runs: a file `CP13`, `CP13.stop.7` or
`CP13~opaque.kill` in `orders/` is taken, once, by the first process that passes there (`~`: only for what is about
that; what stands behind the action tells several apart). Every pass is counted in `passed/`, every order carried out is
noted in `fired/`, and a number in `clock` sets the wall clock wrong by so many milliseconds. The labels are the rows of
PROTOCOL 2.8. Only the test suites arm them.
"""

import os
import signal
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

LABELS: Mapping[str, str] = {
    "CP01": "before a delivery is stored",
    "CP02": "a delivery is stored, Slack has no answer yet",
    "CP03": "Slack has its answer, the stored delivery is not carried out",
    "CP04": "a run can be driven and nobody was rung for it",
    "CP05": "a worker was rung for and has not claimed",
    "CP06": "a run is claimed, nothing was done",
    "CP07": "the planner is about to be asked",
    "CP08": "the planner has answered, nothing of it is stored",
    "CP09": "a question to people is stored, its card is not posted",
    "CP10": "a message is posted, where it is was not noted",
    "CP11": "a click is stored and not carried out",
    "CP12": "a decision is stored and nobody was rung",
    "CP13": "a call is started, nothing was sent",
    "CP14": "the child that acts has looked and is about to send",
    "CP15": "a call has ended, its answer is only in memory",
    "CP16": "a file of a call is half written",
    "CP17": "files are durable, the result is not",
    "CP18": "a commit is durable, its writer has not learned of it",
    "CP19": "a result is durable, nobody was told",
    "CP20": "something was said, that it was is not noted",
    "CP21": "a run has ended, its lease and directory are still there",
    "CP22": "a stop is stored, processes are alive and nobody was told",
    "CP23": "between two compensations of a rollback",
    "CP24": "in the sweeper",
}
"""Every label, and where a process stands that passes it."""

_armed: dict[str, tuple[int, int]] = {}
"""Pass and signal by label."""
_passed: Counter[str] = Counter()
_directories: list[Path] = []


def arm(spec: str) -> None:
    """Arm from `LABEL[:stop][@N]`, N counting passes from 1, or a directory of orders; several with commas between.

    Raises:
        ValueError: There is no such label.
    """
    for item in filter(None, spec.split(",")):
        if item.startswith("/"):
            _directories.append(Path(item))
            continue
        label, _, nth = item.partition("@")
        label, _, action = label.partition(":")
        if label not in LABELS or action not in ("", "stop"):
            raise ValueError(f"CHAOS={item!r}: write a label from CP01 to CP24, `:stop` to suspend, `@N` for a pass")
        _armed[label] = int(nth or 1), signal.SIGSTOP if action else signal.SIGKILL


def crashpoint(label: str, about: str = "") -> None:
    """Die or stand still here if armed.

    Args:
        about: What orders may ask for besides the label, such as the recovery class of a call.
    """
    if not _armed and not _directories:
        return
    _passed[label] += 1
    for directory in _directories:
        _ordered(directory, label, about)
    nth, number = _armed.get(label, (0, 0))
    if nth == _passed[label]:
        os.kill(os.getpid(), number)


def reached(what: str) -> None:
    """Count that something was reached which is no crash point, such as a refusal, where passes are counted."""
    for directory in _directories:
        _append(directory / "passed" / what, "-")


def wall_shift_ms() -> int:
    """By how much the wall clock is said to be wrong: what stands in `clock` where orders are waited for, else 0."""
    for directory in _directories:
        try:
            return int((directory / "clock").read_text())
        except (OSError, ValueError):
            continue
    return 0


def _ordered(directory: Path, label: str, about: str) -> None:
    """Count the pass, and carry out one order that waits for it, if any."""
    _append(directory / "passed" / label, about or "-")
    orders = directory / "orders"
    for name in sorted(os.listdir(orders)):  # noqa: PTH208 - names are all there is to know
        where, _, action = name.partition(".")
        if where not in (label, f"{label}~{about}"):
            continue
        try:
            (orders / name).unlink()
        except FileNotFoundError:
            continue  # somebody else was first
        number = signal.SIGSTOP if action.startswith("stop") else signal.SIGKILL
        _append(directory / "fired" / label, f"{os.getpid()} {about or '-'} {number.name}")
        os.kill(os.getpid(), number)
        return


def _append(path: Path, line: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)
