"""A freeze that comes while a call is due for another attempt: what may have run is never said not to have."""

from functools import partial
from typing import Any

import pytest

from core.artifacts import FileStore
from core.ids import TENANT
from core.principals import Principal
from core.record.changes import Decided
from core.runs import asks, reading
from core.runs.commands.kill import kill
from core.store.examining import examine
from core.store.lane import Target
from core.store.readonly import looking
from core.tools.base import ToolContext, ToolResult
from tests.factories import FixedClock
from tests.integration.worker.conftest import Probe, Rig, step
from tests.integration.worker.operating import frozen, thawed
from tests.integration.worker.voting import vote
from tests.invariants import broken


@pytest.fixture
def clock(rig: Rig) -> FixedClock:
    rig.clock = clock = FixedClock()
    return clock


async def interrupted(rig: Rig, clock: FixedClock, *, freeze: bool = True, **fields: Any) -> tuple[str, Probe]:
    """A run whose worker was cut off in the middle of a call of `push`, taken up under a freeze of that tool."""

    async def cut_off(probe: Probe, context: ToolContext) -> ToolResult:
        if len(probe.contexts) == 1:
            if freeze:
                await frozen(rig, "tool:push", told=False)
            assert rig.driver is not None
            rig.driver.stop_lost(rig.driver.driving)
            return ToolResult("unknown", error="cut off")
        return ToolResult("succeeded")

    probe = rig.tool("push", cut_off, **fields)
    await rig.start()
    run_id = await rig.ask(step("push", "push"))
    await rig.drive(run_id)
    if fields.get("tier") == "compensable":
        await vote(rig, run_id)
        await rig.drive(run_id)
    assert rig.driver is not None
    await rig.driver._abandon(TENANT, run_id, "x")
    clock.jump_wall(5_000)
    await rig.drive(run_id)
    return run_id, probe


async def violated(rig: Rig, url: str, clock: FixedClock) -> list[str]:
    """What `doctor --invariants` would say."""
    async with looking(url) as look:
        found = await examine(look, FileStore(rig.home / "artifacts"), clock, "boot-1")
    return [f"{each.id}: {each.offending}" for each in found if each.verdict == "violated"]


async def test_a_call_that_was_cut_off_stays_started_while_its_run_stands_still(
    rig: Rig, clock: FixedClock, database_url: str
) -> None:
    run_id, probe = await interrupted(rig, clock)
    shown = await rig.look(run_id)
    assert ("blocked", "frozen") == (shown.state, shown.blocked_reason)
    assert [("started", 1)] == [(call.status, call.attempts) for call in shown.actions]
    assert [] == await broken(rig.database) + await violated(rig, database_url, clock)
    await thawed(rig, "tool:push")
    assert ("completed", 2) == ((await rig.drive(run_id)).state, len(probe.contexts))
    assert 1 == len({context.idempotency_key for context in probe.contexts})
    assert [] == await broken(rig.database) + await violated(rig, database_url, clock)


async def test_a_stop_of_a_frozen_run_counts_the_call_that_was_cut_off(rig: Rig, clock: FixedClock) -> None:
    run_id, _ = await interrupted(rig, clock)
    assert "1 tool call was in flight" in await stopped(rig, run_id)
    assert ["started"] == [call.status for call in (await rig.row(run_id)).calls]


async def stopped(rig: Rig, run_id: str) -> str:
    stop = partial(kill, run_id=run_id, by=Principal("ana"), reason="", now_ms=rig.clock.wall_ms())
    done = await rig.database.journal.command(TENANT, Target(run_id=run_id), stop)
    assert isinstance(done, Decided)
    return done.text


async def test_a_call_whose_approval_ran_out_under_a_freeze_is_unknown_and_not_failed(
    rig: Rig, clock: FixedClock
) -> None:
    run_id, probe = await interrupted(rig, clock, tier="compensable")
    assert "frozen" == (await rig.look(run_id)).blocked_reason
    clock.jump_wall(2 * asks.CONSUMED_FOR_MS)
    await thawed(rig, "tool:push")
    shown = await rig.drive(run_id)
    assert ("blocked", "ambiguous-effect", 1) == (shown.state, shown.blocked_reason, len(probe.contexts))
    assert ["unknown"] == [call.status for call in shown.actions]
    assert [] == await broken(rig.database)


async def unanswered(rig: Rig, then: str = "unknown") -> tuple[str, Probe]:
    """A gated run whose call is due again after an attempt that gave no answer, and one that ended like `then`."""

    async def no_answer(probe: Probe, context: ToolContext) -> ToolResult:
        return ToolResult("unknown" if len(probe.contexts) == 1 else then, error="no answer", retry_after_s=0)  # type: ignore[arg-type]

    probe = rig.tool("push", no_answer, tier="compensable")
    await rig.start()
    run_id = await rig.ask(step("push", "push"))
    await rig.drive(run_id)
    await vote(rig, run_id)
    await rig.drive(run_id)
    return run_id, probe


@pytest.mark.parametrize("then", ["unknown", "failed-safe"])
async def test_a_call_that_may_have_run_is_unknown_when_its_approval_does_not_cover_another_attempt(
    rig: Rig, clock: FixedClock, then: str
) -> None:
    run_id, probe = await unanswered(rig, then)
    if then == "failed-safe":
        clock.jump_wall(5_000)
        await rig.drive(run_id)
    tried = len(probe.contexts)
    assert [("intent", tried)] == [(call.status, call.attempts) for call in (await rig.row(run_id)).calls]
    clock.jump_wall(2 * asks.CONSUMED_FOR_MS)
    shown = await rig.drive(run_id)
    assert ("blocked", "ambiguous-effect", tried) == (shown.state, shown.blocked_reason, len(probe.contexts))
    assert ["unknown"] == [call.status for call in shown.actions]
    assert [] == await broken(rig.database)


async def test_a_call_that_may_have_run_is_not_repeated_under_a_key_that_is_too_old(
    rig: Rig, clock: FixedClock
) -> None:
    run_id, probe = await unanswered(rig)
    async with rig.database.begin() as connection:
        await connection.exec_driver_sql(f"UPDATE tool_calls SET idem_valid_until = {clock.wall_ms() + 2_000}")
    clock.jump_wall(5_000)
    shown = await rig.drive(run_id)
    assert ("blocked", "ambiguous-effect", 1) == (shown.state, shown.blocked_reason, len(probe.contexts))
    assert "too old" in str(shown.blocked_detail)


async def test_a_stop_says_of_a_call_due_again_that_it_may_have_run(rig: Rig, clock: FixedClock) -> None:
    run_id, _ = await unanswered(rig)
    await stopped(rig, run_id)
    shown = await rig.look(run_id)
    assert ("canceled", ["unknown"]) == (shown.state, [call.status for call in shown.actions])
    log = await reading.log(rig.database, TENANT, run_id)
    assert "call-canceled" not in {event.type for event in log}
    assert [] == await broken(rig.database)
