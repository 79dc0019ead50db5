"""Moments at which a worker could do the wrong thing: between a commit and what follows from it, on the way out,
after a sleep.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import pytest

from core.errors import RetryableError
from core.ids import TENANT
from core.principals import Principal
from core.record.changes import Answer, Decided, RunChange
from core.record.states import CallStatus, RunState
from core.runs.commands.kill import kill
from core.runs.workspaces import Workspaces
from core.store.lane import Lane, Target
from core.tools.base import ToolContext, ToolResult
from tests.integration.worker.conftest import Probe, Rig, step, succeed, until


async def _kill(rig: Rig, run_id: str) -> None:
    decide = partial(kill, run_id=run_id, by=Principal("ana"), reason="", now_ms=rig.clock.wall_ms())
    assert isinstance(await rig.database.journal.command(TENANT, Target(run_id=run_id), decide), Decided)


async def test_another_worker_of_the_host_does_not_confirm_for_one_that_lives(rig: Rig) -> None:
    """The start is committed and its process not there yet: to another worker it looks as if nothing were left."""
    go_on = asyncio.Event()

    async def until_killed(probe: Probe, context: ToolContext) -> ToolResult:
        await go_on.wait()
        return ToolResult("failed", error="stopped")

    probe = rig.tool("work", until_killed)
    first = await rig.start()
    run_id = await rig.ask(step("one", "work"))
    driving = asyncio.create_task(first.on_ring(run_id, 0))
    await until(lambda: _started(probe))
    second = await rig.start()
    await _kill(rig, run_id)

    await second.check_stopped()

    view = await rig.look(run_id)
    assert view.stop is not None
    assert (None, ("host-1",)) == (view.stop.confirmed_at_ms, view.stop.unconfirmed_hosts)
    go_on.set()
    await first.check_stopped()
    await driving
    await first.drain(1)
    view = await rig.look(run_id)
    assert view.stop is not None and view.stop.confirmed_at_ms is not None


async def test_a_worker_that_slept_through_a_stop_starts_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It commits the start, sleeps past its lease while somebody stops the run, and wakes up before the tool."""
    probe = rig.tool("work", succeed, recovery="opaque")
    driver = await rig.start()
    run_id = await rig.ask(step("one", "work"))
    ready = Workspaces.ready

    async def sleep_on_the_way(self: Workspaces, snapshot: object) -> object:
        found = await ready(self, snapshot)  # type: ignore[arg-type]
        assert rig.lease is not None
        rig.lease._renewed_boot_ms = rig.clock.boot_ms() - 60_000
        await _kill(rig, run_id)
        return found

    monkeypatch.setattr(Workspaces, "ready", sleep_on_the_way)

    await driver.on_ring(run_id, 0)

    assert [] == probe.contexts
    assert RunState.CANCELED == (await rig.look(run_id)).state


async def test_what_cannot_be_looked_for_does_not_strand_a_run(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.tool("work", succeed)
    driver = await rig.start()
    run_id = await rig.ask(step("one", "work"))
    from core.record.changes import Landed
    from core.runs import steps
    from core.runs.steps import Stamp
    from tests.factories import claimed_by

    (claimed,) = await claimed_by(rig.database, "w-gone", run_id, clock=rig.clock)  # type: ignore[arg-type]
    back = steps.release(claimed, Stamp("w-gone", "host-1", rig.clock.wall_ms()), due_at=0)
    assert isinstance(await rig.database.journal.commit(back), Landed)

    def no_descriptors(**_: object) -> dict[object, object]:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as broken:
        broken.setattr("core.execution.reaper.labelled", no_descriptors)
        await driver.on_ring(run_id, 0)

    row = (await rig.row(run_id)).run
    assert (None, []) == (row.lease_owner, driver.driving)
    assert row.due_at is not None


async def test_a_result_that_comes_as_the_worker_goes_is_recorded(rig: Rig) -> None:
    """The grace is over and the tool succeeds all the same: that is a result, not something to wonder about."""

    async def finishes_when_told(probe: Probe, context: ToolContext) -> ToolResult:
        await context.kill.wait()
        return ToolResult("succeeded", {"n": 1})

    probe = rig.tool("work", finishes_when_told, recovery="opaque")
    driver = await rig.start()
    run_id = await rig.ask(step("one", "work"), step("two", "work"))
    driving = asyncio.create_task(driver.on_ring(run_id, 0))
    await until(lambda: _started(probe))

    await driver.drain(0.05)
    await driving

    view = await rig.look(run_id)
    assert [CallStatus.SUCCEEDED] == [action.status for action in view.actions]
    assert (RunState.PLANNING, None) == (view.state, (await rig.row(run_id)).run.lease_owner)


async def test_a_call_ended_by_a_worker_that_goes_is_recovered_by_its_class(rig: Rig) -> None:
    async def ends_when_killed(probe: Probe, context: ToolContext) -> ToolResult:
        if len(probe.contexts) == 1:
            await context.kill.wait()
            return ToolResult("failed", error="it was stopped")
        return ToolResult("succeeded")

    probe = rig.tool("work", ends_when_killed, recovery="idempotent")
    driver = await rig.start()
    run_id = await rig.ask(step("one", "work"))
    driving = asyncio.create_task(driver.on_ring(run_id, 0))
    await until(lambda: _started(probe))
    await driver.drain(0.05)
    await driving

    await rig.start()
    view = await rig.drive(run_id)

    assert RunState.COMPLETED == view.state
    assert 2 == view.actions[0].attempts


async def test_every_ring_of_a_burst_is_answered(rig: Rig) -> None:
    rig.tool("work", succeed)
    driver = await rig.start(slots=2)
    run_ids = [await rig.ask(step("one", "work")) for _ in range(9)]

    await asyncio.gather(*(driver.on_ring(run_id, 0) for run_id in run_ids))

    assert {RunState.COMPLETED} == {(await rig.look(run_id)).state for run_id in run_ids}


async def test_a_worker_told_to_go_while_it_claims_gives_back_what_it_got(rig: Rig) -> None:
    probe = rig.tool("work", succeed)
    driver = await rig.start()
    run_id = await rig.ask(step("one", "work"))

    polling = asyncio.create_task(driver.poll())
    while not driver._claiming.locked():  # noqa: ASYNC110  # the claim is under way in this process
        await asyncio.sleep(0)
    await driver.drain(1)
    await polling

    row = (await rig.row(run_id)).run
    assert ([], None) == (probe.contexts, row.lease_owner)


async def test_a_directory_that_was_not_finished_is_finished(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The inputs could not be written the first time: the retry does not take the empty directory for a whole one."""
    rig.tool("work", succeed)
    driver = await rig.start()
    run_id = await rig.ask(step("one", "work"))
    made: list[str] = []
    import core.runs.workspaces as module

    prepare = module.prepare_workspace

    async def fails_once(*args: object, **kwargs: object) -> object:
        made.append("tried")
        found = await prepare(*args, **kwargs)  # type: ignore[arg-type]
        if len(made) == 1:
            raise RetryableError("The disk is full.")
        return found

    monkeypatch.setattr(module, "prepare_workspace", fails_once)

    async def completed() -> bool:
        await driver.on_ring(run_id, 0)
        return (await rig.look(run_id)).state is RunState.COMPLETED

    await until(completed)

    assert 2 == len(made)


class ClaimedAtOnce:
    """A lane that has what was given back claimed before whoever gave it back knows that it has."""

    def __init__(self, lane: Lane, claim: Callable[[], Awaitable[int]]) -> None:
        self._lane = lane
        self._claim = claim
        self.claimed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lane, name)

    async def apply(self, changes: Sequence[RunChange]) -> list[Answer | None]:
        answers = await self._lane.apply(changes)
        if any(change.run.get("due_at") and change.run.get("lease_owner", "") is None for change in changes):
            self.claimed += await self._claim()
        return answers


async def test_a_run_claimed_the_moment_it_was_given_back_can_still_be_stopped(rig: Rig) -> None:
    stopped = asyncio.Event()

    async def tries_twice(probe: Probe, context: ToolContext) -> ToolResult:
        if len(probe.contexts) == 1:
            return ToolResult("failed-safe", error="it was busy")
        await context.kill.wait()
        stopped.set()
        return ToolResult("failed", error="stopped")

    probe = rig.tool("work", tries_twice)
    driver = await rig.start()
    run_id = await rig.ask(step("one", "work"))
    lane = ClaimedAtOnce(rig.database.journal.lane, driver.poll)
    rig.database.journal.lane = lane  # type: ignore[assignment]  # it passes on what it does not have
    driving = asyncio.create_task(driver.on_ring(run_id, 0))

    async def tried_twice() -> bool:
        return len(probe.contexts) == 2

    await until(tried_twice)
    await driving
    assert 1 == lane.claimed
    await _kill(rig, run_id)
    await driver.check_stopped(run_id)
    await stopped.wait()


async def test_a_clock_that_is_set_back_strands_nothing(rig: Rig) -> None:
    rig.tool("work", succeed)
    driver = await rig.start()
    run_id = await rig.ask(step("one", "work"))
    hour_ms = 3_600_000
    wall_ms = rig.clock.wall_ms

    class SetBack:
        boot_ms = staticmethod(rig.clock.boot_ms)

        def wall_ms(self) -> int:
            return wall_ms() - hour_ms

    driver._clock = SetBack()

    assert 1 == await driver.poll()
    await until(lambda: _completed(rig, run_id))


async def _started(probe: Probe) -> bool:
    return bool(probe.contexts)


async def _completed(rig: Rig, run_id: str) -> bool:
    return (await rig.look(run_id)).state is RunState.COMPLETED
