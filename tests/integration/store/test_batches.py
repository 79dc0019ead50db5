"""The journal's batches: fewer commits than changes, each answered on its own, the bad one failing alone."""

import asyncio
import gc
from dataclasses import replace
from functools import partial

import pytest

from core.principals import Actor
from core.record.changes import Answer, Decided, Insert, Landed, Refused, RunChange, Update, change
from core.record.events import EventDraft
from core.record.rows import Snapshot
from core.record.states import RunState
from core.runs import steps
from core.runs.commands.kill import kill
from core.runs.commands.request import accept
from core.store.journal import JournalClosed
from core.store.lane import Target
from core.store.session import Database
from tests.factories import (
    IDS,
    NOW_MS,
    OPERATOR,
    SALT,
    a_claimed_run,
    a_created_run,
    a_request,
    a_worker,
    call_started,
    claimed_by,
    ended,
    landed,
    stamp,
    stored,
)
from tests.integration.store.looking import count_rows, everything_of, rows


async def claimed_runs(database: Database, how_many: int) -> list[Snapshot]:
    """That many runs held by the worker w1."""
    await a_worker(database)
    requests = [accept(a_request(), run_id=IDS.run(), salt=SALT, now_ms=NOW_MS) for _ in range(how_many)]
    await asyncio.gather(*(landed(database, request) for request in requests))
    claimed: list[Snapshot] = []
    while len(claimed) < how_many:
        claimed += await claimed_by(database, "w1")
    return claimed


async def answers_of(database: Database, *changes: RunChange) -> list[Answer | BaseException]:
    return await asyncio.gather(*(database.journal.commit(change) for change in changes), return_exceptions=True)


async def test_changes_that_wait_together_share_a_commit_and_each_gets_its_own_answer(database: Database) -> None:
    runs = await claimed_runs(database, 30)
    before = database.journal.commits
    changes = [call_started(run) for run in runs]
    wrong = {3: replace(changes[3], owner="w2"), 7: replace(changes[7], version=changes[7].version - 1)}
    answers = await answers_of(database, *(wrong.get(n, change) for n, change in enumerate(changes)))
    expected: list[Answer] = [Landed(run.run.version + 1) for run in runs]
    expected[3], expected[7] = Refused("fenced"), Refused("stale")
    assert expected == answers
    assert database.journal.commits - before <= 4
    assert 28 == await count_rows(database, "tool_calls")
    assert runs[3] == await stored(database, runs[3].run.id)


async def test_changes_of_one_run_go_one_after_the_other(database: Database) -> None:
    run = await a_claimed_run(database)
    change = call_started(run)
    assert [Landed(2), Refused("stale"), Refused("stale")] == await answers_of(database, change, change, change)


def _leap(run: Snapshot) -> RunChange:
    """A transition that is not in the table."""
    draft = EventDraft(
        "state", Actor.system("test"), run.run.policy_digest, RunState.CONTEXT_LOADED, RunState.COMPLETED
    )
    return change(run, (draft,), now_ms=NOW_MS, owner="w1")


def _missing_row(run: Snapshot) -> RunChange:
    patch = Update("tool_calls", {"tenant": run.run.tenant, "id": "call_nowhere"}, {"status": "failed"})
    return replace(call_started(run), updates=(patch,))


def _unknown_column(run: Snapshot) -> RunChange:
    return replace(call_started(run), inserts=(Insert("tool_calls", {"colour": "red"}),))


def _half_a_character(run: Snapshot) -> RunChange:
    started = call_started(run)
    return replace(started, run=dict(started.run) | {"outcome": "\ud800"})


def _word_nobody_knows(run: Snapshot) -> RunChange:
    started = call_started(run)
    return replace(started, run=dict(started.run) | {"state": "sleeping"})


def _event_twice(run: Snapshot) -> RunChange:
    started = call_started(run)
    return replace(started, events=(*started.events, started.events[0]))


POISON = [_leap, _missing_row, _unknown_column, _half_a_character, _word_nobody_knows, _event_twice]


@pytest.mark.parametrize("poison", POISON)
async def test_a_change_the_database_cannot_take_fails_alone(database: Database, poison) -> None:  # type: ignore[no-untyped-def]
    runs = await claimed_runs(database, 6)
    before = await everything_of(database, runs[2].run.id)
    changes = [poison(run) if n == 2 else call_started(run) for n, run in enumerate(runs)]
    answers = await answers_of(database, *changes)
    assert isinstance(answers[2], Exception)
    assert [Landed(run.run.version + 1) for n, run in enumerate(runs) if n != 2] == answers[:2] + answers[3:]
    assert before == await everything_of(database, runs[2].run.id)
    # And the run is as good as before: what is right still lands.
    assert isinstance(await database.journal.commit(call_started(runs[2])), Landed)


async def test_a_change_may_touch_a_row_twice(database: Database) -> None:
    run = await a_claimed_run(database)
    started = call_started(run)
    call = run.folded(started).calls[0]
    key = {"tenant": call.tenant, "id": call.id}
    twice = replace(
        started,
        updates=(
            Update("tool_calls", key, {"title": "first"}),
            Update("tool_calls", key, {"title": "last", "error": "e"}),
        ),
    )
    assert isinstance(await database.journal.commit(twice), Landed)
    assert run.folded(twice) == await stored(database, run.run.id)
    again = replace(
        steps.end_call(run.folded(twice), call, ended(), stamp()),
        updates=(Update("tool_calls", key, {"title": "x"}), Update("tool_calls", key, {"error": "y"})),
    )
    assert isinstance(await database.journal.commit(again), Landed)
    assert run.folded(twice).folded(again) == await stored(database, run.run.id)


async def test_a_caller_that_goes_away_takes_no_neighbour_along(database: Database) -> None:
    runs = await claimed_runs(database, 5)
    waiting = [asyncio.create_task(database.journal.commit(call_started(run))) for run in runs]
    await asyncio.sleep(0)  # all five are queued, none is taken
    waiting[1].cancel()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(answers[1], asyncio.CancelledError)
    assert 4 == sum(isinstance(answer, Landed) for answer in answers)
    gc.collect()


async def test_a_journal_whose_only_caller_went_away_still_closes(database: Database) -> None:
    run = await a_claimed_run(database)
    waiting = asyncio.create_task(database.journal.commit(call_started(run)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    await database.journal.close()


async def test_closing_finishes_what_is_queued_and_refuses_what_comes_later(database: Database) -> None:
    runs = await claimed_runs(database, 20)
    waiting = [asyncio.create_task(database.journal.commit(call_started(run))) for run in runs]
    await asyncio.sleep(0)
    await database.journal.close()
    assert all(isinstance(answer, Landed) for answer in await asyncio.gather(*waiting))
    assert 20 == await count_rows(database, "tool_calls")
    with pytest.raises(JournalClosed):
        await database.journal.commit(call_started(runs[0]))


async def test_a_stop_gets_through_against_a_run_that_commits_without_a_pause(database: Database) -> None:
    run = await a_claimed_run(database)
    others = await claimed_runs(database, 4)
    answers: dict[str, list[Answer]] = {snapshot.run.id: [] for snapshot in (run, *others)}

    async def commit_on_and_on(snapshot: Snapshot) -> None:
        while True:
            step = f"s{len(answers[snapshot.run.id])}"
            change = call_started(snapshot, step)
            answer = await database.journal.commit(change)
            answers[snapshot.run.id].append(answer)
            if not isinstance(answer, Landed) or len(answers[snapshot.run.id]) == 400:
                return
            snapshot = snapshot.folded(change)

    busy = [asyncio.create_task(commit_on_and_on(snapshot)) for snapshot in (run, *others)]
    while len(answers[run.run.id]) < 10:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    decide = partial(kill, run_id=run.run.id, by=OPERATOR, reason="", now_ms=NOW_MS)
    assert isinstance(await database.journal.command(run.run.tenant, Target(run_id=run.run.id), decide), Decided)
    await busy[0]
    assert Refused("killed") == answers[run.run.id][-1], "it committed 400 times before the stop got its turn"
    for task in busy[1:]:
        task.cancel()
    await asyncio.wait(busy)
    landed_steps = sum(isinstance(answer, Landed) for answer in answers[run.run.id])
    assert landed_steps == await count_rows(database, "tool_calls", "run_id", run.run.id)


async def test_a_command_that_is_refused_writes_nothing(database: Database) -> None:
    run = await a_claimed_run(database)
    before = await everything_of(database, run.run.id)
    decide = partial(kill, run_id="run_nowhere", by=OPERATOR, reason="", now_ms=NOW_MS)
    answer = await database.journal.command(run.run.tenant, Target(run_id=run.run.id), decide)
    assert not isinstance(answer, Decided)
    assert before == await everything_of(database, run.run.id)


async def test_an_inbox_row_is_written_once(database: Database) -> None:
    row = Insert(
        "inbox", {"tenant": "main", "dedupe_key": "ev:1", "kind": "message", "body_json": "{}", "received_at": NOW_MS}
    )
    assert [1] == await database.journal.record([row])
    assert [0, 1] == await database.journal.record(
        [row, Update("inbox", {"tenant": "main", "dedupe_key": "ev:1"}, {"processed_at": NOW_MS})]
    )
    assert [NOW_MS] == [found["processed_at"] for found in await rows(database, "SELECT processed_at FROM inbox")]


async def test_rows_recorded_together_land_together_or_not_at_all(database: Database) -> None:
    row = Insert("inbox", {"tenant": "main", "dedupe_key": "ev:1", "kind": "message", "received_at": NOW_MS})
    with pytest.raises(Exception, match=r"(?i)null"):
        await database.journal.record([row, Insert("inbox", {"tenant": "main", "dedupe_key": "ev:2", "kind": None})])
    assert 0 == await count_rows(database, "inbox")


async def test_what_a_run_says_is_queued_once_however_often_it_is_said(database: Database) -> None:
    run = await a_created_run(database)
    said = {"tenant": "main", "dedupe_key": "k", "run_id": run.run.id, "kind": "slack.file", "lane": "::"}
    rows_ = [Insert("outbox", said | {"id": f"out_{n}", "created_at": NOW_MS, "due_at": NOW_MS}) for n in range(2)]
    for row in rows_:
        run = await stored(database, run.run.id)
        await landed(database, change(run, (), now_ms=NOW_MS, inserts=(row,)))
    assert 1 == await count_rows(database, "outbox")
