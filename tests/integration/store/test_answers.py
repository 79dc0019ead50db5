"""What the journal answers a change, on both databases, and that a refused change wrote nothing."""

from dataclasses import replace
from functools import partial

from core.record.changes import Landed, Refused
from core.record.rows import Snapshot
from core.runs import steps
from core.runs.commands.kill import kill
from core.runs.commands.request import accept
from core.store.lane import Target
from core.store.session import Database
from tests.factories import (
    IDS,
    NOW_MS,
    REQUESTER,
    SALT,
    FixedClock,
    a_claimed_run,
    a_created_run,
    a_request,
    a_worker,
    an_executing_run,
    artifact_row,
    call_started,
    claimed_by,
    ended,
    run_row,
    snapshot,
    stamp,
    stored,
    surface,
)
from tests.integration.store.looking import count_rows, everything_of


async def stopped(database: Database, run: Snapshot) -> None:
    decide = partial(kill, run_id=run.run.id, by=REQUESTER, reason="wrong file", now_ms=NOW_MS)
    await database.journal.command(run.run.tenant, Target(run_id=run.run.id), decide)


async def test_the_holders_change_lands_whole(database: Database) -> None:
    run = await a_claimed_run(database)
    change = call_started(run)
    assert Landed(run.run.version + 1) == await database.journal.commit(change)
    assert run.folded(change) == await stored(database, run.run.id)


async def test_a_change_computed_from_an_older_version_is_stale_and_writes_nothing(database: Database) -> None:
    run = await an_executing_run(database)
    call = run.calls[0]
    other = replace(steps.end_call(run, call, ended("failed", error="no"), stamp()), owner=None)
    assert isinstance(await database.journal.commit(other), Landed)
    before = await everything_of(database, run.run.id)
    late = steps.end_call(run, call, ended(stored=(_file(),)), stamp())
    assert Refused("stale") == await database.journal.commit(late)
    assert before == await everything_of(database, run.run.id)


async def test_a_worker_that_lost_the_run_is_fenced_and_writes_nothing(database: Database) -> None:
    run = await an_executing_run(database, "w1")
    await a_worker(database, "w2")
    async with database.begin() as connection:
        await connection.exec_driver_sql("DELETE FROM workers WHERE id = 'w1'")
    assert [run.run.id] == [taken.run.id for taken in await claimed_by(database, "w2")]
    before = await everything_of(database, run.run.id)
    assert Refused("fenced") == await database.journal.commit(steps.end_call(run, run.calls[0], ended(), stamp()))
    assert before == await everything_of(database, run.run.id)


async def test_a_worker_that_lost_the_run_and_got_it_again_is_fenced_where_it_goes_on_from_before(
    database: Database,
) -> None:
    run = await a_claimed_run(database)
    await database.journal.commit(steps.release(run, stamp(), due_at=NOW_MS))
    (again,) = await claimed_by(database, "w1", run.run.id)
    old = call_started(run)
    assert Refused("fenced") == await database.journal.commit(old)
    assert Refused("fenced") == await database.journal.commit(replace(old, version=again.run.version))
    assert again == await stored(database, run.run.id)


async def test_a_stopped_run_takes_nothing_from_a_holder_even_if_it_still_names_it(database: Database) -> None:
    run = await a_claimed_run(database)
    async with database.begin() as connection:
        await connection.exec_driver_sql("UPDATE runs SET killed_at = 1")
    assert Refused("killed") == await database.journal.commit(call_started(run))
    assert 0 == await count_rows(database, "tool_calls")


async def test_after_a_stop_the_holder_is_told_so_and_writes_nothing(database: Database) -> None:
    run = await an_executing_run(database)
    await stopped(database, run)
    before = await everything_of(database, run.run.id)
    assert Refused("killed") == await database.journal.commit(steps.end_call(run, run.calls[0], ended(), stamp()))
    assert Refused("killed") == await database.journal.commit(call_started(run))
    assert before == await everything_of(database, run.run.id)


async def test_a_second_run_with_the_same_source_key_is_a_duplicate_and_writes_nothing(database: Database) -> None:
    request = a_request(source_key="T1:C1:1.1", surface=surface())
    first, second = IDS.run(), IDS.run()
    assert Landed(0) == await database.journal.commit(accept(request, run_id=first, salt=SALT, now_ms=NOW_MS))
    again = replace(request, files=(artifact_row(second),))
    answer = await database.journal.commit(accept(again, run_id=second, salt=SALT, now_ms=NOW_MS))
    assert Refused("duplicate") == answer
    assert 1 == await count_rows(database, "runs")
    assert 0 == await count_rows(database, "artifacts")
    assert 0 == await count_rows(database, "events", "stream", second)
    assert 0 == await count_rows(database, "outbox", "run_id", second)


async def test_two_requests_with_one_key_in_one_batch_make_one_run(database: Database) -> None:
    request = a_request(source_key="T1:C1:1.1")
    answers = await _commit_all(
        database, [accept(request, run_id=IDS.run(), salt=SALT, now_ms=NOW_MS) for _ in range(5)]
    )
    assert 1 == answers.count(Landed(0))
    assert 4 == answers.count(Refused("duplicate"))
    assert 1 == await count_rows(database, "runs")


async def test_a_change_of_a_run_that_is_not_there_is_told_so(database: Database) -> None:
    ghost = snapshot(run_row(lease_owner="w1", fence=1))
    assert Refused("missing") == await database.journal.commit(call_started(ghost))
    assert 0 == await count_rows(database, "tool_calls")


async def test_a_change_lands_in_its_own_tenant_only(database: Database) -> None:
    run = await a_claimed_run(database)
    foreign = replace(call_started(run), tenant="other")
    assert Refused("missing") == await database.journal.commit(foreign)
    assert run == await stored(database, run.run.id)


async def test_a_released_run_can_be_claimed_again_and_lands_under_the_new_fence(database: Database) -> None:
    run = await a_claimed_run(database)
    assert isinstance(await database.journal.commit(steps.release(run, stamp(), due_at=NOW_MS)), Landed)
    (again,) = await claimed_by(database, "w1", run.run.id)
    assert run.run.fence + 1 == again.run.fence
    assert isinstance(await database.journal.commit(call_started(again)), Landed)


async def test_a_run_that_is_not_due_is_not_claimed(database: Database) -> None:
    run = await a_claimed_run(database)
    await database.journal.commit(steps.release(run, stamp(), due_at=NOW_MS + 5_000))
    assert [] == await claimed_by(database, "w1", run.run.id)
    later = FixedClock(NOW_MS + 5_000)
    assert [run.run.id] == [taken.run.id for taken in await claimed_by(database, "w1", clock=later)]


async def test_only_the_bot_touches_a_run_whose_context_is_not_loaded(database: Database) -> None:
    await a_worker(database)
    await a_created_run(database, loaded=False)
    assert [] == await claimed_by(database, "w1")


async def _commit_all(database: Database, changes: list) -> list:  # type: ignore[type-arg]
    import asyncio

    return list(await asyncio.gather(*(database.journal.commit(change) for change in changes)))


def _file() -> steps.Stored:
    return steps.Stored(IDS.artifact(), "chart.png", "cd" * 32, 10, "image/png")
