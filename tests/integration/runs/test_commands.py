"""Commands on stored runs: a whole tree in one commit, late results kept, one run per key, what people then see."""

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from core.artifacts import FileStore
from core.ids import RunId
from core.principals import Actor, Principal
from core.queue import SilentDoorbell, Topic
from core.record.changes import Decided, Refusal, Refused, RunChange, creation
from core.record.events import EventDraft
from core.record.rows import Snapshot
from core.record.states import RunState
from core.runs import reading, steps
from core.runs.commands.confirm import HostReport, confirm
from core.runs.commands.kill import kill
from core.runs.commands.late import late_result
from core.runs.commands.load import loaded
from core.runs.commands.request import accept, repeated
from core.runs.sweeper import Sweeper, Swept
from core.store import runs
from core.store.lane import Decide, Target
from core.store.session import Database
from tests.factories import (
    BOOT_ID,
    GUEST,
    IDS,
    MEMBER,
    NOW_MS,
    OPERATOR,
    REQUESTER,
    SALT,
    FixedClock,
    a_created_run,
    a_request,
    an_executing_run,
    call_started,
    ended,
    landed,
    run_row,
    stamp,
    stored,
    surface,
)
from tests.invariants import broken


async def ask(database: Database, run: Snapshot, decide: Decide) -> Decided | Refusal:
    return await database.journal.command("main", Target(run_id=run.run.id), decide)


def stop(run: Snapshot, by: Principal = OPERATOR, now_ms: int = NOW_MS) -> Decide:
    return partial(kill, run_id=run.run.id, by=by, reason="enough", now_ms=now_ms)


async def a_child(database: Database, parent: Snapshot) -> Snapshot:
    """A run below another, `context-loaded`."""
    row = run_row(root_id=parent.run.root_id, parent_id=parent.run.id, depth=parent.run.depth + 1)
    actor = Actor.system("test")
    drafts = (
        EventDraft("state", actor, "p", None, RunState.CREATED),
        EventDraft("state", actor, "p", RunState.CREATED, RunState.CONTEXT_LOADED),
    )
    await landed(database, creation(row, drafts, now_ms=NOW_MS))
    return await stored(database, row.id)


async def test_stopping_the_top_stops_three_levels_in_one_commit(database: Database) -> None:
    top = await an_executing_run(database)
    middle = await a_child(database, top)
    bottom = await a_child(database, middle)
    beside = await a_created_run(database)
    answer = await ask(database, top, stop(top))
    assert isinstance(answer, Decided)
    assert 3 == len(answer.changes)
    for run in (top, middle, bottom):
        now = await stored(database, run.run.id)
        assert ("canceled", run.run.fence + 1, None) == (now.run.state, now.run.killed_fence, now.run.lease_owner)
        change = next(change for change in answer.changes if change.run_id == run.run.id)
        assert run.folded(change) == now
    assert beside == await stored(database, beside.run.id)
    assert [] == await broken(database)


async def test_stopping_below_leaves_what_is_above(database: Database) -> None:
    top = await an_executing_run(database)
    middle = await a_child(database, top)
    assert isinstance(await ask(database, middle, stop(middle)), Decided)
    assert top == await stored(database, top.run.id)


@pytest.mark.parametrize("by", [MEMBER, GUEST])
async def test_whoever_may_not_stop_a_run_changes_nothing(database: Database, by: Principal) -> None:
    run = await an_executing_run(database)
    assert isinstance(await ask(database, run, stop(run, by)), Refusal)
    assert run == await stored(database, run.run.id)


async def test_of_many_stops_at_once_one_happens_and_the_others_learn_of_it(database: Database) -> None:
    run = await an_executing_run(database)
    answers = await asyncio.gather(*(ask(database, run, stop(run, by)) for by in (REQUESTER, OPERATOR) * 4))
    assert 1 == sum(isinstance(answer, Decided) for answer in answers)
    assert {"ended"} == {answer.why for answer in answers if isinstance(answer, Refusal)}
    assert [] == await broken(database)


async def test_a_stop_against_a_start_has_no_third_outcome(database: Database) -> None:
    for _ in range(6):
        run = await an_executing_run(database)
        change = call_started(run, "s2")
        answer, stopped = await asyncio.gather(database.journal.commit(change), ask(database, run, stop(run)))
        assert isinstance(stopped, Decided)
        now = await stored(database, run.run.id)
        started = {call.step for call in now.calls}
        assert {"s1"} if answer == Refused("killed") else {"s1", "s2"} == started
        assert "canceled" == now.run.state
    assert [] == await broken(database)


async def test_what_was_under_way_when_it_was_stopped_is_kept_late_confirmed_and_shown(database: Database) -> None:
    run = await an_executing_run(database)
    await ask(database, run, stop(run))
    end = steps.end_call(run, run.calls[0], ended(), stamp())
    assert Refused("killed") == await database.journal.commit(end)
    late = partial(
        late_result,
        call=run.calls[0],
        end=ended(),
        run_id=run.run.id,
        fence=run.run.fence,
        worker="w1",
        row_id="late_1",
        now_ms=NOW_MS + 100,
    )
    assert isinstance(await ask(database, run, late), Decided)
    report = partial(confirm, run_id=run.run.id, now_ms=NOW_MS + 300)
    first, again = HostReport("host-1", "boot", 2, 0, "worker:w1"), HostReport("host-1", "boot", 0, 0, "worker:w1")
    assert isinstance(await ask(database, run, partial(report, report=first)), Decided)
    assert isinstance(await ask(database, run, partial(report, report=again)), Refusal)
    shown = await reading.view(database, "main", run.run.id)
    assert shown is not None and shown.stop is not None
    assert (NOW_MS, NOW_MS + 300, OPERATOR.id, 2, 1, ()) == (
        shown.stop.requested_at_ms,
        shown.stop.confirmed_at_ms,
        shown.stop.by,
        shown.stop.processes_ended,
        shown.stop.in_flight,
        shown.stop.unconfirmed_hosts,
    )
    assert ["unknown"] == [action.status for action in shown.actions]
    log = [event.type for event in await reading.log(database, "main", run.run.id)]
    assert ["stop-requested", "state", "late-result", "call-ended", "stop-reported", "stop-confirmed"] == log[-6:]
    assert [] == await broken(database)


async def test_a_stop_that_is_not_proved_yet_names_the_host(database: Database) -> None:
    run = await an_executing_run(database)
    await ask(database, run, stop(run))
    shown = await reading.view(database, "main", run.run.id)
    assert shown is not None and shown.stop is not None
    assert (None, ("host-1",)) == (shown.stop.confirmed_at_ms, shown.stop.unconfirmed_hosts)


async def test_the_same_request_twice_is_one_run_and_another_is_refused(database: Database) -> None:
    request = a_request(source_key="key", surface=surface())

    def asking(text: str) -> RunChange:
        return accept(replace(request, text=text), run_id=RunId(IDS.run()), salt=SALT, now_ms=NOW_MS)

    answers = await asyncio.gather(*(database.journal.commit(asking("please")) for _ in range(8)))
    assert 7 == answers.count(Refused("duplicate"))
    first = await runs.find_by_source(database, "main", "key")
    assert first is not None
    assert repeated(replace(request, text="please"), first) is None
    assert isinstance(repeated(replace(request, text="something else"), first), Refusal)
    assert [first.run.id] == [line.id for line in await reading.lines(database, "main")]


async def test_context_that_is_loaded_twice_is_loaded_once(database: Database) -> None:
    run = await a_created_run(database, loaded=False, surface=surface())
    change = loaded(run, inputs={}, artifacts=(), unread={}, needed="Attach it again.", now_ms=NOW_MS)
    await landed(database, change)
    assert Refused("stale") == await database.journal.commit(change)
    shown = await reading.view(database, "main", run.run.id)
    assert shown is not None
    assert ("blocked", "dependency-down") == (shown.state, shown.blocked_reason)
    assert "Attach it again." == shown.blocked_detail


class Bell(SilentDoorbell):
    """Remembers who was rung for."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    async def ring(self, run_id: str, wake: int, *, delay_s: float = 0) -> None:
        self.rung.append(run_id)

    async def announce(self, topic: Topic, run_id: str) -> None:
        raise AssertionError("the sweeper announces nothing")


async def test_one_sweeper_rings_for_what_is_due_and_forgotten(database: Database, tmp_path: Path) -> None:
    bells, clock = (Bell(), Bell()), FixedClock()
    objects = FileStore(tmp_path / "objects")
    first, second = (
        Sweeper(database, bell, objects, clock, owner=f"s{n}", boot_id=BOOT_ID) for n, bell in enumerate(bells)
    )
    forgotten = await a_created_run(database)
    await an_executing_run(database)
    assert Swept(rung=0, workers=0, temp_files=0) == await first.tick(), "nothing is late yet"
    assert await second.tick() is None
    clock.advance(3_001)
    swept = await first.tick()
    assert swept is not None and 1 <= swept.rung
    assert await second.tick() is None
    assert forgotten.run.id in bells[0].rung
    assert [] == bells[1].rung
