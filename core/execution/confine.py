"""What a child does between fork and exec so that the program starts confined and can never undo it.

The order matters: what needs privileges (cgroups, capabilities, raising limits) comes before they are dropped, and the
filter comes last because it refuses much of the rest. At the `bwrap` level only the first half is ours; bwrap does the
second. What to confine with is decided in `recipe.py` and arrives as plain data.
"""

from __future__ import annotations

import _socket
import array
import ctypes
import os
import resource
import signal
import struct
import sys

from core.execution import landlock
from core.execution.syscalls import NUMBERS

_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_SECUREBITS, _PR_SET_CHILD_SUBREAPER = 1, 24, 28, 36
_PR_SET_NO_NEW_PRIVS = 38
_SECUREBITS_ALL_LOCKED = 0b11101111  # root is nobody special, and that cannot be changed (keep-caps: locked, off)
_CAPABILITIES_V3 = 0x20080522
_SET_MODE_FILTER, _NEW_LISTENER = 1, 1 << 3
_RLIMIT_LOCKS = 10  # `marks.LIMIT`, which costs more to import than to repeat

_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Make orphans among this process's descendants its own children, so that none can slip away."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def close_above(lowest: int, *, keep: tuple[int, ...] = ()) -> None:
    """Close all descriptors from `lowest` on, except `keep`."""
    for descriptor in sorted({*keep, sys.maxsize}):
        if descriptor > lowest:
            os.closerange(lowest, min(descriptor, 1 << 30))
        lowest = max(lowest, descriptor + 1)


def prepare(
    parent: int, streams: tuple[int, int, int], groups: list[str], limits: list[tuple[str, int]], mark: int
) -> None:
    """The first half, for every level: session, streams, cgroups, limits, mark.

    Args:
        parent: The supervisor's pid: if it dies, so does this process.
        streams: Descriptors that become standard input, output and error.
        groups: The files to write "0" to in order to join a cgroup.
        limits: Names of the resource module and values; a value above the hard limit in force is cut to it.
        mark: What every process of the call shall carry, where it can be set.
    """
    os.setsid()
    for number in (signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for target, descriptor in enumerate(streams):
        os.dup2(descriptor, target)
    for path in groups:
        with open(path, "w") as file:  # noqa: PTH123 (pathlib costs the supervisor's start)
            file.write("0")
    with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("500")  # when the whole host runs out of memory, this goes before its supervisor
    for name, value in [("RLIMIT_CORE", 0), *limits]:
        kind = getattr(resource, name)
        ceiling = resource.getrlimit(kind)[1]
        if ceiling != resource.RLIM_INFINITY:
            value = min(value, ceiling)
        # A process over its CPU seconds is told so first (SIGXCPU), and killed a second later.
        hard = value + 1 if name == "RLIMIT_CPU" and (ceiling == resource.RLIM_INFINITY or value < ceiling) else value
        resource.setrlimit(kind, (value, hard))
    try:  # noqa: SIM105 (contextlib costs the supervisor's start)
        resource.setrlimit(_RLIMIT_LOCKS, (mark, mark))
    except (ValueError, OSError):
        pass  # a lower limit is in force, or this kernel has none; the sandbox was tried and says so (`Recipe.marked`)
    die_with(parent)
    os.umask(0o022)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; end at once if it already has."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != parent:
        os._exit(127)


def drop_privileges() -> None:
    """Give up every capability for good, also those that running a program as root would bring back."""
    if os.geteuid() == 0:
        os.setgroups([])
    capability = 0
    while _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    # Both this and the loop above need a capability that only root has, and only root has something to lose by it.
    _libc.prctl(_PR_SET_SECUREBITS, _SECUREBITS_ALL_LOCKED, 0, 0, 0)
    header = struct.pack("=Ii", _CAPABILITIES_V3, 0)
    _check(_libc.capset(header, bytes(24)))


def no_new_privileges() -> None:
    """Make set-user-id programs run without their privileges, here and in all descendants."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def restrict(version: int, rules: list[tuple[str, int]]) -> None:
    """Apply Landlock; rules for this very process (`/proc/self`) are resolved here, where that is the program."""
    landlock.restrict_self(version, rules)


def load_filter(program: bytes, *, listen: bool) -> int | None:
    """Install a compiled system call filter.

    Args:
        program: As `seccomp.compile_filter` returns it.
        listen: Whether the filter asks the supervisor about calls.

    Returns:
        The descriptor on which the supervisor hears of those calls.
    """
    instructions = ctypes.create_string_buffer(program, len(program))
    header = struct.pack(
        "@HxxxxxxP" if sys.maxsize > 1 << 32 else "@HxxP", len(program) // 8, ctypes.addressof(instructions)
    )
    number = NUMBERS[os.uname().machine]["seccomp"]
    listener = _check(_libc.syscall(number, _SET_MODE_FILTER, _NEW_LISTENER if listen else 0, header))
    return listener if listen else None


def descriptor_channel() -> tuple[int, int]:
    """Make the two ends over which a descriptor can be handed from a child to its parent."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    return ours.detach(), theirs.detach()


def send_descriptor(channel: int, descriptor: int) -> None:
    """Hand a descriptor to the process at the other end of a socket pair."""
    end = _socket.socket(fileno=os.dup(channel))
    end.sendmsg([b"d"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", [descriptor]))])
    end.close()


def receive_descriptor(channel: int) -> int | None:
    """Take a descriptor that was handed over; `None` if the other end closed without sending one."""
    end = _socket.socket(fileno=os.dup(channel))
    try:
        _, ancillary, _, _ = end.recvmsg(1, _socket.CMSG_LEN(4))
    finally:
        end.close()
    received = array.array("i")
    for level, kind, content in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            received.frombytes(content[:4])
    if not received:
        return None
    os.set_inheritable(received[0], False)
    return received[0]


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result)
