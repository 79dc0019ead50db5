"""Leases: which worker may advance which runs, and until when.

The lease is the worker's: one row, renewed every 3 s for 10 s, and every run it drives stores its id and a fence that
was raised when it was claimed. A worker that cannot renew stops starting anything 7 s after the last renewal it *sent*,
on a clock that counts through suspend; one that wakes up late is refused at every write by the fence. One that is dead
beyond doubt is not waited for (`takeover.py`).

Source: Kleppmann, "How to do distributed locking" (2016), for fencing tokens.
"""

import logging
from collections.abc import Sequence

from core.clock import Clock
from core.record.workers import Identity
from core.store import workers
from core.store.session import Database
from core.store.workers import Renewed

log = logging.getLogger(__name__)

RENEW_S = 3.0
LEASE_S = 10.0
SELF_FENCE_S = 7.0


class Lease:
    """This worker's lease on all the runs it drives."""

    def __init__(self, database: Database, identity: Identity, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.identity = identity
        self._renewed_boot_ms: int | None = None
        self._lock: str | None = None

    async def acquire(self, *, lock: str | None = None) -> None:
        """Register the worker.

        Args:
            lock: The file whose lock this process holds until it ends, so that others of its host need not wait for
                the lease to know that it has; see `worker/deaths.py`.
        """
        sent, self._lock = self._clock.boot_ms(), lock
        lease_ms = int(LEASE_S * 1000)
        await workers.register(
            self._database, self.identity, lock=lock, boot_ms=sent, lease_ms=lease_ms, now_ms=self._clock.wall_ms()
        )
        self._renewed_boot_ms = sent

    async def renew(self, driving: Sequence[tuple[str, str, int]]) -> Renewed:
        """Extend the lease and report which of the runs one is driving are no longer one's own.

        Args:
            driving: `(tenant, run id, fence)` of every run this worker is driving.

        Returns:
            Runs that were lost: end their processes, write nothing. And runs that are held but not driven, whose slice
            broke off: give them back, if they still are so at the next renewal (one may just have been claimed).
        """
        sent = self._clock.boot_ms()
        lease_ms = int(LEASE_S * 1000)
        renewed = await workers.renew(self._database, self.identity.id, driving, boot_ms=sent, lease_ms=lease_ms)
        if renewed is None:
            # Our row is gone: somebody cleaned up after a long pause. Everything we hold is up for grabs.
            log.warning("the worker's row was gone; registering again", extra={"action": "lease_lost"})
            await self.acquire(lock=self._lock)
            return Renewed(list(driving), [])
        self._renewed_boot_ms = sent
        return renewed

    @property
    def holds(self) -> bool:
        """Whether anything may still be started under this lease."""
        return self._renewed_boot_ms is not None and self._clock.boot_ms() - self._renewed_boot_ms < SELF_FENCE_S * 1000

    async def give_up(self) -> None:
        """End the lease at once: what it covers can be claimed by others."""
        await workers.remove(self._database, self.identity.id)
