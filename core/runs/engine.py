"""The loop of one slice: claim in hand, drive a run from commit to commit until it waits, ends or the slice is over.

Nothing is decided here: what a turn or a result means is `steps`, what a crash left is `recovery`, what a call does is
`calls`. A refused commit is always answered the same way: if the run is still ours, read it again and decide anew;
otherwise end the processes, keep what they found as a late result, and write nothing more.
"""

import asyncio
import logging
import time
from dataclasses import replace
from functools import partial

from core import metrics
from core.crashpoints import crashpoint
from core.errors import ArtifactCorrupt, BanksmanError, RetryableError, StoreTrouble, TerminalError
from core.planners.base import Act, Planner, Think, Turn
from core.planners.waiting import DELEGATE
from core.record.changes import Landed, Refused, RunChange
from core.record.freezes import FreezeRow, covering
from core.record.rows import ApprovalRow, CallRow, RunRow, Snapshot
from core.record.states import DUE_NOW, TERMINAL, BlockedReason, CallStatus, RunState
from core.runs import allowance, damage, delegating, preparing, steps, turns, waits
from core.runs.again import MOST_LOOKS, after_probe, again
from core.runs.calls import Attempted, looked_for, not_started, perform, settle_ms, with_retry
from core.runs.collecting import keep
from core.runs.commands.late import late_result
from core.runs.draft import merged
from core.runs.mind import KIND, Thinker
from core.runs.proposals import Proposed, key_valid_until
from core.runs.recalling import recalled
from core.runs.recovery import proves_little, recover, still_in_doubt
from core.runs.rulebook import Rulebook
from core.runs.stamps import GO_ON, Stamp
from core.runs.station import Station
from core.runs.steps import CallEnd
from core.runs.waiting import Waiting
from core.secrets import MissingSecret
from core.store import freezes
from core.store import runs as run_queries
from core.store.lane import Target
from core.tools.residents import Residents

log = logging.getLogger(__name__)

_LOOK_PAUSE_MS = 1_000
_VOTERS_PAUSE_MS = 2_000
"""How long a start waits for the bot to ask Slack about the voters."""


class Slice:
    """One lease-holding drive of one run."""

    def __init__(self, station: Station, snapshot: Snapshot, kill: asyncio.Event) -> None:
        self._residents = Residents(station.bench.scratch)
        self._station = replace(station, bench=replace(station.bench, residents=self._residents))
        self._snapshot = snapshot
        self._kill = kill
        self._result: tuple[CallRow, CallEnd] | None = None
        """How the last call ended, until that is durable."""
        self._began_at_boot_ms = station.clock.boot_ms()
        self._document = ""
        self.processes_ended = 0
        """Processes its calls left behind and that had to be ended."""
        self._planner: Planner | None = None
        self._thinker: Thinker | None = None
        """Of a run whose planner is a model."""
        self._asked: turns.Asked | None = None
        """What the change under way asks of a model."""
        self._apart = False
        """Whether the next change may hold nothing but what has happened."""

    async def drive(self) -> Snapshot:
        """Drive until there is only waiting to do; returns the run as this slice left it."""
        crashpoint("CP06")
        found = await self._station.documents.find(self._run.tenant, self._run.agent_digest)
        if found is not None:
            self._planner, self._document = self._station.planners.get(found.kind), found.body
            if found.kind == KIND:
                self._thinker = Thinker(self._station.mind, found.body)
        try:
            while await self._step():
                pass
            await self._leave()
        finally:
            await self._let_go()
        if self._run.run_state in TERMINAL:
            crashpoint("CP21")
            await self._station.workspaces.remove(self._run.tenant, self._run.id)
        return self._snapshot

    async def _leave(self) -> None:
        """Give back what this slice still holds: a result that is not durable yet, and the lease."""
        while self._run.lease_owner is not None or self._result is not None:
            change = self._parting_change()
            answer = Refused("fenced") if change is None else await self._commit(change)
            match answer:
                case Landed():
                    assert change is not None
                    await self._landed(change)
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
        change = None
        if self._result is not None and self._result[1].status == "succeeded":
            change = self._ended(*self._result, stamp)
        elif self._thinker is not None and self._thinker.thought is not None:
            change = self._thinker.ended(self._snapshot, stamp)
        if change is not None:
            after = self._snapshot.folded(change)
            return (
                change if after.run.lease_owner is None else merged(change, steps.release(after, stamp, due_at=DUE_NOW))
            )
        if self._kill.is_set() and not self._station.draining.is_set():
            return None
        return steps.release(self._snapshot, stamp, due_at=DUE_NOW)

    def _stamp(self) -> Stamp:
        station = self._station
        return Stamp(station.worker, station.host, station.clock.wall_ms(), station.boot_id)

    @property
    def _run(self) -> RunRow:
        return self._snapshot.run

    async def _step(self) -> bool:
        """Make one commit and do what follows from it; `False` ends the slice."""
        if self._kill.is_set() or not self._station.holds_lease():
            return False
        change = await self._next_change()
        if self._kill.is_set() or not self._station.holds_lease():
            # Looking around may have taken long.
            return False
        ended = None if self._result is None else self._result[0].recovery
        if ended is not None:
            crashpoint("CP17", ended)
        answer = await self._commit(change)
        if answer == Refused("frozen") and self._thinker is not None and self._thinker.thought is not None:
            self._apart = True
            return True
        if answer == Refused("frozen"):
            halt = await self._halted(change)
            if halt is None:
                return True
            change = halt
            answer = await self._commit(change)
        if isinstance(answer, Refused) and answer.why == "budget":
            if self._result is not None or (self._thinker is not None and self._thinker.thought is not None):
                # What has happened is written down whether or not there is money for what comes next.
                self._apart = True
                return True
            assert self._asked is not None and self._thinker is not None
            change = self._thinker.over_budget(self._snapshot, self._asked, answer.detail, self._stamp())
            answer = await self._commit(change)
        match answer:
            case Refused("stale"):
                return await self._read_again()
            case Refused(why):
                log.info("lost the run", extra={"action": "lease_lost", "run": self._run.id, "why": why})
                if why == "fenced":
                    metrics.RUNS_LOST.labels(why).inc()
                self._kill.set()
                return False
        await self._landed(change)
        if ended is not None:
            crashpoint("CP19", ended)
        if self._run.run_state is RunState.WAITING_FOR_APPROVAL:
            crashpoint("CP09")
        call = self._snapshot.open_call
        if call is not None and call.call_status is CallStatus.STARTED and self._run.lease_owner is not None:
            self._result = call, await self._perform(call)
        turn = self._snapshot.open_turn
        if turn is not None and self._thinker is not None and self._run.lease_owner is not None:
            boot_ms = self._station.clock.boot_ms()
            await self._thinker.think(self._snapshot, turn, self._kill, boot_ms=boot_ms)
        return self._run.lease_owner is not None

    async def _commit(self, change: RunChange) -> Landed | Refused:
        if change.run.get("lease_owner", "") is None:
            await self._let_go()  # whoever takes the run up next has nothing beside it
        return await self._station.database.journal.commit(change)

    async def _let_go(self) -> None:
        at_once = self._kill.is_set() or self._result is not None  # which waits to be written down
        self.processes_ended += await self._residents.end(at_once=at_once)

    async def _landed(self, change: RunChange) -> None:
        """Go on from what is durable now."""
        self._snapshot, self._result = self._snapshot.folded(change), None
        if self._thinker is not None:
            self._thinker.thought = None
        await keep(self._station.bench.objects, change)

    async def _halted(self, refused: RunChange) -> RunChange | None:
        """What to write instead of a start that was refused; `None` = it was thawed meanwhile, decide anew."""
        assert refused.freezable is not None
        tool, snapshot, change, stamp = refused.freezable, self._snapshot, None, self._stamp()
        over = await self._over(tool)
        if not over:
            return None
        if self._result is not None:
            change = self._ended(*self._result, stamp)
            snapshot = snapshot.folded(change)
        halt = steps.stand_still(snapshot, over, tool=tool, stamp=stamp)
        return halt if change is None else merged(change, halt)

    async def _over(self, tool: str) -> tuple[FreezeRow, ...]:
        """The freezes that cover a call of this tool."""
        return covering(await freezes.open_ones(self._station.database, self._run.tenant), self._run, {tool})

    async def _next_change(self) -> RunChange:
        """Everything that can be committed now, in one change: the last result, planning, the next start."""
        snapshot, change, rules = self._snapshot, None, self._station.bench.rules()
        stamp = self._stamp()
        open_call = snapshot.open_call
        asked = snapshot.open_turn
        if self._result is not None:
            change = self._ended(*self._result, stamp)
        elif self._thinker is not None and self._thinker.thought is not None:
            change = self._thinker.ended(snapshot, stamp)
        elif asked is not None:
            return turns.lost(snapshot, asked, stamp, owner=stamp.worker)
        elif open_call is not None:
            return await self._resume(open_call, rules, stamp)
        elif snapshot.run.policy_digest != rules.pinned.digest:
            return steps.repin(snapshot, rules.pinned, stamp)
        elif snapshot.run.run_state is not RunState.PLANNING:
            change = steps.begin_planning(snapshot, stamp)
        if change is not None:
            snapshot = snapshot.folded(change)
            if snapshot.run.run_state is not RunState.PLANNING or snapshot.run.lease_owner is None:
                return change
            if self._planner is None or not self._planner.io_free or self._apart or self._residents.any:
                self._apart = False
                return change
            if snapshot.run.policy_digest != rules.pinned.digest:
                return change
        if self._station.draining.is_set() or self._over_time():
            release = steps.release(snapshot, stamp, due_at=DUE_NOW)
            return release if change is None else merged(change, release)
        turn = await self._plan(snapshot, rules, stamp, may_look=change is None)
        if turn is None:
            assert change is not None
            return change
        return turn if change is None else merged(change, turn)

    def _over_time(self) -> bool:
        most_s = steps.STAYING_SLICE_S if self._residents.any else steps.SLICE_S
        return self._station.clock.boot_ms() - self._began_at_boot_ms >= most_s * 1000

    def _ended(self, call: CallRow, end: CallEnd, stamp: Stamp) -> RunChange:
        """A call's end as it is written down; one that can be looked for is not given up as unknown yet."""
        if (wait := Waiting.of(call)) is not None:
            return waits.looked(self._snapshot, call, wait, end, stamp)
        if end.status == "unknown" and end.retry_in_ms is None and call.recovery == "reconcilable":
            settled = (call.started_at or stamp.now_ms) + settle_ms(call, self._station.bench)
            return steps.probe_later(self._snapshot, call, end, stamp, due_at=max(settled, stamp.now_ms))
        return steps.end_call(self._snapshot, call, end, stamp)

    async def _resume(self, call: CallRow, rules: Rulebook, stamp: Stamp) -> RunChange:
        """A call that was open when the run was claimed: approved, due for another attempt, or interrupted."""
        snapshot = self._snapshot
        approval = snapshot.approval(call.approval_id)
        if (wait := Waiting.of(call)) is not None:
            return waits.resume(snapshot, call, wait, rules, stamp)
        if call.call_status is CallStatus.INTENT and call.attempts == 0:
            if approval is None:
                return steps.give_up(snapshot, "A planned call has lost the question it waits for.", stamp)
            return await self._start_approved(call, approval, rules, stamp)
        unsure = call.call_status is CallStatus.STARTED or await self._may_have_run(call)
        if not unsure:
            return again(snapshot, call, approval, call.error or "due again", rules, stamp, unsure=False)
        most = self._station.bench.attempts
        if call.call_status is CallStatus.INTENT:
            most = max(most, call.attempts + 1)  # it has waited for a person, who has just said "again"
        recovery = recover(call, now_ms=stamp.now_ms, most_attempts=most)
        if recovery.do == "probe":
            return await self._probe(call, approval, rules, stamp)
        if recovery.do == "repeat":
            return again(snapshot, call, approval, recovery.why, rules, stamp, unsure=True)
        end = CallEnd(recovery.do, {}, error=recovery.why, resolved_by="recovery")
        return steps.end_call(snapshot, call, end, stamp)

    async def _may_have_run(self, call: CallRow, *, before: int | None = None) -> bool:
        """Whether a call had an attempt (before that one) nobody knows the outcome of.

        Its row alone does not say. Where a probe has looked, or there is no effect to speak of, it does not matter.
        """
        if call.recovery != "idempotent":
            return False
        return await run_queries.may_have_run(self._station.database, self._run.tenant, call.id, before=before)

    async def _start_approved(self, call: CallRow, approval: ApprovalRow, rules: Rulebook, stamp: Stamp) -> RunChange:
        snapshot, station = self._snapshot, self._station
        if over := await self._over(call.tool):
            return steps.stand_still(snapshot, over, tool=call.tool, stamp=stamp)
        try:
            workspace = await station.workspaces.ready(snapshot)
            verdict = await preparing.before_start(
                snapshot,
                call,
                approval,
                workspace=workspace,
                kill=self._kill,
                bench=station.bench,
                database=station.database,
                clock=station.clock,
            )
        except RetryableError:
            pause_ms = _LOOK_PAUSE_MS * 2 ** min(self._run.retries, 5)
            return steps.try_later(snapshot, stamp, due_at=station.clock.wall_ms() + pause_ms)
        except MissingSecret:
            # Planned anew the step says what is missing, and asks when it is there.
            return steps.ask_anew(snapshot, call, approval, "secret", stamp)
        except ArtifactCorrupt as error:
            return damage.before_start(snapshot, call, approval, error, stamp)
        except TerminalError as error:
            return steps.give_up(snapshot, error.user_text, stamp)
        stamp = self._stamp()
        match verdict.do:
            case "start":
                tool = station.bench.toolbox.find(call.tool)
                assert tool is not None
                until = key_valid_until(tool, stamp.now_ms)
                return steps.start_approved(
                    snapshot, call, approval, voters=verdict.voters, key_valid_until=until, stamp=stamp
                )
            case "wait":
                return steps.try_later(snapshot, stamp, due_at=stamp.now_ms + _VOTERS_PAUSE_MS)
            case "late":
                return steps.too_late(snapshot, call, approval, stamp)
            case "void":
                return steps.ask_anew(snapshot, call, approval, verdict.why, stamp)

    async def _probe(self, call: CallRow, approval: ApprovalRow | None, rules: Rulebook, stamp: Stamp) -> RunChange:
        """Look whether an interrupted call happened."""
        snapshot, station = self._snapshot, self._station
        try:
            workspace = await station.workspaces.ready(snapshot)
        except BanksmanError as error:
            end = CallEnd("unknown", {}, error=error.user_text, resolved_by="recovery")
            return steps.end_call(snapshot, call, end, stamp)
        answer = await looked_for(snapshot, call, workspace, self._kill, station.bench)
        settled_ms = (call.started_at or 0) + settle_ms(call, station.bench)
        most = station.bench.attempts
        return after_probe(snapshot, call, approval, answer, rules, self._stamp(), settled_ms=settled_ms, most=most)

    async def _plan(self, snapshot: Snapshot, rules: Rulebook, stamp: Stamp, *, may_look: bool) -> RunChange | None:
        """Ask the planner and turn its answer into a change; `None` if something has to be looked up first."""
        limit = steps.over_limits(snapshot, stamp.now_ms)
        if limit is not None:
            return steps.give_up(snapshot, limit, stamp)
        if self._planner is None:
            return steps.give_up(snapshot, "The text of its playbook cannot be planned with here.", stamp)
        if self._thinker is not None and not self._thinker.recalled:
            if not may_look:
                return None
            trouble = await recalled(self._thinker, snapshot, stamp)
            if trouble is not None:
                return trouble
        thinker = self._thinker
        if thinker is None:
            crashpoint("CP07")
        try:
            asked = steps.request(
                snapshot,
                self._document,
                answers=() if thinker is None else thinker.answers(snapshot),
                context="" if thinker is None else thinker.context,
            )
            turn = self._planner.decide(asked)
            if isinstance(turn.move, Act) and (spent := allowance.over(snapshot, turn.move, stamp.now_ms)):
                return turns.used_up(snapshot, spent, stamp)
            if isinstance(turn.move, Think):
                assert thinker is not None
                change, self._asked = thinker.reserve(snapshot, turn, asked, rules.toolbox, stamp)
                return change
        except MissingSecret as error:
            return steps.block(snapshot, BlockedReason.MISSING_SECRET, error.user_text, stamp)
        except TerminalError as error:
            return steps.give_up(snapshot, error.user_text, stamp)
        if thinker is None:
            crashpoint("CP08")
        if may_look and steps.is_between_compensations(snapshot, turn):
            crashpoint("CP23")
        bench = self._station.bench
        call_id = bench.ids.call()
        proposed = None
        if isinstance(turn.move, Act) and (tool := rules.toolbox.find(turn.move.tool)) is not None:
            proposed = preparing.decided(snapshot, turn.move, tool, rules)
            if preparing.needs_a_look(proposed):
                if not may_look:
                    return None
                looked = await self._look(snapshot, proposed, call_id, stamp)
                if isinstance(looked, RunChange):
                    return looked
                proposed, stamp = looked, self._stamp()
        return self._take(snapshot, turn, proposed, call_id, stamp)

    def _take(self, snapshot: Snapshot, turn: Turn, proposed: Proposed | None, call_id: str, stamp: Stamp) -> RunChange:
        bench = self._station.bench
        return steps.take_turn(
            snapshot,
            turn,
            proposed,
            call_id=call_id,
            nonce=bench.ids.salt(),
            sandbox=bench.environment.level.value,
            stamp=stamp,
        )

    async def _look(self, snapshot: Snapshot, proposed: Proposed, call_id: str, stamp: Stamp) -> Proposed | RunChange:
        """Get an act ready to be asked about, or say what becomes of the run instead."""
        station = self._station
        if over := await self._over(proposed.act.tool):
            return steps.stand_still(snapshot, over, tool=proposed.act.tool, stamp=stamp)
        try:
            workspace = await station.workspaces.ready(snapshot)
            ready = await preparing.prepared(
                snapshot, proposed, call_id=call_id, workspace=workspace, kill=self._kill, bench=station.bench
            )
            return await preparing.with_room(ready, station.database, snapshot.run.tenant, station.bench)
        except MissingSecret as error:
            return steps.block(snapshot, BlockedReason.MISSING_SECRET, error.user_text, self._stamp())
        except ArtifactCorrupt as error:
            why = f"{damage.said(snapshot, error)} {GO_ON}"
            return steps.block(snapshot, BlockedReason.ARTIFACT_INTEGRITY, why, self._stamp())
        except RetryableError as error:
            if snapshot.run.retries >= MOST_LOOKS and isinstance(error, StoreTrouble):
                why = f"{error.user_text} {GO_ON}"
                return steps.block(snapshot, BlockedReason.DEPENDENCY_DOWN, why, self._stamp())
            if snapshot.run.retries >= MOST_LOOKS:
                return Proposed(proposed.act, proposed.tool, proposed.decision, failure=error.user_text)
            pause_ms = _LOOK_PAUSE_MS * 2**snapshot.run.retries
            return steps.try_later(snapshot, stamp, due_at=self._station.clock.wall_ms() + pause_ms)
        except TerminalError as error:
            return Proposed(proposed.act, proposed.tool, proposed.decision, failure=error.user_text)

    async def _perform(self, call: CallRow) -> CallEnd:
        began_s = time.monotonic()
        if call.tool == DELEGATE:
            asks = None if self._thinker is None else self._thinker.agent
            return await delegating.look(self._station, self._snapshot, call, asks)
        try:
            workspace = await self._station.workspaces.ready(self._snapshot)
        except ArtifactCorrupt as error:
            why = damage.said(self._snapshot, error)
            return CallEnd("failed-safe", {}, error=why, parked=BlockedReason.ARTIFACT_INTEGRITY)
        except RetryableError as error:
            end = CallEnd("failed-safe", {}, error=error.user_text, parked=BlockedReason.DEPENDENCY_DOWN)
            attempted = Attempted(end, error.retry_after_s)
        except BanksmanError as error:
            attempted = Attempted(not_started(call, error.user_text))
        else:
            if self._kill.is_set() or not self._station.holds_lease():
                # The last look before anything starts: this process may have been asleep since the commit.
                return CallEnd("failed-safe", {}, error="it was not started")
            attempted = await perform(self._snapshot, call, workspace, self._kill, self._station.bench)
        took_s = time.monotonic() - began_s
        self.processes_ended += attempted.processes_ended
        clock = self._station.clock
        now_ms, boot_ms = clock.wall_ms(), clock.boot_ms()
        end = with_retry(call, attempted, bench=self._station.bench, now_ms=now_ms, boot_ms=boot_ms)
        metrics.attempt_ended(call.tool, end.status, took_s, again=end.retry_in_ms is not None)
        if proves_little(call, end) and await self._may_have_run(call, before=call.attempts):
            return still_in_doubt(end)
        return end

    async def _read_again(self) -> bool:
        """Something else changed the run; go on from what is true now, if it is still ours."""
        fresh = await run_queries.snapshot(self._station.database, self._run.tenant, self._run.id)
        if fresh is None or fresh.run.fence != self._run.fence or fresh.run.lease_owner != self._station.worker:
            if fresh is not None and fresh.run.killed_at is None:
                metrics.RUNS_LOST.labels("fenced").inc()
            self._kill.set()
            return False
        self._snapshot = fresh
        return True

    async def _keep_late(self, call: CallRow, end: CallEnd) -> None:
        station, run = self._station, self._run
        row_id, now_ms = station.bench.ids.new("late"), station.clock.wall_ms()
        decide = partial(
            late_result, call=call, end=end, run_id=run.id, fence=run.fence, worker=station.worker, row_id=row_id,
            now_ms=now_ms,
        )  # fmt: skip
        await station.database.journal.command(run.tenant, Target(run_id=run.id), decide)
