"""Workers that die, freeze, break or are told to go: the run goes on elsewhere, and nothing is done twice."""

import asyncio
import json
from dataclasses import replace

from core.ids import TENANT
from core.planners.base import PlanRequest, Turn
from core.record.changes import Landed
from core.record.states import BlockedReason, CallStatus, RunState
from core.runs import reading
from core.store import workers
from core.tools.base import ToolContext, ToolResult
from tests.integration.worker.conftest import Probe, Rig, step, succeed, until
from tests.patience import PATIENCE_S


async def _first_worker_dies_mid_call(rig: Rig, probe: Probe, run_id: str) -> asyncio.Task[object]:
    """Leave a run `started` under a worker whose lease is gone, with its slice frozen inside the call."""
    driver = await rig.start()
    frozen = asyncio.create_task(driver.on_ring(run_id, 0))
    await until(lambda: _started(probe))
    assert rig.lease is not None
    await workers.remove(rig.database, rig.lease.identity.id)
    return frozen


async def test_another_worker_repeats_an_idempotent_call_under_the_same_key(rig: Rig) -> None:
    release = asyncio.Event()

    async def first_hangs(probe: Probe, context: ToolContext) -> ToolResult:
        if len(probe.contexts) == 1:
            await release.wait()
        return ToolResult("succeeded", {"by": len(probe.contexts)})

    probe = rig.tool("work", first_hangs, recovery="idempotent")
    run_id = await rig.ask(step("one", "work"), step("two", "work"))
    frozen = await _first_worker_dies_mid_call(rig, probe, run_id)
    await rig.start()

    view = await rig.drive(run_id)

    assert RunState.COMPLETED == view.state
    assert [2, 1] == [action.attempts for action in view.actions]
    assert 2 == len({context.idempotency_key for context in probe.contexts})
    assert probe.contexts[0].label.fence < probe.contexts[1].label.fence
    release.set()
    await frozen
    again = await rig.look(run_id)
    first, second = again.actions
    assert (view.state, view.actions) == (again.state, (replace(first, late=()), second))
    late = [event for event in await reading.log(rig.database, TENANT, run_id) if event.type == "late-result"]
    assert 1 == len(late)
    lost = probe.contexts[0].label.fence
    assert [("succeeded", lost)] == [(each.status, each.fence) for each in first.late]
    assert again.full_json()["actions"][0]["late_results"][0]["status"] == "succeeded"
    assert {"by": 2} == json.loads((await rig.row(run_id)).calls[0].result_json or ""), "the late one is not used"


async def test_another_worker_never_repeats_an_opaque_call(rig: Rig) -> None:
    release = asyncio.Event()

    async def hangs(probe: Probe, context: ToolContext) -> ToolResult:
        await release.wait()
        return ToolResult("succeeded")

    probe = rig.tool("work", hangs, recovery="opaque")
    run_id = await rig.ask(step("one", "work"))
    frozen = await _first_worker_dies_mid_call(rig, probe, run_id)
    await rig.start()

    view = await rig.drive(run_id)

    assert (RunState.BLOCKED, BlockedReason.AMBIGUOUS_EFFECT) == (view.state, view.blocked_reason)
    assert [CallStatus.UNKNOWN] == [action.status for action in view.actions]
    assert 1 == len(probe.contexts)
    release.set()
    await frozen
    after = await rig.look(run_id)
    assert (RunState.BLOCKED, [CallStatus.UNKNOWN]) == (after.state, [action.status for action in after.actions])
    assert ["succeeded"] == [late.status for late in after.actions[0].late], "somebody who looks may want to know"


async def test_a_slice_that_breaks_off_is_tried_again_and_then_blocks(rig: Rig) -> None:
    class Broken:
        io_free = True

        def decide(self, request: PlanRequest) -> Turn:
            raise ZeroDivisionError

    rig.planner = Broken()
    driver = await rig.start()
    run_id = await rig.ask(step("one", "work"))

    async def blocked() -> bool:
        await _make_due(rig, run_id)
        await driver.on_ring(run_id, 0)
        return (await rig.look(run_id)).state is RunState.BLOCKED

    await until(blocked)

    view = await rig.look(run_id)
    assert BlockedReason.DEPENDENCY_DOWN == view.blocked_reason
    assert "ZeroDivisionError" in (view.blocked_detail or "")
    assert (await rig.row(run_id)).run.lease_owner is None


async def test_a_disk_that_fails_is_tried_again_and_then_said(rig: Rig) -> None:
    probe = rig.tool("work", succeed)
    await rig.start()
    run_id = await rig.ask(step("one", "work"))
    (rig.home / "workspaces" / TENANT).write_text("in the way")

    async def ended() -> bool:
        await _make_due(rig, run_id)
        return (await rig.drive(run_id)).state in (RunState.FAILED, RunState.BLOCKED)

    await until(ended)

    view = await rig.look(run_id)
    assert (RunState.BLOCKED, BlockedReason.DEPENDENCY_DOWN) == (view.state, view.blocked_reason)
    assert 4 == view.actions[0].attempts
    assert [] == probe.contexts


async def test_a_run_held_and_not_driven_is_given_back(rig: Rig) -> None:
    rig.tool("work", succeed)
    driver = await rig.start()
    run_id = await rig.ask(step("one", "work"))
    assert rig.station is not None
    assert rig.lease is not None
    from tests.factories import claimed_by

    await claimed_by(
        rig.database,
        rig.station.worker,
        run_id,
        clock=rig.clock,
        boot_id=rig.lease.identity.boot_id,  # type: ignore[arg-type]
    )

    for _ in range(2):
        await driver.compare(await rig.lease.renew(driver.driving))
    await _make_due(rig, run_id)

    assert RunState.COMPLETED == (await rig.drive(run_id)).state


async def test_a_worker_that_is_told_to_go_ends_at_a_step_boundary(rig: Rig) -> None:
    go_on = asyncio.Event()

    async def slow(probe: Probe, context: ToolContext) -> ToolResult:
        await go_on.wait()
        return ToolResult("succeeded")

    probe = rig.tool("work", slow)
    driver = await rig.start()
    run_id = await rig.ask(step("one", "work"), step("two", "work"))
    driving = asyncio.create_task(driver.on_ring(run_id, 0))
    await until(lambda: _started(probe))

    draining = asyncio.create_task(driver.drain(5))
    await asyncio.sleep(0)
    go_on.set()
    await draining
    await driving

    left = (await rig.row(run_id)).run
    assert (RunState.PLANNING, None) == (left.run_state, left.lease_owner)
    await rig.start()
    view = await rig.drive(run_id)
    assert RunState.COMPLETED == view.state
    assert [1, 1] == [action.attempts for action in view.actions]


async def test_a_worker_that_is_told_to_go_leaves_an_agent_between_two_calls(rig: Rig) -> None:
    go_on = asyncio.Event()

    async def slow(probe: Probe, context: ToolContext) -> ToolResult:
        await go_on.wait()
        return ToolResult("succeeded")

    probe = rig.tool("work", slow)
    driver = await rig.start()
    turns = [{"calls": [{"tool": "work"}, {"tool": "work"}]}, {"text": "Twice."}]
    run_id = await rig.ask_agent("Work.", models=[{"turns": turns}], tools=("work",))
    driving = asyncio.create_task(driver.on_ring(run_id, 0))
    await until(lambda: _started(probe))

    draining = asyncio.create_task(driver.drain(PATIENCE_S))
    await asyncio.sleep(0)
    go_on.set()
    await draining
    await driving

    left = await rig.row(run_id)
    assert (RunState.PLANNING, None) == (left.run.run_state, left.run.lease_owner)
    assert ["succeeded"] == [call.status for call in left.calls], "the second one is for whoever comes next"
    await rig.start()
    view = await rig.drive(run_id)
    assert RunState.COMPLETED == view.state
    assert [1, 1] == [action.attempts for action in view.actions]


async def test_a_worker_without_a_lease_starts_nothing(rig: Rig) -> None:
    probe = rig.tool("work", succeed)
    driver = await rig.start()
    run_id = await rig.ask(step("one", "work"))
    assert rig.lease is not None
    rig.lease._renewed_boot_ms = rig.clock.boot_ms() - 7_000

    await driver.on_ring(run_id, 0)

    assert 0 == await driver.poll()
    assert [] == probe.contexts


async def test_the_poll_finds_what_nobody_rang_for(rig: Rig) -> None:
    rig.tool("work", succeed)
    driver = await rig.start()
    run_ids = [await rig.ask(step("one", "work")) for _ in range(3)]

    taken = await driver.poll()

    assert 3 == taken
    await until(lambda: _all(rig, run_ids, RunState.COMPLETED))


async def test_only_as_many_runs_as_there_are_slots_are_taken(rig: Rig) -> None:
    go_on = asyncio.Event()

    async def slow(probe: Probe, context: ToolContext) -> ToolResult:
        await go_on.wait()
        return ToolResult("succeeded")

    rig.tool("work", slow)
    driver = await rig.start(slots=2)
    run_ids = [await rig.ask(step("one", "work")) for _ in range(3)]

    assert (2, 0) == (await driver.poll(), await driver.poll())
    go_on.set()

    async def done() -> bool:
        await driver.poll()
        return await _all(rig, run_ids, RunState.COMPLETED)

    await until(done)


async def _started(probe: Probe) -> bool:
    return bool(probe.contexts)


async def _all(rig: Rig, run_ids: list[str], state: RunState) -> bool:
    return all([(await rig.look(run_id)).state is state for run_id in run_ids])


async def _make_due(rig: Rig, run_id: str) -> None:
    """Let the pause before the next attempt be over."""
    from core.principals import Actor
    from core.runs.draft import Draft

    snapshot = await rig.row(run_id)
    if snapshot.run.lease_owner is not None or snapshot.run.due_at is None:
        return
    draft = Draft(snapshot, Actor.system("test"))
    draft.run["due_at"] = rig.clock.wall_ms()
    assert isinstance(await rig.database.journal.commit(draft.seal(now_ms=rig.clock.wall_ms())), Landed)
