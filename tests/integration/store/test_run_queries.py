"""Queries about runs: what a person may mean, what is due, what is stranded, what is not yet proved stopped."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from core.record.changes import Insert
from core.record.states import RunState
from core.runs import steps
from core.runs.commands.kill import kill
from core.store import documents, runs
from core.store.session import Database
from tests.factories import (
    MEMBER,
    NOW_MS,
    REQUESTER,
    a_claimed_run,
    a_created_run,
    a_request,
    an_executing_run,
    artifact_row,
    landed,
    run_row,
    stamp,
    surface,
)

RUN = "run_01kb2x9v7n4m8q3z5t6w0yabcd"


@pytest.mark.parametrize("meant", [RUN, "abcd", "0yabcd", f"  {RUN.upper()} ", "ABCD"])
async def test_a_run_is_found_by_its_id_or_its_tail(database: Database, meant: str) -> None:
    await a_created_run(database, RUN)
    await a_created_run(database)
    assert [RUN] == await runs.resolve(database, "main", meant)


@pytest.mark.parametrize("meant", ["", "bcd", "%", "%%%%", "____", "a___", "run%", "run_", "'; --", "run_01kb", "abc_"])
async def test_what_is_no_id_and_no_tail_finds_nothing(database: Database, meant: str) -> None:
    await a_created_run(database, RUN)
    assert [] == await runs.resolve(database, "main", meant)


async def test_another_tenants_run_is_not_found(database: Database) -> None:
    await a_created_run(database, RUN)
    assert [] == await runs.resolve(database, "other", RUN)
    assert await runs.snapshot(database, "other", RUN) is None
    assert [] == await runs.listed(database, "other")
    assert [] == list(await runs.event_rows(database, "other", RUN))


async def test_a_run_is_found_by_what_asked_for_it(database: Database) -> None:
    run = await a_created_run(database, source_key="T1:C1:1.1")
    assert run == await runs.find_by_source(database, "main", "T1:C1:1.1")
    assert await runs.find_by_source(database, "main", "T1:C1:1.2") is None


async def test_runs_are_listed_newest_first_by_what_is_asked_of_them(database: Database) -> None:
    here = surface()
    one = await a_created_run(database, surface=here)
    two = await an_executing_run(database, requester=MEMBER)
    three = await a_created_run(database, agent="checkup", loaded=False)
    await landed(database, kill([one], run_id=one.run.id, by=REQUESTER, reason="", now_ms=NOW_MS).changes[0])  # type: ignore[union-attr]
    names = {one.run.id: 1, two.run.id: 2, three.run.id: 3}

    async def listed(**asked: object) -> list[int]:
        return [names[row.id] for row in await runs.listed(database, "main", **asked)]  # type: ignore[arg-type]

    assert [3, 2, 1] == await listed()
    assert [2] == await listed(state=RunState.EXECUTING)
    assert [2] == await listed(requester=MEMBER.id)
    assert [3] == await listed(agent="checkup")
    assert [1] == await listed(channel=here.channel, thread_ts=here.thread_ts)
    assert [3, 2] == await listed(open_only=True)
    assert [3] == await listed(limit=1)


async def test_a_log_is_read_in_order(database: Database) -> None:
    run = await an_executing_run(database)
    listed = await runs.event_rows(database, "main", run.run.id)
    assert list(range(1, run.run.event_seq + 1)) == [row["seq"] for row in listed]
    assert run.run.event_hash == listed[-1]["hash"]


async def test_what_a_run_pinned_can_be_read_by_content(database: Database) -> None:
    run = await a_created_run(database)
    found = await documents.find(database, "main", run.run.agent_digest)
    assert found == documents.Document("playbook", "name: report")
    assert await documents.find(database, "other", run.run.agent_digest) is None


async def test_a_stored_file_is_found_by_its_id_in_its_tenant(database: Database) -> None:
    file = artifact_row("run_x")
    run = await a_created_run(database, "run_x", files=(file,))
    assert file == await runs.artifact(database, "main", file.id)
    assert await runs.artifact(database, "other", file.id) is None
    assert (file,) == run.artifacts


async def test_a_run_is_stranded_if_it_is_due_for_long_and_nobody_holds_it(database: Database) -> None:
    late = await a_created_run(database)
    await a_claimed_run(database)
    await a_created_run(database, loaded=False)
    dead = await a_created_run(database)
    await landed(database, kill([dead], run_id=dead.run.id, by=REQUESTER, reason="", now_ms=NOW_MS).changes[0])  # type: ignore[union-attr]
    found = await runs.stranded(database, before_ms=NOW_MS + 1, limit=10)
    assert late.run.id in [run_id for run_id, _ in found]
    assert dead.run.id not in [run_id for run_id, _ in found]
    assert [] == await runs.stranded(database, before_ms=NOW_MS, limit=10)


async def test_there_is_work_only_if_something_is_due(database: Database) -> None:
    assert not await runs.any_due(database, NOW_MS)
    run = await a_claimed_run(database)
    assert await runs.any_due(database, NOW_MS)
    await landed(database, steps.release(run, stamp(), due_at=NOW_MS + 10))
    assert not await runs.any_due(database, NOW_MS + 9)
    assert await runs.any_due(database, NOW_MS + 10)


async def test_stops_to_prove_are_those_that_worked_on_this_host(database: Database) -> None:
    run = await an_executing_run(database)
    await a_created_run(database)
    assert [] == await runs.unconfirmed_stops(database, "host-1")
    await landed(database, kill([run], run_id=run.run.id, by=REQUESTER, reason="", now_ms=NOW_MS).changes[0])  # type: ignore[union-attr]
    open_stop = runs.OpenStop(run.run.tenant, run.run.id, run.run.fence + 1, frozenset({"w1"}))
    assert [open_stop] == await runs.unconfirmed_stops(database, "host-1")
    assert [run.run.id] == await runs.killed_among(database, [run.run.id, "run_x"])
    assert [] == await runs.unconfirmed_stops(database, "host-2")
    async with database.begin() as connection:
        await connection.execute(text("UPDATE runs SET stop_confirmed_at = 1"))
    assert [] == await runs.unconfirmed_stops(database, "host-1")


async def test_one_run_with_many_attempts_does_not_hide_other_stops(database: Database) -> None:
    many, other = await an_executing_run(database), await an_executing_run(database, "w2")
    for n in range(2, runs.MAX_LIST + 3):
        row = {"tenant": many.run.tenant, "call_id": many.calls[0].id, "n": n, "run_id": many.run.id, "worker": "w1"}
        row |= {"host": "host-1", "fence": n, "started_at": NOW_MS, "status": "lost"}
        await database.journal.record([Insert("call_attempts", row)])
    for run in (many, other):
        await landed(database, kill([run], run_id=run.run.id, by=REQUESTER, reason="", now_ms=NOW_MS).changes[0])  # type: ignore[union-attr]
    found = await runs.unconfirmed_stops(database, "host-1")
    assert {many.run.id, other.run.id} == {stop.run_id for stop in found}


async def test_a_request_can_be_asked_twice_on_one_connection(database: Database) -> None:
    """The default row and the stored row are the same value, whatever the database filled in."""
    run = await a_created_run(database)
    assert (
        replace(run_row(id=run.run.id), **{name: getattr(run.run, name) for name in run.run.__dataclass_fields__})
        == run.run
    )
    assert a_request().digest() == run.run.request_digest
