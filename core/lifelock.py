"""A lock that dies with its process: how others of the same host know that it has ended, at once and for sure.

A file gets its name when it is locked already, so nobody ever sees it unlocked while its process lives. The kernel
frees the lock when the process ends, however it ends; one that is suspended or hangs keeps it. What cannot be told for
sure is `unknown`, and then a lease has to decide.
"""

import fcntl
import logging
import os
from pathlib import Path
from typing import Literal

log = logging.getLogger(__name__)

Lock = Literal["held", "free", "unknown"]


class LifeLock:
    """The lock a process holds for as long as it lives; no process it starts inherits it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> str | None:
        """Take it; the file's name for others, as device and inode, or `None` where files cannot be locked."""
        new = self._path.with_suffix(".new")
        try:
            new.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                new.rename(self._path)
            except OSError:
                os.close(descriptor)
                raise
        except OSError as error:
            log.warning("no lock on a file here: %s", error, extra={"action": "life_lock_failed"})
            return None
        self._descriptor = descriptor
        return _name(os.fstat(descriptor))

    def release(self) -> None:
        """Let go of it, once whatever it stands for was given up in order."""
        if self._descriptor is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None


def look_at(path: Path, name: str | None = None) -> Lock:
    """What a process' lock says.

    Args:
        name: As the process said it: the lock of another file says nothing. A file that was deleted is another one when
            it is there again, and its holder may live.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return "unknown"
    try:
        if name is not None and _name(os.fstat(descriptor)) != name:
            return "unknown"
        # A share, so that several may look at once.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return "held"
    except OSError:
        return "unknown"
    finally:
        os.close(descriptor)
    return "free"


def _name(status: os.stat_result) -> str:
    return f"{status.st_dev}:{status.st_ino}"
