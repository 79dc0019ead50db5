"""A stop at the same moment as what it should stop, a start, a result or an approval: released together.

Each race is run 200 times; each side must have been first several times, or it was no race. `ROUNDS` runs more,
`SEED` repeats a run.
"""

import random
from functools import partial

import pytest

from core.ids import TENANT
from core.principals import Principal
from core.record.changes import Decided, Landed, Refusal, Refused
from core.record.rows import Snapshot
from core.runs import steps
from core.runs.commands.decide import Ballot, decide
from core.runs.commands.kill import kill
from core.runs.commands.late import late_result
from core.store.lane import Target
from core.store.session import Database
from tests.factories import IDS, NOW_MS, REQUESTER, call_started, ended, stamp, stored
from tests.integration.store.racing import ROUNDS, Race, Side, elsewhere, executing, held, rng, waiting
from tests.invariants import broken

__all__ = ["elsewhere", "rng"]

APPROVER = Principal("alex", frozenset({"approver"}))

pytestmark = pytest.mark.timeout(300 + ROUNDS)


def stopping(database: Database, run: Snapshot) -> Side:
    decide_ = partial(kill, run_id=run.run.id, by=REQUESTER, reason="", now_ms=NOW_MS + 5)
    return lambda: database.journal.command(TENANT, Target(run_id=run.run.id), decide_)


async def is_stopped(database: Database, run: Snapshot) -> Snapshot:
    """Nothing of it can go on, whoever was first."""
    after = await stored(database, run.run.id)
    assert ("canceled", None) == (after.run.state, after.run.lease_owner)
    assert [] == [call.status for call in after.calls if call.status == "intent"]
    assert [] == [approval.status for approval in after.approvals if approval.status in ("pending", "approved")]
    late = await database.journal.commit(steps.release(run, stamp(NOW_MS + 9), due_at=0))
    assert isinstance(late, Refused)
    return after


async def test_a_stop_and_a_start(database: Database, elsewhere: Database, rng: random.Random) -> None:
    race = Race(rng, "other", "stop")
    for run in await held(database):
        change = call_started(run)
        start, stop = await race.run(partial(database.journal.commit, change), stopping(elsewhere, run))
        assert isinstance(stop, Decided)
        after = await is_stopped(database, run)
        if isinstance(start, Landed):
            race.won("other")
            assert "1 tool call was in flight" in stop.text
            assert [("started", run.run.fence)] == [(call.status, call.start_fence) for call in after.calls]
            assert after.run.killed_fence is not None and run.run.fence < after.run.killed_fence
        else:
            race.won("stop")
            assert start in (Refused("killed"), Refused("stale"))
            assert () == after.calls and "in flight" not in stop.text
    race.was_one()
    assert [] == await broken(database)


async def test_a_stop_and_a_result(database: Database, elsewhere: Database, rng: random.Random) -> None:
    race = Race(rng, "other", "stop")
    for run in await executing(database):
        call = run.calls[0]
        change = steps.end_call(run, call, ended(), stamp(NOW_MS + 3))
        result, stop = await race.run(partial(database.journal.commit, change), stopping(elsewhere, run))
        assert isinstance(stop, Decided)
        after = await is_stopped(database, run)
        if isinstance(result, Landed):
            race.won("other")
            assert "in flight" not in stop.text
            assert ["succeeded"] == [each.status for each in after.calls]
        else:
            race.won("stop")
            assert result in (Refused("killed"), Refused("stale"))
            assert ["started"] == [each.status for each in after.calls]
            keep = partial(
                late_result, call=call, end=ended(), run_id=run.run.id, fence=run.run.fence, worker="w1",
                row_id=IDS.new("late"), now_ms=NOW_MS + 9,
            )  # fmt: skip
            kept = await database.journal.command(TENANT, Target(run_id=run.run.id), keep)
            assert isinstance(kept, Decided)
            last = await stored(database, run.run.id)
            assert ("canceled", ["unknown"]) == (last.run.state, [each.status for each in last.calls])
    race.was_one()
    assert [] == await broken(database)


async def test_a_stop_and_an_approval(database: Database, elsewhere: Database, rng: random.Random) -> None:
    race = Race(rng, "other", "stop")
    for run in await waiting(database):
        (approval,) = run.approvals
        ballot = Ballot(approval.id, "approve", APPROVER, approval.action_digest, "sha256:seen", NOW_MS + 4)
        vote = partial(decide, ballot=ballot, policy_digest=approval.policy_digest, now_ms=NOW_MS + 4)
        yes, stop = await race.run(
            partial(elsewhere.journal.command, TENANT, Target(approval_id=approval.id), vote), stopping(database, run)
        )
        assert isinstance(stop, Decided)
        after = await is_stopped(database, run)
        assert ["revoked"] == [each.status for each in after.approvals]
        assert [("canceled", 0)] == [(call.status, call.attempts) for call in after.calls]
        if isinstance(yes, Decided):
            race.won("other")
            assert 1 == len(after.votes)
        else:
            race.won("stop")
            assert isinstance(yes, Refusal) and "already stopped by ana" in yes.text
            assert () == after.votes
    race.was_one()
    assert [] == await broken(database)
