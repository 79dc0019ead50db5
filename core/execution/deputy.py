"""The supervisor's side of system calls it does for a program that may not do them itself.

Landlock guards what is in files, not their modes and times, so at that level `chmod` and `utime` would reach every file
of the user who runs us. The filter sends those calls here instead. The deputy never lets the program's call go on: it
resolves the path itself, inside the roots only, and changes what it has resolved. Nothing the program swaps in the
meantime can lead it elsewhere.

Source: seccomp_unotify(2).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct

from core.execution.syscalls import NUMBERS

_RECEIVE, _SEND, _STILL_VALID = 0xC0502100, 0xC0182101, 0x40082102
_AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _AT_EMPTY_PATH = -100, 0x100, 0x1000
_RESOLVE_BENEATH, _RESOLVE_NO_MAGICLINKS = 0x08, 0x02
_PATH_MAX = 4096

_libc = ctypes.CDLL(None, use_errno=True)


class Deputy:
    """Answers the calls of one filter, confined to some roots.

    Args:
        listener: The descriptor that installing the filter gave.
        roots: Directories, by their real absolute paths, in which the calls may have an effect.
    """

    def __init__(self, listener: int, roots: list[str]) -> None:
        self.listener = listener
        self._roots = [(root.rstrip("/"), os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) for root in roots]
        numbers = NUMBERS[os.uname().machine]
        self._handlers = {
            numbers[call]: handler
            for call, handler in {
                "chmod": self._chmod,
                "fchmod": self._fchmod,
                "fchmodat": self._fchmodat,
                "fchmodat2": self._fchmodat2,
                "utime": self._utime,
                "utimes": self._utimes,
                "futimesat": self._futimesat,
                "utimensat": self._utimensat,
            }.items()
            if call in numbers
        }

    def close(self) -> None:
        """Stop answering; calls still waiting fail with ENOSYS."""
        for _, descriptor in self._roots:
            os.close(descriptor)
        os.close(self.listener)

    def answer(self) -> None:
        """Take one waiting call and answer it. Call when the listener is readable."""
        notice = bytearray(80)
        try:
            fcntl.ioctl(self.listener, _RECEIVE, notice)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):  # the caller died before we took it
                return
            raise
        identity, pid, _, number, _, _, *arguments = struct.unpack("=QIIiIQ6Q", notice)
        try:
            self._handlers[number](Caller(pid, self.listener, identity), arguments)
            failure = 0
        except OSError as error:
            failure = error.errno or errno.EPERM
        try:
            fcntl.ioctl(self.listener, _SEND, struct.pack("=QqiI", identity, 0, -failure, 0))
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise

    def _chmod(self, caller: Caller, arguments: list[int]) -> None:
        self._change_mode(self._at(caller, _AT_FDCWD, arguments[0]), arguments[1])

    def _fchmod(self, caller: Caller, arguments: list[int]) -> None:
        self._change_mode(self._of_descriptor(caller, arguments[0]), arguments[1])

    def _fchmodat(self, caller: Caller, arguments: list[int]) -> None:
        self._change_mode(self._at(caller, arguments[0], arguments[1]), arguments[2])

    def _fchmodat2(self, caller: Caller, arguments: list[int]) -> None:
        self._change_mode(self._at(caller, arguments[0], arguments[1], arguments[3]), arguments[2])

    def _utime(self, caller: Caller, arguments: list[int]) -> None:
        times = None
        if arguments[1]:
            accessed, modified = struct.unpack("=qq", caller.read(arguments[1], 16))
            times = struct.pack("=qqqq", accessed, 0, modified, 0)
        self._change_times(self._at(caller, _AT_FDCWD, arguments[0]), times)

    def _utimes(self, caller: Caller, arguments: list[int]) -> None:
        self._change_times(self._at(caller, _AT_FDCWD, arguments[0]), caller.microseconds(arguments[1]))

    def _futimesat(self, caller: Caller, arguments: list[int]) -> None:
        target = self._at(caller, arguments[0], arguments[1]) if arguments[1] else None
        target = self._of_descriptor(caller, arguments[0]) if target is None else target
        self._change_times(target, caller.microseconds(arguments[2]))

    def _utimensat(self, caller: Caller, arguments: list[int]) -> None:
        directory, path, times, flags = arguments[:4]
        if path:
            target = self._at(caller, directory, path, flags)
        else:
            target = self._of_descriptor(caller, directory)
        self._change_times(target, caller.read(times, 32) if times else None)

    def _at(self, caller: Caller, directory: int, path: int, flags: int = 0) -> int:
        """Open what a path of the caller means, inside the roots only."""
        name = caller.text(path)
        if not name:
            if not flags & _AT_EMPTY_PATH:
                raise OSError(errno.ENOENT, "empty path")
            return self._of_descriptor(caller, directory)
        if not name.startswith("/"):
            directory = _signed(directory)
            base = os.readlink(caller.link("cwd" if directory == _AT_FDCWD else f"fd/{directory}"))  # noqa: PTH115
            name = f"{base}/{name}"
        return self._beneath(name, nofollow=bool(flags & _AT_SYMLINK_NOFOLLOW))

    def _of_descriptor(self, caller: Caller, descriptor: int) -> int:
        """Open the very file a descriptor of the caller is, if it lies inside the roots."""
        opened = os.open(caller.link(f"fd/{_signed(descriptor)}"), os.O_PATH | os.O_CLOEXEC)
        path = os.readlink(f"/proc/self/fd/{opened}")  # noqa: PTH115
        if any(path == root or path.startswith(f"{root}/") for root, _ in self._roots):
            return opened
        os.close(opened)
        raise OSError(errno.EPERM, "outside of the workspace")

    def _beneath(self, path: str, *, nofollow: bool) -> int:
        for root, descriptor in self._roots:
            if path == root or path.startswith(f"{root}/"):
                flags = os.O_PATH | os.O_CLOEXEC | (os.O_NOFOLLOW if nofollow else 0)
                how = struct.pack("=QQQ", flags, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
                relative = os.fsencode(path[len(root) :].lstrip("/") or ".")
                number = NUMBERS[os.uname().machine]["openat2"]
                opened = _libc.syscall(number, descriptor, relative, how, ctypes.c_size_t(len(how)))
                if opened >= 0:
                    return int(opened)
                failure = ctypes.get_errno()
                raise OSError(errno.EPERM if failure == errno.EXDEV else failure, os.strerror(failure))
        raise OSError(errno.EPERM, "outside of the workspace")

    def _change_mode(self, target: int, mode: int) -> None:
        try:
            os.chmod(f"/proc/self/fd/{target}", mode & 0o1777)  # noqa: PTH101
        finally:
            os.close(target)

    def _change_times(self, target: int, times: bytes | None) -> None:
        try:
            if _libc.utimensat(target, b"", times, _AT_EMPTY_PATH) != 0:
                failure = ctypes.get_errno()
                raise OSError(failure, os.strerror(failure))
        finally:
            os.close(target)


class Caller:
    """The thread that waits for an answer. What is read of it counts only while it still waits."""

    def __init__(self, pid: int, listener: int, identity: int) -> None:
        self._pid = pid
        self._listener = listener
        self._identity = identity

    def link(self, name: str) -> str:
        """The path of one of its links in /proc."""
        self._still_waits()
        return f"/proc/{self._pid}/{name}"

    def read(self, address: int, size: int) -> bytes:
        """Read its memory; fewer bytes than asked for where the mapping ends."""
        with open(f"/proc/{self._pid}/mem", "rb", buffering=0) as memory:  # noqa: PTH123
            # Checked after opening: the memory is now that of the caller, whatever its pid becomes.
            self._still_waits()
            try:
                return os.pread(memory.fileno(), size, address)
            except (OSError, OverflowError) as error:
                raise OSError(errno.EFAULT, "bad address") from error

    def text(self, address: int) -> str:
        """Read a path that ends with a NUL."""
        page = 4096
        raw = b""
        while b"\0" not in raw:
            raw += self.read(address + len(raw), page - (address + len(raw)) % page)
            if len(raw) > _PATH_MAX + page:
                raise OSError(errno.ENAMETOOLONG, "path too long")
        return os.fsdecode(raw[: raw.index(b"\0")])

    def microseconds(self, address: int) -> bytes | None:
        """Read two `struct timeval` and turn them into the two `struct timespec` the kernel takes today."""
        if not address:
            return None
        accessed_s, accessed_us, modified_s, modified_us = struct.unpack("=qqqq", self.read(address, 32))
        return struct.pack("=qqqq", accessed_s, accessed_us * 1000, modified_s, modified_us * 1000)

    def _still_waits(self) -> None:
        fcntl.ioctl(self._listener, _STILL_VALID, struct.pack("=Q", self._identity))


def _signed(value: int) -> int:
    """A descriptor as the kernel reads it: the low 32 bits, with a sign."""
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value
