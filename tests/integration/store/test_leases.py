"""Leases by the database's clock: one holder per run, a dead one is replaced and refused, a living one is respected."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import text

from core.record.changes import Landed, Refused
from core.runs import steps
from core.runs.leases import LEASE_S, SELF_FENCE_S, Lease
from core.store import workers
from core.store.session import Database
from core.store.workers import Renewed
from tests.factories import (
    BOOT_ID,
    NOW_MS,
    FixedClock,
    a_created_run,
    a_worker,
    an_executing_run,
    call_started,
    claimed_by,
    ended,
    identity,
    stamp,
    stored,
)
from tests.integration.store.looking import rows

LEASE_MS = int(LEASE_S * 1000)


async def lease_runs_out(database: Database, clock: FixedClock, worker: str = "w1") -> None:
    """Make the worker's lease end, on whichever clock counts."""
    clock.advance(LEASE_MS + 1)
    if database.dialect == "postgresql":
        async with database.begin() as connection:
            await connection.execute(
                text("UPDATE workers SET until = until - :ms WHERE id = :id"), {"ms": LEASE_MS, "id": worker}
            )


async def test_a_claim_raises_the_fence_by_one(database: Database) -> None:
    await a_worker(database)
    run = await a_created_run(database)
    (claimed,) = await claimed_by(database, "w1")
    assert ("w1", run.run.fence + 1) == (claimed.run.lease_owner, claimed.run.fence)
    assert claimed == await stored(database, run.run.id)


async def test_a_living_holder_is_respected(database: Database) -> None:
    run = await an_executing_run(database, "w1")
    await a_worker(database, "w2")
    assert [] == await claimed_by(database, "w2")
    assert [] == await claimed_by(database, "w1", run.run.id)


async def test_each_due_run_goes_to_one_worker(database: Database) -> None:
    await a_worker(database, "w1")
    await a_worker(database, "w2")
    made = {(await a_created_run(database)).run.id for _ in range(6)}
    taken = [run.run.id for worker in ("w1", "w2") for run in await claimed_by(database, worker)]
    assert sorted(made) == sorted(taken)


async def test_a_holder_whose_lease_ran_out_is_replaced_and_refused_at_every_write(database: Database) -> None:
    clock = FixedClock()
    await a_worker(database, "w1", clock=clock)
    await a_created_run(database)
    (run,) = await claimed_by(database, "w1", clock=clock)
    started = call_started(run)
    assert isinstance(await database.journal.commit(started), Landed)
    run = run.folded(started)
    await lease_runs_out(database, clock)
    await a_worker(database, "w2", clock=clock)
    (taken,) = await claimed_by(database, "w2", clock=clock)
    assert run.run.fence + 1 == taken.run.fence
    by = stamp()
    # A result, a retry, another attempt, a release, a new start: the old holder gets nothing in.
    late = [
        steps.end_call(run, run.calls[0], ended(), by),
        steps.end_call(run, run.calls[0], ended("unknown", retry_in_ms=10), by),
        steps.start_again(run, run.calls[0], why="again", stamp=by),
        steps.release(run, by, due_at=NOW_MS),
        call_started(run),
    ]
    for change in late:
        assert Refused("fenced") == await database.journal.commit(change)
        # Even one that has learned the new version.
        assert Refused("fenced") == await database.journal.commit(replace(change, version=taken.run.version))
    assert taken == await stored(database, run.run.id)
    assert isinstance(
        await database.journal.commit(
            steps.start_again(taken, taken.calls[0], why="w1 is gone", stamp=stamp(worker="w2"))
        ),
        Landed,
    )


async def test_a_holder_without_a_row_is_replaced(database: Database) -> None:
    run = await an_executing_run(database, "w1")
    await workers.remove(database, "w1")
    await a_worker(database, "w2")
    assert [run.run.id] == [taken.run.id for taken in await claimed_by(database, "w2")]


async def test_on_sqlite_a_lease_of_another_boot_is_over_whatever_its_number(database: Database) -> None:
    clock = FixedClock()
    await a_worker(database, "w1", clock=clock)
    run = await a_created_run(database)
    await claimed_by(database, "w1", clock=clock)
    after_reboot = FixedClock(boot_ms=10)
    await a_worker(database, "w2", clock=after_reboot, boot_id="boot-2")
    taken = await claimed_by(database, "w2", clock=after_reboot, boot_id="boot-2")
    expected = [run.run.id] if database.dialect == "sqlite" else []
    assert expected == [found.run.id for found in taken]


async def test_renewing_extends_the_lease(database: Database) -> None:
    clock = FixedClock()
    lease = await a_worker(database, "w1", clock=clock)
    (before,) = await rows(database, "SELECT until FROM workers")
    clock.advance(3_000)
    assert Renewed(lost=[], idle=[]) == await lease.renew([])
    (after,) = await rows(database, "SELECT until FROM workers")
    assert after["until"] > before["until"]


async def test_a_lease_that_had_to_wait_for_its_row_is_as_long_as_any(database: Database) -> None:
    """On the server it counts from when it is written; on SQLite from when it was asked for, by the asker's clock."""
    clock = FixedClock()
    lease = await a_worker(database, "w1", clock=clock)
    if database.dialect == "sqlite":
        least = clock.boot_ms()
        await lease.renew([])
    else:
        async with database.begin() as holding:
            await holding.execute(text("UPDATE workers SET pid = pid + 1 WHERE id = 'w1'"))
            renewing = asyncio.create_task(lease.renew([]))
            while not await _somebody_waits(database):
                assert not renewing.done()
            await holding.execute(text("SELECT pg_sleep(0.2)"))
            least = await database.now_ms(holding)
        await renewing
    (row,) = await rows(database, "SELECT until FROM workers")
    assert least + LEASE_MS <= row["until"]


async def _somebody_waits(database: Database) -> bool:
    return bool(await rows(database, "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))


async def test_renewing_names_the_runs_that_are_no_longer_ours_and_those_nobody_drives(database: Database) -> None:
    clock = FixedClock()
    lease = await a_worker(database, "w1", clock=clock)
    runs = [await a_created_run(database) for _ in range(5)]
    kept, stopped, lost, released, forgotten = await claimed_by(database, "w1", clock=clock)
    async with database.begin() as connection:
        await connection.execute(text("UPDATE runs SET killed_at = 1 WHERE id = :id"), {"id": stopped.run.id})
        await connection.execute(
            text("UPDATE runs SET lease_owner = 'w2', fence = fence + 1 WHERE id = :id"), {"id": lost.run.id}
        )
    await database.journal.commit(steps.release(released, stamp(), due_at=NOW_MS))
    driving = [(run.run.tenant, run.run.id, run.run.fence) for run in (kept, stopped, lost, released)]
    ghost = ("main", "run_nowhere", 1)
    renewed = await lease.renew([*driving, ghost])
    assert {(run.run.tenant, run.run.id, run.run.fence) for run in (stopped, lost, released)} | {ghost} == set(
        renewed.lost
    )
    assert [("main", forgotten.run.id)] == renewed.idle
    assert 5 == len(runs)


async def test_a_worker_whose_row_is_gone_loses_everything_and_registers_again(database: Database) -> None:
    lease = await a_worker(database, "w1")
    run = await a_created_run(database)
    (claimed,) = await claimed_by(database, "w1")
    await workers.remove(database, "w1")
    renewed = await lease.renew([("main", run.run.id, claimed.run.fence)])
    assert Renewed(lost=[("main", run.run.id, claimed.run.fence)], idle=[]) == renewed
    assert [("w1", "host-1")] == await workers.alive(database, boot_ms=1_000_000, boot_id=BOOT_ID)


@pytest.mark.parametrize("jump_ms", [-7_200_000, 7_200_000])
async def test_a_worker_fences_itself_by_the_boot_clock_alone(database: Database, jump_ms: int) -> None:
    clock = FixedClock()
    lease = Lease(database, identity(), clock)
    assert not lease.holds
    await lease.acquire()
    clock.jump_wall(jump_ms)
    assert lease.holds
    clock.advance(int(SELF_FENCE_S * 1000) - 1)
    assert lease.holds
    clock.advance(1)
    assert not lease.holds
    await lease.renew([])
    assert lease.holds


@pytest.mark.parametrize("jump_ms", [-600_000, 600_000])
async def test_a_wall_clock_that_jumps_neither_ends_a_lease_nor_prolongs_it(database: Database, jump_ms: int) -> None:
    clock, others = FixedClock(), FixedClock()
    lease = await a_worker(database, "w1", clock=clock)
    await a_created_run(database)
    (run,) = await claimed_by(database, "w1", clock=clock)
    await a_worker(database, "w2", clock=others)
    (before,) = await rows(database, "SELECT until FROM workers WHERE id = 'w1'")

    clock.jump_wall(jump_ms)

    # The one whose clock was set goes on: it renews for as long as ever, and what it writes lands.
    assert lease.holds
    assert Renewed(lost=[], idle=[]) == await lease.renew([(run.run.tenant, run.run.id, run.run.fence)])
    (after,) = await rows(database, "SELECT until FROM workers WHERE id = 'w1'")
    assert 0 <= after["until"] - before["until"] < LEASE_MS
    assert isinstance(await database.journal.commit(call_started(run)), Landed)
    # Nobody takes it for dead, whoever is right about the time, and when its lease is over it is.
    assert [] == await claimed_by(database, "w2", clock=others)
    assert [] == await claimed_by(database, "w2", clock=clock)
    others.advance(LEASE_MS + 1)
    await lease_runs_out(database, clock)
    assert not lease.holds
    assert [run.run.id] == [taken.run.id for taken in await claimed_by(database, "w2", clock=others)]


async def test_giving_up_frees_what_the_worker_held_at_once(database: Database) -> None:
    lease = await a_worker(database, "w1")
    run = await a_created_run(database)
    await claimed_by(database, "w1")
    await lease.give_up()
    await a_worker(database, "w2")
    assert [run.run.id] == [found.run.id for found in await claimed_by(database, "w2")]


async def test_rows_of_dead_workers_go_unless_they_still_hold_a_run(database: Database) -> None:
    clock = FixedClock()
    await an_executing_run(database, "holds")
    await a_worker(database, "idle", clock=clock)
    await a_worker(database, "alive", clock=clock)
    for worker in ("holds", "idle"):
        async with database.begin() as connection:
            await connection.execute(text("UPDATE workers SET until = 0 WHERE id = :id"), {"id": worker})
    swept = await workers.sweep_dead(database, boot_ms=clock.boot_ms(), boot_id=BOOT_ID, after_ms=0)
    assert 1 == swept
    assert {"holds", "alive"} == {row["id"] for row in await rows(database, "SELECT id FROM workers")}


async def test_one_process_leads_until_its_term_is_over(database: Database) -> None:
    async def lead(owner: str, boot_ms: int) -> bool:
        return await workers.lead(database, "sweeper", owner, boot_ms=boot_ms, lease_ms=30_000)

    assert await lead("a", 1_000_000)
    assert not await lead("b", 1_000_000)
    assert await lead("a", 1_010_000)
    assert not await lead("b", 1_030_000)
    if database.dialect == "postgresql":
        async with database.begin() as connection:
            await connection.execute(text("UPDATE leaders SET until = until - 40001"))
    assert await lead("b", 1_040_001)
    assert not await lead("a", 1_040_001)


async def test_on_sqlite_a_leader_of_an_earlier_boot_does_not_lead_for_ever(database: Database) -> None:
    async def lead(owner: str, boot_ms: int) -> bool:
        return await workers.lead(database, "sweeper", owner, boot_ms=boot_ms, lease_ms=30_000)

    assert await lead("before the reboot", 90_000_000)
    assert (database.dialect == "sqlite") is await lead("after it", 1_000)
