"""The host's reaper: ends what must not run here any more and proves stops, whatever became of the workers.

A pass reads two things, the stops nobody has proved for this host and the processes of calls there are here, and needs
nothing but the database. A worker that is well ends what it started by itself, faster than any pass; so it is given
one pass to speak before the reaper does it. A worker that is stopped, hung or gone is not waited for.
"""

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from core.clock import Clock
from core.execution.base import CallLabel
from core.execution.processes import read
from core.execution.reaper import Ended, end_run, running
from core.record.changes import Decided
from core.record.states import TERMINAL, RunState
from core.runs.commands.confirm import CONFIRMED, HostReport, confirm
from core.runs.leases import LEASE_S
from core.store import hosts, runs, workers
from core.store.hosts import Holder
from core.store.lane import Target
from core.store.runs import OpenStop
from core.store.session import Database
from core.store.workers import Here

log = logging.getLogger(__name__)

EVERY_S = 1.0
"""How long a stop can go unnoticed where no worker of this host can hear of it."""

PATIENCE_MS = 800
"""How long a worker that is well has to end its own slice: less than two passes."""

SEEN_EVERY_MS = 5_000


@dataclass(frozen=True)
class Reaped:
    """What one pass did."""

    stops: int = 0
    """Stops this host reported about."""
    confirmed: int = 0
    strays: int = 0
    """Processes ended of runs that nobody had asked to stop."""


@dataclass
class Reaper:
    """One host's reaper.

    Args:
        host: As workers of this host name it.
        fences: Where this host keeps its fences.
        name: What its reports are signed with.
    """

    database: Database
    clock: Clock
    host: str
    boot_id: str
    fences: Path
    pid: int
    name: str = "reaper"
    _first_seen_ms: dict[str, int] = field(default_factory=dict)
    _unreported: dict[str, int] = field(default_factory=dict)
    """Processes ended of a run, until a report about them is durable."""
    _doubtful_since_ms: dict[CallLabel, int] = field(default_factory=dict)
    """Calls that seemed to belong to nobody in the last pass, and since when."""
    _seen_at_ms: int | None = None

    async def tick(self) -> Reaped:
        """Make one pass; raises what the database raises when it cannot be read."""
        living = {
            here.worker: here
            for here in await workers.on_host(
                self.database, self.host, boot_ms=self.clock.boot_ms(), boot_id=self.boot_id
            )
        }
        reported = confirmed = 0
        stops = await runs.unconfirmed_stops(self.database, self.host)
        broken: Exception | None = None
        for stop in stops:
            try:
                answer = await self._end_stopped(stop, living)
            except Exception as error:  # one run that cannot be looked at must not keep the others from being ended
                broken = broken or error
                continue
            reported += answer is not None
            confirmed += answer == CONFIRMED
        for run_id in self._first_seen_ms.keys() - {stop.run_id for stop in stops}:
            del self._first_seen_ms[run_id]
        strays = await self._end_strays({stop.run_id for stop in stops})
        await self._say_seen()
        if broken is not None:
            raise broken
        return Reaped(reported, confirmed, strays)

    async def _end_stopped(self, stop: OpenStop, living: dict[str, Here]) -> str | None:
        now_ms = self.clock.boot_ms()
        first_ms = self._first_seen_ms.setdefault(stop.run_id, now_ms)
        if now_ms - first_ms < PATIENCE_MS and any(_is_well(living.get(worker)) for worker in stop.workers):
            return None
        found = await asyncio.to_thread(end_run, stop.run_id, below=stop.killed_fence, fences=self.fences)
        return await self._report(stop.tenant, stop.run_id, found)

    async def _report(self, tenant: str, run_id: str, found: Ended) -> str | None:
        ended = self._unreported.get(run_id, 0) + found.ended
        self._unreported[run_id] = ended
        report = HostReport(self.host, self.boot_id, ended, found.unproved, f"{self.name}:{self.host}")
        decide = partial(confirm, run_id=run_id, report=report, now_ms=self.clock.wall_ms())
        answer = await self.database.journal.command(tenant, Target(run_id=run_id), decide)
        # Whoever spoke first: what there was to say about these processes is said.
        del self._unreported[run_id]
        if not isinstance(answer, Decided):
            return None
        facts = {"run": run_id, "ended": ended, "remaining": found.remaining}
        log.info("reported on a stopped run", extra={"action": "stop_reported", **facts})
        return answer.text

    async def _end_strays(self, stopping: Collection[str]) -> int:
        """End calls whose run went to somebody else or is over, when that has been so for long enough; how many
        processes.

        Args:
            stopping: Runs whose stop this pass has looked after.
        """
        here = await asyncio.to_thread(running, self.fences)
        known = await hosts.holders(self.database, {label.run_id for label in here}) if here else {}
        everywhere = await self._living_anywhere() if known else set()
        now_ms, since = self.clock.boot_ms(), {}
        over = []
        for label in here:
            holder = known.get(label.run_id)
            if holder is None or label.run_id in stopping:
                continue
            patience_ms = _patience_ms(label, holder, everywhere)
            if patience_ms is not None:
                since[label] = self._doubtful_since_ms.get(label, now_ms)
                if label in self._doubtful_since_ms and now_ms - since[label] >= patience_ms:
                    over.append((label, holder))
        self._doubtful_since_ms = since
        ended = 0
        for label, holder in over:
            # Never beyond what the run itself has come to: a label is only what a process says.
            below = min(label.fence, holder.fence) + 1
            found = await asyncio.to_thread(end_run, label.run_id, below=below, fences=self.fences)
            ended += found.ended
            facts = {"run": label.run_id, "call": label.call_id, "ended": found.ended, "remaining": found.remaining}
            log.warning("ended processes that belonged to nobody", extra={"action": "strays_ended", **facts})
            if holder.killed:
                await self._report(holder.tenant, label.run_id, found)
        return ended

    async def _living_anywhere(self) -> set[str]:
        found = await workers.alive(self.database, boot_ms=self.clock.boot_ms(), boot_id=self.boot_id)
        return {worker for worker, _ in found}

    async def _say_seen(self) -> None:
        now_ms = self.clock.boot_ms()
        if self._seen_at_ms is None or now_ms - self._seen_at_ms >= SEEN_EVERY_MS:
            wall_ms = self.clock.wall_ms()
            await hosts.seen(self.database, self.host, boot_id=self.boot_id, pid=self.pid, now_ms=wall_ms)
            self._seen_at_ms = now_ms


def _is_well(worker: Here | None) -> bool:
    """Whether a worker holds its lease and is a process that can do something about a stop."""
    if worker is None:
        return False
    process = read(worker.pid)
    return process is not None and process.alive and process.state not in "Tt"


def _patience_ms(label: CallLabel, holder: Holder, living: Collection[str]) -> int | None:
    """How long processes of this call may stay although nobody seems to have them; `None` if somebody has.

    Where the run itself says so (another holder, none, over) the second look decides. A lease that looks dead may only
    be renewed late, or measured by a clock that was just set; then as long as any lease is good for is waited.
    """
    if holder.killed or label.fence < holder.fence or RunState(holder.state) in TERMINAL or holder.lease_owner is None:
        return 0
    return None if holder.lease_owner in living else int(LEASE_S * 1000)
