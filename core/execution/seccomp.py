"""The system call filters, as data, and their translation into the kernel's filter language.

A filter is a list of rules: a call, conditions on its arguments, and what the kernel does when all of them hold. What
no rule names is allowed; a call made for another architecture ends the process, and x86-64's second numbering (x32) is
refused as a whole. Which files may be reached is not decided here but by mounts (`bwrap`) or Landlock.

Source: seccomp(2), and the kernel's Documentation/userspace-api/seccomp_filter.
"""

from __future__ import annotations

import errno
import stat
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from core.execution.syscalls import AUDIT_ARCH, NUMBERS

Test = Literal["equal", "unequal", "any-bit"]

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
ASK_SUPERVISOR = 0x7FC00000
"""The call waits while the supervisor decides it and, if allowed, does it (see `deputy.py`)."""


def refuse(number: int) -> int:
    """The call fails with this errno."""
    return 0x00050000 | number


EPERM = refuse(errno.EPERM)
ENOSYS = refuse(errno.ENOSYS)
EOPNOTSUPP = refuse(errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Condition:
    """A test on half of an argument. The kernel reads most arguments as 32-bit, so the low half is what counts."""

    argument: int
    test: Test
    value: int
    mask: int = 0xFFFFFFFF
    high_half: bool = False


@dataclass(frozen=True)
class Rule:
    """What happens to `call` when all conditions hold; among rules of one call the first that matches counts."""

    call: str
    action: int
    conditions: tuple[Condition, ...] = ()


def _all(action: int, calls: str) -> list[Rule]:
    return [Rule(call, action) for call in calls.split()]


def _equal(argument: int, value: int, mask: int = 0xFFFFFFFF) -> Condition:
    return Condition(argument, "equal", value, mask)


def _unequal(argument: int, value: int, mask: int = 0xFFFFFFFF) -> Condition:
    return Condition(argument, "unequal", value, mask)


_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_SOCK_STREAM, _SOCK_SEQPACKET, _SOCK_TYPE_MASK = 1, 5, 0xF
_CLONE_NEW = 0x7E020000  # all of CLONE_NEW*, except NEWTIME, which only unshare and clone3 take
_IOCTLS = (
    0x5412,  # TIOCSTI: types into the terminal
    0x541C,  # TIOCLINUX: pastes into the console
    0x541D,  # TIOCCONS: takes over the console
    0x5423,  # TIOCSETD: loads line disciplines
)
_FILE_ATTRIBUTE_IOCTLS = (0x40086602, 0x401C5820)  # FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR
_RLIMIT_LOCKS = 10
_PRIO_USER, _IOPRIO_WHO_USER = 2, 3
_SET_ID = stat.S_ISUID | stat.S_ISGID
_O_CREATES = 0o100 | 0o20000000  # O_CREAT, and the bit that makes O_TMPFILE
_O_ACCMODE_TRUNC, _O_TRUNC = 0o1003, 0o1000

COMMON: tuple[Rule, ...] = (
    # Other processes' memory, and the kernel's ways of looking at them.
    *_all(EPERM, "ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp process_madvise perf_event_open bpf"),
    *_all(EPERM, "userfaultfd move_pages migrate_pages lookup_dcookie syslog"),
    # Namespaces and mounts: the way most escapes begin.
    *_all(EPERM, "unshare setns mount umount2 pivot_root chroot fsopen fsconfig fsmount fspick move_mount open_tree"),
    *_all(EPERM, "open_tree_attr mount_setattr statmount listmount"),
    Rule("clone", EPERM, (Condition(0, "any-bit", _CLONE_NEW),)),
    # Its flags are in memory, where a filter cannot look; the C library falls back to clone.
    *_all(ENOSYS, "clone3"),
    # The same holds for openat2, which could otherwise create set-user-id files.
    *_all(ENOSYS, "openat2"),
    # Submits calls that no filter sees.
    *_all(EPERM, "io_uring_setup io_uring_enter io_uring_register"),
    # Keys, modules, the machine.
    *_all(EPERM, "keyctl add_key request_key kexec_load kexec_file_load init_module finit_module delete_module"),
    *_all(EPERM, "acct swapon swapoff reboot quotactl quotactl_fd vhangup settimeofday clock_settime nfsservctl"),
    *_all(EPERM, "iopl ioperm modify_ldt personality open_by_handle_at fanotify_init"),
    *(Rule("ioctl", EPERM, (_equal(1, command),)) for command in _IOCTLS),
    # The limit that marks the processes of a call stays as it is; reading it is harmless.
    Rule("setrlimit", EPERM, (_equal(0, _RLIMIT_LOCKS),)),
    Rule("prlimit64", EPERM, (_equal(1, _RLIMIT_LOCKS), _unequal(2, 0))),
    Rule("prlimit64", EPERM, (_equal(1, _RLIMIT_LOCKS), Condition(2, "unequal", 0, high_half=True))),
    # Set-user-id files: on the host they would belong to whoever runs us.
    Rule("chmod", EPERM, (Condition(1, "any-bit", _SET_ID),)),
    Rule("fchmod", EPERM, (Condition(1, "any-bit", _SET_ID),)),
    Rule("fchmodat", EPERM, (Condition(2, "any-bit", _SET_ID),)),
    Rule("fchmodat2", EPERM, (Condition(2, "any-bit", _SET_ID),)),
    Rule("creat", EPERM, (Condition(1, "any-bit", _SET_ID),)),
    Rule("mknod", EPERM, (Condition(1, "any-bit", _SET_ID),)),
    Rule("mknodat", EPERM, (Condition(2, "any-bit", _SET_ID),)),
    Rule("open", EPERM, (Condition(1, "any-bit", _O_CREATES), Condition(2, "any-bit", _SET_ID))),
    Rule("openat", EPERM, (Condition(2, "any-bit", _O_CREATES), Condition(3, "any-bit", _SET_ID))),
)

BWRAP: tuple[Rule, ...] = (
    *COMMON,
    # The network namespace is empty, so these three reach only the sandbox itself. The others (vsock reaches the
    # hypervisor from any namespace) are not needed.
    Rule("socket", EPERM, tuple(_unequal(0, family) for family in (_AF_UNIX, _AF_INET, _AF_INET6))),
)

LANDLOCK: tuple[Rule, ...] = (
    *COMMON,
    # No sockets at all: Landlock does not see UDP, nor a connection to a host's socket file. Connected stream pairs
    # stay; a datagram pair could be pointed at any socket file afterwards.
    *_all(EPERM, "socket"),
    Rule("socketpair", EPERM, (_unequal(0, _AF_UNIX),)),
    Rule(
        "socketpair",
        EPERM,
        (_unequal(1, _SOCK_STREAM, _SOCK_TYPE_MASK), _unequal(1, _SOCK_SEQPACKET, _SOCK_TYPE_MASK)),
    ),
    # Memory and queues shared by key or name with everyone of the same user.
    *_all(EPERM, "shmget shmat shmctl semget semop semctl semtimedop msgget msgsnd msgrcv msgctl mq_open mq_unlink"),
    # Limits and priorities of other processes of the same user.
    Rule("prlimit64", EPERM, (_unequal(0, 0), _unequal(2, 0))),
    Rule("prlimit64", EPERM, (_unequal(0, 0), Condition(2, "unequal", 0, high_half=True))),
    *(
        Rule(f"sched_{what}", EPERM, (_unequal(0, 0),))
        for what in ("setaffinity", "setscheduler", "setparam", "setattr")
    ),
    Rule("setpriority", EPERM, (_unequal(1, 0),)),
    Rule("setpriority", EPERM, (_equal(0, _PRIO_USER),)),
    Rule("ioprio_set", EPERM, (_unequal(1, 0),)),
    Rule("ioprio_set", EPERM, (_equal(0, _IOPRIO_WHO_USER),)),
    # All processes of the user at once.
    Rule("kill", EPERM, (_equal(0, 0xFFFFFFFF),)),
    # Metadata of files, which Landlock does not guard: what the supervisor can confine to the workspace it does, ...
    *_all(ASK_SUPERVISOR, "chmod fchmod fchmodat fchmodat2 utime utimes futimesat utimensat"),
    # ... and the rest a workspace does not need.
    *_all(EPERM, "chown lchown fchown fchownat file_setattr inotify_add_watch"),
    *_all(EOPNOTSUPP, "setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr setxattrat removexattrat"),
    *(Rule("ioctl", EPERM, (_equal(1, command),)) for command in _FILE_ATTRIBUTE_IOCTLS),
)

BEFORE_TRUNCATE: tuple[Rule, ...] = (
    # Landlock before its third version lets a file that may be read be emptied.
    *_all(EPERM, "truncate"),
    Rule("open", EPERM, (_equal(1, _O_TRUNC, _O_ACCMODE_TRUNC),)),
    Rule("openat", EPERM, (_equal(2, _O_TRUNC, _O_ACCMODE_TRUNC),)),
)


def compile_filter(rules: Iterable[Rule], machine: str) -> bytes:
    """Translate rules into an array of `struct sock_filter`, as seccomp(2) and bwrap take it.

    Raises:
        KeyError: There are no call numbers for this machine.
    """
    numbers = NUMBERS[machine]
    by_call: dict[str, list[Rule]] = {}
    for rule in rules:
        by_call.setdefault(rule.call, []).append(rule)
    program = [
        _load(4),
        _jump(_JEQ, AUDIT_ARCH[machine], 1, 0),
        _return(KILL_PROCESS),
        _load(0),
    ]
    if machine == "x86_64":
        program += [_jump(_JGE, 0x40000000, 0, 1), _return(ENOSYS)]
    for call, call_rules in by_call.items():
        if call in numbers:
            block = [instruction for rule in call_rules for instruction in _rule(rule)]
            if call_rules[-1].conditions:
                block.append(_return(ALLOW))
            program += [_jump(_JEQ, numbers[call], 0, len(block)), *block]
    program.append(_return(ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


_Instruction = tuple[int, int, int, int]
_JEQ, _JGE, _JSET = 0x15, 0x35, 0x45


def _load(offset: int) -> _Instruction:
    return (0x20, 0, 0, offset)


def _jump(code: int, value: int, if_true: int, if_false: int) -> _Instruction:
    return (code, if_true, if_false, value)


def _return(action: int) -> _Instruction:
    return (0x06, 0, 0, action)


def _rule(rule: Rule) -> list[_Instruction]:
    """One rule: its tests, each of which jumps behind the rule when it fails, and its action."""
    code = [_return(rule.action)]
    for condition in reversed(rule.conditions):
        behind = len(code)
        if condition.test == "equal":
            test = _jump(_JEQ, condition.value, 0, behind)
        elif condition.test == "unequal":
            test = _jump(_JEQ, condition.value, behind, 0)
        else:
            test = _jump(_JSET, condition.value, 0, behind)
        # Both machines are little-endian: the low half of a 64-bit argument comes first.
        load = _load(16 + 8 * condition.argument + 4 * condition.high_half)
        masked = [] if condition.mask == 0xFFFFFFFF else [(0x54, 0, 0, condition.mask)]
        code = [load, *masked, test, *code]
    return code
