"""After a stop: finding out what became of calls that were cut off and can be looked for.

A stop ends processes; whether the effect outside had happened by then is a fact to be found out. For a reconcilable
call its probe is asked once the stop is proved and nothing can land any more. Looking changes nothing outside, moves no
run, and has a label of its own, so that nobody takes it for what was stopped. Led by one worker at a time; several
looking at once would do no harm.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from functools import partial

from core.clock import Clock
from core.queue import Doorbell
from core.record.changes import Decided
from core.record.rows import CallRow, Snapshot
from core.runs.calls import Bench, looked_for, settle_ms
from core.runs.commands.found import found_out
from core.runs.steps import CallEnd
from core.runs.workspaces import Workspaces
from core.store import runs, workers
from core.store.lane import Target
from core.store.session import Database
from core.tools.base import ProbeAnswer

log = logging.getLogger(__name__)

EVERY_S = 5.0
LEAD_S = 120.0
MOST_LOOKS = 4
"""Times a probe that cannot be asked is asked again before that counts as an answer."""

_FOR_MS = 24 * 3_600_000
"""How long after its run has last changed a call is looked for."""
_BATCH = 20


@dataclass
class Aftermath:
    """One worker's candidate for the duty."""

    database: Database
    clock: Clock
    bench: Bench
    workspaces: Workspaces
    doorbell: Doorbell
    owner: str
    boot_id: str
    ends: asyncio.Event
    """Set when the process is to go: looks under way are ended, and count as not made."""
    pause_ms: int = 2_000
    """Between the first look and the second; then twice as long each time."""
    _looks: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Call → how often it was looked for in vain, and when next, by the clock that never jumps."""

    async def tick(self) -> int:
        """Make one pass if this process leads; how many calls were settled."""
        boot_ms = self.clock.boot_ms()
        if not await workers.lead(self.database, "aftermath", self.owner, boot_ms=boot_ms, lease_ms=int(LEAD_S * 1000)):
            return 0
        since_ms = self.clock.wall_ms() - _FOR_MS
        open_ = await runs.cut_off_by_stops(self.database, since_ms=since_ms, limit=_BATCH)
        self._looks = {call_id: looks for call_id, looks in self._looks.items() if call_id in {c for _, _, c in open_}}
        settled = 0
        for tenant, run_id, call_id in open_:
            if self.ends.is_set() or self.clock.boot_ms() < self._looks.get(call_id, (0, 0))[1]:
                continue
            try:
                settled += await self._look(tenant, run_id, call_id)
            except Exception:
                # One call that cannot be looked for must not keep the others from it.
                log.exception("a call could not be looked for", extra={"action": "look_failed", "call": call_id})
                self._in_vain(call_id)
        return settled

    async def _look(self, tenant: str, run_id: str, call_id: str) -> bool:
        snapshot = await runs.snapshot(self.database, tenant, run_id)
        if snapshot is None:
            return False
        call = snapshot.call(call_id)
        if self.clock.wall_ms() < (call.started_at or 0) + settle_ms(call, self.bench):
            return False
        answer = await self._answer(snapshot, call)
        if self.ends.is_set():
            return False
        if answer.found == "in-progress":
            looks = self._in_vain(call_id)
            if looks < MOST_LOOKS:
                return False
            why = f"its probe gave no answer {looks} times: {answer.detail or answer.found}"
            answer = ProbeAnswer("cannot-tell", detail=why)
        decide = partial(
            found_out,
            run_id=run_id,
            call_id=call_id,
            end=_end(answer),
            finder=f"worker:{self.owner}",
            now_ms=self.clock.wall_ms(),
        )
        done = await self.database.journal.command(tenant, Target(run_id=run_id), decide)
        await self.doorbell.announce("delivery", run_id)
        return isinstance(done, Decided)

    async def _answer(self, snapshot: Snapshot, call: CallRow) -> ProbeAnswer:
        # The run's directory may be gone by now; a probe needs none.
        workspace = self.workspaces.path(call.tenant, call.run_id)
        return await looked_for(snapshot, call, workspace, self.ends, self.bench, after_stop=True)

    def _in_vain(self, call_id: str) -> int:
        looks = self._looks.get(call_id, (0, 0))[0] + 1
        self._looks[call_id] = looks, self.clock.boot_ms() + self.pause_ms * 2 ** (looks - 1)
        return looks


def _end(answer: ProbeAnswer) -> CallEnd:
    match answer.found:
        case "happened":
            return CallEnd("succeeded", answer.out, resolved_by="probe")
        case "not-happened":
            return CallEnd("failed", {}, error="it did not happen, its probe says", resolved_by="probe")
        case _:
            return CallEnd("unknown", {}, error=answer.detail or None, resolved_by="probe")
