"""Any history of runs, however unlucky: after every step the invariants hold, and what was folded is what is stored.

A Hypothesis state machine over the pure decisions and a real SQLite file: workers claim, plan, start and end calls,
lose their lease, come back late; people stop runs at any moment. Three workers share the runs; each keeps its own idea
of them, which is often out of date, exactly as processes do.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.ids import TENANT, RunId
from core.planners.base import Finish, GiveUp, PlanStep, Turn
from core.principals import Principal
from core.record.changes import Answer, Decided, Landed, Refusal, Refused, RunChange
from core.record.rows import CallRow, Snapshot
from core.record.states import TERMINAL
from core.runs import steps
from core.runs.commands.abandon import abandon
from core.runs.commands.confirm import HostReport, confirm
from core.runs.commands.kill import kill
from core.runs.commands.late import late_result
from core.runs.commands.load import loaded
from core.runs.commands.request import accept
from core.runs.draft import merged
from core.runs.recovery import recover
from core.runs.steps import CallEnd, Stamp, Stored
from core.store import schema, workers
from core.store.lane import Claim, Decide, Target
from core.store.session import Database
from core.store.snapshots import CHILDREN, snapshots_of
from core.store.turnstile import connect
from tests.databases import sqlite_url
from tests.factories import (
    BOOT_ID,
    GUEST,
    IDS,
    MEMBER,
    OPERATOR,
    REQUESTER,
    SALT,
    FixedClock,
    a_request,
    a_tool,
    act,
    identity,
    proposed,
    surface,
)
from tests.invariants import broken_in

T = TypeVar("T")
WORKERS = ("w1", "w2", "w3")
LEASE_MS = 10_000

_MEMORY = next((path for path in ("/dev/shm",) if Path(path).is_dir()), None)
"""Thousands of commits: where the machine has a directory in memory, nothing waits for its disk."""

_template: list[Path] = []


def migrated() -> Path:
    """A migrated file to copy, made once."""
    if not _template:
        path = Path(tempfile.mkdtemp(prefix="history-", dir=_MEMORY)) / "migrated.db"

        async def make() -> None:
            database = Database(sqlite_url(path))
            await schema.upgrade(database)
            await database.close()

        asyncio.run(make())
        _template.append(path)
    return _template[0]


def teardown_module() -> None:
    for path in _template:
        shutil.rmtree(path.parent)


@dataclass
class Worker:
    """What one process believes: the runs it drives, as it last saw them."""

    name: str
    driving: dict[str, Snapshot] = field(default_factory=dict)


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.directory = Path(tempfile.mkdtemp(prefix="history-", dir=_MEMORY))
        shutil.copy(migrated(), self.directory / "b.db")
        self.database = Database(sqlite_url(self.directory / "b.db"))
        self.look = connect(self.directory / "b.db")
        self.clock = FixedClock()
        self.workers = {name: Worker(name) for name in WORKERS}
        self.known: list[str] = []
        self.steps = 0
        """Commits of workers that landed; people stop runs less often than that, or nothing would ever get going."""
        self.stopped: dict[str, int] = {}
        """Run id to the number of attempts it had when it was stopped."""

    def teardown(self) -> None:
        self.look.close()
        self.wait(self.database.close())
        self.loop.close()
        shutil.rmtree(self.directory)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def commit(self, change: RunChange) -> Answer:
        return self.wait(self.database.journal.commit(change))

    def command(self, run_id: str, decide: Decide) -> Decided | Refusal:
        return self.wait(self.database.journal.command(TENANT, Target(run_id=run_id), decide))

    def stored(self, run_id: str) -> Snapshot:
        """The run as the file holds it, read past our own queries."""
        runs = self.look.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchall()
        children = {
            table: self.look.execute(f"SELECT * FROM {table} WHERE run_id = ?", (run_id,)).fetchall()
            for table in CHILDREN
        }
        (found,) = snapshots_of(runs, children)
        return found

    def by(self, worker: str) -> Stamp:
        return Stamp(worker, f"host-{worker}", self.clock.wall_ms())

    # People

    @rule(key=st.sampled_from("abcdefgh"), is_loaded=st.booleans(), in_slack=st.booleans())
    def ask(self, key: str, is_loaded: bool, in_slack: bool) -> None:
        where = surface() if in_slack else None
        request = a_request(source_key=key, loaded=is_loaded, surface=where)
        run_id = RunId(IDS.run())
        before = self.look.execute("SELECT 1 FROM runs WHERE source_key = ?", (key,)).fetchone()
        answer = self.commit(accept(request, run_id=run_id, salt=SALT, now_ms=self.clock.wall_ms()))
        assert (Landed(0) if before is None else Refused("duplicate")) == answer
        if before is None:
            self.known.append(run_id)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), needed=st.booleans())
    def load_context(self, data: st.DataObject, needed: bool) -> None:
        run = self.stored(data.draw(st.sampled_from(self.known)))
        if run.run.state != "created":
            return
        sentence = "Attach it again." if needed else None
        change = loaded(run, inputs={}, artifacts=(), unread={}, needed=sentence, now_ms=self.clock.wall_ms())
        assert isinstance(self.commit(change), Landed)
        assert run.folded(change) == self.stored(run.run.id)

    @precondition(lambda self: self.steps > 6 * len(self.stopped))
    @rule(data=st.data(), by=st.sampled_from([REQUESTER, OPERATOR, MEMBER, GUEST]))
    def stop(self, data: st.DataObject, by: Principal) -> None:
        run_id = data.draw(st.sampled_from(self.known))
        before = self.stored(run_id)
        decide = partial(kill, run_id=run_id, by=by, reason="enough", now_ms=self.clock.wall_ms())
        answer = self.command(run_id, decide)
        may = by in (REQUESTER, OPERATOR) and before.run.run_state not in TERMINAL
        assert may is isinstance(answer, Decided)
        if isinstance(answer, Decided):
            assert before.folded(answer.changes[0]) == self.stored(run_id)
            self.stopped[run_id] = self.attempts(run_id)

    # Workers

    @initialize()
    def workers_register(self) -> None:
        for name in WORKERS:
            self.register(name)
        for key in "xyz":
            self.ask(key, is_loaded=True, in_slack=key == "x")

    def register(self, name: str) -> None:
        boot_ms, now_ms = self.clock.boot_ms(), self.clock.wall_ms()
        self.wait(workers.register(self.database, identity(name), boot_ms=boot_ms, lease_ms=LEASE_MS, now_ms=now_ms))

    @rule(name=st.sampled_from(WORKERS), limit=st.integers(1, 3))
    def claim(self, name: str, limit: int) -> None:
        claim = Claim(name, self.clock.wall_ms(), BOOT_ID, self.clock.boot_ms(), limit)
        for run in self.wait(self.database.journal.claim(claim)):
            assert run == self.stored(run.run.id)
            assert run.run.id not in self.stopped
            self.workers[name].driving[run.run.id] = run

    @rule(name=st.sampled_from(WORKERS))
    def renew(self, name: str) -> None:
        driving = [(TENANT, run_id, run.run.fence) for run_id, run in self.workers[name].driving.items()]
        boot_ms = self.clock.boot_ms()
        renewed = self.wait(workers.renew(self.database, name, driving, boot_ms=boot_ms, lease_ms=LEASE_MS))
        assert renewed is not None
        for _, run_id, _fence in renewed.lost:
            row = self.stored(run_id).run
            assert row.killed_at is not None or row.lease_owner != name or row.fence > self.fence(name, run_id)

    def fence(self, name: str, run_id: str) -> int:
        return self.workers[name].driving[run_id].run.fence

    @rule(ms=st.sampled_from([100, 3_000, LEASE_MS + 1]))
    def time_passes(self, ms: int) -> None:
        self.clock.advance(ms)

    @rule(name=st.sampled_from(WORKERS))
    def crash_and_come_back(self, name: str) -> None:
        self.workers[name].driving.clear()
        self.wait(workers.remove(self.database, name))
        self.register(name)

    @rule(name=st.sampled_from(WORKERS), data=st.data(), times=st.integers(1, 6))
    def drive(self, name: str, data: st.DataObject, times: int) -> None:
        for _ in range(times):
            if not self.workers[name].driving:
                self.claim(name, limit=2)
            if self.workers[name].driving:
                self.step(name, data, again=data.draw(st.booleans()))

    def step(self, name: str, data: st.DataObject, again: bool) -> None:
        """One commit of a worker on a run as it believes it to be; sometimes the same change is sent twice."""
        run = self.workers[name].driving[data.draw(st.sampled_from(sorted(self.workers[name].driving)))]
        change = self.next_change(name, run, data)
        if change is None:
            del self.workers[name].driving[run.run.id]
            return
        truth = self.stored(run.run.id)
        answer = self.commit(change)
        if isinstance(answer, Landed):
            self.steps += 1
            assert truth == run, "it landed on something other than what it was computed from"
            now = self.stored(run.run.id)
            assert run.folded(change) == now
            if now.run.lease_owner == name:
                self.workers[name].driving[run.run.id] = now
            else:
                del self.workers[name].driving[run.run.id]
            if again:
                assert isinstance(self.commit(change), Refused)
                assert now == self.stored(run.run.id)
        else:
            assert truth != run
            assert truth == self.stored(run.run.id)
            self.lost(name, run, data)

    def lost(self, name: str, run: Snapshot, data: st.DataObject) -> None:
        """Refused: read again if the run is still ours, otherwise keep what was found out and go away."""
        truth = self.stored(run.run.id)
        if truth.run.lease_owner == name and truth.run.fence == run.run.fence:
            self.workers[name].driving[run.run.id] = truth
            return
        del self.workers[name].driving[run.run.id]
        call = open_call(run)
        if call is None or call.status != "started":
            return
        late = partial(
            late_result,
            call=call,
            end=data.draw(ENDS),
            run_id=run.run.id,
            fence=run.run.fence,
            worker=name,
            row_id=IDS.new("late"),
            now_ms=self.clock.wall_ms(),
        )
        answer = self.command(run.run.id, late)
        assert isinstance(answer, Decided)
        assert truth.folded(answer.changes[0]) == self.stored(run.run.id)

    def next_change(self, name: str, run: Snapshot, data: st.DataObject) -> RunChange | None:
        by, call, state = self.by(name), open_call(run), run.run.state
        if call is not None and call.status == "intent":
            return steps.start_again(run, call, why="due again", stamp=by)
        if call is not None and call.start_fence != run.run.fence:
            recovery = recover(call, now_ms=by.now_ms, most_attempts=4)
            if recovery.do == "repeat":
                return steps.start_again(run, call, why=recovery.why, stamp=by)
            if recovery.do == "probe":
                return self.probed(run, call, by, data)
            return steps.end_call(run, call, CallEnd(recovery.do, {}, error=recovery.why), by)
        if call is not None:
            change = steps.end_call(run, call, as_decided(call, data.draw(ENDS)), by)
        elif state in ("context-loaded", "executing"):
            change = steps.begin_planning(run, by)
        elif state == "planning":
            return self.turn(run, by, data)
        else:
            return None
        between = run.folded(change)
        if between.run.state == "planning" and data.draw(st.booleans()):
            return merged(change, self.turn(between, by, data))
        return change

    def probed(self, run: Snapshot, call: CallRow, by: Stamp, data: st.DataObject) -> RunChange:
        """What a probe may find out about a call that was cut off."""
        match data.draw(st.sampled_from(["happened", "not-happened", "cannot-tell", "in-progress"])):
            case "happened":
                return steps.end_call(run, call, CallEnd("succeeded", {}, resolved_by="probe"), by)
            case "not-happened":
                return steps.start_again(run, call, why="it did not happen", stamp=by)
            case "cannot-tell":
                return steps.end_call(run, call, CallEnd("unknown", {}, error="nobody can tell"), by)
            case _:
                return steps.try_later(run, by, due_at=by.now_ms + 2_000)

    def turn(self, run: Snapshot, by: Stamp, data: st.DataObject) -> RunChange:
        if data.draw(st.integers(0, 9)) == 9:
            return steps.release(run, by, due_at=by.now_ms + data.draw(st.sampled_from([0, 2_000])))
        plan = (PlanStep("s", "S", "running"),)
        turn = data.draw(
            st.sampled_from(
                [act("s"), act("s"), act("t"), act("t"), Turn(plan, Finish("ok")), Turn(plan, GiveUp("no"))]
            )
        )
        tool = a_tool(
            data.draw(st.sampled_from(["read", "workspace", "read", "read", "read", "irreversible"])),
            data.draw(st.sampled_from(["pure", "idempotent", "reconcilable", "opaque"])),
        )
        asked = proposed(run, turn, tool)
        return steps.take_turn(run, turn, asked, call_id=IDS.call(), nonce=IDS.salt(), sandbox="none", stamp=by)

    @precondition(lambda self: self.stopped)
    @rule(data=st.data(), ended=st.integers(0, 2), remaining=st.integers(0, 1))
    def report(self, data: st.DataObject, ended: int, remaining: int) -> None:
        run_id = data.draw(st.sampled_from(sorted(self.stopped)))
        before = self.stored(run_id)
        found = HostReport("host-w1", "boot", ended, remaining, "r")
        answer = self.command(run_id, partial(confirm, run_id=run_id, report=found, now_ms=self.clock.wall_ms()))
        if before.run.stop_confirmed_at is None and ended:
            assert isinstance(answer, Decided)
        elif before.run.stop_confirmed_at is not None and not (ended or remaining):
            assert not isinstance(answer, Decided)
        assert (before.run.stop_confirmed_at is None) or before.run.stop_confirmed_at == (
            self.stored(run_id).run.stop_confirmed_at
        )
        if isinstance(answer, Decided):
            assert before.folded(answer.changes[0]) == self.stored(run_id)

    @rule(name=st.sampled_from(WORKERS), data=st.data())
    def slice_breaks_off(self, name: str, data: st.DataObject) -> None:
        if self.workers[name].driving:
            run_id = data.draw(st.sampled_from(sorted(self.workers[name].driving)))
            del self.workers[name].driving[run_id]
            before = self.stored(run_id)
            decide = partial(abandon, run_id=run_id, worker=name, why="KeyError", now_ms=self.clock.wall_ms())
            answer = self.command(run_id, decide)
            assert isinstance(answer, Decided) is (before.run.lease_owner == name)

    # What holds at every moment

    @invariant()
    def everything_holds(self) -> None:
        assert [] == broken_in(self.look)

    @invariant()
    def nothing_starts_after_a_stop(self) -> None:
        for run_id, attempts in self.stopped.items():
            assert attempts == self.attempts(run_id)
            assert "canceled" == self.stored(run_id).run.state

    def attempts(self, run_id: str) -> int:
        sql = "SELECT count(*) FROM call_attempts WHERE run_id = ?"
        return int(self.look.execute(sql, (run_id,)).fetchone()[0])


def open_call(run: Snapshot) -> CallRow | None:
    return next((call for call in run.calls if call.status in ("intent", "started")), None)


def as_decided(call: CallRow, end: CallEnd) -> CallEnd:
    """The end with a repetition only where `calls.with_retry` allows one: it surely did nothing, or may do it twice."""
    may_repeat = end.status == "failed-safe" or (end.status == "unknown" and call.recovery in ("pure", "idempotent"))
    return end if may_repeat else replace(end, retry_in_ms=None)


ENDS = st.builds(
    CallEnd,
    st.sampled_from(["succeeded", "succeeded", "failed", "failed-safe", "unknown"]),
    st.sampled_from([{}, {"rows": 3}, {"x": 0.5}]),
    st.sampled_from([(), ("cd" * 32,)]).map(
        lambda shas: tuple(Stored(IDS.artifact(), "a.txt", sha, 3, "text/plain") for sha in shas)
    ),
    st.none() | st.just("no such column"),
    st.none() | st.just(500),
)

Histories.TestCase.settings = settings(
    max_examples=15, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestHistories = Histories.TestCase
