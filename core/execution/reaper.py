"""Ends what a run has left running on this host, and says what was found: the proof that nothing of it is left here.

Whoever has this done (the host's reaper, a worker that claims a run or hears that one was stopped) needs nothing of the
worker that started the processes: they are found by the label of their call. Which runs are to be ended, and what
follows from the answer, is decided by the callers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.execution.base import CallLabel
from core.execution.hostfence import raise_fence
from core.execution.labels import end_call, labelled

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ended:
    """What was found of a run on this host."""

    ended: int
    """Processes that had to be ended."""
    remaining: int
    """Processes that are still alive all the same."""


def end_run(run_id: str, *, below: int, fences: Path) -> Ended:
    """End every process of the run from before fence `below`, and let none start any more; blocking.

    Args:
        fences: Where this host keeps its fences.
    """
    raise_fence(str(fences), run_id, below)
    ended = 0
    for label in _labels(run_id, below):
        try:
            ended += end_call(label)
        except TimeoutError:
            log.exception("a process cannot be ended", extra={"action": "process_stuck", "run": run_id})
    return Ended(ended, sum(1 for label in labelled(run_id=run_id).values() if label.fence < below))


def running() -> dict[CallLabel, int]:
    """How many living processes each call has on this host."""
    found: dict[CallLabel, int] = {}
    for label in labelled().values():
        found[label] = found.get(label, 0) + 1
    return found


def _labels(run_id: str, below: int) -> Iterable[CallLabel]:
    return {label for label in labelled(run_id=run_id).values() if label.fence < below}
