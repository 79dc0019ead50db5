"""Which open runs a pass over freezes looks at: those that stand still, are covered, or were lately; and no others."""

import itertools
from typing import Any

import pytest
from sqlalchemy import text

from core.ids import TENANT
from core.queue import SilentDoorbell
from core.record.freezes import FreezeRow, covers
from core.runs import freezing
from core.store import freezes
from core.store.session import Database
from tests.factories import IDS, NOW_MS, a_claimed_run, a_created_run, call_started, landed, stored
from tests.integration.store.looking import rows

HOUR = 3_600_000


async def written(database: Database, scope: str, scope_id: str = "*", thawed_at: int | None = None) -> FreezeRow:
    row = FreezeRow(TENANT, IDS.new("frz"), scope, scope_id, "ops", "", NOW_MS, thawed_at)
    sql = """INSERT INTO freezes (tenant, id, scope, scope_id, frozen_by, reason, frozen_at, thawed_at)
        VALUES (:tenant, :id, :scope, :scope_id, :frozen_by, :reason, :frozen_at, :thawed_at)"""
    values = {name: getattr(row, name) for name in row.__dataclass_fields__ if name != "thawed_by"}
    async with database.begin() as connection:
        await connection.execute(text(sql), values)
    return row


async def found(database: Database, since: int = NOW_MS - HOUR) -> list[str]:
    return (await freezes.concerned(database, thawed_since=since)).get(TENANT, [])


async def changed(database: Database, sql: str, **values: Any) -> None:
    async with database.begin() as connection:
        await connection.execute(text(sql), values)


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("page", [3, 500])
async def test_the_query_finds_what_the_rule_covers(
    database: Database, monkeypatch: pytest.MonkeyPatch, page: int, ended: bool
) -> None:
    monkeypatch.setattr(freezes, "PAGE", page)
    for n, (agent, channel, parent) in enumerate(
        itertools.product(("report", "checkup"), (None, "C1"), (None, "run_9"))
    ):
        run_id = f"run_{n}"
        await a_created_run(database, run_id=run_id, agent=agent, source_key=run_id)
        sql = "UPDATE runs SET channel = :channel, team = :channel, parent_id = :parent WHERE id = :id"
        await changed(database, sql, channel=channel, parent=parent, id=run_id)
    run = await a_claimed_run(database, run_id="run_9")
    await landed(database, call_started(run))
    every = [await stored(database, f"run_{n}") for n in (*range(8), 9)]
    scopes = [("run", "run_9"), ("run", "run_0"), ("agent", "report"), ("channel", "C1"), ("team", "C1")]
    for scope, scope_id in [*scopes, ("tool", "files.read"), ("tool", "other"), ("everything", "*")]:
        row = await written(database, scope, scope_id, NOW_MS if ended else None)
        wanted = [each.run.id for each in every if covers(row, each.run, {call.tool for call in each.calls})]
        assert sorted(wanted) == await found(database), (scope, scope_id)
        await changed(database, "DELETE FROM freezes")


async def test_nothing_is_looked_at_once_a_thaw_is_long_over(database: Database) -> None:
    run = await a_claimed_run(database)
    await written(database, "everything", thawed_at=NOW_MS)
    assert [run.run.id] == await found(database, NOW_MS)
    assert [] == await found(database, NOW_MS + 1)
    assert [run.run.id] == await found(database, await freezes.since_open_runs(database))
    await changed(database, "UPDATE runs SET created_at = :at", at=NOW_MS + 2 * HOUR)
    assert [] == await found(database, NOW_MS), "it was not there then"
    await changed(database, "UPDATE runs SET state = 'blocked', blocked_reason = 'frozen', lease_owner = NULL")
    assert [run.run.id] == await found(database, NOW_MS + 1)
    await changed(database, "DELETE FROM freezes")
    assert [run.run.id] == await found(database, NOW_MS + 1)


async def test_a_pass_takes_more_runs_than_a_statement_takes_values(database: Database) -> None:
    run = await a_created_run(database)
    names = [row["name"] for row in await _columns(database)]
    changes = {"id": "'run_' || n.i", "root_id": "'run_' || n.i", "source_key": "'many_' || n.i"}
    values = ", ".join(changes.get(name, f"r.{name}") for name in names)
    await changed(
        database,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 33000) "
        f"INSERT INTO runs ({', '.join(names)}) SELECT {values} FROM n, runs r WHERE r.id = :id",
        id=run.run.id,
    )
    await changed(database, "ANALYZE runs")
    await written(database, "everything", thawed_at=NOW_MS)
    assert 0 == await freezing.spread(database, SilentDoorbell(), now_ms=NOW_MS, whole=True)


async def _columns(database: Database) -> list[Any]:
    if database.dialect == "sqlite":
        return await rows(database, "SELECT name FROM pragma_table_info('runs')")
    return await rows(database, "SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'runs'")
