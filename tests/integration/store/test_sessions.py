"""Which thread's session has to say something else, on both databases."""

from typing import Any

import pytest
from sqlalchemy import text

from core.ids import TENANT
from core.record.sessions import Session
from core.record.states import TERMINAL, RunState
from core.store import sessions
from core.store.session import Database
from core.store.sessions import Due
from tests.factories import NOW_MS, a_created_run, surface
from tests.integration.store.looking import count_rows

HOUR_MS = 3_600_000
THREAD = "1700000000.000100"


def due(wanted: Session, thread_ts: str = THREAD) -> Due:
    return Due(TENANT, "C1", thread_ts, wanted)


async def next_due(database: Database, **fields: int) -> Due | None:
    times = {"renew_before_ms": NOW_MS - HOUR_MS, "retry_before_ms": NOW_MS - 24 * HOUR_MS} | fields
    return await sessions.next_due(database, TENANT, **times)


async def a_run(database: Database, state: RunState, **place: str) -> str:
    run = (await a_created_run(database, surface=surface(**place))).run
    await moved(database, run.id, state)
    return run.id


async def moved(database: Database, run_id: str, state: RunState) -> None:
    values: dict[str, Any] = {"id": run_id, "state": str(state), "ended": NOW_MS if state in TERMINAL else None}
    values["reason"] = "question" if state is RunState.BLOCKED else None
    statement = "UPDATE runs SET state = :state, ended_at = :ended, blocked_reason = :reason WHERE id = :id"
    async with database.begin() as connection:
        await connection.execute(text(statement), values)


@pytest.mark.parametrize(
    ("states", "wanted"),
    [
        ([RunState.EXECUTING], Session.PROCESSING),
        ([RunState.BLOCKED], Session.SUSPENDED),
        ([RunState.BLOCKED, RunState.COMPLETED], Session.SUSPENDED),
        ([RunState.COMPLETED, RunState.CREATED, RunState.WAITING_FOR_APPROVAL], Session.PROCESSING),
    ],
)
async def test_a_thread_says_what_its_most_alive_run_does(
    database: Database, states: list[RunState], wanted: Session
) -> None:
    for state in states:
        await a_run(database, state)

    assert due(wanted) == await next_due(database)


async def test_what_is_said_is_not_due_until_it_is_another_word(database: Database) -> None:
    run_id = await a_run(database, RunState.PLANNING)
    await sessions.said(database, due(Session.PROCESSING), Session.PROCESSING, at_ms=NOW_MS)

    await moved(database, run_id, RunState.EXECUTING)
    assert await next_due(database) is None
    await moved(database, run_id, RunState.BLOCKED)
    assert due(Session.SUSPENDED) == await next_due(database)


async def test_the_end_is_said_and_then_forgotten(database: Database) -> None:
    run_id = await a_run(database, RunState.EXECUTING)
    await sessions.said(database, due(Session.PROCESSING), Session.PROCESSING, at_ms=NOW_MS)
    await moved(database, run_id, RunState.FAILED)
    assert due(Session.CLOSED) == await next_due(database)

    await sessions.said(database, due(Session.CLOSED), Session.CLOSED, at_ms=NOW_MS)

    assert 0 == await count_rows(database, "sessions")
    assert await next_due(database) is None
    await a_run(database, RunState.CREATED)
    assert due(Session.PROCESSING) == await next_due(database), "asking for something else opens it again"


async def test_runs_that_ended_unspoken_of_and_runs_without_a_thread_have_nothing_to_say(database: Database) -> None:
    await a_run(database, RunState.COMPLETED)
    await a_created_run(database)

    assert await next_due(database) is None


async def test_processing_is_said_again_before_slack_forgets_it_and_no_other_word_is(database: Database) -> None:
    await a_run(database, RunState.EXECUTING)
    await a_run(database, RunState.BLOCKED, thread_ts="1700000000.000200")
    await sessions.said(database, due(Session.PROCESSING), Session.PROCESSING, at_ms=NOW_MS)
    await sessions.said(database, due(Session.SUSPENDED, "1700000000.000200"), Session.SUSPENDED, at_ms=NOW_MS)

    assert await next_due(database, renew_before_ms=NOW_MS) is None
    assert due(Session.PROCESSING) == await next_due(database, renew_before_ms=NOW_MS + 1)


async def test_what_slack_refused_is_left_alone_for_a_while_whatever_becomes_of_the_run(database: Database) -> None:
    run_id = await a_run(database, RunState.EXECUTING)
    await sessions.said(database, due(Session.PROCESSING), None, at_ms=NOW_MS)
    await moved(database, run_id, RunState.BLOCKED)

    assert await next_due(database, renew_before_ms=NOW_MS + 1) is None
    assert due(Session.SUSPENDED) == await next_due(database, retry_before_ms=NOW_MS + 1)
    await moved(database, run_id, RunState.CANCELED)
    assert await next_due(database, retry_before_ms=NOW_MS + 1) is None, "there is no session to close"


async def test_who_was_never_spoken_of_comes_first_then_who_has_waited_longest(database: Database) -> None:
    first, second, third = "1700000000.000100", "1700000000.000200", "1700000000.000300"
    for thread_ts in (first, second, third):
        await a_run(database, RunState.BLOCKED, thread_ts=thread_ts)
    await sessions.said(database, due(Session.PROCESSING, first), Session.PROCESSING, at_ms=NOW_MS)
    await sessions.said(database, due(Session.PROCESSING, second), Session.PROCESSING, at_ms=NOW_MS - 1)

    for thread_ts in (third, second, first):
        assert due(Session.SUSPENDED, thread_ts) == await next_due(database)
        await sessions.said(database, due(Session.SUSPENDED, thread_ts), Session.SUSPENDED, at_ms=NOW_MS)
