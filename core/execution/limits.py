"""Limits in words and numbers: which mechanism enforces which, what the kernel is told, and what people are told.

The numbers for cgroups are made in `cgroups.py`. What can only be watched is watched by the supervisor.
"""

from __future__ import annotations

import os
import signal as signals

from core.execution.base import Limits, ProcessSpec
from core.execution.cgroups import Controlled, Controller
from core.execution.processes import threads_of_user
from core.execution.request import Report


def mechanisms(controllers: tuple[Controller, ...]) -> tuple[str, ...]:
    """Name what enforces each limit on this host."""
    by_cgroup: dict[Controlled, str] = {
        limit: f"cgroup-v{controller.version}" for controller in controllers for limit in controller.controls
    }
    # The kernel does not hold root to RLIMIT_NPROC.
    processes = "watch" if os.geteuid() == 0 else "rlimit+watch"
    return (
        "wall:supervisor",
        "cpu:rlimit",
        f"memory:{by_cgroup.get('memory', 'rlimit+watch')}",
        f"processes:{by_cgroup.get('processes', processes)}",
        "file:rlimit",
        "disk:watch",
        "open-files:rlimit",
    )


def rlimits(limits: Limits, controllers: tuple[Controller, ...]) -> list[tuple[str, int]]:
    """The resource limits of each process, as names of the `resource` module and values.

    RLIMIT_AS would count what is only reserved (thread arenas, mapped libraries), of which numeric libraries have
    gigabytes; RLIMIT_DATA counts what can be written. Without a cgroup it, and RLIMIT_NPROC, stand a quarter above the
    limit, so that the watch, which can explain itself, usually speaks first.
    """
    controlled = {limit for controller in controllers for limit in controller.controls}
    found = [
        ("RLIMIT_CPU", limits.cpu_s),
        ("RLIMIT_FSIZE", limits.file_bytes),
        ("RLIMIT_NOFILE", limits.open_files),
    ]
    if "memory" in controlled:
        found.append(("RLIMIT_DATA", 2 * limits.memory_bytes))
    else:
        found.append(("RLIMIT_DATA", limits.memory_bytes + limits.memory_bytes // 4))
        found.append(("RLIMIT_AS", 4 * limits.memory_bytes + (4 << 30)))
    if "processes" not in controlled and os.geteuid() != 0:
        found.append(("RLIMIT_NPROC", threads_of_user(os.getuid()) + limits.processes + limits.processes // 4 + 8))
    return found


def size(count: int) -> str:
    """A number of bytes as people read it: "1 GiB", "1.5 MiB", "200 bytes"."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{count} bytes"


def duration(seconds: float) -> str:
    """Seconds as people read them: "0.5 s", "60 s", "30 min"."""
    if seconds >= 120 and seconds % 60 == 0:
        return f"{int(seconds // 60)} min"
    return f"{seconds:.1f}".removesuffix(".0") + " s"


def limit_sentence(limit: str, limits: Limits) -> str:
    """Say which limit a program ran into."""
    return {
        "wall": f"It ran for more than {duration(limits.wall_s)} and was stopped.",
        "cpu": f"It used more than {duration(limits.cpu_s)} of processor time and was stopped.",
        "memory": f"It used more than {size(limits.memory_bytes)} of memory and was stopped.",
        "processes": f"It started more than {limits.processes} processes and threads and was stopped.",
        "file": f"It wrote a file larger than {size(limits.file_bytes)} and was stopped.",
        "disk": f"It filled more than {size(limits.disk_bytes)} of disk space and was stopped.",
    }[limit]


def detail(report: Report, spec: ProcessSpec) -> str:
    """Say in full how a call ended."""
    limits = spec.limits
    match report["ended"]:
        case "exited" if report["exit_code"] == 0:
            sentences = [f"It finished after {duration(round(report['duration_s'], 1))}."]
        case "exited":
            sentences = [f"It failed with exit code {report['exit_code']}."]
        case "signaled":
            sentences = [f"It was ended by the signal {_signal_name(report['signal'] or 0)}."]
        case "killed":
            sentences = ["It was stopped on request."]
        case "not-started":
            sentences = [f"{spec.argv[0]} could not be started: {report['error'] or 'no reason was given'}."]
        case _:
            sentences = [limit_sentence(report["limit"] or "wall", limits)]
    if report["ended"] in ("exited", "signaled") and report["processes_ended"]:
        count = report["processes_ended"]
        sentences.append(f"{count} {'process' if count == 1 else 'processes'} it had left running were ended.")
    for name in ("stdout", "stderr"):
        total_bytes = report["stdout_bytes"] if name == "stdout" else report["stderr_bytes"]
        if total_bytes > limits.max_output_bytes:
            kept = size(max(limits.max_output_bytes, limits.keep_output_bytes))
            sentences.append(f"Of {size(total_bytes)} written to {name}, the first {kept} were kept.")
    if report["output_lost"]:
        sentences.append("Some of its output could not be kept in a file; the disk may be full.")
    if report["undone"]:
        sentences.append(f"It changed protected files ({', '.join(report['undone'])}); that was undone.")
    return " ".join(sentences)


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return str(number)
