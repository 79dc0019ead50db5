"""Crash points: named places where a process can be told to die, compiled into the shipped code.

Free when not armed. `CHAOS=CP13@2` kills this process with SIGKILL the second time it passes CP13; the labels
are the rows of PROTOCOL 2.8. Only the test suites arm them.
"""

import os
import signal
from collections import Counter

_armed: dict[str, int] = {}
_passed: Counter[str] = Counter()


def arm(spec: str) -> None:
    """Arm from `LABEL@N[,LABEL@N…]`; N counts passes from 1."""
    for item in filter(None, spec.split(",")):
        label, _, nth = item.partition("@")
        _armed[label] = int(nth or 1)


def crashpoint(label: str) -> None:
    """Die here if armed."""
    if not _armed:
        return
    _passed[label] += 1
    if _armed.get(label) == _passed[label]:
        os.kill(os.getpid(), signal.SIGKILL)
