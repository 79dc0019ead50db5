"""Landlock by its three system calls: which files a process may touch, and what it may reach besides files.

Every right that the running kernel knows is handled, and is then granted only where a rule says so. Building rules is
left to `recipe.py`; this file is loaded by the supervisor before each call, so it imports little.

Source: landlock(7), and the kernel's Documentation/userspace-api/landlock.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct

EXECUTE = 1 << 0
WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
MAKE_CHAR = 1 << 6
MAKE_BLOCK = 1 << 11
IOCTL_DEV = 1 << 15
_TRUNCATE = 1 << 14
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | _TRUNCATE | IOCTL_DEV

READ = EXECUTE | READ_FILE | READ_DIR
WRITE = (1 << 15) - 1 & ~(MAKE_CHAR | MAKE_BLOCK)
"""Everything but devices: read, run, write, create, remove, link and rename."""

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same number on every architecture
_PATH_BENEATH = 1

_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """The version of Landlock this kernel speaks, from 1; 0 when it has none, or a filter around us refuses it."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, 0, 1)))


def handled(version: int) -> tuple[int, int, int]:
    """The rights (files, network, scopes) that exist at this version and are all taken away unless granted."""
    files = 13
    if version >= 2:
        files = 14
    if version >= 3:
        files = 15
    if version >= 5:
        files = 16
    return (1 << files) - 1, 0b11 if version >= 4 else 0, 0b11 if version >= 6 else 0


def restrict_self(version: int, rules: list[tuple[str, int]]) -> None:
    """Restrict this process, and all it will start, to `rules`; it can never be undone.

    Args:
        version: As `abi` said it, or lower to leave newer rights alone.
        rules: Path and rights each. A path that does not exist grants nothing.

    Raises:
        OSError: The kernel refused; nothing is restricted then.
    """
    files, network, scopes = handled(version)
    # Older kernels take a shorter structure, and one that is longer only if the rest is zero.
    attributes = struct.pack("=QQQ", files, network, scopes)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = _check(_libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0))
    try:
        for path, rights in rules:
            try:
                descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue
            try:
                rights &= files
                if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
                    rights &= _OF_FILES
                beneath = struct.pack("=Qi", rights, descriptor)
                _check(_libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, beneath, 0))
            finally:
                os.close(descriptor)
        _check(_libc.syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return int(result)
