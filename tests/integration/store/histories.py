"""A good history of every kind of run, made by the product's own code: what no rule may complain about.

`done` completed a call that left a file, and a gated one that people approved on what they had seen. `stopped` was
stopped in the middle of a call whose result came late. `waiting` waits for approval, `blocked` for a person who looks,
`frozen` was frozen while it waited and `thawed` is free again, `cut` was frozen after its worker was cut off in the
middle of a call, and `going` is at work.
"""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import text

from core.actions.shown import box
from core.artifacts import FileStore
from core.ids import TENANT, Ids, RunId
from core.planners.base import Finish, PlanStep, Turn
from core.principals import Principal
from core.queue import SilentDoorbell
from core.record.changes import Decided, Refusal
from core.record.freezes import Frozen, Scope
from core.record.rows import Snapshot
from core.runs import freezing, steps
from core.runs.commands.decide import Ballot, decide
from core.runs.commands.kill import kill
from core.runs.commands.late import late_result
from core.runs.commands.request import accept
from core.runs.stored import Stored
from core.store.lane import Target
from core.store.session import Database
from core.tools.base import Prepared, RecoveryClass
from tests.factories import (
    IDS,
    OPERATOR,
    SALT,
    FixedClock,
    a_request,
    a_tool,
    a_worker,
    act,
    claimed_by,
    ended,
    landed,
    proposed,
    surface,
)

ALEX = Principal("alex", frozenset({"approver"}))


class History:
    """Builds it."""

    def __init__(self, database: Database, files: Path, now_ms: int) -> None:
        self.database = database
        self.objects = FileStore(files)
        self.files = files
        self.now_ms = now_ms
        self.clock = FixedClock(now_ms)

    async def write(self) -> None:
        """All of it."""
        await self.done()
        await self.stopped()
        await self.waiting()
        await self.blocked()
        await self.frozen()
        await self.cut()
        await self.going()
        async with self.database.begin() as connection:
            # These tests may take minutes, and nobody renews what a worker holds.
            await connection.execute(text("UPDATE workers SET until = until + 3600000"))

    async def claimed(self, key: str, **fields: Any) -> Snapshot:
        run_id = IDS.run()
        request = a_request(source_key=key, surface=surface(), **fields)
        await landed(self.database, accept(request, run_id=RunId(run_id), salt=SALT, now_ms=self.now_ms))
        await a_worker(self.database, f"w-{key}", clock=self.clock)
        (run,) = await claimed_by(self.database, f"w-{key}", run_id, clock=self.clock)
        return run

    def by(self, run: Snapshot) -> steps.Stamp:
        return steps.Stamp(run.run.lease_owner or "w", "host-1", self.now_ms)

    async def turn(self, run: Snapshot, turn: Turn, *, recovery: RecoveryClass = "pure", **fields: Any) -> Snapshot:
        """The run after a planner's turn."""
        if run.run.state != "planning":
            begun = steps.begin_planning(run, self.by(run))
            await landed(self.database, begun)
            run = run.folded(begun)
        tool = a_tool("compensable" if "prepared" in fields else "read", recovery)
        found = proposed(run, turn, tool, **fields)
        change = steps.take_turn(
            run, turn, found, call_id=IDS.call(), nonce=IDS.salt(), sandbox="none", stamp=self.by(run)
        )
        await landed(self.database, change)
        return run.folded(change)

    async def ended(self, run: Snapshot, **end: Any) -> Snapshot:
        """The run after the end of its open call."""
        call = next(call for call in run.calls if call.status == "started")
        change = steps.end_call(run, call, ended(end.pop("status", "succeeded"), **end), self.by(run))
        await landed(self.database, change)
        return run.folded(change)

    async def file(self, name: str) -> Stored:
        source = self.files.parent / name
        source.write_bytes(name.encode() * 10)
        done = await self.objects.put(source, cap_bytes=1000)
        assert hashlib.sha256(name.encode() * 10).hexdigest() == done.sha256
        return Stored(IDS.artifact(), name, done.sha256, done.size, "text/plain")

    async def command(self, target: Target, work: Any) -> None:
        answer: Decided | Refusal = await self.database.journal.command(TENANT, target, work)
        assert isinstance(answer, Decided), answer

    async def asked(self, run: Snapshot) -> Snapshot:
        carried = (await self.file("carried.txt"),)
        prepared = Prepared({"path": "sales.csv"}, "Send it.", network=())
        return await self.turn(run, act("send"), inputs=carried, prepared=prepared)

    async def done(self) -> None:
        run = await self.turn(await self.claimed("done"), act("make"))
        run = await self.ended(run, stored=(await self.file("made.txt"),))
        run = await self.asked(run)
        (approval,) = run.approvals
        call = run.call(approval.call_id)
        carried = b"carried.txt" * 10
        seen = box(call.envelope.encode(), {hashlib.sha256(carried).hexdigest(): carried}).digest
        ballot = Ballot(approval.id, "approve", ALEX, call.action_digest, seen, self.now_ms)
        work = partial(decide, ballot=ballot, policy_digest=run.run.policy_digest, now_ms=self.now_ms)
        await self.command(Target(approval_id=approval.id), work)
        (run,) = await claimed_by(self.database, "w-done", run.run.id, clock=self.clock)
        (approval,) = run.approvals
        started = steps.start_approved(run, call, approval, voters=("alex",), key_valid_until=None, stamp=self.by(run))
        await landed(self.database, started)
        run = await self.ended(run.folded(started))
        run = await self.turn(run, act("try"), recovery="opaque")
        (call,) = [call for call in run.calls if call.status == "started"]
        run = await self.ended(run, status="failed-safe", retry_in_ms=0, out={}, error="no name")
        (run,) = await claimed_by(self.database, "w-done", run.run.id, clock=self.clock)
        again = steps.start_again(run, run.call(call.id), why="due again", stamp=self.by(run))
        await landed(self.database, again)
        run = await self.ended(run.folded(again))
        await self.turn(run, Turn((PlanStep("make", "Make", "done"),), Finish("It is done.")))

    async def stopped(self) -> None:
        run = await self.turn(await self.claimed("stopped"), act("long"))
        await self.command(
            Target(run_id=run.run.id), partial(kill, run_id=run.run.id, by=OPERATOR, reason="", now_ms=self.now_ms)
        )
        late = partial(
            late_result,
            call=run.calls[0],
            end=ended(),
            run_id=run.run.id,
            fence=run.run.fence,
            worker="w-stopped",
            row_id="late_1",
            now_ms=self.now_ms,
        )
        await self.command(Target(run_id=run.run.id), late)

    async def waiting(self) -> None:
        await self.asked(await self.claimed("waiting"))

    async def blocked(self) -> None:
        run = await self.turn(await self.claimed("blocked"), act("pay"), recovery="opaque")
        await self.ended(run, status="unknown", out={}, error="no answer")

    async def frozen(self) -> None:
        """One that was frozen while it waited, and one that was thawed again."""
        for key, ends in (("frozen", False), ("thawed", True)):
            run = await self.asked(await self.claimed(key))
            what, ids = Frozen(Scope.RUN, run.run.id), Ids(self.clock)
            done = await freezing.freeze(
                self.database, TENANT, what, by=OPERATOR, reason="", ids=ids, now_ms=self.now_ms
            )
            assert not isinstance(done, Refusal)
            assert 1 == await freezing.spread(self.database, SilentDoorbell(), now_ms=self.now_ms)
            if ends:
                bell = SilentDoorbell()
                await freezing.thaw(self.database, bell, TENANT, what, by=OPERATOR, reason="", now_ms=self.now_ms)
                assert 1 == await freezing.spread(self.database, bell, now_ms=self.now_ms)

    async def cut(self) -> None:
        run = await self.turn(await self.claimed("cut"), act("push"), recovery="idempotent")
        await landed(self.database, steps.release(run, self.by(run), due_at=self.now_ms))
        (run,) = await claimed_by(self.database, "w-cut", run.run.id, clock=self.clock)
        what, ids = Frozen(Scope.RUN, run.run.id), Ids(self.clock)
        done = await freezing.freeze(self.database, TENANT, what, by=OPERATOR, reason="", ids=ids, now_ms=self.now_ms)
        assert not isinstance(done, Refusal)
        await landed(self.database, steps.stand_still(run, [done.freeze], tool=run.calls[0].tool, stamp=self.by(run)))

    async def going(self) -> None:
        await self.turn(await self.claimed("going"), act("work"))
