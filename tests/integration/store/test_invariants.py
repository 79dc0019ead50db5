"""Every rule on both databases: silent on a good history, and each one answers to a violation planted for it.

The databases in which violations are planted have lost every constraint and trigger, for the schema itself prevents
most of them.
"""

import asyncio
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import make_url, text

from core.artifacts import FileStore
from core.errors import ConfigError
from core.store.examining import MOST_SHOWN, Examined, examine
from core.store.invariants import INVARIANTS, NOT_HERE
from core.store.readonly import TooSlow, looking
from core.store.session import Database
from tests.databases import empty, sqlite_url
from tests.factories import BOOT_ID, FixedClock, a_claimed_run, call_started, landed
from tests.integration.store.histories import History
from tests.servers import PostgresServer

WALKS = (
    ("I2", "each event has the hash"),
    ("I13", "stored actions have the digests"),
    ("I15", "who approved had seen"),
    ("I19", "what runs pinned"),
    ("I19", "each file is in the artifact store"),
    ("I40", "the log alone tells"),
)


@dataclass(frozen=True)
class Place:
    """A database with a history, and its files."""

    url: str
    files: Path
    now_ms: int

    async def examined(self, **options: float) -> list[Examined]:
        async with looking(self.url, **options) as look:
            return await examine(look, FileStore(self.files), FixedClock(self.now_ms), BOOT_ID)

    async def plant(self, sql: str) -> None:
        if self.url.startswith("sqlite"):
            with closing(sqlite3.connect(self.url.partition(":///")[2])) as connection:
                connection.executescript(sql)
            return
        connection = await _connect(self.url)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


async def _connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))


def strip_sqlite(path: Path) -> None:
    """Make every table a plain one."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version'")
        for (name,) in tables.fetchall():
            connection.executescript(
                f"PRAGMA foreign_keys = OFF; CREATE TABLE plain AS SELECT * FROM {name}; DROP TABLE {name}; "
                f"ALTER TABLE plain RENAME TO {name};"
            )


STRIP_POSTGRES = """DO $$ DECLARE c record; BEGIN
  FOR c IN SELECT conname, conrelid::regclass AS t FROM pg_constraint
           WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'c', 'f') LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I CASCADE', c.t, c.conname);
  END LOOP; END $$;
DROP TRIGGER events_no_change ON events; DROP TRIGGER events_no_truncate ON events; DROP INDEX IF EXISTS uq_freezes_open
"""


@pytest.fixture(scope="session")
def lived(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, postgres_server: PostgresServer,
    migrated_postgres: str,
) -> dict[str, Place]:  # fmt: skip
    """The good history on both databases, as the product left it, and without constraints."""
    home = tmp_path_factory.mktemp("lived")
    shutil.copy(sqlite_template, home / "good.db")
    asyncio.run(empty(migrated_postgres))
    postgres = postgres_server.create_database("lived_good", make_url(migrated_postgres).database)
    found = {}
    for kind, url in (("sqlite", sqlite_url(home / "good.db")), ("postgres", postgres)):
        place = Place(url, home / kind, time.time_ns() // 1_000_000)
        place.files.mkdir()
        asyncio.run(_live(place))
        found[kind] = place
    shutil.copy(home / "good.db", home / "stripped.db")
    strip_sqlite(home / "stripped.db")
    stripped = postgres_server.create_database("lived_stripped", "lived_good")
    asyncio.run(Place(stripped, home, 0).plant(STRIP_POSTGRES))
    found["sqlite-stripped"] = Place(sqlite_url(home / "stripped.db"), home / "sqlite", found["sqlite"].now_ms)
    found["postgres-stripped"] = Place(stripped, home / "postgres", found["postgres"].now_ms)
    return found


async def _live(place: Place) -> None:
    database = Database(place.url)
    await History(database, place.files, place.now_ms).write()
    await database.close()


@pytest.fixture(params=["sqlite", "postgres"])
def copy(
    request: pytest.FixtureRequest, lived: dict[str, Place], tmp_path: Path, postgres_server: PostgresServer
) -> Iterator[Callable[[str], Place]]:
    """Copies a kind of place for the test alone."""
    made = []

    def get(suffix: str = "") -> Place:
        place = lived[request.param + suffix]
        shutil.copytree(place.files, tmp_path / "files")
        if request.param == "sqlite":
            shutil.copy(place.url.partition(":///")[2], tmp_path / "copy.db")
            return Place(sqlite_url(tmp_path / "copy.db"), tmp_path / "files", place.now_ms)
        made.append(f"copy_{time.monotonic_ns()}")
        url = postgres_server.create_database(made[-1], make_url(place.url).database)
        return Place(url, tmp_path / "files", place.now_ms)

    yield get
    for name in made:
        postgres_server.drop(name)


def of(key: str) -> str:
    return f"(SELECT id FROM runs WHERE source_key = '{key}')"


GATED = "(SELECT id FROM tool_calls WHERE needs_approval = 1 AND status = 'succeeded')"
MADE = "(SELECT call_id FROM artifacts WHERE name = 'made.txt')"
BUDGET = (
    "INSERT INTO budgets (tenant, id, scope, scope_id, unit, period, cap, used, warned, created_at) "
    "VALUES ('main', 'b', 's', 's', 'u', 'p', 10, 0, 0, 1);"
)
SPEND = "INSERT INTO spend (tenant, id, budget_id, run_id, reserved, settled, reserved_at, lost) VALUES "
LATE = (
    "INSERT INTO late_results (tenant, id, run_id, call_id, fence, status, at) "
    f"SELECT tenant, 'late', run_id, id, end_fence, 'succeeded', 1 FROM tool_calls WHERE id = {MADE}"
)
INBOX = (
    "INSERT INTO inbox (tenant, dedupe_key, kind, body_json, received_at, attempts) "
    "VALUES ('main', 'k', 'slack', '{}', 1, 0)"
)
OPAQUE = "(SELECT id FROM tool_calls WHERE step = 'try')"
VIOLATIONS = [
    ("I1", "only", f"UPDATE events SET from_state = 'completed' WHERE stream = {of('done')} AND seq = 3"),
    (
        "I1",
        "a run begins",
        f"UPDATE events SET from_state = NULL WHERE stream = {of('going')} AND to_state = 'planning'",
    ),
    ("I2", "each stream", f"DELETE FROM events WHERE stream = {of('done')} AND seq = 3"),
    ("I2", "each stream", f"UPDATE events SET prev_hash = 'x' WHERE stream = {of('done')} AND seq = 3"),
    ("I2", "the run remembers", f"UPDATE runs SET event_seq = event_seq - 1 WHERE id = {of('done')}"),
    ("I2", "the run remembers", f"UPDATE runs SET event_hash = 'x' WHERE id = {of('done')}"),
    ("I2", "each event has", f"UPDATE events SET body = body || ' ' WHERE stream = {of('done')} AND seq = 3"),
    ("I2", "each event has", f"UPDATE events SET actor_id = 'x' WHERE stream = {of('done')} AND seq = 3"),
    ("I3", "", f"UPDATE runs SET state = 'failed' WHERE id = {of('done')}"),
    ("I4", "", f"UPDATE events SET from_state = 'blocked' WHERE stream = {of('going')} AND to_state = 'planning'"),
    ("I5", "", f"UPDATE events SET actor_id = '' WHERE stream = {of('done')} AND seq = 1"),
    ("I5", "", f"UPDATE events SET actor_kind = 'agent' WHERE stream = {of('done')} AND seq = 1"),
    ("I6", "", f"UPDATE events SET fence = 99 WHERE stream = {of('done')} AND seq = 2"),
    ("I7", "", f"UPDATE runs SET lease_owner = 'w9' WHERE id = {of('stopped')}"),
    ("I8", "nothing starts", f"UPDATE tool_calls SET start_fence = 2 WHERE run_id = {of('stopped')}"),
    ("I8", "no attempt", f"UPDATE call_attempts SET fence = 2 WHERE run_id = {of('stopped')}"),
    ("I9", "", f"UPDATE call_attempts SET status = 'unknown' WHERE n = 1 AND call_id = {OPAQUE}"),
    ("I13", "a gated call", "UPDATE approvals SET consumed_by = NULL WHERE status = 'consumed'"),
    ("I13", "a gated call", f"UPDATE tool_calls SET approval_id = NULL WHERE id = {GATED}"),
    ("I13", "an approval is used", f"UPDATE approvals SET consumed_by = {MADE} WHERE status = 'consumed'"),
    ("I13", "an approval is used", "UPDATE approvals SET status = 'approved' WHERE status = 'consumed'"),
    ("I13", "stored actions", f"UPDATE tool_calls SET envelope = envelope || ' ' WHERE id = {MADE}"),
    ("I13", "stored actions", f"UPDATE tool_calls SET effect_digest = 'x' WHERE id = {MADE}"),
    ("I13", "stored actions", f"UPDATE tool_calls SET idem_key = 'x' WHERE id = {MADE}"),
    ("I13", "stored actions", f"UPDATE tool_calls SET result_json = '{{}}' WHERE id = {MADE}"),
    ("I13", "stored actions", "UPDATE approvals SET action_digest = 'x'"),
    ("I14", "", "UPDATE approvals SET use_by = consumed_at - 60000 WHERE status = 'consumed'"),
    ("I14", "", "UPDATE approvals SET decided_at = consumed_at + 60001 WHERE status = 'consumed'"),
    ("I15", "what is approved", "UPDATE votes SET revoked_at = 1"),
    ("I15", "what is approved", "UPDATE votes SET voter = 'ana'"),
    ("I15", "what is approved", "UPDATE approvals SET quorum = 2 WHERE status = 'consumed'"),
    ("I15", "what is approved", "UPDATE votes SET at = 9000000000000"),
    ("I15", "who approved", "UPDATE votes SET seen_digest = 'x'"),
    ("I16", "", "UPDATE votes SET decision = 'deny'"),
    ("I17", "", "UPDATE approvals SET status = 'denied' WHERE status = 'consumed'"),
    ("I18", "", f"UPDATE tool_calls SET required_artifacts = 2 WHERE id = {MADE}"),
    ("I19", "each file has", "DELETE FROM blobs"),
    ("I19", "each file has", "UPDATE blobs SET size = size + 1"),
    ("I19", "what runs pinned", "UPDATE documents SET body = body || ' '"),
    ("I20", "", f"UPDATE tool_calls SET status = 'intent' WHERE id = {MADE}"),
    ("I21", "", f"UPDATE tool_calls SET status = 'unknown' WHERE id = {MADE}"),
    ("I22", "", f"UPDATE tool_calls SET end_fence = 7 WHERE id = {MADE}"),
    ("I23", "", f"{BUDGET} {SPEND} ('main', 'a', 'b', 'r', 9, NULL, 1, 0), ('main', 'c', 'b', 'r', 9, 2, 1, 0)"),
    ("I24", "", f"{BUDGET} {SPEND} ('main', 'a', 'b', 'r', 2, 3, 1, 0)"),
    ("I25", "", f"UPDATE runs SET steps = step_cap + 1 WHERE id = {of('done')}"),
    ("I26", "", "UPDATE runs SET source_key = 'done' WHERE source_key = 'stopped'"),
    ("I27", "", INBOX),
    ("I28", "", "UPDATE outbox SET sent_at = NULL, dead_at = NULL, created_at = 1, due_at = 1"),
    ("I29", "", f"UPDATE runs SET updated_at = 1, due_at = 1, lease_owner = NULL WHERE id = {of('going')}"),
    (
        "I29",
        "",
        f"UPDATE runs SET updated_at = 1, due_at = NULL WHERE id = {of('going')}; UPDATE workers SET until = 1",
    ),
    ("I30", "", f"UPDATE runs SET updated_at = 1; UPDATE approvals SET expires_at = 1 WHERE run_id = {of('waiting')}"),
    ("I31", "", "DELETE FROM outbox WHERE kind = 'slack.blocked'"),
    ("I31", "", f"UPDATE runs SET blocked_reason = NULL WHERE id = {of('blocked')}"),
    ("I32", "", LATE),
    ("I37", "", f"UPDATE call_attempts SET n = 3 WHERE n = 2 AND call_id = {OPAQUE}"),
    ("I40", "", f"UPDATE tool_calls SET status = 'failed' WHERE id = {MADE}"),
    ("I40", "", f"DELETE FROM approvals WHERE run_id = {of('waiting')}"),
    ("I40", "", "UPDATE approvals SET status = 'approved' WHERE status = 'pending'"),
    ("I40", "", f"DELETE FROM runs WHERE id = {of('going')}"),
    ("I40", "", f"UPDATE runs SET killed_fence = NULL WHERE id = {of('stopped')}"),
]


async def test_a_good_history_breaks_no_rule(copy: Callable[[str], Place]) -> None:
    found = await copy("").examined()

    assert [] == [one for one in found if one.verdict != "ok" and one.answerable]
    assert len(INVARIANTS) + len(WALKS) + len(NOT_HERE) == len(found)


async def test_no_constraint_is_needed_for_that(copy: Callable[[str], Place]) -> None:
    """Or a violation below might be seen for the wrong reason."""
    assert [] == [one for one in await copy("-stripped").examined() if one.verdict != "ok" and one.answerable]


@pytest.mark.parametrize(
    ("id_", "sentence", "sql"), VIOLATIONS, ids=[f"{id_}-{n}" for n, (id_, *_) in enumerate(VIOLATIONS)]
)
async def test_a_violation_is_seen(copy: Callable[[str], Place], id_: str, sentence: str, sql: str) -> None:
    place = copy("-stripped")
    await place.plant(sql)

    found = await place.examined()

    hits = [one for one in found if one.id == id_ and one.sentence.startswith(sentence) and one.verdict == "violated"]
    assert hits, [one for one in found if one.verdict != "ok"]
    assert all(0 < len(one.offending) <= MOST_SHOWN and one.remedy for one in hits)


def test_every_rule_has_a_violation() -> None:
    rules = [*((rule.id, rule.sentence) for rule in INVARIANTS), *WALKS]
    planted = [*((id_, sentence) for id_, sentence, _ in VIOLATIONS), ("I19", "each file is in the artifact store")]

    assert [] == [rule for rule in rules if not any(rule[0] == id_ and rule[1].startswith(s) for id_, s in planted)]


async def test_a_file_that_is_gone_or_changed_is_seen(copy: Callable[[str], Place]) -> None:
    place = copy("")
    blobs = sorted(path for path in (place.files / "sha256").rglob("*") if path.is_file())
    blobs[0].unlink()
    blobs[1].chmod(0o600)
    blobs[1].write_bytes(b"other")

    (files,) = [one for one in await place.examined() if one.sentence.startswith("each file is")]

    assert "violated" == files.verdict
    assert any("is missing" in line for line in files.offending)
    assert any("no longer has the digest" in line for line in files.offending)


async def test_no_more_than_some_offenders_are_named(copy: Callable[[str], Place]) -> None:
    place = copy("-stripped")
    await place.plant("UPDATE events SET actor_id = ''")

    (found,) = [one for one in await place.examined() if one.id == "I5"]

    assert (MOST_SHOWN, True) == (len(found.offending), found.more)


async def test_looking_changes_nothing_and_cannot(copy: Callable[[str], Place], tmp_path: Path) -> None:
    place = copy("")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    await place.examined()
    async with looking(place.url) as look:
        for sql in ("UPDATE runs SET steps = 9", "DELETE FROM votes", "CREATE TABLE mine (a INTEGER)"):
            with pytest.raises(ConfigError, match=r"read-only|readonly"):
                await look.rows(text(sql))

    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert [] == [one for one in await place.examined() if one.verdict == "violated"]


async def test_writers_meanwhile_cause_no_false_alarm(copy: Callable[[str], Place]) -> None:
    """Runs are asked for, claimed and driven all the while; each look sees one moment."""
    place = copy("")
    database = Database(place.url)
    over = asyncio.Event()

    async def write(worker: str) -> int:
        written = 0
        while not over.is_set():
            run = await a_claimed_run(database, worker)
            for step in ("s1", "s2", "s3"):
                change = call_started(run, step, worker=worker)
                await landed(database, change)
                run = run.folded(change)
                written += 1
        return written

    writers = [asyncio.create_task(write(f"busy-{n}")) for n in range(2)]
    try:
        for _ in range(6):
            # The rules about time are left out: these runs happen at an instant of their own.
            found = [one for one in await place.examined() if one.id != "I29"]
            assert [] == [one for one in found if one.verdict != "ok" and one.answerable]
    finally:
        over.set()
        written = await asyncio.gather(*writers)
        await database.close()
    assert sum(written) > 2


async def test_a_look_has_an_end_and_says_so(copy: Callable[[str], Place]) -> None:
    async with looking(copy("").url, statement_s=0.2) as look:
        with pytest.raises(TooSlow):
            await look.rows(
                text("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT COUNT(*) AS c FROM n")
            )
        (row,) = await look.rows(text("SELECT COUNT(*) AS c FROM runs"))
        assert 8 == row["c"]


async def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no SQLite database"):
        async with looking(sqlite_url(tmp_path / "none.db")):
            pass
    assert [] == list(tmp_path.iterdir())


async def test_a_file_that_is_opened_meanwhile_is_noticed(lived: dict[str, Place], tmp_path: Path) -> None:
    shutil.copy(lived["sqlite"].url.partition(":///")[2], tmp_path / "copy.db")
    async with looking(sqlite_url(tmp_path / "copy.db")) as look:
        await look.rows(text("SELECT 1"))
        assert not look.was_disturbed()
        database = Database(sqlite_url(tmp_path / "copy.db"))
        await a_claimed_run(database)
        assert look.was_disturbed()
        await database.close()
