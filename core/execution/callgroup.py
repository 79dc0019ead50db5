"""The cgroups of one call: made before it starts, read while it runs, removed when nothing of it is left.

Which controllers there are, and of which cgroup version, is found once by `cgroups.py`; what arrives here is plain data
that names files, so that this side knows no versions. Loaded by the supervisor before each call.
"""

from __future__ import annotations

import errno
import os
import signal
import time


class CallGroup:
    """One directory in a cgroup tree.

    Args:
        path: The directory to make.
        settings: File name and value each, written in this order; a file that does not exist is skipped.
        counters: What exceeding a limit is called → (file, key): the number behind `key` counts how often it happened.
        freeze: File and value that keep the group from starting more processes while it is being ended.
    """

    def __init__(
        self, path: str, settings: list[list[str]], counters: dict[str, list[str]], freeze: list[str] | None
    ) -> None:
        self.path = path
        self._counters = counters
        self._freeze = freeze
        os.mkdir(path)  # noqa: PTH102 (pathlib costs the supervisor's start)
        for name, value in settings:
            if os.path.exists(f"{path}/{name}"):  # noqa: PTH110
                _write(f"{path}/{name}", value)

    @property
    def door(self) -> str:
        """The file a process writes "0" to in order to enter."""
        return f"{self.path}/cgroup.procs"

    def exceeded(self) -> str | None:
        """Name the first limit that this group has run into, if any.

        Whoever ends the call from outside lets nothing more start, and the kernel counts what tried: that is no limit.
        """
        if self._is_stopped():
            return None
        for limit, (name, key) in self._counters.items():
            try:
                with open(f"{self.path}/{name}", "rb") as file:  # noqa: PTH123
                    lines = file.read().split(b"\n")
            except OSError:
                continue
            for line in lines:
                word, _, value = line.partition(b" ")
                if word == key.encode() and int(value) > 0:
                    return limit
        return None

    def _is_stopped(self) -> bool:
        try:
            with open(f"{self.path}/pids.max", "rb") as file:  # noqa: PTH123
                return file.read().strip() == b"0"
        except OSError:
            return False

    def stop_starting(self) -> None:
        """Let no more processes start in it, or end them all at once where the kernel can."""
        if self._freeze:
            name, value = self._freeze
            try:
                _write(f"{self.path}/{name}", value)
            except OSError:
                return  # the processes are ended one by one all the same

    def remove(self, *, within_s: float = 2.0) -> None:
        """Remove the directory. The kernel lets go of the last process a moment after it is reaped."""
        deadline_s = time.monotonic() + within_s
        while True:
            try:
                os.rmdir(self.path)  # noqa: PTH106
            except FileNotFoundError:
                return
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > deadline_s:
                    raise
                time.sleep(0.002)
            else:
                return


def abandon(path: str, *, within_s: float = 2.0) -> int:
    """End what is in the group of a call whose supervisor is gone, and remove the group; blocking.

    Returns:
        How many processes were ended.
    """
    deadline_s = time.monotonic() + within_s
    ended: set[int] = set()
    while time.monotonic() < deadline_s:
        try:
            with open(f"{path}/cgroup.procs", "rb") as file:  # noqa: PTH123
                members = [int(pid) for pid in file.read().split()]
            for pid in members:
                os.kill(pid, signal.SIGKILL)
                ended.add(pid)
            os.rmdir(path)  # noqa: PTH106
        except FileNotFoundError:
            break
        except OSError as error:
            if error.errno not in (errno.ESRCH, errno.EBUSY):
                raise
            time.sleep(0.01)
    return len(ended)


def _write(path: str, value: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123
        file.write(value)
