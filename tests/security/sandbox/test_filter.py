"""The compiled filters decide as their rules say, on both machines, of which this host is at most one.

The kernel runs them in the corpus; here a small interpreter of the same instructions does, so that the numbers and the
jumps of the other machine are tried too.
"""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.execution import seccomp
from core.execution.seccomp import (
    ALLOW,
    ASK_SUPERVISOR,
    BEFORE_TRUNCATE,
    BWRAP,
    ENOSYS,
    EOPNOTSUPP,
    EPERM,
    KILL_PROCESS,
)
from core.execution.syscalls import AUDIT_ARCH, NUMBERS

MACHINES = ("x86_64", "aarch64")


def run(program: bytes, number: int, architecture: int, arguments: tuple[int, ...] = ()) -> int:
    """Interpret a filter for one call and return what it decides."""
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    call = struct.pack("<iIQ6Q", number, architecture, 0, *(argument % (1 << 64) for argument in padded))
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("<HBBI", program, at * 8)
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", call, value)
            case 0x54:
                accumulator &= value
            case 0x15:
                at += if_true if accumulator == value else if_false
            case 0x35:
                at += if_true if accumulator >= value else if_false
            case 0x45:
                at += if_true if accumulator & value else if_false
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


def decide(rules: tuple[seccomp.Rule, ...], machine: str, call: str, *arguments: int) -> int:
    return run(seccomp.compile_filter(rules, machine), NUMBERS[machine][call], AUDIT_ARCH[machine], arguments)


DECISIONS = [
    (BWRAP, "ptrace", (16, 1), EPERM),
    (BWRAP, "clone3", (), ENOSYS),
    (BWRAP, "openat2", (), ENOSYS),
    (BWRAP, "clone", (0x11,), ALLOW),
    (BWRAP, "clone", (0x10000000 | 0x11,), EPERM),
    (BWRAP, "clone", (0x003D0F00,), ALLOW),  # what the C library makes threads with
    (BWRAP, "socket", (1, 1), ALLOW),
    (BWRAP, "socket", (2, 1), ALLOW),
    (BWRAP, "socket", (10, 2), ALLOW),
    (BWRAP, "socket", (16, 3), EPERM),
    (BWRAP, "socket", (40, 1), EPERM),
    (BWRAP, "socket", ((1 << 32) + 40, 1), EPERM),  # the kernel looks at the low half alone
    (BWRAP, "ioctl", (0, 0x5412), EPERM),
    (BWRAP, "ioctl", (0, (1 << 32) + 0x5412), EPERM),
    (BWRAP, "ioctl", (0, 0x5413), ALLOW),
    (BWRAP, "fchmod", (3, 0o755), ALLOW),
    (BWRAP, "fchmod", (3, 0o4755), EPERM),
    (BWRAP, "fchmodat", (-100, 0, 0o2755), EPERM),
    (BWRAP, "openat", (-100, 0, 0o101, 0o644), ALLOW),
    (BWRAP, "openat", (-100, 0, 0o101, 0o4644), EPERM),
    (BWRAP, "openat", (-100, 0, 0o20000001, 0o4644), EPERM),
    (BWRAP, "openat", (-100, 0, 0, 0o4644), ALLOW),  # nothing is created, so there is no mode
    (BWRAP, "prlimit64", (0, 10, 1 << 40), EPERM),  # the mark of a call
    (BWRAP, "prlimit64", (0, (1 << 32) + 10, 4), EPERM),
    (BWRAP, "prlimit64", (0, 10, 0, 1 << 40), ALLOW),
    (BWRAP, "prlimit64", (0, 7, 1 << 40), ALLOW),
    (BWRAP, "setrlimit", (10, 4), EPERM),
    (BWRAP, "setrlimit", (7, 4), ALLOW),
    (LANDLOCK := seccomp.LANDLOCK, "socket", (1, 1), EPERM),
    (LANDLOCK, "socket", (2, 2), EPERM),
    (LANDLOCK, "socketpair", (1, 1), ALLOW),
    (LANDLOCK, "socketpair", (1, 0o2004001), ALLOW),
    (LANDLOCK, "socketpair", (1, 5), ALLOW),
    (LANDLOCK, "socketpair", (1, 2), EPERM),
    (LANDLOCK, "socketpair", (30, 1), EPERM),
    (LANDLOCK, "prlimit64", (0, 7, 1 << 40), ALLOW),
    (LANDLOCK, "prlimit64", (77, 7, 0), ALLOW),
    (LANDLOCK, "prlimit64", (77, 7, 1 << 40), EPERM),
    (LANDLOCK, "prlimit64", (77, 7, 4), EPERM),
    (LANDLOCK, "kill", (-1, 9), EPERM),
    (LANDLOCK, "kill", (5, 9), ALLOW),
    (LANDLOCK, "setpriority", (0, 0, 5), ALLOW),
    (LANDLOCK, "setpriority", (0, 9, 5), EPERM),
    (LANDLOCK, "setpriority", (2, 0, 5), EPERM),
    (LANDLOCK, "fchmod", (3, 0o755), ASK_SUPERVISOR),
    (LANDLOCK, "fchmod", (3, 0o4755), EPERM),
    (LANDLOCK, "utimensat", (), ASK_SUPERVISOR),
    (LANDLOCK, "setxattr", (), EOPNOTSUPP),
    ((*BEFORE_TRUNCATE, *LANDLOCK), "truncate", (), EPERM),
    ((*BEFORE_TRUNCATE, *LANDLOCK), "openat", (-100, 0, 0o1000), EPERM),
    ((*BEFORE_TRUNCATE, *LANDLOCK), "openat", (-100, 0, 0o1001), ALLOW),
    ((*BEFORE_TRUNCATE, *LANDLOCK), "openat", (-100, 0, 0o0), ALLOW),
]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(("rules", "call", "arguments", "action"), DECISIONS)
def test_a_call_is_decided_as_meant(
    machine: str, rules: tuple[seccomp.Rule, ...], call: str, arguments: tuple[int, ...], action: int
) -> None:
    assert action == decide(rules, machine, call, *arguments)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("rules", [BWRAP, seccomp.LANDLOCK])
def test_calls_for_another_machine_end_the_process(machine: str, rules: tuple[seccomp.Rule, ...]) -> None:
    program = seccomp.compile_filter(rules, machine)
    i386, other = 0x40000003, AUDIT_ARCH["aarch64" if machine == "x86_64" else "x86_64"]

    assert KILL_PROCESS == run(program, 20, i386) == run(program, 20, other)


def test_the_second_numbering_of_x86_64_is_refused() -> None:
    program = seccomp.compile_filter(BWRAP, "x86_64")

    assert ENOSYS == run(program, 0x40000000 + NUMBERS["x86_64"]["socket"], AUDIT_ARCH["x86_64"], (2, 1))
    assert ENOSYS == run(program, -1, AUDIT_ARCH["x86_64"])


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("rules", [BWRAP, seccomp.LANDLOCK])
def test_every_rule_without_conditions_decides_its_call(machine: str, rules: tuple[seccomp.Rule, ...]) -> None:
    """So no jump is too short for the list it has to cross."""
    first: dict[str, seccomp.Rule] = {}
    for rule in rules:
        first.setdefault(rule.call, rule)
    known = {call: rule for call, rule in first.items() if call in NUMBERS[machine] and not rule.conditions}

    assert {call: rule.action for call, rule in known.items()} == {call: decide(rules, machine, call) for call in known}
    assert len(known) > 50


@pytest.mark.parametrize("machine", MACHINES)
@given(number=st.integers(0, 600), arguments=st.tuples(*[st.integers(0, (1 << 64) - 1)] * 6))
def test_calls_that_no_rule_names_are_allowed(machine: str, number: int, arguments: tuple[int, ...]) -> None:
    named = {NUMBERS[machine][rule.call] for rule in BWRAP if rule.call in NUMBERS[machine]}
    decided = run(seccomp.compile_filter(BWRAP, machine), number, AUDIT_ARCH[machine], arguments)

    assert decided == ALLOW or number in named


def test_a_filter_fits_what_the_kernel_takes() -> None:
    for machine in MACHINES:
        for rules in (BWRAP, (*BEFORE_TRUNCATE, *seccomp.LANDLOCK)):
            assert len(seccomp.compile_filter(rules, machine)) // 8 < 4096
