"""Decisions on one question at the same moment: two votes, a vote and the end of its time, a start and a new policy.

Whoever is first, exactly one order of the two holds, and nothing starts without the votes it needs.
"""

import random
from functools import partial
from typing import Literal

import pytest

from core.ids import TENANT
from core.principals import Principal
from core.record.changes import Decided, Landed, Refusal, Refused
from core.record.rows import Snapshot
from core.runs import steps
from core.runs.commands.decide import Ballot, decide
from core.runs.commands.expire import expire
from core.store.lane import Target
from core.store.session import Database
from tests.factories import NOW_MS, claimed_by, stamp, stored
from tests.integration.store.racing import ROUNDS, Race, Side, elsewhere, rng, waiting
from tests.invariants import broken

__all__ = ["elsewhere", "rng"]

APPROVER = frozenset({"approver"})
BEN, CAT = Principal("ben", APPROVER), Principal("cat", APPROVER)

pytestmark = pytest.mark.timeout(300 + ROUNDS)


def voting(
    database: Database,
    run: Snapshot,
    by: Principal,
    decision: Literal["approve", "deny"] = "approve",
    *,
    policy: str | None = None,
    at_ms: int = NOW_MS + 4,
) -> Side:
    """A click on the run's question, received at `at_ms`, by a process whose policy is `policy`."""
    (approval,) = run.approvals
    ballot = Ballot(approval.id, decision, by, approval.action_digest, "sha256:seen", at_ms)
    vote = partial(decide, ballot=ballot, policy_digest=policy or approval.policy_digest, now_ms=at_ms)
    return lambda: database.journal.command(TENANT, Target(approval_id=approval.id), vote)


def decided(run: Snapshot) -> tuple[str, str, int]:
    """State, status of its only question, attempts of its only call."""
    return run.run.state, run.approvals[0].status, run.calls[0].attempts


async def test_two_approvals_where_one_is_needed(database: Database, elsewhere: Database, rng: random.Random) -> None:
    race = Race(rng, "ben", "cat")
    for run in await waiting(database):
        done = await race.run(voting(database, run, BEN), voting(elsewhere, run, CAT))
        assert 1 == sum(isinstance(each, Decided) for each in done)
        (refusal,) = [each for each in done if isinstance(each, Refusal)]
        first = "ben" if isinstance(done[0], Decided) else "cat"
        assert f"already approved by {first}" in refusal.text
        after = await stored(database, run.run.id)
        assert [first] == [vote.voter for vote in after.votes]
        assert ("waiting-for-approval", "approved", 0) == decided(after)
        race.won(first)
    race.was_one()
    assert [] == await broken(database)


async def test_two_approvals_where_two_are_needed(database: Database, elsewhere: Database, rng: random.Random) -> None:
    race = Race(rng, "ben", "cat")
    for run in await waiting(database, quorum=2):
        done = await race.run(voting(database, run, BEN), voting(elsewhere, run, CAT))
        assert all(isinstance(each, Decided) for each in done), done
        decisive = ["starts now" in each.text for each in done]
        assert 1 == sum(decisive), "exactly one of them completes the quorum, and it is never missed"
        after = await stored(database, run.run.id)
        assert (["ben", "cat"], "approved") == ([vote.voter for vote in after.votes], after.approvals[0].status)
        assert 1 == after.run.wake - run.run.wake, "it is rung for once"
        race.won("cat" if decisive[0] else "ben")
    race.was_one()
    assert [] == await broken(database)


async def test_an_approval_and_a_denial(database: Database, elsewhere: Database, rng: random.Random) -> None:
    race = Race(rng, "approve", "deny")
    for run in await waiting(database):
        yes, no = await race.run(voting(database, run, BEN), voting(elsewhere, run, CAT, "deny"))
        assert isinstance(no, Decided), "nothing had started, so the denial holds whenever it came"
        after = await stored(database, run.run.id)
        assert ("planning", "denied", 0) == decided(after)
        assert "canceled" == after.calls[0].status
        race.won("approve" if isinstance(yes, Decided) else "deny")
    race.was_one()
    assert [] == await broken(database)


async def test_an_approval_and_the_end_of_its_time(database: Database, elsewhere: Database, rng: random.Random) -> None:
    """A click that came in time and the sweeper that is late: one of them closes the question."""
    race = Race(rng, "approve", "expire")
    for run in await waiting(database):
        (approval,) = run.approvals
        over = partial(expire, approval_id=approval.id, now_ms=approval.expires_at)
        yes, late = await race.run(
            voting(database, run, BEN, at_ms=approval.expires_at - 1),
            partial(elsewhere.journal.command, TENANT, Target(approval_id=approval.id), over),
        )
        assert isinstance(yes, Decided) is not isinstance(late, Decided)
        after = await stored(database, run.run.id)
        if isinstance(yes, Decided):
            assert ("waiting-for-approval", "approved", 0) == decided(after)
        else:
            assert ("blocked", "expired", 0) == decided(after)
            assert () == after.votes and "expired" in yes.text
        race.won("approve" if isinstance(yes, Decided) else "expire")
    race.was_one()
    assert [] == await broken(database)


async def test_a_start_and_a_policy_that_was_changed(
    database: Database, elsewhere: Database, rng: random.Random
) -> None:
    """A worker starts by the policy it has read; a process that has read the next one voids what was approved."""
    race = Race(rng, "start", "reload")
    runs = await waiting(database)
    for run in runs:
        assert isinstance(await voting(database, run, BEN)(), Decided)
    claimed: list[Snapshot] = []
    while some := await claimed_by(database, "w1"):
        claimed += some
    assert ROUNDS == len(claimed)
    for run in claimed:
        (approval,), (call,) = run.approvals, run.calls
        start = steps.start_approved(
            run, call, approval, voters=("ben",), key_valid_until=None, stamp=stamp(NOW_MS + 5)
        )
        started, voided = await race.run(
            partial(database.journal.commit, start), voting(elsewhere, run, CAT, "deny", policy="sha256:next")
        )
        after = await stored(database, run.run.id)
        if isinstance(started, Landed):
            assert isinstance(voided, Refusal) and "It has started" in voided.text
            assert ("executing", "consumed", 1) == decided(after)
        else:
            assert Refused("stale") == started
            assert isinstance(voided, Decided) and "asked anew" in voided.text
            assert ("planning", "superseded", 0) == decided(after)
            assert Refused("stale") == await database.journal.commit(start), "and it stays refused"
        race.won("start" if isinstance(started, Landed) else "reload")
    race.was_one()
    assert [] == await broken(database)
