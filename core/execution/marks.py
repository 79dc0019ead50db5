"""Marks of a call that its processes inherit and cannot get rid of: a resource limit, and the name of their cgroup.

The mark is a number that is set as RLIMIT_LOCKS, which Linux has not enforced since 2.4 and everybody can read of
everybody (/proc/PID/limits). A process without privileges can only lower a hard limit, and the system call filter
refuses that of this one; so a process that has left its parent, its session and its environment still carries it. What
a process says of itself (its environment) is believed only where the mark does not contradict it.

A mark cannot be turned back into ids. It has a part for the run and one for the call, so that a process is known as one
of a run even when nobody remembers the call.
"""

from __future__ import annotations

import hashlib
import re

from core.execution.base import CallLabel
from core.execution.processes import PROC

LIMIT = 10
"""RLIMIT_LOCKS, which the `resource` module does not name."""

_OURS = 1 << 62
_CALL_BITS = 24
_RUN_BITS = 38
_LINE = b"Max file locks"
_NAMELESS = "mark-"
_GROUP = re.compile(r"/banksman\.([\w-]+)\.([\w-]+)\.(\d+)\.[\w-]+(?:/|$)")


def mark(label: CallLabel) -> int:
    """The number that stands on every process of a call."""
    if label.call_id.startswith(_NAMELESS):
        call = int(label.call_id.removeprefix(_NAMELESS), 16)
    else:
        call = _digest(f"{label.run_id}/{label.call_id}/{label.fence}", _CALL_BITS)
    return _OURS | _digest(label.run_id, _RUN_BITS) << _CALL_BITS | call


def mark_of(pid: int) -> int | None:
    """The mark a process carries; `None` if it carries none, or is gone."""
    try:
        with open(f"{PROC}/{pid}/limits", "rb") as file:  # noqa: PTH123
            line = next((line for line in file if line.startswith(_LINE)), b"")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    words = line[len(_LINE) :].split()
    value = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    return value if value & _OURS and value < _OURS << 1 else None


def is_of_run(value: int, run_id: str) -> bool:
    """Whether a mark is that of some call of this run."""
    return (value & ~_OURS) >> _CALL_BITS == _digest(run_id, _RUN_BITS)


def nameless(value: int, run_id: str) -> CallLabel:
    """A label for a call of a run of which only the mark is left; it is good for finding and ending it."""
    return CallLabel("", run_id, f"{_NAMELESS}{value & (1 << _CALL_BITS) - 1:06x}", 0)


def group_name(label: CallLabel, nonce: str) -> str:
    """What the cgroups of a call are called."""
    return ".".join(["banksman", *_group_words(label), nonce])


def is_in_group_of(pid: int, label: CallLabel) -> bool:
    """Whether a process is in a cgroup that is named after this call."""
    return _group(pid) == _group_words(label)


def group_label(pid: int) -> CallLabel | None:
    """The call that the process's cgroup is named after, without the tenant; `None` if it is in no call's."""
    words = _group(pid)
    return CallLabel("", words[0], words[1], int(words[2])) if words else None


def _group_words(label: CallLabel) -> tuple[str, str, str]:
    run_id, call_id = (re.sub(r"[^A-Za-z0-9_-]", "_", part)[:48] for part in (label.run_id, label.call_id))
    return run_id, call_id, str(label.fence)


def _group(pid: int) -> tuple[str, str, str] | None:
    try:
        with open(f"{PROC}/{pid}/cgroup", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            found = _GROUP.search(file.read().replace("\n", "/\n"))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return (found[1], found[2], found[3]) if found else None


def _digest(text: str, bits: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 64 - bits
