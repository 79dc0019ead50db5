"""Ends what a run has left running on this host, and says what was found: the proof that nothing of it is left here.

Whoever has this done (the host's reaper, a worker that claims a run or hears that one was stopped) needs nothing of the
worker that started the processes: they are found by the label of their call. Which runs are to be ended, and what
follows from the answer, is decided by the callers.

What a process says of its fence is believed of supervisors alone, which a sandboxed program cannot pass for; and of
other users' processes nothing is.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.execution.base import CallLabel
from core.execution.hostfence import raise_fence
from core.execution.labels import end_call, is_supervisor, labelled, runs_at_work
from core.execution.processes import PROC, Process

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ended:
    """What was found of a run on this host."""

    ended: int
    """Processes that had to be ended."""
    remaining: int
    """Processes that are still alive all the same."""
    fenced: bool = True
    """Whether this host keeps more of them from starting."""

    @property
    def unproved(self) -> int:
        """Processes to report as alive: without a fence something may start after the look, so nothing is proved."""
        return self.remaining if self.fenced else max(1, self.remaining)


def end_run(run_id: str, *, below: int, fences: Path) -> Ended:
    """End every process of the run from before fence `below`, and let none start any more; blocking.

    Args:
        fences: Where this host keeps its fences.
    """
    fenced = _fenced_off(run_id, below, fences)
    ended = 0
    for label in _to_end(run_id, below, fences)[0]:
        try:
            ended += end_call(label)
        except TimeoutError:
            log.exception("a process cannot be ended", extra={"action": "process_stuck", "run": run_id})
    return Ended(ended, _to_end(run_id, below, fences)[1], fenced)


def end_runs(runs: Mapping[str, int], fences: Path) -> Ended:
    """Do what `end_run` does for every run a dead worker held, with one look at the process table for all; blocking.

    Args:
        runs: The fence each was held under; what is newer is left alone.
    """
    written = [_fenced_off(run_id, fence + 1, fences) for run_id, fence in runs.items()]
    found = [end_run(run_id, below=runs[run_id] + 1, fences=fences) for run_id in runs_at_work(runs)]
    return Ended(sum(each.ended for each in found), sum(each.remaining for each in found), all(written))


def _fenced_off(run_id: str, below: int, fences: Path) -> bool:
    """Let nothing of the run below this fence start here; whether that is written."""
    try:
        raise_fence(str(fences), run_id, below)
    except OSError:
        # A full disk must not keep anything alive; only there is no proof then.
        log.exception("this host's fence could not be written", extra={"action": "fence_failed", "run": run_id})
        return False
    return True


def running(fences: Path) -> dict[CallLabel, int]:
    """How many living processes of ours each call has on this host."""
    found: dict[CallLabel, int] = {}
    users = _users(fences)
    for process, label in labelled().items():
        if _user(process) in users:
            found[label] = found.get(label, 0) + 1
    return found


def _to_end(run_id: str, below: int, fences: Path) -> tuple[set[CallLabel], int]:
    """The calls of the run that may not run, and how many processes they have."""
    users = _users(fences)
    found = {process: label for process, label in labelled(run_id=run_id).items() if _user(process) in users}
    newer = {label for process, label in found.items() if label.fence >= below and is_supervisor(process)}
    over = [label for label in found.values() if label not in newer]
    return set(over), len(over)


def _users(fences: Path) -> set[int]:
    """Whose processes can be ours: this user's, and whoever's this host's fences are."""
    users = {os.getuid()}
    with contextlib.suppress(OSError):
        users.add(fences.stat().st_uid)
    return users


def _user(process: Process) -> int | None:
    """The user a process runs as, as this host counts users; `None` if it is gone."""
    try:
        with open(f"{PROC}/{process.pid}/status", "rb") as file:  # noqa: PTH123
            return next((int(line.split()[1]) for line in file if line.startswith(b"Uid:")), None)
    except (FileNotFoundError, ProcessLookupError):
        return None
