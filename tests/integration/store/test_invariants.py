"""Each invariant can fail: a planted violation makes exactly its query answer."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.record.rows import Snapshot
from core.runs import steps
from core.runs.commands.kill import kill
from core.store.session import Database
from tests.databases import sqlite_url
from tests.factories import NOW_MS, REQUESTER, an_executing_run, ended, landed, stamp
from tests.invariants import INVARIANTS, broken, broken_in


@pytest.fixture
async def path(tmp_path: Path, sqlite_template: Path) -> Path:
    """A file with a good history: run A completed a call and goes on, run B was stopped in the middle of one."""
    shutil.copy(sqlite_template, tmp_path / "b.db")
    database = Database(sqlite_url(tmp_path / "b.db"))
    a = await an_executing_run(database, "w1", source_key="a")
    await landed(database, steps.end_call(a, a.calls[0], ended(), stamp()))
    b = await an_executing_run(database, "w2", source_key="b")
    await stop(database, b)
    assert [] == await broken(database)
    await database.close()
    return tmp_path / "b.db"


async def stop(database: Database, run: Snapshot) -> None:
    decided = kill([run], run_id=run.run.id, by=REQUESTER, reason="", now_ms=NOW_MS)
    await landed(database, decided.changes[0])  # type: ignore[union-attr]


@pytest.fixture
def tampering(path: Path) -> Iterator[sqlite3.Connection]:
    """The file without its guards: no foreign keys, no triggers, no checks."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for name in ("events_no_update", "events_no_delete"):
            connection.execute(f"DROP TRIGGER {name}")
        yield connection


A, B = "(SELECT id FROM runs WHERE source_key = 'a')", "(SELECT id FROM runs WHERE source_key = 'b')"
APPROVED = (
    "INSERT INTO approvals (tenant, id, run_id, call_id, kind, action_digest, effect_digest, policy_digest, rule, "
    "status, quorum, asked_at, expires_at) "
    "SELECT tenant, 'apr', run_id, id, 'ask', 'd', 'd', 'd', 'r', 'denied', 1, 1, 1 "
    f"FROM tool_calls WHERE run_id = {A}"
)
LATE = (
    "INSERT INTO late_results (tenant, id, run_id, call_id, fence, status, at) "
    f"SELECT tenant, 'late', run_id, id, end_fence, 'succeeded', 1 FROM tool_calls WHERE run_id = {A}"
)
VIOLATIONS = [
    ("I1: only", f"UPDATE events SET from_state = 'completed' WHERE stream = {A} AND to_state = 'executing'"),
    ("I1: a run begins", f"UPDATE events SET from_state = NULL WHERE stream = {A} AND to_state = 'executing'"),
    ("I2: each stream", f"DELETE FROM events WHERE stream = {A} AND seq = 3"),
    ("I2: each stream", f"UPDATE events SET prev_hash = 'x' WHERE stream = {A} AND seq = 3"),
    ("I2: the run remembers", f"UPDATE runs SET event_seq = event_seq - 1 WHERE id = {A}"),
    ("I2: the run remembers", f"UPDATE runs SET event_hash = 'x' WHERE id = {A}"),
    ("I3", f"UPDATE runs SET state = 'executing' WHERE id = {A}"),
    ("I4", f"UPDATE events SET from_state = 'executing' WHERE stream = {A} AND to_state = 'executing'"),
    ("I5", f"UPDATE events SET actor_id = '' WHERE stream = {A} AND seq = 1"),
    ("I5", f"UPDATE events SET actor_kind = 'agent' WHERE stream = {A} AND seq = 1"),
    ("I6", f"UPDATE events SET fence = 99 WHERE stream = {A} AND seq = 2"),
    ("I7", f"UPDATE runs SET lease_owner = 'w9' WHERE id = {B}"),
    ("I8: nothing starts", f"UPDATE tool_calls SET start_fence = 2 WHERE run_id = {B}"),
    ("I8: no attempt", f"UPDATE call_attempts SET fence = 2 WHERE run_id = {B}"),
    ("I17", f"{APPROVED}; UPDATE tool_calls SET approval_id = 'apr' WHERE run_id = {A}"),
    ("I20", f"UPDATE runs SET state = 'completed' WHERE id = {B}"),
    ("I21", f"UPDATE tool_calls SET status = 'unknown' WHERE run_id = {A}"),
    ("I22", f"UPDATE tool_calls SET end_fence = 7 WHERE run_id = {A}"),
    ("I26", "ALTER TABLE runs RENAME TO old; CREATE TABLE runs AS SELECT * FROM old UNION ALL SELECT * FROM old"),
    ("I32", LATE),
    ("I37", f"UPDATE call_attempts SET n = 2 WHERE run_id = {A}"),
]


@pytest.mark.parametrize(("name", "sql"), VIOLATIONS, ids=[f"{name}-{n}" for n, (name, _) in enumerate(VIOLATIONS)])
def test_a_violation_is_seen(tampering: sqlite3.Connection, name: str, sql: str) -> None:
    tampering.executescript(sql)
    assert [line for line in broken_in(tampering) if line.startswith(name)]


def test_every_invariant_has_a_violation() -> None:
    for name, _ in INVARIANTS:
        assert any(name.startswith(planted) for planted, _ in VIOLATIONS), name
