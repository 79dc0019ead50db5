"""Runs inside of a sandbox that is being tried, and says what it could do there.

Its source is handed to the tool environment's own Python, so it imports nothing of ours. It gets what to try as JSON on
standard input and answers with one JSON object: the name of each check → whether it went as a sandbox must have it.
Whether that is enough is decided in `sandbox.py`.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import socket
import sys
from collections.abc import Callable

RLIMIT_LOCKS = 10


def refused(act: Callable[[], object]) -> bool:
    """Whether an attempt failed."""
    try:
        act()
    except OSError:
        return True
    return False


def connect(family: int, address: str | tuple[str, int]) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as attempt:
        attempt.settimeout(1)
        attempt.connect(address)


def read(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123
        return file.read()


def write(path: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123
        file.write("planted")


def trace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(0, 0, 0, 0) != 0:  # PTRACE_TRACEME
        raise OSError(ctypes.get_errno(), "ptrace")


def unshare() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000) != 0:  # CLONE_NEWUSER
        raise OSError(ctypes.get_errno(), "unshare")


def marked() -> bool:
    """Whether this process carries a mark that it cannot change."""
    mark = resource.getrlimit(RLIMIT_LOCKS)[1]
    if mark == resource.RLIM_INFINITY:
        return False
    try:
        resource.setrlimit(RLIMIT_LOCKS, (mark - 1, mark - 1))
    except (ValueError, OSError):  # which of them depends on the reason
        return True
    return False


def status() -> dict[str, str]:
    lines = read("/proc/self/status").decode().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def main() -> None:
    asked = json.load(sys.stdin)
    own = status()
    checks = {
        "no-network": refused(lambda: connect(socket.AF_INET, ("127.0.0.1", asked["port"]))),
        "no-metadata-address": refused(lambda: connect(socket.AF_INET, ("169.254.169.254", 80))),
        "no-abstract-socket": refused(lambda: connect(socket.AF_UNIX, "\0" + asked["abstract"])),
        "no-socket-file": refused(lambda: connect(socket.AF_UNIX, asked["socket_file"])),
        "no-read-outside": refused(lambda: read(asked["secret"])),
        "no-write-outside": refused(lambda: write(asked["outside"])),
        "no-kernel-settings": refused(lambda: os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)),
        "no-code-of-ours": refused(lambda: read(asked["code"])),
        "no-ptrace": refused(trace),
        "no-user-namespace": refused(unshare),
        "no-signal-outside": refused(lambda: os.kill(asked["pid"], 0)),
        "no-new-privileges": own.get("NoNewPrivs") == "1",
        "no-capabilities": int(own.get("CapEff", "1"), 16) == 0 and int(own.get("CapPrm", "1"), 16) == 0,
        "mark": marked(),
        "filter": own.get("Seccomp") == "2",
        "no-environment-of-ours": asked["variable"] not in os.environ,
        "no-descriptors-of-ours": all(refused(lambda n=number: os.fstat(n)) for number in range(3, 64)),  # type: ignore[misc]
        "workspace": not refused(lambda: write("probe")) and read("probe") == b"planted",
        "temporary": not refused(lambda: write(os.environ["TMPDIR"] + "/probe")),
    }
    print(json.dumps(checks))


if __name__ == "__main__":
    main()
