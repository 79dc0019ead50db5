"""A freeze at the last guard: what it covers does not land, what it does not cover does, whichever came first."""

import asyncio
import itertools
from typing import Any

import pytest
from sqlalchemy import text

from core.ids import TENANT
from core.record.changes import Landed, Refused
from core.record.freezes import FreezeChange, FreezeRow, Frozen, Scope, covers
from core.runs import steps
from core.store import freezes
from core.store.session import Database
from tests.factories import (
    IDS,
    NOW_MS,
    a_claimed_run,
    a_created_run,
    call_started,
    claimed_by,
    ended,
    landed,
    stamp,
    stored,
)
from tests.integration.store.looking import everything_of, rows
from tests.invariants import broken

INSERT = """INSERT INTO freezes (tenant, id, scope, scope_id, frozen_by, reason, frozen_at)
    VALUES (:tenant, :id, :scope, :scope_id, 'ops', 'why', :frozen_at)"""


def freeze(scope: str, scope_id: str = "*", **fields: Any) -> FreezeRow:
    values: dict[str, Any] = {"tenant": TENANT, "id": IDS.new("frz"), "frozen_by": "ops", "reason": "why"}
    return FreezeRow(**(values | {"frozen_at": NOW_MS, "scope": scope, "scope_id": scope_id} | fields))


async def frozen(database: Database, row: FreezeRow) -> FreezeRow:
    values = {name: getattr(row, name) for name in ("tenant", "id", "scope", "scope_id", "frozen_at")}
    async with database.begin() as connection:
        await connection.execute(text(INSERT), values)
    return row


@pytest.mark.parametrize("scope", ["run", "agent", "tool", "channel", "team", "everything"])
@pytest.mark.parametrize("hit", [True, False])
async def test_a_start_that_a_freeze_covers_is_refused_and_writes_nothing(
    database: Database, scope: str, hit: bool
) -> None:
    run = await a_claimed_run(database)
    async with database.begin() as connection:
        await connection.execute(text("UPDATE runs SET channel = 'C1', team = 'T1'"))
    names = {"run": run.run.id, "agent": run.run.agent, "tool": "files.read", "channel": "C1", "team": "T1"}
    elsewhere = {} if hit else {"tenant": "another"} if scope == "everything" else {"scope_id": "other"}
    await frozen(database, freeze(scope, **({"scope_id": names.get(scope, "*")} | elsewhere)))
    before = await everything_of(database, run.run.id)

    answer = await database.journal.commit(call_started(run))

    assert (Refused("frozen") if hit else Landed(run.run.version + 1)) == answer
    assert hit is (before == await everything_of(database, run.run.id))
    assert [] == await broken(database)


async def test_the_neighbours_of_a_frozen_change_land(database: Database) -> None:
    first = await a_claimed_run(database, agent="report")
    await a_created_run(database, run_id="run_second", agent="checkup", source_key="second")
    (second,) = await claimed_by(database, "w1", "run_second")
    await frozen(database, freeze("agent", "report"))
    answers = await asyncio.gather(*(database.journal.commit(call_started(run)) for run in (first, second)))
    assert [Refused("frozen"), Landed(second.run.version + 1)] == answers
    assert first == await stored(database, first.run.id)
    assert "executing" == (await stored(database, "run_second")).run.state


async def test_a_change_that_starts_nothing_lands_under_any_freeze(database: Database) -> None:
    run = await a_claimed_run(database)
    await landed(database, change := call_started(run))
    await frozen(database, freeze("everything"))
    both = call_started(run.folded(change))
    assert Refused("frozen") == await database.journal.commit(both), "its end came with the next start"
    here = run.folded(change)
    await landed(database, steps.end_call(here, here.calls[0], ended(), stamp()))


async def test_a_thawed_freeze_stops_nothing(database: Database) -> None:
    run = await a_claimed_run(database)
    row = await frozen(database, freeze("everything"))
    async with database.begin() as connection:
        await connection.execute(text(f"UPDATE freezes SET thawed_at = 1 WHERE id = '{row.id}'"))
    await landed(database, call_started(run))


async def test_a_start_that_waits_behind_a_freeze_sees_it(database: Database, database_url: str) -> None:
    """The statement that starts it has begun before the freeze is committed, and looks again after."""
    run = await a_claimed_run(database)
    other = Database(database_url)
    row = freeze("everything")
    values = {name: getattr(row, name) for name in ("tenant", "id", "scope", "scope_id", "frozen_at")}
    async with other.begin() as connection:
        if database.dialect != "sqlite":
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({freezes.STARTS_LOCK})"))
        await connection.execute(text(INSERT), values)
        starting = asyncio.create_task(database.journal.commit(call_started(run)))
        await _stands_in_line(database)
        assert not starting.done()
    assert Refused("frozen") == await starting
    assert [] == await rows(database, "SELECT * FROM call_attempts")
    await other.close()


async def test_a_freeze_waits_for_a_start_that_is_being_committed(database: Database, database_url: str) -> None:
    if database.dialect == "sqlite":
        return  # one writer at a time
    other = Database(database_url)
    async with other.begin() as connection:
        await connection.execute(text("SELECT count(*) FROM open_freezes()"))
        freezing = asyncio.create_task(frozen_by_command(database))
        await _stands_in_line(database)
        assert not freezing.done()
    await freezing
    await other.close()


async def frozen_by_command(database: Database) -> None:
    def command(_: FreezeRow | None) -> FreezeChange:
        return FreezeChange(freeze("everything"), "frozen")

    await freezes.decide(database, TENANT, Frozen(Scope.EVERYTHING), command)


async def _stands_in_line(database: Database) -> None:
    """Until somebody waits for the lock of starts; on SQLite a moment, for its queue cannot be looked at."""
    if database.dialect == "sqlite":
        await asyncio.sleep(0.1)
        return
    sql = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    while not await rows(database, sql):  # noqa: ASYNC110  # what it waits for is in a database
        await asyncio.sleep(0.01)


async def test_the_databases_condition_covers_what_the_rule_covers(database: Database) -> None:
    """Every scope against runs that differ in one thing: the value's rule and the guard's answer agree."""
    known = {"run": ("run_a", "run_b"), "agent": ("report", "checkup"), "tool": ("files.read", "shell"),
             "channel": ("C1", "C2"), "team": ("T1", "T2"), "everything": ("*",)}  # fmt: skip
    places = list(itertools.product(("report", "checkup"), (None, "C1"), (None, "T1"), (None, "run_a")))
    await a_claimed_run(database, run_id="run_a")
    for n, (agent, channel, team, parent) in enumerate(places):
        run_id = f"run_{n}"
        await a_created_run(database, run_id=run_id, agent=agent, source_key=run_id)
        async with database.begin() as connection:
            await connection.execute(
                text("UPDATE runs SET channel = :channel, team = :team, parent_id = :parent WHERE id = :id"),
                {"channel": channel, "team": team, "parent": parent, "id": run_id},
            )
    claimed = await claimed_by(database, "w1", *(f"run_{n}" for n in range(len(places))))
    assert len(places) == len(claimed)
    for scope, ids in known.items():
        for scope_id in ids:
            row = await frozen(database, freeze(scope, scope_id))
            wanted = [covers(row, each.run, ("files.read",)) for each in claimed]
            starts = [call_started(each) for each, covered in zip(claimed, wanted, strict=True) if covered]
            guarded = await database.lane.apply(starts)
            assert [Refused("frozen")] * sum(wanted) == guarded, (scope, scope_id)
            free = [each for each, covered in zip(claimed, wanted, strict=True) if not covered]
            now = await database.lane.apply([call_started(each) for each in free])
            assert all(isinstance(answer, Landed) for answer in now), (scope, scope_id)
            async with database.begin() as connection:
                await connection.execute(text("UPDATE freezes SET thawed_at = 1"))
            claimed = [await stored(database, each.run.id) for each in claimed]
