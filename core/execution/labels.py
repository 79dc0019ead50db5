"""The label of a call: how it is written on its processes, and how those are found and ended by it.

The supervisor carries the label on its command line and in its environment, the program in its environment, the call's
cgroup in its name, and every process of the program as a mark that it cannot change (`marks.py`). Finding by label is
for those who did not start the call (the reaper, tests, a worker whose supervisor was killed); the supervisor itself
ends its own children without asking this file.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Collection, Iterable, Iterator
from urllib.parse import quote, unquote

from core.execution import marks
from core.execution.base import CallLabel
from core.execution.cgroups import stop_groups_of
from core.execution.processes import PROC, Process, descendants, read, send, table

VARIABLE = "BANKSMAN_CALL"

_LOOK_S = 0.02
"""How long the newest processes are looked at where none was found: more than a hundred times."""


def encode(label: CallLabel) -> str:
    """Write a label as `tenant/run/call/fence`; characters that could be mistaken are percent-encoded."""
    parts = (label.tenant, label.run_id, label.call_id)
    return "/".join([*(quote(part, safe="") for part in parts), str(label.fence)])


def decode(text: str) -> CallLabel | None:
    """Read a label back; `None` if `text` is not one."""
    parts = text.split("/")
    if len(parts) != 4 or not parts[3].isdecimal():
        return None
    tenant, run_id, call_id = (unquote(part) for part in parts[:3])
    return CallLabel(tenant, run_id, call_id, int(parts[3]))


def label_of(pid: int) -> CallLabel | None:
    """Read the label a process was started with; `None` if it has none, or is gone or hidden from us."""
    prefix = f"{VARIABLE}=".encode()
    for source in ("environ", "cmdline"):
        try:
            with open(f"{PROC}/{pid}/{source}", "rb") as file:  # noqa: PTH123
                entries = file.read().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        for entry in entries:
            if entry.startswith(prefix):
                return decode(entry[len(prefix) :].decode(errors="replace"))
    return None


def labelled(
    *, run_id: str | None = None, call: CallLabel | None = None, known: Iterable[CallLabel] = ()
) -> dict[Process, CallLabel]:
    """Find the living processes of calls on this host, with the label of each.

    A process says itself whose it is (environment, command line); it may have cleared that or may lie, so its mark
    decides wherever it has one. Without a mark, and without a label, it has that of its cgroup, or of the nearest
    ancestor that has one: the supervisor is a subreaper, so nothing of a call has any other ancestor while it lives.

    Args:
        run_id: Only those of this run. Of a call that only marks are left of, nobody knows the id: its processes have a
            label of this run that `end_call` takes like any other.
        call: Only those of this call, fence included.
        known: Labels that marks are to be compared with, besides those found on the host.
    """
    processes = table()
    alive = [process for process in processes.values() if process.alive]
    marked = {process: value for process in alive if (value := marks.mark_of(process.pid)) is not None}
    found: dict[Process, CallLabel] = {}
    for process in alive:
        label = label_of(process.pid)
        if label is not None and marked.get(process) in (None, marks.mark(label)):
            found[process] = label
    names = {marks.mark(label): label for label in (*found.values(), *known, *([call] if call else ()))}
    for process in alive:
        if process not in found and (label := _indelible(process, marked.get(process), names, run_id)) is not None:
            found[process] = label
    for ancestor, label in list(found.items()):
        for process in descendants(ancestor.pid, processes):
            if process.alive and process not in marked:
                found.setdefault(process, label)
    asked = {
        process: label
        for process, label in found.items()
        if (run_id is None or label.run_id == run_id) and (call is None or marks.mark(label) == marks.mark(call))
    }
    if not asked and (call or run_id):
        for process, value in _newest():
            if value == marks.mark(call) if call else marks.is_of_run(value, run_id or ""):
                return {process: call or names.get(value) or marks.nameless(value, run_id or "")}
    return asked


def runs_at_work(run_ids: Collection[str]) -> set[str]:
    """Which of these runs may have living processes here: one look for all of them, that rather names one too many."""
    if not run_ids:
        return set()
    alive = [process.pid for process in table().values() if process.alive]
    said = {label.run_id for pid in alive if (label := label_of(pid) or marks.group_label(pid)) is not None}
    values = {value for pid in alive if (value := marks.mark_of(pid)) is not None}
    values |= {value for _, value in _newest()}
    return {run_id for run_id in run_ids if run_id in said or any(marks.is_of_run(value, run_id) for value in values)}


def _newest() -> Iterator[tuple[Process, int]]:
    """The youngest processes that carry a mark, looked at again and again for a moment.

    A process that forks and ends without pause is another one each time, and a look at all processes, which takes much
    longer than it lives, finds none of them; the next one is always among the youngest.
    """
    until_s = time.monotonic() + _LOOK_S
    while time.monotonic() < until_s:
        with open(f"{PROC}/loadavg", "rb") as file:  # noqa: PTH123
            last = int(file.read().split()[-1])
        for pid in range(max(1, last - 3), last + 6):
            if (value := marks.mark_of(pid)) is not None and (process := read(pid)) is not None and process.alive:
                yield process, value


def _indelible(
    process: Process, value: int | None, names: dict[int, CallLabel], run_id: str | None
) -> CallLabel | None:
    """The label of a process that says none, or a wrong one: by what it cannot change."""
    if value in names:
        return names[value]
    group = marks.group_label(process.pid)
    if group is not None:
        return next((label for label in names.values() if marks.is_in_group_of(process.pid, label)), group)
    if value is not None and run_id is not None and marks.is_of_run(value, run_id):
        return marks.nameless(value, run_id)
    return None


def end_call(call: CallLabel, *, within_s: float = 5.0) -> int:
    """End what a call has running, and wait until nothing is left; blocking.

    What the kernel ends as a whole is ended so: a cgroup, and with its first process a process namespace. The
    supervisor is ended last, and only if it does not end by itself within a second (it may be stopped): as long as it
    lives, none of its descendants can lose itself among other processes.

    Returns:
        How many processes were ended.

    Raises:
        TimeoutError: Something of the call is still alive after `within_s`.
    """
    began_s = time.monotonic()
    ended: set[Process] = set()
    while left := labelled(call=call):
        waited_s = time.monotonic() - began_s
        tree = [process for process in left if not is_supervisor(process)]
        for process in tree:
            stop_groups_of(process.pid, call)
        targets = tree or (list(left) if waited_s > 1 else [])
        signaled = [
            send(each, signal.SIGKILL) for each in sorted(targets, key=_is_first_of_its_namespace, reverse=True)
        ]
        # Those the kernel ended along with another one (a cgroup, a namespace) were ended too.
        ended.update(targets)
        if not tree or not any(signaled):
            # None of them was there any more: something keeps becoming another process.
            for process, value in _newest():
                if value == marks.mark(call) and send(process, signal.SIGKILL):
                    ended.add(process)
        if waited_s > within_s:
            raise TimeoutError(f"{len(left)} processes of the call {encode(call)!r} are still alive")
        time.sleep(0.01)
    return len(ended)


def is_supervisor(process: Process) -> bool:
    """Supervisors alone carry the label on their command line, and no mark."""
    if marks.mark_of(process.pid) is not None:
        return False
    try:
        with open(f"{PROC}/{process.pid}/cmdline", "rb") as file:  # noqa: PTH123
            return f"\0{VARIABLE}=".encode() in file.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def _is_first_of_its_namespace(process: Process) -> bool:
    """Whether the kernel ends all others of a process namespace with this one."""
    try:
        with open(f"{PROC}/{process.pid}/status", "rb") as file:  # noqa: PTH123
            line = next((line for line in file if line.startswith(b"NSpid:")), b"")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
    return process.pid != 1 and line.split()[-1:] == [b"1"]
