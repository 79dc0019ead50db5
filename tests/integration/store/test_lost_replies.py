"""PostgreSQL when the connection breaks around a commit: what landed is answered as landed, the rest is done once."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import asyncpg
import pytest
from sqlalchemy import text

from core.record.changes import Decided, Landed, Refusal, Refused
from core.runs import steps
from core.runs.commands.kill import kill
from core.runs.commands.request import accept
from core.store.lane import CommitUnknown, Target
from core.store.session import Database
from tests.factories import (
    IDS,
    NOW_MS,
    REQUESTER,
    SALT,
    a_claimed_run,
    a_created_run,
    a_request,
    call_started,
    ended,
    landed,
    stamp,
    stored,
)
from tests.integration.store.looking import count_rows, rows
from tests.integration.store.proxies import When, Wire

BOTH = pytest.mark.parametrize("when", ["before-sending", "before-the-reply"])


@pytest.fixture
def database_url(migrated_postgres: str, request: pytest.FixtureRequest) -> str:
    """PostgreSQL only: SQLite has no wire."""
    from tests.databases import empty

    asyncio.run(empty(migrated_postgres))
    return migrated_postgres


@pytest.fixture
async def wire(database_url: str) -> AsyncIterator[Wire]:
    async with Wire.to(database_url) as standing:
        yield standing


@pytest.fixture
async def far(wire: Wire) -> AsyncIterator[Database]:
    """The same database, reached over the wire."""
    opened = Database(wire.url)
    yield opened
    await opened.close()


@BOTH
async def test_a_change_whose_reply_was_lost_is_there_once_and_answered_landed(
    database: Database, far: Database, wire: Wire, when: When
) -> None:
    run = await a_claimed_run(database)
    change = call_started(run)
    cut = wire.cut(change.events[-1].hash, when)
    assert Landed(run.run.version + 1) == await far.journal.commit(change)
    assert 1 == cut.happened
    assert run.folded(change) == await stored(database, run.run.id)
    assert 1 == await count_rows(database, "tool_calls")


@BOTH
async def test_a_new_run_whose_reply_was_lost_is_there_once_and_answered_landed(
    database: Database, far: Database, wire: Wire, when: When
) -> None:
    change = accept(a_request(), run_id=IDS.run(), salt=SALT, now_ms=NOW_MS)
    cut = wire.cut(change.events[-1].hash, when)
    assert Landed(0) == await far.journal.commit(change)
    assert 1 == cut.happened
    assert 1 == await count_rows(database, "runs")


@BOTH
async def test_a_release_whose_reply_was_lost_is_there_once_and_answered_landed(
    database: Database, far: Database, wire: Wire, when: When
) -> None:
    run = await a_claimed_run(database)
    change = steps.release(run, stamp(), due_at=NOW_MS + 77_001)
    cut = wire.cut(str(NOW_MS + 77_001), when)
    assert Landed(run.run.version + 1) == await far.journal.commit(change)
    assert 1 == cut.happened
    assert run.folded(change) == await stored(database, run.run.id)


@BOTH
async def test_neighbours_in_a_batch_whose_reply_was_lost_get_true_answers(
    database: Database, far: Database, wire: Wire, when: When
) -> None:
    runs = [await a_claimed_run(database, f"w{n}") for n in range(6)]
    changes = [call_started(run, worker=f"w{n}") for n, run in enumerate(runs)]
    changes[2] = call_started(runs[2], worker="somebody else")
    wire.cut(changes[3].events[-1].hash, when)
    answers = await asyncio.gather(*(far.journal.commit(change) for change in changes))
    assert Refused("fenced") == answers[2]
    assert 5 == answers.count(Landed(runs[0].run.version + 1))
    assert 5 == await count_rows(database, "tool_calls")


async def test_a_connection_that_breaks_every_time_is_said_to_be_unknown(
    database: Database, far: Database, wire: Wire
) -> None:
    run = await a_claimed_run(database)
    change = call_started(run)
    cut = wire.cut(change.events[-1].hash, "before-sending", times=100)
    with pytest.raises(CommitUnknown):
        await far.journal.commit(change)
    assert cut.happened >= 3
    assert run == await stored(database, run.run.id)
    cut.times = 0
    assert isinstance(await far.journal.commit(change), Landed)


async def test_a_change_whose_reply_was_lost_and_whose_run_is_already_further_is_answered_landed(
    database: Database, far: Database, wire: Wire
) -> None:
    run = await a_claimed_run(database)
    change = call_started(run)
    wire.cut(change.events[-1].hash, "before-the-reply")
    waiting = asyncio.create_task(far.journal.commit(change))
    while not await count_rows(database, "tool_calls"):  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    now = await stored(database, run.run.id)
    await landed(database, steps.end_call(now, now.calls[0], ended(), stamp()))
    assert isinstance(await waiting, Landed)


async def test_a_change_that_is_still_under_way_when_it_is_looked_for_is_answered_landed(
    database: Database, far: Database, wire: Wire
) -> None:
    """The replay is refused because of the change itself, which was only slow."""
    run = await a_claimed_run(database)
    change = call_started(run)
    async with slow(database, seconds=0.3):
        cut = wire.cut(change.events[-1].hash, "after-sending")
        assert Landed(run.run.version + 1) == await far.journal.commit(change)
    assert 1 == cut.happened
    assert run.folded(change) == await stored(database, run.run.id)


@BOTH
async def test_a_stop_whose_commit_reply_was_lost_happened_once_and_says_so(
    database: Database, far: Database, wire: Wire, when: When
) -> None:
    run = await a_created_run(database)
    cut = wire.cut("COMMIT", when)
    decide = partial(kill, run_id=run.run.id, by=REQUESTER, reason="", now_ms=NOW_MS)
    answer = await far.journal.command("main", Target(run_id=run.run.id), decide)
    assert isinstance(answer, Decided), answer
    assert 1 == cut.happened
    assert 1 == len(await rows(database, "SELECT seq FROM events WHERE type = 'stop-requested'"))
    again = await far.journal.command("main", Target(run_id=run.run.id), decide)
    assert isinstance(again, Refusal) and "ended" == again.why


@pytest.mark.parametrize("code", ["40001", "40P01"])
async def test_a_serialization_failure_is_tried_again(database: Database, database_url: str, code: str) -> None:
    run = await a_claimed_run(database)
    async with failing(database, code, times=2) as failed:
        assert isinstance(await database.journal.commit(call_started(run)), Landed)
        assert 3 == await failed.tries()
    assert 1 == await count_rows(database, "tool_calls")


async def test_a_serialization_failure_that_never_ends_is_an_error_and_writes_nothing(database: Database) -> None:
    run = await a_claimed_run(database)
    async with failing(database, "40001", times=1_000):
        with pytest.raises(asyncpg.SerializationError):
            await database.journal.commit(call_started(run))
    assert run == await stored(database, run.run.id)


class Hindered:
    """While open, every update of a run goes through a trigger."""

    def __init__(self, database: Database, body: str) -> None:
        self._database, self._body = database, body

    async def __aenter__(self) -> "Hindered":
        await self._run(
            "CREATE SEQUENCE tries",  # counts on when its transaction is rolled back
            f"CREATE FUNCTION hinder() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {self._body} RETURN NEW; END $$",
            "CREATE TRIGGER hinder BEFORE UPDATE ON runs FOR EACH ROW EXECUTE FUNCTION hinder()",
        )
        return self

    async def tries(self) -> int:
        """How often a run was updated or almost updated."""
        return int((await rows(self._database, "SELECT last_value AS n FROM tries"))[0]["n"])

    async def __aexit__(self, *_: object) -> None:
        await self._run("DROP TRIGGER hinder ON runs", "DROP FUNCTION hinder", "DROP SEQUENCE tries")

    async def _run(self, *statements: str) -> None:
        async with self._database.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement))


def failing(database: Database, code: str, *, times: int) -> Hindered:
    """Updates fail with this SQLSTATE for the first `times` tries."""
    raising = f"RAISE EXCEPTION 'planned' USING ERRCODE = '{code}';"
    return Hindered(database, f"IF nextval('tries') <= {times} THEN {raising} END IF;")


def slow(database: Database, *, seconds: float) -> Hindered:
    """Updates take their time."""
    return Hindered(database, f"PERFORM pg_sleep({seconds});")
