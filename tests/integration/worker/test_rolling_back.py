"""A rollback from the question to the end: asked about, done once and in reverse, and only then called rolled back."""

import asyncio
import json
from functools import partial
from typing import Any

import pytest

from core.artifacts import FileStore
from core.ids import TENANT
from core.principals import Principal
from core.queue import SilentDoorbell
from core.record.changes import Decided, Refusal
from core.runs import reading, rollbacks
from core.runs.commands.kill import kill
from core.runs.commands.resolve import resolve
from core.runs.engine import Slice
from core.runs.sweeper import Sweeper
from core.store import workers
from core.store.lane import Target
from core.tools.base import ToolContext, ToolResult
from tests.factories import claimed_by
from tests.integration.worker.conftest import Rig, step, succeed
from tests.integration.worker.undoing import ANA, Undo
from tests.integration.worker.voting import BEN, asked, vote
from tests.invariants import broken


@pytest.fixture
async def undo(rig: Rig) -> Undo:
    return await Undo.on(rig)


async def state(undo: Undo, run_id: str) -> str:
    return (await undo.rig.look(run_id)).state


async def types(undo: Undo, run_id: str) -> list[str]:
    return [event.type for event in await reading.log(undo.rig.database, TENANT, run_id)]


async def test_effects_go_in_reverse_each_with_its_own_approval_and_then_the_run_is_rolled_back(undo: Undo) -> None:
    run_id = await undo.pushed("first", "second")
    before = await undo.rig.look(run_id)
    child = await undo.begun(run_id, reason="wrong repository")

    shown = await undo.rig.drive(child)
    assert ("waiting-for-approval", set(), "completed") == (
        shown.state,
        undo.world.branches ^ {"first", "second"},
        await state(undo, run_id),
    )
    refused = await vote(undo.rig, child, Principal("ana", frozenset({"approver"})))
    assert isinstance(refused, Refusal)
    assert "You asked for this run" in refused.text
    assert "Delete the branch `second`" == (await asked(undo.rig, child)).approval.sentence

    shown = await undo.approved(child)

    assert ("completed", ["second", "first"], set()) == (shown.state, undo.world.deleted, undo.world.branches)
    assert ["consumed", "consumed"] == [approval.status for approval in shown.approvals]
    after, row = await undo.rig.look(run_id), (await undo.rig.row(run_id)).run
    assert ("rolled-back", child) == (after.state, row.rollback_id)
    assert (before.outcome, before.ended_at_ms) == (after.outcome, after.ended_at_ms), "its own end stays what it was"
    last = (await reading.log(undo.rig.database, TENANT, run_id))[-1]
    assert ("completed", "rolled-back", "system:rollback") == (last.from_state, last.to_state, last.actor)
    of = {call.step: call.id for call in (await undo.rig.row(run_id)).calls}
    by = {call.step: call.id for call in (await undo.rig.row(child)).calls}
    assert (
        {"run": child},
        {"call": of["second"], "undone_by": by["undo-second"]},
        {"call": of["first"], "undone_by": by["undo-first"]},
    ) == last.evidence
    assert [] == await broken(undo.rig.database)


async def test_a_rollback_belongs_to_the_tree_of_its_run_and_to_whoever_asked_for_it(undo: Undo) -> None:
    run_id = await undo.pushed("first")
    omar = Principal("omar", frozenset({"operator"}), slack_user="U9")
    child = (await undo.rig.row(await undo.begun(run_id, by=omar))).run
    parent = (await undo.rig.row(run_id)).run
    assert (run_id, run_id, 1, "omar", "U9", "context-loaded", parent.agent) == (
        child.parent_id, child.root_id, child.depth, child.requester, child.requester_slack, child.state, child.agent,
    )  # fmt: skip
    assert (run_id, None) == (child.rolls_back, parent.rolls_back)
    assert "rollback-asked" in await types(undo, run_id)


async def test_two_clicks_make_one_rollback(undo: Undo) -> None:
    run_id = await undo.pushed("first")
    answers = await asyncio.gather(*(undo.ask(run_id) for _ in range(4)))
    begun = [answer for answer in answers if isinstance(answer, Decided)]
    refused = [answer for answer in answers if isinstance(answer, Refusal)]
    assert (1, 3) == (len(begun), len(refused))
    assert {"already"} == {each.why for each in refused}
    assert all("being rolled back already" in each.text for each in refused)
    row = (await undo.rig.row(run_id)).run
    assert row.rollback_id in begun[0].text


async def test_what_is_rolled_back_cannot_be_rolled_back_again_and_neither_can_the_rollback(undo: Undo) -> None:
    run_id = await undo.pushed("first")
    child = await undo.begun(run_id)
    await undo.approved(child)
    again, of_it = await undo.ask(run_id), await undo.ask(child)
    assert isinstance(again, Refusal)
    assert "already rolled back" in again.text
    assert isinstance(of_it, Refusal)
    assert "is a rollback itself" in of_it.text


async def test_a_denied_compensation_leaves_the_run_as_it_was_and_the_next_rollback_does_what_is_left(
    undo: Undo,
) -> None:
    run_id = await undo.pushed("first", "second", "third")
    child = await undo.begun(run_id)
    assert "waiting-for-approval" == (await undo.approved(child, times=1)).state
    await vote(undo.rig, child, decision="deny", reason="people use it")
    shown = await undo.rig.drive(child)
    assert ("failed", ["third"], "completed") == (shown.state, undo.world.deleted, await state(undo, run_id))
    assert "1 of 3 undone; the step `undo-second` needs you" in str(shown.outcome)
    assert "people use it" in str(shown.outcome)
    assert ["done", "failed", "skipped"] == [line.status for line in shown.plan]
    assert "rollback-ended" == (await types(undo, run_id))[-1]
    assert None is (await undo.rig.row(run_id)).run.rollback_id

    second = await undo.begun(run_id)
    assert "completed" == (await undo.approved(second)).state

    assert (["third", "second", "first"], "rolled-back") == (undo.world.deleted, await state(undo, run_id))
    assert ["undo-second", "undo-first"] == [call.step for call in (await undo.rig.row(second)).calls]
    assert [] == await broken(undo.rig.database)


async def test_a_branch_that_moved_is_never_asked_about_and_stays(undo: Undo) -> None:
    run_id = await undo.pushed("first")
    undo.world.moved.add("first")
    child = await undo.begun(run_id)
    shown = await undo.rig.drive(child)
    assert ("failed", (), {"first"}) == (shown.state, shown.approvals, undo.world.branches)
    assert "0 of 1 undone" in str(shown.outcome)
    assert "moved since" in str(shown.outcome)
    assert "completed" == await state(undo, run_id)


async def test_what_moves_after_the_approval_is_not_deleted(undo: Undo) -> None:
    run_id = await undo.pushed("first")
    child = await undo.begun(run_id)
    await undo.rig.drive(child)
    await vote(undo.rig, child)
    undo.world.moved.add("first")
    shown = await undo.rig.drive(child)
    assert ({"first"}, []) == (undo.world.branches, undo.world.deleted)
    assert ("failed", "completed") == (shown.state, await state(undo, run_id))


async def test_effects_without_an_undo_stay_and_are_named(rig: Rig) -> None:
    undo = await Undo.on(rig)
    rig.tool("mail", succeed, tier="irreversible")
    rig.tool("note", succeed, tier="compensable")
    run_id = await undo.pushed("first", more=(step("tell", "mail"), step("write", "note")))
    shown = await undo.approved(await undo.begun(run_id))
    assert ("completed", "rolled-back") == (shown.state, await state(undo, run_id))
    assert "Could not be undone: `mail` in step `tell`, `note` in step `write`." in str(shown.outcome)


async def test_a_run_that_did_nothing_that_can_be_undone_is_not_rolled_back(rig: Rig) -> None:
    undo = await Undo.on(rig)
    rig.tool("mail", succeed, tier="irreversible")
    rig.tool("look", succeed, tier="read")
    inside, mailed = await undo.pushed(more=(step("one", "look"),)), await undo.pushed(more=(step("one", "mail"),))
    nothing, never = await undo.ask(inside), await undo.ask(mailed)
    assert isinstance(nothing, Refusal)
    assert "nothing to undo" in nothing.text
    assert isinstance(never, Refusal)
    assert "Nothing that run" in never.text
    assert "`mail` in step `one`" in never.text


async def test_a_worker_that_dies_between_two_compensations_repeats_neither(undo: Undo) -> None:
    run_id = await undo.pushed("first", "second")
    child = await undo.begun(run_id)
    await undo.rig.drive(child)
    await vote(undo.rig, child)
    release, dying = asyncio.Event(), asyncio.Event()

    async def stands_still(name: str, context: ToolContext) -> None:
        if name == "first":
            undo.world.looking = nothing
            dying.set()
            await release.wait()

    undo.world.looking = stands_still
    first = await _dying(undo, child, dying)
    assert (["second"], "completed") == (undo.world.deleted, await state(undo, run_id))
    await undo.rig.start()
    shown = await undo.approved(child)
    release.set()
    await first

    assert ("completed", ["second", "first"]) == (shown.state, undo.world.deleted)
    assert [1, 1] == [action.attempts for action in (await undo.rig.look(child)).actions]
    assert "rolled-back" == await state(undo, run_id)
    assert [] == await broken(undo.rig.database)


async def test_a_deletion_whose_answer_was_lost_is_looked_for_and_not_repeated(undo: Undo) -> None:
    run_id = await undo.pushed("first", "second")
    child = await undo.begun(run_id)
    await undo.rig.drive(child)
    await vote(undo.rig, child)
    release, dying = asyncio.Event(), asyncio.Event()

    async def stands_still(name: str, context: ToolContext) -> None:
        undo.world.after = nothing
        dying.set()
        await release.wait()

    undo.world.after = stands_still
    first = await _dying(undo, child, dying)
    await undo.rig.start()
    shown = await undo.approved(child)
    release.set()
    await first

    assert ("completed", ["second", "first"]) == (shown.state, undo.world.deleted)
    assert ["probe"] == [call.resolved_by for call in (await undo.rig.row(child)).calls if call.resolved_by]
    assert "rolled-back" == await state(undo, run_id)
    assert [] == await broken(undo.rig.database)


async def nothing(name: str, context: ToolContext) -> None:
    """Go on."""


async def _dying(undo: Undo, child: str, dying: asyncio.Event) -> asyncio.Task[Any]:
    """Let the worker stand still for ever at some point of a rollback, its lease gone."""
    rig = undo.rig
    assert rig.driver is not None
    assert rig.lease is not None
    driving = asyncio.create_task(rig.driver.on_ring(child, 0))
    await dying.wait()
    await workers.remove(rig.database, rig.lease.identity.id)
    return driving


async def test_a_compensation_of_unknown_outcome_needs_a_person_and_nothing_goes_on(rig: Rig) -> None:
    undo = await Undo.on(rig, recovery="opaque")
    run_id = await undo.pushed("first", "second")

    async def lost(name: str, context: ToolContext) -> ToolResult:
        return ToolResult("unknown", error="the answer was lost")

    undo.world.after = lost
    child = await undo.begun(run_id)
    shown = await undo.approved(child)
    assert ("blocked", "ambiguous-effect", ["second"]) == (shown.state, shown.blocked_reason, undo.world.deleted)
    assert "completed" == await state(undo, run_id)
    waiting = await undo.ask(run_id)
    assert isinstance(waiting, Refusal)
    assert "being rolled back already" in waiting.text

    undo.world.after = nothing
    (call,) = (await rig.row(child)).calls
    settled = partial(resolve, run_id=child, call_id=call.id, by=ANA, ran=True, now_ms=rig.clock.wall_ms())
    assert isinstance(await rig.database.journal.command(TENANT, Target(run_id=child), settled), Decided)
    assert "completed" == (await undo.approved(child)).state
    assert (["second", "first"], "rolled-back") == (undo.world.deleted, await state(undo, run_id))
    assert [] == await broken(rig.database)


@pytest.mark.parametrize("named", ["parent", "child"])
async def test_a_stop_of_the_run_or_of_its_rollback_ends_the_rollback_and_leaves_the_run(
    undo: Undo, named: str
) -> None:
    run_id = await undo.pushed("first")
    child = await undo.begun(run_id)
    await undo.rig.drive(child)
    target = run_id if named == "parent" else child
    stop = partial(kill, run_id=target, by=ANA, reason="no", now_ms=undo.rig.clock.wall_ms())
    stopped = await undo.rig.database.journal.command(TENANT, Target(run_id=target), stop)
    assert isinstance(stopped, Decided)
    assert child in stopped.text
    assert ("canceled", "completed") == (await state(undo, child), await state(undo, run_id))
    assert "rollback-ended" == (await types(undo, run_id))[-1]

    shown = await undo.approved(await undo.begun(run_id))

    assert ("completed", "rolled-back") == (shown.state, await state(undo, run_id))
    assert [] == await broken(undo.rig.database)


async def test_a_canceled_run_is_rolled_back_once_its_stop_is_proved_and_its_own_workspace_does_not_matter(
    undo: Undo,
) -> None:
    begun, rig = asyncio.Event(), undo.rig

    async def until_killed(probe: Any, context: ToolContext) -> ToolResult:
        begun.set()
        await context.kill.wait()
        return ToolResult("unknown", error="it was stopped")

    rig.tool("work", until_killed, tier="workspace")
    pushing = {"id": "first", "title": "first", "tool": "push", "with": {"branch": "first"}}
    run_id = await rig.ask(pushing, step("work", "work"))
    await rig.drive(run_id)
    await vote(rig, run_id)
    assert rig.driver is not None
    driving = asyncio.create_task(rig.driver.on_ring(run_id, 0))
    await begun.wait()
    stop = partial(kill, run_id=run_id, by=ANA, reason="", now_ms=rig.clock.wall_ms())
    await rig.database.journal.command(TENANT, Target(run_id=run_id), stop)
    early = await undo.ask(run_id)
    assert isinstance(early, Refusal)
    assert "still being stopped" in early.text
    await rig.driver.check_stopped()
    await driving
    assert None is not (await rig.row(run_id)).run.stop_confirmed_at

    shown = await undo.approved(await undo.begun(run_id))

    assert ("completed", set()) == (shown.state, undo.world.branches)
    assert ["executing->canceled", "canceled->rolled-back"] == (await rig.moves(run_id))[-2:]
    assert ["unknown"] == [a.status for a in (await rig.look(run_id)).actions if a.tool == "work"]
    assert [] == await broken(rig.database)


async def test_an_effect_nobody_knows_the_outcome_of_is_settled_first(rig: Rig) -> None:
    undo = await Undo.on(rig)

    async def lost(probe: Any, context: ToolContext) -> ToolResult:
        return ToolResult("unknown", error="the answer was lost")

    rig.tool("mail", lost, tier="irreversible", recovery="opaque")
    pushing = {"id": "first", "title": "first", "tool": "push", "with": {"branch": "first"}}
    run_id = await rig.ask(pushing, step("tell", "mail"))
    for _ in range(2):
        await rig.drive(run_id)
        await vote(rig, run_id)
    assert "blocked" == (await rig.drive(run_id)).state
    stop = partial(kill, run_id=run_id, by=ANA, reason="", now_ms=rig.clock.wall_ms())
    await rig.database.journal.command(TENANT, Target(run_id=run_id), stop)
    assert rig.driver is not None
    await rig.driver.check_stopped()
    refused = await undo.ask(run_id)
    assert isinstance(refused, Refusal)
    assert "Nobody knows yet whether `mail` in step `tell` happened" in refused.text

    (call,) = [each for each in (await rig.row(run_id)).calls if each.tool == "mail"]
    settling = partial(resolve, run_id=run_id, call_id=call.id, by=ANA, ran=True, now_ms=rig.clock.wall_ms())
    said = await rig.database.journal.command(TENANT, Target(run_id=run_id), settling)
    assert isinstance(said, Decided)
    assert "The run is over" in said.text
    assert "canceled" == await state(undo, run_id)
    assert isinstance(await rig.database.journal.command(TENANT, Target(run_id=run_id), settling), Refusal)
    shown = await undo.approved(await undo.begun(run_id))
    assert ("completed", "rolled-back") == (shown.state, await state(undo, run_id))
    assert "Could not be undone: `mail` in step `tell`" in str(shown.outcome)
    assert [] == await broken(rig.database)


async def test_what_a_dead_worker_left_unwritten_the_sweeper_writes_down(undo: Undo) -> None:
    rig = undo.rig
    run_id = await undo.pushed("first")
    child = await undo.begun(run_id)
    await rig.drive(child)
    await vote(rig, child)
    # What drives a slice dies right after it, before anything is written on the run.
    assert rig.station is not None
    boot_id = rig.station.boot_id
    (claimed,) = await claimed_by(rig.database, rig.station.worker, child, clock=rig.clock, boot_id=boot_id)
    assert "completed" == (await Slice(rig.station, claimed, asyncio.Event()).drive()).run.state
    assert "completed" == await state(undo, run_id)
    objects = FileStore(rig.home / "artifacts")
    sweeper = Sweeper(rig.database, SilentDoorbell(), objects, rig.clock, owner="a", boot_id="b")

    first, second = await sweeper.tick(), await sweeper.tick()

    assert first is not None
    assert second is not None
    assert (1, 0) == (first.rolled_back, second.rolled_back)
    assert "rolled-back" == await state(undo, run_id)
    moved = await rig.moves(run_id)
    assert not await rollbacks.close_one(rig.database, SilentDoorbell(), TENANT, child, now_ms=1)
    assert moved == await rig.moves(run_id)
    assert [] == await broken(rig.database)


async def test_the_operator_may_let_a_compensation_through_and_forbid_it(rig: Rig) -> None:
    allowed = {"name": "take", "decision": "allow", "tools": ["push.undo"]}
    undo = await Undo.on(rig, policy=json.dumps({"policy": {"rules": [allowed]}}))
    run_id = await undo.pushed("first", "second")
    shown = await rig.drive(await undo.begun(run_id))
    assert ("completed", (), "rolled-back") == (shown.state, shown.approvals, await state(undo, run_id))

    forbidden = {"name": "never", "tools": ["push.undo"], "reason": "Nothing is taken back here."}
    rig.policy = json.dumps({"policy": {"denials": [forbidden]}})
    other = await undo.pushed("third")
    shown = await rig.drive(await undo.begun(other))
    assert ("failed", {"third"}, "completed") == (shown.state, undo.world.branches, await state(undo, other))
    assert "Nothing is taken back here" in str(shown.outcome)


async def test_who_may_not_stop_a_run_may_not_have_it_rolled_back(undo: Undo) -> None:
    run_id = await undo.pushed("first")
    for who, said in ((Principal("mia"), "Only the person"), (Principal("g", external=True), "Guests")):
        refused = await undo.ask(run_id, by=who)
        assert isinstance(refused, Refusal)
        assert ("not-allowed", True) == (refused.why, said in refused.text)
    assert isinstance(await undo.ask(run_id, by=BEN), Decided), "an approver of its agent may"
