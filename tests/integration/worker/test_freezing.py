"""Freeze and thaw on a real worker: starts stop, clocks are parked to the millisecond, and everything goes on after."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from core.artifacts import FileStore
from core.ids import TENANT
from core.principals import Principal
from core.queue import SilentDoorbell
from core.record.changes import Decided, Refusal
from core.record.freezes import FreezeChange
from core.record.states import BlockedReason
from core.runs import reading
from core.runs.commands.decide import take_back
from core.runs.commands.expire import expire
from core.runs.commands.kill import kill
from core.runs.sweeper import Sweeper
from core.store import approvals, freezes
from core.store.lane import FROZEN, Target
from core.tools.base import ToolContext, ToolResult
from tests.factories import FixedClock
from tests.integration.worker.conftest import Probe, Rig, step, succeed, until
from tests.integration.worker.operating import OPS, frozen, spread, thawed, what
from tests.integration.worker.voting import BEN, CAT, asked, cast, known, vote
from tests.invariants import broken

ANA = Principal("ana")
MINUTE = 60_000


@pytest.fixture
def clock(rig: Rig) -> FixedClock:
    rig.clock = clock = FixedClock()
    return clock


async def waiting(rig: Rig) -> tuple[str, Probe]:
    """A run that waits for a decision about its call of `push`."""
    probe = rig.tool("push", succeed, tier="compensable")
    if rig.driver is None:
        await rig.start()
    run_id = await rig.ask(step("push", "push"))
    assert "waiting-for-approval" == (await rig.drive(run_id)).state
    return run_id, probe


async def voted(rig: Rig, run_id: str, decision: Any = "approve", **fields: Any) -> Decided | Refusal:
    """A vote on a question whoever asked it, by the rig's clock."""
    await known(rig, BEN)
    ask = await asked(rig, run_id)
    return await cast(rig.database, rig.clock, ask, BEN, decision, policy_digest=rig.rules().pinned.digest, **fields)


def story(log: list[Any]) -> list[tuple[str, str]]:
    """What a run's log says of freezes: the type, and who."""
    return [(event.type, event.actor) for event in log if event.type in ("run-frozen", "run-thawed")]


SCOPES = ("run", "agent:probe", "tool:work", "everything")


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_run_stops_before_its_first_start_and_goes_on_when_it_is_thawed(rig: Rig, scope: str) -> None:
    probe = rig.tool("work", succeed)
    await rig.start()
    run_id = await rig.ask(step("one", "work"))
    scope = f"run:{run_id}" if scope == "run" else scope
    assert isinstance(await frozen(rig, scope), FreezeChange)

    shown = await rig.drive(run_id)
    assert ("blocked", BlockedReason.FROZEN, 0) == (shown.state, shown.blocked_reason, len(probe.contexts))
    assert "frozen by ops" in str(shown.blocked_detail)
    assert f"banksman thaw {scope}" in str(shown.blocked_detail)
    assert [scope] == [freeze.scope for freeze in shown.freezes]

    await thawed(rig, scope)
    shown = await rig.drive(run_id)
    assert ("completed", 1, ()) == (shown.state, len(probe.contexts), shown.freezes)
    log = await reading.log(rig.database, TENANT, run_id)
    assert ("run-thawed", "human:ops") == story(log)[-1]
    assert {("run-frozen", "human:ops")} == set(story(log)[:-1])
    moves = [event for event in log if event.type == "state" and "blocked" in (event.from_state, event.to_state)]
    assert ["human:ops"] * 2 == [event.actor for event in moves]
    (row,) = await freezes.listed(rig.database, TENANT)
    assert [row.id] * 2 == [event.evidence[0]["freeze"] for event in moves]
    assert ("ops", "ops", rig.clock.wall_ms()) > (row.frozen_by, str(row.thawed_by), row.frozen_at)
    assert [] == await broken(rig.database)


@pytest.mark.parametrize("scope", ["run:run_other", "agent:other", "tool:other", "channel:C1", "team:T1"])
async def test_what_a_freeze_does_not_cover_goes_on(rig: Rig, scope: str) -> None:
    probe = rig.tool("work", succeed)
    await rig.start()
    await frozen(rig, scope)
    shown = await rig.drive(await rig.ask(step("one", "work")))
    assert ("completed", 1, ()) == (shown.state, len(probe.contexts), shown.freezes)


@pytest.mark.parametrize("scope", ["channel:C1", "team:T1"])
async def test_a_freeze_of_a_place_covers_what_was_asked_for_there(rig: Rig, scope: str) -> None:
    probe = rig.tool("work", succeed)
    await rig.start()
    run_id = await rig.ask(step("one", "work"))
    async with rig.database.begin() as connection:
        await connection.exec_driver_sql("UPDATE runs SET channel = 'C1', team = 'T1', thread_ts = '1.1'")
    await frozen(rig, scope)
    shown = await rig.drive(run_id)
    assert ("blocked", 0, [scope]) == (shown.state, len(probe.contexts), [each.scope for each in shown.freezes])
    await thawed(rig, scope)
    assert "completed" == (await rig.drive(run_id)).state


async def test_a_call_under_way_goes_on_to_its_end_and_the_next_one_does_not_start(rig: Rig) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(probe: Probe, context: ToolContext) -> ToolResult:
        begun.set()
        await go.wait()
        return ToolResult("succeeded", {"n": 1})

    rig.tool("slow", slow)
    second = rig.tool("work", succeed)
    await rig.start()
    run_id = await rig.ask(step("one", "slow"), step("two", "work"))
    driving = asyncio.create_task(rig.drive(run_id))
    await begun.wait()
    await frozen(rig, "everything")
    shown = await rig.look(run_id)
    assert ("executing", ["everything"]) == (shown.state, [each.scope for each in shown.freezes])
    assert [("run-frozen", "human:ops")] == story(await reading.log(rig.database, TENANT, run_id))
    go.set()
    shown = await driving
    assert ("blocked", "frozen", 0) == (shown.state, shown.blocked_reason, len(second.contexts))
    assert ["succeeded"] == [action.status for action in shown.actions]
    await thawed(rig, "everything")
    assert ("completed", 1) == ((await rig.drive(run_id)).state, len(second.contexts))
    assert [] == await broken(rig.database)


async def test_another_attempt_of_a_call_does_not_start_either(rig: Rig) -> None:
    async def first_fails(probe: Probe, context: ToolContext) -> ToolResult:
        if len(probe.contexts) == 1:
            await frozen(rig, "tool:work", told=False)
            return ToolResult("failed-safe", error="it was refused", retry_after_s=0)
        return ToolResult("succeeded")

    probe = rig.tool("work", first_fails)
    await rig.start()
    run_id = await rig.ask(step("one", "work"))

    async def held() -> bool:
        return (await rig.drive(run_id)).state == "blocked"

    await until(held)
    shown = await rig.look(run_id)
    assert ("frozen", 1, ["intent"]) == (shown.blocked_reason, len(probe.contexts), [a.status for a in shown.actions])
    await thawed(rig, "tool:work")
    shown = await rig.drive(run_id)
    assert ("completed", 2, 2) == (shown.state, len(probe.contexts), shown.actions[0].attempts)
    assert [] == await broken(rig.database)


async def test_nobody_is_asked_about_anything_while_it_is_frozen(rig: Rig) -> None:
    probe = rig.tool("push", succeed, tier="compensable")
    await rig.start()
    await frozen(rig, "agent:probe")
    run_id = await rig.ask(step("push", "push"))
    shown = await rig.drive(run_id)
    assert ("blocked", "frozen", ()) == (shown.state, shown.blocked_reason, shown.approvals)
    await thawed(rig, "agent:probe")
    assert "waiting-for-approval" == (await rig.drive(run_id)).state
    await vote(rig, run_id)
    assert ("completed", 1) == ((await rig.drive(run_id)).state, len(probe.contexts))


async def test_the_time_to_decide_stands_still_to_the_millisecond(rig: Rig, clock: FixedClock) -> None:
    run_id, _ = await waiting(rig)
    before = (await asked(rig, run_id)).approval
    clock.jump_wall(7 * MINUTE + 1)
    await frozen(rig, "tool:push", told=False)
    clock.jump_wall(9_000)  # the pass is late; the clock stops at the freeze, not at the pass
    await spread(rig)
    parked = (await asked(rig, run_id)).approval
    left_ms = before.expires_at_ms - before.asked_at_ms - 7 * MINUTE - 1
    assert (left_ms, before.expires_at_ms) == (parked.parked_ms, parked.expires_at_ms)
    assert ("blocked", "frozen") == ((shown := await rig.look(run_id)).state, shown.blocked_reason)

    clock.jump_wall(3 * 24 * 60 * MINUTE)
    assert [] == await approvals.overdue(rig.database, now_ms=clock.wall_ms(), limit=9)
    over = partial(expire, approval_id=before.id, now_ms=clock.wall_ms())
    assert isinstance(await rig.database.journal.command(TENANT, Target(approval_id=before.id), over), Refusal)

    await thawed(rig, "tool:push")
    after = (await asked(rig, run_id)).approval
    assert (None, clock.wall_ms() + left_ms, "pending") == (after.parked_ms, after.expires_at_ms, after.status)
    assert "waiting-for-approval" == (await rig.look(run_id)).state
    assert [] == await broken(rig.database)


async def test_the_time_to_start_stands_still_too_and_the_call_starts_when_it_is_thawed(
    rig: Rig, clock: FixedClock
) -> None:
    run_id, probe = await waiting(rig)
    clock.jump_wall(MINUTE)
    await voted(rig, run_id)
    row = (await rig.row(run_id)).approvals[0]
    clock.jump_wall(5 * MINUTE)
    await frozen(rig, "everything")
    parked = (await rig.row(run_id)).approvals[0]
    assert row.use_by is not None
    assert (row.use_by - clock.wall_ms(), row.use_by) == (parked.remaining_ms, parked.use_by)
    assert 0 == len(probe.contexts)
    clock.jump_wall(60 * MINUTE)
    assert "blocked" == (await rig.drive(run_id)).state
    await thawed(rig, "everything", told=False)
    await spread(rig)
    back = await rig.row(run_id)
    assert (None, clock.wall_ms() + 10 * MINUTE) == (back.approvals[0].remaining_ms, back.approvals[0].use_by)
    assert row.expires_at + 60 * MINUTE == back.approvals[0].expires_at
    assert (0, "waiting-for-approval") == (back.run.due_at, back.run.state)
    await known(rig, BEN)
    assert ("completed", 1) == ((await rig.drive(run_id)).state, len(probe.contexts))


async def test_the_time_a_run_may_take_stands_still_with_it(rig: Rig, clock: FixedClock) -> None:
    rig.tool("work", succeed)
    await rig.start()
    run_id = await rig.ask(step("one", "work"))
    await frozen(rig, "everything")
    await rig.drive(run_id)
    clock.jump_wall(48 * 60 * MINUTE)
    await thawed(rig, "everything")
    assert "completed" == (await rig.drive(run_id)).state


async def test_an_approval_that_comes_while_it_is_frozen_counts_for_nothing(rig: Rig) -> None:
    run_id, probe = await waiting(rig)
    await frozen(rig, "agent:probe")
    refused = await voted(rig, run_id)
    assert isinstance(refused, Refusal)
    assert ("frozen", True) == (refused.why, "The agent probe is frozen by ops since" in refused.text)
    assert "a bad deploy" in refused.text
    assert () == (await rig.look(run_id)).approvals[0].votes
    await thawed(rig, "agent:probe")
    assert isinstance(await voted(rig, run_id), Decided)
    assert ("completed", 1) == ((await rig.drive(run_id)).state, len(probe.contexts))


async def test_a_denial_counts_while_it_is_frozen_and_the_run_goes_on_as_denied(rig: Rig) -> None:
    run_id, probe = await waiting(rig)
    await frozen(rig, "agent:probe")
    assert isinstance(await voted(rig, run_id, "deny", reason="no"), Decided)
    shown = await rig.drive(run_id)
    assert ("blocked", "frozen", "denied") == (shown.state, shown.blocked_reason, shown.approvals[0].status)
    await thawed(rig, "agent:probe")
    shown = await rig.drive(run_id)
    assert ("failed", 0) == (shown.state, len(probe.contexts))
    assert "ben denied it: no" in str(shown.outcome)
    assert [] == await broken(rig.database)


async def test_a_vote_that_is_taken_back_while_it_is_frozen_opens_the_question_again(
    rig: Rig, clock: FixedClock
) -> None:
    run_id, _ = await waiting(rig)
    row = (await rig.row(run_id)).approvals[0]
    await voted(rig, run_id)
    clock.jump_wall(MINUTE)
    await frozen(rig, "everything")
    back = partial(take_back, approval_id=row.id, by=BEN, now_ms=clock.wall_ms())
    assert isinstance(await rig.database.journal.command(TENANT, Target(approval_id=row.id), back), Decided)
    clock.jump_wall(MINUTE)
    await thawed(rig, "everything")
    now = await rig.row(run_id)
    assert ("pending", None, row.expires_at + MINUTE) == (
        now.approvals[0].status,
        now.approvals[0].use_by,
        now.approvals[0].expires_at,
    )
    assert ("waiting-for-approval", None) == (now.run.state, now.run.due_at)


async def test_one_freeze_inside_another_holds_until_both_are_thawed(rig: Rig) -> None:
    run_id, probe = await waiting(rig)
    await frozen(rig, "tool:push")
    await frozen(rig, "everything")
    assert "The tool push is frozen" in str((await rig.look(run_id)).blocked_detail)
    await thawed(rig, "tool:push")
    shown = await rig.look(run_id)
    assert ("blocked", ["everything"]) == (shown.state, [freeze.scope for freeze in shown.freezes])
    assert "Everything is frozen" in str(shown.blocked_detail)
    assert isinstance(await voted(rig, run_id), Refusal)
    await thawed(rig, "everything")
    assert "waiting-for-approval" == (await rig.look(run_id)).state
    kinds = [kind for kind, _ in story(await reading.log(rig.database, TENANT, run_id))]
    assert ["run-frozen", "run-frozen", "run-thawed", "run-thawed"] == kinds
    await voted(rig, run_id)
    assert ("completed", 1) == ((await rig.drive(run_id)).state, len(probe.contexts))


async def test_a_run_held_by_the_freeze_of_a_tool_is_not_let_go_by_the_end_of_another(rig: Rig) -> None:
    rig.tool("work", succeed)
    await rig.start()
    await frozen(rig, "tool:work")
    await frozen(rig, "agent:probe")
    run_id = await rig.ask(step("one", "work"))
    await rig.drive(run_id)
    await thawed(rig, "agent:probe")
    shown = await rig.drive(run_id)
    assert ("blocked", ["tool:work"]) == (shown.state, [freeze.scope for freeze in shown.freezes])
    before = await reading.log(rig.database, TENANT, run_id)
    assert 0 == await spread(rig)
    assert before == await reading.log(rig.database, TENANT, run_id)
    await thawed(rig, "tool:work")
    assert "completed" == (await rig.drive(run_id)).state


async def test_a_stop_works_on_a_frozen_run_and_withdraws_its_question(rig: Rig) -> None:
    run_id, probe = await waiting(rig)
    await frozen(rig, "everything")
    stop = partial(kill, run_id=run_id, by=ANA, reason="", now_ms=rig.clock.wall_ms())
    assert isinstance(await rig.database.journal.command(TENANT, Target(run_id=run_id), stop), Decided)
    shown = await rig.look(run_id)
    assert ("canceled", "revoked", None, ()) == (
        shown.state,
        shown.approvals[0].status,
        shown.approvals[0].parked_ms,
        shown.freezes,
    )
    await thawed(rig, "everything")
    assert ("canceled", 0) == ((await rig.drive(run_id)).state, len(probe.contexts))
    assert [] == await broken(rig.database)


async def test_nothing_expires_that_a_freeze_covers_and_nobody_has_parked_yet(rig: Rig, clock: FixedClock) -> None:
    run_id, _ = await waiting(rig)
    approval = (await asked(rig, run_id)).approval
    await frozen(rig, "everything", told=False)
    clock.jump_wall(48 * 60 * MINUTE)
    over = partial(expire, approval_id=approval.id, now_ms=clock.wall_ms())
    before = await rig.row(run_id)
    assert FROZEN == await rig.database.journal.command(TENANT, Target(approval_id=approval.id), over)
    assert before == await rig.row(run_id)
    await spread(rig)
    await thawed(rig, "everything")
    assert ("waiting-for-approval", "pending") == ((s := await rig.look(run_id)).state, s.approvals[0].status)


async def test_the_sweeper_parks_before_it_lets_expire(rig: Rig, clock: FixedClock, tmp_path: Path) -> None:
    run_id, _ = await waiting(rig)
    await frozen(rig, "everything", told=False)
    clock.jump_wall(48 * 60 * MINUTE)
    objects = FileStore(tmp_path / "artifacts")
    sweeper = Sweeper(rig.database, SilentDoorbell(), objects, clock, owner="s1", boot_id="boot-1")
    swept = await sweeper.tick()
    assert swept is not None
    assert (1, 0) == (swept.followed, swept.expired)
    await thawed(rig, "everything", told=False)
    clock.jump_wall(1)
    swept = await sweeper.tick()
    assert swept is not None
    assert (1, 0) == (swept.followed, swept.expired)
    assert "waiting-for-approval" == (await rig.look(run_id)).state


async def test_a_freeze_nobody_was_told_of_gives_the_time_back_when_it_is_thawed(rig: Rig, clock: FixedClock) -> None:
    run_id, _ = await waiting(rig)
    before = (await asked(rig, run_id)).approval
    await frozen(rig, "everything", told=False)
    clock.jump_wall(48 * 60 * MINUTE)
    await thawed(rig, "everything")
    after = (await asked(rig, run_id)).approval
    assert before.expires_at_ms + 48 * 60 * MINUTE == after.expires_at_ms


async def test_the_pass_changes_nothing_twice(rig: Rig) -> None:
    run_id, _ = await waiting(rig)
    await frozen(rig, "everything", told=False)
    done = await asyncio.gather(spread(rig), spread(rig), spread(rig))
    assert 1 == sum(done)
    assert 1 == len(story(await reading.log(rig.database, TENANT, run_id)))
    await thawed(rig, "everything", told=False)
    assert 1 == sum(await asyncio.gather(spread(rig), spread(rig), spread(rig)))
    assert 2 == len(story(await reading.log(rig.database, TENANT, run_id)))
    assert 0 == await spread(rig)


async def test_only_operators_of_this_house_freeze_and_thaw(rig: Rig) -> None:
    guest = Principal("slack:T9/U9", frozenset({"operator"}), external=True)
    for who, said in ((Principal("mia"), "Only an operator"), (CAT, "Only an operator"), (guest, "Guests")):
        for act in (frozen, thawed):
            refused = await act(rig, "everything", who)
            assert isinstance(refused, Refusal), who
            assert ("not-allowed", True) == (refused.why, said in refused.text)
    assert [] == await freezes.listed(rig.database, TENANT)


async def test_the_second_freeze_says_who_was_first_and_a_thaw_of_nothing_is_refused(rig: Rig) -> None:
    nothing = await thawed(rig, "agent:probe")
    assert isinstance(nothing, Refusal)
    assert ("ended", True) == (nothing.why, "not frozen" in nothing.text)
    await frozen(rig, "agent:probe")
    again = await frozen(rig, "agent:probe", Principal("mo", frozenset({"operator"})))
    assert isinstance(again, Refusal)
    assert "already frozen by ops since" in again.text
    await thawed(rig, "agent:probe")
    assert isinstance(await frozen(rig, "agent:probe"), FreezeChange)
    assert 2 == len(await freezes.listed(rig.database, TENANT))
    assert [what("agent:probe")] == [row.what for row in await freezes.open_ones(rig.database, TENANT)]


async def test_two_who_freeze_the_same_at_once_make_one_freeze(rig: Rig) -> None:
    done = await asyncio.gather(*(frozen(rig, "everything", OPS, told=False) for _ in range(4)))
    assert 1 == sum(isinstance(each, FreezeChange) for each in done)
    assert 1 == len(await freezes.listed(rig.database, TENANT))
