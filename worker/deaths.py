"""How the processes of one host learn at once that a worker has died: by a lock that dies with it.

Each worker holds a lock of the kernel's on a file of its own below `workers/` in the home, and its row says which file
that is. Its neighbours hear from the kernel when the process ends and then look at the lock; a look every second is
the net. A worker that is suspended, or hangs, keeps its lock: for that one there is the lease, as for everything that
cannot be told for sure.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from core.clock import Clock
from core.execution.processes import read
from core.lifelock import look_at
from core.runs.takeover import Here, take_over
from core.store import workers
from core.store.session import Database
from core.store.workers import Here as Neighbour

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How long a death can go unnoticed that nobody was told of."""

PATIENCE_S = 0.3
"""How long the reaper leaves a death to the workers of its host, who have the next step to do."""

_LOCKS = "workers"
_OLD_S = 60.0
_SURE_S = (0.0, 0.001, 0.005, 0.02, 0.1)
"""Pauses between looks at a lock whose holder has just ended: a program it was starting may have it for a moment."""


def lock_file(home: Path, worker: str) -> Path:
    """Where a worker's lock is."""
    return home / _LOCKS / f"{worker}.lock"


def is_dead(home: Path, neighbour: Neighbour) -> bool:
    """Whether a worker of this host and boot has ended, beyond doubt: its lock is free and its process is gone.

    Either alone may be wrong: a file system of several hosts may lose locks, and a pid may be another process's by now.
    """
    if neighbour.lock is None or look_at(lock_file(home, neighbour.worker), neighbour.lock) != "free":
        return False
    process = read(neighbour.pid)
    return process is None or not process.alive


Freed = Callable[[Mapping[str, int]], Awaitable[object]]


class Neighbours:
    """The other workers of this host: notices when one dies, and frees what it held.

    Args:
        own: The worker that looks, if it is one.
        freed: Told after each death of the runs that are certainly free now, each with the fence it was held under;
            others may have freed more.
        patience_s: Seconds to wait before anything is done about a death one is told of.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        home: Path,
        here: Here,
        *,
        own: str | None = None,
        freed: Freed | None = None,
        patience_s: float = 0.0,
    ) -> None:
        self._database = database
        self._clock = clock
        self._home = home
        self._here = here
        self._own = own
        self._freed = freed
        self._patience_s = patience_s
        self._watched: dict[str, int] = {}
        """Descriptors of processes by worker: readable when the process has ended."""
        self._looking = asyncio.Lock()
        self._hearing: set[asyncio.Task[None]] = set()

    async def look(self) -> None:
        """Free what dead neighbours held, and have the kernel tell when one of the others ends."""
        async with self._looking:
            others = [each for each in await self._living() if each.worker != self._own and each.lock is not None]
            for gone in self._watched.keys() - {each.worker for each in others}:
                self._forget(gone)
            for each in others:
                if is_dead(self._home, each):
                    await self._take_over(each)
                else:
                    self._watch(each)

    async def tidy(self) -> int:
        """Remove locks whose holders are long dead; how many."""
        living = {each.worker for each in await self._living()}
        removed = 0
        for path in (self._home / _LOCKS).glob("*"):
            try:
                age_s = self._clock.wall_ms() / 1000 - path.stat().st_mtime
                # A file without its name yet is about to be locked, unless it is old.
                if path.stem not in living and age_s > _OLD_S and look_at(path) == "free":
                    path.unlink()
                    removed += 1
            except OSError:
                continue
        return removed

    async def aclose(self) -> None:
        """Watch nobody any more."""
        for worker in list(self._watched):
            self._forget(worker)
        for task in self._hearing:
            task.cancel()
        if self._hearing:
            await asyncio.wait(self._hearing)

    async def _living(self) -> list[Neighbour]:
        """Workers of this host whose lease runs."""
        boot_ms = self._clock.boot_ms()
        return await workers.on_host(self._database, self._here.host, boot_ms=boot_ms, boot_id=self._here.boot_id)

    async def _take_over(self, each: Neighbour) -> None:
        self._forget(each.worker)
        runs = await take_over(self._database, self._clock, self._here, each.worker)
        if self._freed is not None:
            await self._freed(runs)

    def _watch(self, each: Neighbour) -> None:
        if each.worker in self._watched or not hasattr(os, "pidfd_open"):
            return
        try:
            descriptor = os.pidfd_open(each.pid)
        except OSError:
            return  # it is gone, or this may not be asked here: the looks find out
        # Only now is it sure whose process that is: the holder was alive when we had its pid.
        if look_at(lock_file(self._home, each.worker), each.lock) != "held":
            os.close(descriptor)
            return
        self._watched[each.worker] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._ended, each)

    def _forget(self, worker: str) -> None:
        descriptor = self._watched.pop(worker, None)
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)

    def _ended(self, each: Neighbour) -> None:
        self._forget(each.worker)
        task = asyncio.create_task(self._hear(each), name=f"death-of-{each.worker}")
        self._hearing.add(task)
        task.add_done_callback(self._hearing.discard)

    async def _hear(self, each: Neighbour) -> None:
        """Do something about a death; if that fails, the next look does."""
        try:
            for pause_s in _SURE_S:
                await asyncio.sleep(pause_s)
                if is_dead(self._home, each):
                    break
            await asyncio.sleep(self._patience_s)
            await self.look()
            if self._freed is not None:
                # Another neighbour may have been faster: then its runs are free, and nobody has told us.
                await self._freed({})
        except Exception:
            log.exception("a dead worker's runs wait for its lease", extra={"action": "takeover_failed"})
