"""The sweeper: what must happen even if whoever should have done it is gone.

A pass that bot and worker both run, led by one of them at a time, every action idempotent and level-triggered: runs
that are due and nobody holds are rung for again, runs follow what was frozen and thawed, questions to people expire,
ended rollbacks are written down, runs hear of the end of work they handed over, requests to models that nobody settled
are charged, rows of dead workers go, half-written files and files that nothing names go. Works without Redis.
"""

import logging
import random
from dataclasses import asdict, dataclass
from functools import partial

from core.artifacts import ObjectStore
from core.clock import Clock
from core.crashpoints import crashpoint
from core.errors import RetryableError
from core.queue import Doorbell
from core.record.changes import Decided
from core.runs import delegating, freezing, rollbacks, unsettled
from core.runs.collecting import NOTHING, Collected, Collector
from core.runs.commands.expire import expire
from core.store import approvals, runs, workers
from core.store.lane import Target
from core.store.session import Database

log = logging.getLogger(__name__)

EVERY_S = 10.0
LEAD_S = 30.0

_LATE_MS = 3_000
_BATCH = 200
_DEAD_WORKER_MS = 60_000
_TEMP_AGE_S = 3_600.0


@dataclass(frozen=True)
class Swept:
    """What one pass did."""

    rung: int
    workers: int
    temp_files: int
    expired: int = 0
    """Questions whose time ran out."""
    followed: int = 0
    """Runs that were brought in line with a freeze or its end."""
    collected: Collected = NOTHING
    """Files that nothing named."""
    rolled_back: int = 0
    """Ended rollbacks that were written down on their runs."""
    charged: int = 0
    """Requests to models that were charged at their reserve."""
    woken: int = 0
    """Runs whose work was handed over and is done."""


class Sweeper:
    """One process' candidate for the duty."""

    def __init__(
        self, database: Database, doorbell: Doorbell, objects: ObjectStore, clock: Clock, *, owner: str, boot_id: str
    ) -> None:
        self._database = database
        self._doorbell = doorbell
        self._objects = objects
        self._clock = clock
        self._owner = owner
        self._boot_id = boot_id
        self._collector = Collector(database, objects, clock)
        self._look_back = True
        """Whether the next pass has to look at everything that was thawed, for nobody may have seen it."""

    async def tick(self) -> Swept | None:
        """Make one pass if this process leads; `None` = another one does."""
        boot_ms = self._clock.boot_ms()
        lease_ms = int(LEAD_S * 1000)
        if not await workers.lead(self._database, "sweeper", self._owner, boot_ms=boot_ms, lease_ms=lease_ms):
            return None
        crashpoint("CP24")
        rung = 0
        for run_id, wake in await runs.stranded(
            self._database, before_ms=self._clock.wall_ms() - _LATE_MS, limit=_BATCH
        ):
            await self._doorbell.ring(run_id, wake)
            rung += 1
        # First, so that what stands still is parked and not merely kept from expiring by the guard.
        followed = await self._follow()
        expired = await self._expire()
        now_ms = self._clock.wall_ms()
        rolled = await rollbacks.close_all(self._database, self._doorbell, now_ms=now_ms, limit=_BATCH)
        woken = await delegating.wake_all(self._database, self._doorbell, now_ms=now_ms, limit=_BATCH)
        charged = await unsettled.settle_all(self._database, now_ms=now_ms, limit=_BATCH)
        gone = await workers.sweep_dead(
            self._database, boot_ms=boot_ms, boot_id=self._boot_id, after_ms=_DEAD_WORKER_MS
        )
        temp, collected = await self._tidy_store()
        swept = Swept(rung, gone, temp, expired, followed, collected, rolled, charged, woken)
        counts = {**asdict(swept), **asdict(collected)}
        del counts["collected"]
        if any(counts.values()):
            log.info("swept", extra={"action": "swept", **counts})
        return swept

    async def _tidy_store(self) -> tuple[int, Collected]:
        """What nobody needs leaves the artifact store, if that can be used; of calls that need it, that is said."""
        try:
            return await self._objects.sweep_temp(_TEMP_AGE_S), await self._collector.tick()
        except RetryableError as error:
            log.warning("the artifact store is not tidied: %s", error, extra={"action": "store_untidied"})
            return 0, NOTHING

    async def _follow(self) -> int:
        """Bring runs in line with what was frozen and thawed; nothing else of a pass has to wait until that works."""
        whole, self._look_back = self._look_back, True
        try:
            followed = await freezing.spread(self._database, self._doorbell, now_ms=self._clock.wall_ms(), whole=whole)
        except Exception:
            log.exception("runs did not follow freezes", extra={"action": "freeze_spread_failed"})
            return 0
        self._look_back = False
        return followed

    async def _expire(self) -> int:
        """Close questions nobody answered, and approvals nobody used, in time."""
        closed = 0
        for tenant, approval_id in await approvals.overdue(self._database, now_ms=self._clock.wall_ms(), limit=_BATCH):
            decide = partial(expire, approval_id=approval_id, now_ms=self._clock.wall_ms())
            answer = await self._database.journal.command(tenant, Target(approval_id=approval_id), decide)
            if isinstance(answer, Decided):
                closed += 1
                await self._doorbell.announce("delivery", answer.changes[0].run_id)
        return closed


def next_pass_s() -> float:
    """Seconds until the next pass, spread so that processes do not march in step."""
    return EVERY_S * random.uniform(0.8, 1.2)
