"""The beginning of every corpus file, which runs inside of a sandbox: how an attack is declared, run and judged.

An attack is a function that raises `OSError` when it is refused; anything it returns says what it got through with.
Each runs in a process of its own, for some end the process they run in, and that is a refusal as well.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import signal
import sys
from collections.abc import Callable

Attack = Callable[[], object]

ATTACKS: dict[str, Attack] = {}
BAIT: dict[str, str] = {}
"""What the test has laid out on the host, by name."""
LIBC = ctypes.CDLL(None, use_errno=True)
X86_64 = platform.machine() == "x86_64"


def attack(function: Attack) -> Attack:
    """Add a function to the corpus."""
    ATTACKS[function.__name__] = function
    return function


def checked(result: int) -> int:
    """Turn a C function's failure into `OSError`."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def syscall(x86_64: int, aarch64: int, *arguments: object) -> int:
    """Make a system call by its number."""
    wide = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    return checked(LIBC.syscall(x86_64 if X86_64 else aarch64, *wide))


def run_one(function: Attack) -> str:
    """Run one attack in a child; "refused: …" or what it got through with."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        try:
            said = f"GOT THROUGH: {function()!r}"
        except OSError as error:
            said = f"refused: {errno.errorcode.get(error.errno or 0, error)}"
        os.write(write, said.encode()[:2000])
        os._exit(0)
    os.close(write)
    said = b""
    while chunk := os.read(read, 4096):
        said += chunk
    os.close(read)
    _, status = os.waitpid(child, 0)
    return said.decode() or f"refused: {signal.Signals(os.WTERMSIG(status)).name}"


def main() -> None:
    """Run the corpus, or the part that was asked for, and answer with one JSON object: attack → how it went."""
    BAIT.update(json.load(sys.stdin), parent=str(os.getppid()))
    asked = BAIT.get("only", "").split() or list(ATTACKS)
    print(json.dumps({name: run_one(ATTACKS[name]) for name in asked}))
