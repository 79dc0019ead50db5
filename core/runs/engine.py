"""The loop of one slice: claim in hand, drive a run from commit to commit until it waits, ends or the slice is over.

Nothing is decided here: what a turn or a result means is `steps`, what a crash left is `recovery`, what a call does is
`calls`. A refused commit is always answered the same way: if the run is still ours, read it again and decide anew;
otherwise end the processes, keep what they found as a late result, and write nothing more.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from core.clock import Clock
from core.crashpoints import crashpoint
from core.errors import BanksmanError, RetryableError, TerminalError
from core.planners.base import Act, Planner
from core.record.changes import Landed, Refused, RunChange
from core.record.rows import CallRow, RunRow, Snapshot
from core.record.states import DUE_NOW, TERMINAL, CallStatus, RunState
from core.runs import steps
from core.runs.calls import Attempted, Bench, not_started, perform, with_retry
from core.runs.commands.late import late_result
from core.runs.commands.request import Pinned
from core.runs.draft import merged
from core.runs.recovery import recover
from core.runs.steps import CallEnd, Stamp
from core.runs.workspaces import Workspaces
from core.store import runs as run_queries
from core.store.documents import Documents
from core.store.lane import Target
from core.store.session import Database

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Station:
    """What a worker drives runs with."""

    database: Database
    clock: Clock
    bench: Bench
    planners: Mapping[str, Planner]
    """By document kind: `playbook`."""
    workspaces: Workspaces
    worker: str
    host: str
    holds_lease: Callable[[], bool]
    """Whether anything may still be started."""
    documents: Documents
    policy: Pinned
    """What decides here whether a call may start."""
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the worker is to go: slices end at their next step boundary."""


class Slice:
    """One lease-holding drive of one run."""

    def __init__(self, station: Station, snapshot: Snapshot, kill: asyncio.Event) -> None:
        self._station = station
        self._snapshot = snapshot
        self._kill = kill
        self._result: tuple[CallRow, CallEnd] | None = None
        """How the last call ended, until that is durable."""
        self._ends_at_boot_ms = station.clock.boot_ms() + int(steps.SLICE_S * 1000)
        self._document = ""
        self.processes_ended = 0
        """Processes its calls left behind and that had to be ended."""
        self._planner: Planner | None = None

    async def drive(self) -> Snapshot:
        """Drive until there is only waiting to do; returns the run as this slice left it."""
        crashpoint("CP06")
        found = await self._station.documents.find(self._run.tenant, self._run.agent_digest)
        if found is not None:
            self._planner, self._document = self._station.planners.get(found.kind), found.body
        while await self._step():
            pass
        await self._leave()
        if self._run.run_state in TERMINAL:
            await self._station.workspaces.remove(self._run.tenant, self._run.id)
        return self._snapshot

    async def _leave(self) -> None:
        """Give back what this slice still holds: a result that is not durable yet, and the lease."""
        while self._run.lease_owner is not None or self._result is not None:
            change = self._parting_change()
            answer = Refused("fenced") if change is None else await self._station.database.journal.commit(change)
            match answer:
                case Landed():
                    assert change is not None
                    self._snapshot, self._result = self._snapshot.folded(change), None
                    return
                case Refused("stale") if await self._read_again():
                    continue
                case _:
                    if self._result is not None:
                        await self._keep_late(*self._result)
                    return

    def _parting_change(self) -> RunChange | None:
        """What may still be written on leaving; the guard decides whether the run is ours.

        A result we did not cause ourselves is recorded. A call that ended because we ended it stays `started`: what
        it did is for its recovery class to find out.
        """
        stamp = self._stamp()
        if self._result is not None and self._result[1].status == "succeeded":
            change = steps.end_call(self._snapshot, *self._result, stamp)
            return merged(change, steps.release(self._snapshot.folded(change), stamp, due_at=DUE_NOW))
        if self._kill.is_set() and not self._station.draining.is_set():
            return None
        return steps.release(self._snapshot, stamp, due_at=DUE_NOW)

    def _stamp(self) -> Stamp:
        return Stamp(self._station.worker, self._station.host, self._station.clock.wall_ms())

    @property
    def _run(self) -> RunRow:
        return self._snapshot.run

    async def _step(self) -> bool:
        """Make one commit and do what follows from it; `False` ends the slice."""
        if self._kill.is_set() or not self._station.holds_lease():
            return False
        change = self._next_change()
        answer = await self._station.database.journal.commit(change)
        match answer:
            case Refused("stale"):
                return await self._read_again()
            case Refused(why):
                log.info("lost the run", extra={"action": "lease_lost", "run": self._run.id, "why": why})
                self._kill.set()
                return False
        self._snapshot, self._result = self._snapshot.folded(change), None
        call = _open_call(self._snapshot)
        if call is not None and call.call_status is CallStatus.STARTED:
            self._result = call, await self._perform(call)
        return self._run.lease_owner is not None

    def _next_change(self) -> RunChange:
        """Everything that can be committed now, in one change: the last result, planning, the next start."""
        snapshot, change = self._snapshot, None
        stamp = self._stamp()
        open_call = _open_call(snapshot)
        if snapshot.run.policy_digest != self._station.policy.digest:
            return steps.repin(snapshot, self._station.policy, stamp)
        if self._result is not None:
            change = steps.end_call(snapshot, *self._result, stamp)
        elif open_call is not None:
            return self._resume(open_call, stamp)
        elif snapshot.run.run_state is not RunState.PLANNING:
            change = steps.begin_planning(snapshot, stamp)
        if change is not None:
            snapshot = snapshot.folded(change)
            if snapshot.run.run_state is not RunState.PLANNING or self._planner is None or not self._planner.io_free:
                return change
        if change is not None and (self._station.draining.is_set() or self._over_time()):
            return merged(change, steps.release(snapshot, stamp, due_at=DUE_NOW))
        turn = self._plan(snapshot, stamp)
        return turn if change is None else merged(change, turn)

    def _over_time(self) -> bool:
        return self._station.clock.boot_ms() >= self._ends_at_boot_ms

    def _resume(self, call: CallRow, stamp: Stamp) -> RunChange:
        """A call that was open when the run was claimed: due for another attempt, or interrupted."""
        if call.call_status is CallStatus.INTENT:
            return steps.start_again(self._snapshot, call, why=call.error or "due again", stamp=stamp)
        recovery = recover(call, now_ms=stamp.now_ms, most_attempts=self._station.bench.attempts)
        if recovery.do == "repeat":
            return steps.start_again(self._snapshot, call, why=recovery.why, stamp=stamp)
        end = CallEnd(recovery.do, {}, error=recovery.why, resolved_by="recovery")
        return steps.end_call(self._snapshot, call, end, stamp)

    def _plan(self, snapshot: Snapshot, stamp: Stamp) -> RunChange:
        """Ask the planner and turn its answer into a change."""
        limit = steps.over_limits(snapshot, stamp.now_ms)
        if limit is not None:
            return steps.give_up(snapshot, limit, stamp)
        if self._planner is None:
            return steps.give_up(snapshot, "The text of its playbook cannot be planned with here.", stamp)
        try:
            turn = self._planner.decide(steps.request(snapshot, self._document))
        except TerminalError as error:
            return steps.give_up(snapshot, error.user_text, stamp)
        bench = self._station.bench
        return steps.take_turn(
            snapshot,
            turn,
            bench.toolbox.find(turn.move.tool) if isinstance(turn.move, Act) else None,
            call_id=bench.ids.call(),
            nonce=bench.ids.salt(),
            sandbox=bench.environment.level.value,
            stamp=stamp,
        )

    async def _perform(self, call: CallRow) -> CallEnd:
        try:
            workspace = await self._station.workspaces.ready(self._snapshot)
        except RetryableError as error:
            attempted = Attempted(CallEnd("failed-safe", {}, error=error.user_text), error.retry_after_s)
        except BanksmanError as error:
            attempted = Attempted(not_started(call, error.user_text))
        else:
            if self._kill.is_set() or not self._station.holds_lease():
                # The last look before anything starts: this process may have been asleep since the commit.
                return CallEnd("failed-safe", {}, error="it was not started")
            attempted = await perform(self._snapshot, call, workspace, self._kill, self._station.bench)
        self.processes_ended += attempted.processes_ended
        clock = self._station.clock
        now_ms, boot_ms = clock.wall_ms(), clock.boot_ms()
        return with_retry(call, attempted, bench=self._station.bench, now_ms=now_ms, boot_ms=boot_ms)

    async def _read_again(self) -> bool:
        """Something else changed the run; go on from what is true now, if it is still ours."""
        fresh = await run_queries.snapshot(self._station.database, self._run.tenant, self._run.id)
        if fresh is None or fresh.run.fence != self._run.fence or fresh.run.lease_owner != self._station.worker:
            self._kill.set()
            return False
        self._snapshot = fresh
        return True

    async def _keep_late(self, call: CallRow, end: CallEnd) -> None:
        fence = self._run.fence
        row_id = self._station.bench.ids.new("late")
        decide = partial(
            late_result,
            call=call,
            end=end,
            run_id=self._run.id,
            fence=fence,
            worker=self._station.worker,
            row_id=row_id,
            now_ms=self._station.clock.wall_ms(),
        )
        await self._station.database.journal.command(self._run.tenant, Target(run_id=self._run.id), decide)


def _open_call(snapshot: Snapshot) -> CallRow | None:
    """The call that is planned or started and not over, if any."""
    waiting = (CallStatus.INTENT, CallStatus.STARTED)
    return next((call for call in snapshot.calls if call.call_status in waiting), None)
