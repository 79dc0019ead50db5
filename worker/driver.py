"""The driver: claims runs and drives their slices, a bounded number at once.

Rung for by arq or found by its own poll, a run is driven the same way and under the same limit. Each slice has one
`kill` event: set when the run was stopped, when the lease was lost or when the process must go; what is then left of
its calls is ended, and the stop is reported.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from core import metrics
from core.clock import Clock
from core.crashpoints import crashpoint
from core.execution.reaper import Ended, end_run
from core.queue import Doorbell
from core.record.changes import Decided
from core.record.rows import Snapshot
from core.record.states import DUE_NOW, TERMINAL
from core.runs import delegating, rollbacks, steps
from core.runs.commands.abandon import abandon
from core.runs.commands.confirm import CONFIRMED, HostReport, confirm
from core.runs.engine import Slice
from core.runs.leases import Lease
from core.runs.stamps import Stamp
from core.runs.station import Station
from core.store import runs, workers
from core.store.lane import Claim, Target
from core.store.workers import Renewed
from worker.endings import ending

log = logging.getLogger(__name__)

POLL_S = 1.0
"""The net under the doorbell: how late a due run can be when nobody rings."""

_REMEMBERED = 4096

GATHER_S = 0.0005
"""How long rings are gathered before one claim asks for all of them."""


@dataclass
class _Driven:
    snapshot: Snapshot
    kill: asyncio.Event
    task: asyncio.Task[None]
    rung_again: bool = False
    """Somebody rang while the slice was ending; what it was about may have come after the slice's last look."""


class Driver:
    """Everything this worker is driving."""

    def __init__(self, station: Station, lease: Lease, doorbell: Doorbell, *, slots: int) -> None:
        self._station = station
        self._lease = lease
        self._doorbell = doorbell
        self._clock: Clock = station.clock
        self._slots = slots
        self._driving: dict[str, _Driven] = {}
        self._reporting: set[str] = set()
        """Runs whose slice is over and says by itself what it had to end."""
        self._rung: dict[str, asyncio.Future[bool]] = {}
        self._claiming = asyncio.Lock()
        self._ending: set[asyncio.Task[None]] = set()
        self._ended: OrderedDict[str, int] = OrderedDict()
        self._gathering: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._draining = False
        self._idle: set[tuple[str, str]] = set()

    @property
    def driving(self) -> list[tuple[str, str, int]]:
        """`(tenant, run id, fence)` of every run under way here."""
        return [(d.snapshot.run.tenant, run_id, d.snapshot.run.fence) for run_id, d in self._driving.items()]

    async def on_ring(self, run_id: str, _wake: int) -> None:
        """Look at a run now; returns when there is nothing left to do for it here."""
        crashpoint("CP05")
        asked = False
        while not asked:
            await self._room.wait()
            if self._draining:
                return
            if run_id in self._driving:
                self._driving[run_id].rung_again = True
                return
            # `False` comes back when others took the room; then it waits its turn instead of being left to the poll.
            asked = await asyncio.shield(self._again(run_id))
        driven = self._driving.get(run_id)
        if driven is not None:
            # A slice outlives the ring that woke it: arq's time limit must not cut into a tool call.
            await asyncio.wait({driven.task})

    async def poll(self) -> int:
        """Claim whatever is due and fits; the number of runs taken up."""
        if self._draining or not self._lease.holds:
            return 0
        if not await runs.any_due(self._station.database, self._clock.wall_ms()):
            return 0
        async with self._claiming:
            room = self._slots - len(self._driving)
            return await self._claim(room, None) if room > 0 else 0

    async def freed(self, runs: Mapping[str, int]) -> None:
        """Take up what a dead worker of this host left.

        Args:
            runs: Runs of which nothing runs here any more, each with the fence it was held under.
        """
        for run_id, fence in runs.items():
            self._remember(run_id, fence)
        await self.poll()

    async def compare(self, renewed: Renewed) -> None:
        """Act on what a renewal found: end what was lost, give back what is held and nobody drives."""
        if lost := self.stop_lost(renewed.lost):
            # A stopped run is not ours any more either, and is no loss of the lease.
            stopped = await runs.killed_among(self._station.database, lost)
            metrics.RUNS_LOST.labels("renewal").inc(len(lost) - len(stopped))
        idle = {run for run in renewed.idle if run[1] not in self._driving}
        for tenant, run_id in idle & self._idle:
            await self._abandon(tenant, run_id, "its slice ended without giving it back")
        self._idle = idle

    def stop_lost(self, lost: list[tuple[str, str, int]]) -> list[str]:
        """End the slices of runs that are no longer ours; a newer slice of the same run is another matter.

        Returns:
            The runs whose slices were not ending already.
        """
        ended = []
        for _, run_id, fence in lost:
            driven = self._driving.get(run_id)
            if driven is not None and driven.snapshot.run.fence == fence and not driven.kill.is_set():
                driven.kill.set()
                ended.append(run_id)
        return ended

    async def check_stopped(self, run_id: str | None = None) -> None:
        """End what was stopped: first the slices driven here, then whatever else of a stopped run this host still
        has.
        """
        if self._driving:
            for stopped in await runs.killed_among(self._station.database, list(self._driving)):
                if stopped in self._driving:
                    self._driving[stopped].kill.set()
        open_stops = await runs.unconfirmed_stops(self._station.database, self._station.host)
        mine = [stop for stop in open_stops if run_id is None or stop.run_id == run_id]
        if not mine:
            return
        alive = await self._others_alive()
        for stop in mine:
            ours = stop.run_id in self._driving or stop.run_id in self._reporting
            if not ours and not stop.workers & alive:
                await self._report(stop.tenant, stop.run_id, below=stop.killed_fence, ended=0)

    async def _others_alive(self) -> set[str]:
        """Workers other than this one whose lease runs: they speak for what they drive."""
        boot_id = self._lease.identity.boot_id
        found = await workers.alive(self._station.database, boot_ms=self._clock.boot_ms(), boot_id=boot_id)
        return {worker for worker, _ in found} - {self._station.worker}

    async def drain(self, grace_s: float) -> None:
        """Take up nothing more, let slices reach a step boundary for `grace_s`, then end them."""
        self._draining = True
        self._station.draining.set()
        self._room.set()
        async with self._claiming:
            # A claim that was under way has been given back by now.
            pass
        deadline = asyncio.get_running_loop().time() + grace_s
        while self._driving:
            left_s = deadline - asyncio.get_running_loop().time()
            if left_s <= 0:
                for driven in self._driving.values():
                    driven.kill.set()
            tasks = {driven.task for driven in self._driving.values()}
            await asyncio.wait(tasks, timeout=max(left_s, 0) or None)
        if self._ending:
            await asyncio.wait(self._ending)

    def _again(self, run_id: str) -> asyncio.Future[bool]:
        """Have the run claimed with whatever else is rung for; the future says whether it was asked for."""
        waiting = self._rung.setdefault(run_id, asyncio.get_running_loop().create_future())
        if self._gathering is None or self._gathering.done():
            self._gathering = asyncio.create_task(self._claim_rung())
        return waiting

    async def _claim_rung(self) -> None:
        """Claim what was rung for, in one go; what is rung for meanwhile is claimed next."""
        while self._rung:
            await asyncio.sleep(GATHER_S)
            rung, self._rung = self._rung, {}
            asked: tuple[str, ...] = ()
            try:
                async with self._claiming:
                    asked = tuple(rung)[: self._slots - len(self._driving)] if self._lease.holds else tuple(rung)
                    if asked and self._lease.holds:
                        await self._claim(len(asked), asked)
            except Exception:
                # The poll finds these runs again; the ring was only a hint.
                log.exception("could not claim", extra={"action": "claim_failed"})
                asked = tuple(rung)
            finally:
                for run_id, waiting in rung.items():
                    if not waiting.done():
                        waiting.set_result(run_id in asked)

    async def _claim(self, limit: int, run_ids: tuple[str, ...] | None) -> int:
        claim = Claim(
            worker=self._station.worker,
            now_ms=self._clock.wall_ms(),
            boot_id=self._lease.identity.boot_id,
            boot_ms=self._clock.boot_ms(),
            limit=limit,
            run_ids=run_ids,
            host=self._station.host,
        )
        claimed = await self._station.database.journal.claim(claim)
        for snapshot in claimed:
            if self._draining:
                stamp = Stamp(self._station.worker, self._station.host, self._clock.wall_ms())
                await self._station.database.journal.commit(steps.release(snapshot, stamp, due_at=DUE_NOW))
                continue
            kill = asyncio.Event()
            task = asyncio.create_task(self._drive(snapshot, kill), name=f"slice-{snapshot.run.id}")
            self._driving[snapshot.run.id] = _Driven(snapshot, kill, task)
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        self._update_room()
        return len(claimed)

    async def _drive(self, snapshot: Snapshot, kill: asyncio.Event) -> None:
        run = snapshot.run
        work = Slice(self._station, snapshot, kill)
        after = None
        began_s, stopped = time.monotonic(), False
        try:
            if run.fence > 1 and self._ended.get(run.id) != run.fence - 1:
                # Somebody else held it before, or a slice of ours broke off: nothing of theirs may run beside this one.
                found = await self._end_leftovers(run.id, below=run.fence)
                if found.remaining:
                    raise RuntimeError(f"{found.remaining} processes of an earlier attempt cannot be ended")
            after = await work.drive()
            self._remember(run.id, run.fence)
        except Exception as error:
            log.exception("a slice broke off", extra={"action": "slice_failed", "run": run.id})
            await self._abandon(run.tenant, run.id, type(error).__name__)
        finally:
            # Before anything else is awaited: from here on the run may be claimed again, by us too.
            driven = self._driving.get(run.id)
            if driven is not None and driven.kill is not kill:
                driven = None  # claimed again before this slice heard that it had given it back: that one is driven on
            if driven is not None:
                del self._driving[run.id]
            ended_s = time.monotonic()
            if kill.is_set():
                # Or a look at stopped runs could prove this stop first, without what the slice had to end.
                self._reporting.add(run.id)
            self._update_room()
        if kill.is_set():
            try:
                stopped = await self._report(run.tenant, run.id, below=run.fence + 1, ended=work.processes_ended)
            finally:
                self._reporting.discard(run.id)
        elif driven is not None and driven.rung_again and not self._draining:
            self._again(run.id)
        how = ending(after, is_killed=kill.is_set(), was_stopped=stopped, is_draining=self._draining)
        metrics.SLICES.labels(how).observe(ended_s - began_s)
        await self._doorbell.announce("delivery", run.id)
        if after is not None and after.run.rolls_back is not None and after.run.run_state in TERMINAL:
            await self._close_rollback(run.tenant, run.id)
        elif after is not None and after.run.parent_id is not None and after.run.run_state in TERMINAL:
            await self._wake_above(run.tenant, run.id)
        if after is not None and after.run.due_at is not None and after.run.lease_owner is None:
            delay_s = max(0.0, (after.run.due_at - self._clock.wall_ms()) / 1000)
            await self._doorbell.ring(run.id, after.run.wake, delay_s=delay_s)

    async def _close_rollback(self, tenant: str, run_id: str) -> None:
        """Write down on its run how a rollback ended; if that does not work, the sweeper does."""
        try:
            now_ms = self._clock.wall_ms()
            await rollbacks.close_one(self._station.database, self._doorbell, tenant, run_id, now_ms=now_ms)
        except Exception:
            log.exception("the end of a rollback waits", extra={"action": "rollback_not_closed", "run": run_id})

    async def _wake_above(self, tenant: str, run_id: str) -> None:
        """Let the run that waits for this one go on; if that does not work, the sweeper does."""
        try:
            now_ms = self._clock.wall_ms()
            await delegating.wake_one(self._station.database, self._doorbell, tenant, run_id, now_ms=now_ms)
        except Exception:
            log.exception("the end of a run waits to be heard of", extra={"action": "run_not_woken", "run": run_id})

    async def _abandon(self, tenant: str, run_id: str, why: str) -> None:
        """Give a run back; if even that fails, the next renewals find it idle and try again."""
        decide = partial(abandon, run_id=run_id, worker=self._station.worker, why=why, now_ms=self._clock.wall_ms())
        try:
            await self._station.database.journal.command(tenant, Target(run_id=run_id), decide)
        except Exception:
            log.exception("could not give a run back", extra={"action": "abandon_failed", "run": run_id})

    async def _end_leftovers(self, run_id: str, *, below: int) -> Ended:
        """End what holders of the run before fence `below` left on this host."""
        return await asyncio.to_thread(end_run, run_id, below=below, fences=self._station.fences)

    async def _report(self, tenant: str, run_id: str, *, below: int, ended: int) -> bool:
        """End what is left here of a stopped run and say what was found; a run that was only lost is not reported.

        Returns:
            Whether it was reported.
        """
        try:
            found = await self._end_leftovers(run_id, below=below)
            station = self._station
            total, reporter = ended + found.ended, f"worker:{station.worker}"
            report = HostReport(station.host, station.boot_id, total, found.unproved, reporter)
            decide = partial(confirm, run_id=run_id, report=report, now_ms=self._clock.wall_ms())
            answer = await self._station.database.journal.command(tenant, Target(run_id=run_id), decide)
            if not isinstance(answer, Decided):
                return False
            await self._doorbell.announce("delivery", run_id)
            if answer.text == CONFIRMED:
                await self._station.workspaces.remove(tenant, run_id)
            return True
        except Exception:
            # One run that cannot be looked at must not keep the others from being ended; the next pass tries again.
            log.exception("a stop could not be reported", extra={"action": "report_failed", "run": run_id})
            return False

    def _remember(self, run_id: str, fence: int) -> None:
        """Nothing of this fence runs here any more: there is nothing to look for when the run is claimed next."""
        self._ended[run_id] = fence
        self._ended.move_to_end(run_id)
        if len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)

    def _update_room(self) -> None:
        metrics.SLICES_OPEN.set(len(self._driving))
        if len(self._driving) < self._slots:
            self._room.set()
        else:
            self._room.clear()
