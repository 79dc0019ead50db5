"""How a bot knows that the one before it is dead, rather than slow: by a lock that died with it.

Bots of one home, host and boot have their locks in one directory, each under the id it leads by. What a bot of another
host does is for its lease to say.
"""

import re
import shutil
from pathlib import Path

from core.lifelock import LifeLock, look_at

_BOTS = "bots"


class BotLife:
    """This bot's own lock, and a look at those of others.

    Args:
        home: The installation's.
        host, boot_id: Where and since when this process runs.
        own: The id this bot leads by.
    """

    def __init__(self, home: Path, host: str, boot_id: str, own: str) -> None:
        self._host = re.sub(r"[^A-Za-z0-9_.-]", "-", host)
        self._all = home / _BOTS
        self._here = self._all / f"{self._host}@{boot_id}"
        self._lock = LifeLock(self._here / f"{own}.lock")

    def begin(self) -> None:
        """Take the lock; and remove what earlier boots of this host left, of which nothing can live."""
        self._lock.take()
        for other in self._all.glob(f"{self._host}@*"):
            if other != self._here:
                shutil.rmtree(other, ignore_errors=True)

    def end(self) -> None:
        """Let go of it."""
        self._lock.release()

    def has_died(self, owner: str) -> bool:
        """Whether that bot was one of this host and boot, and has ended without handing over."""
        path = self._here / f"{owner}.lock"
        if look_at(path) != "free":
            return False
        path.unlink(missing_ok=True)
        return True
