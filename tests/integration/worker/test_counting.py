"""What a worker's driver does moves its metrics: slices, calls, retries, approvals, stops, losses."""

import asyncio
from collections.abc import Mapping
from functools import partial

from prometheus_client.parser import text_string_to_metric_families

from core.ids import TENANT
from core.metrics import rendered
from core.principals import Principal
from core.runs.commands.kill import kill
from core.store.lane import Target
from core.tools.base import ToolContext, ToolResult
from tests.integration.worker.conftest import Probe, Rig, step, succeed, until
from tests.integration.worker.voting import vote

ANA = Principal("ana")


def counts() -> Mapping[str, float]:
    """Every sample now, as `name{label=value,…}`."""
    found = {}
    for family in text_string_to_metric_families(rendered().decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name.removeprefix('banksman_')}{{{labels}}}"] = sample.value
    return found


def moved(before: Mapping[str, float], *names: str) -> list[float]:
    """By how much these samples moved since."""
    after = counts()
    return [after.get(name, 0.0) - before.get(name, 0.0) for name in names]


async def test_a_run_moves_claims_slices_calls_and_transitions(rig: Rig) -> None:
    rig.tool("count.plain", succeed)
    await rig.start()
    before = counts()

    run_id = await rig.ask(step("one", "count.plain"), step("two", "count.plain"))
    await rig.drive(run_id)

    assert [1, 1, 2, 2, 1, 1] == moved(
        before,
        "runs_claimed_total{}",
        "slice_duration_seconds_count{ended=finished}",
        "tool_call_attempts_total{status=succeeded,tool=count.plain}",
        "tool_call_attempt_duration_seconds_count{tool=count.plain}",
        "run_transitions_total{from_state=none,to_state=created}",
        "run_transitions_total{from_state=planning,to_state=completed}",
    )
    assert moved(before, "journal_batch_changes_sum{}")[0] >= 4
    assert 0 == counts()["slices_under_way{}"]


async def test_an_attempt_that_is_tried_again_is_a_retry(rig: Rig) -> None:
    async def second_time(probe: Probe, context: ToolContext) -> ToolResult:
        return ToolResult("failed-safe" if len(probe.contexts) == 1 else "succeeded", {})

    rig.tool("count.again", second_time)
    driver = await rig.start()
    before = counts()

    run_id = await rig.ask(step("one", "count.again"))
    await rig.drive(run_id)

    async def done() -> bool:
        await driver.poll()
        return (await rig.look(run_id)).state == "completed"

    await until(done)
    assert [1, 1, 1] == moved(
        before,
        "tool_call_attempts_total{status=failed-safe,tool=count.again}",
        "tool_call_retries_total{tool=count.again}",
        "tool_call_attempts_total{status=succeeded,tool=count.again}",
    )
    assert moved(before, "slice_duration_seconds_count{ended=waited}")[0] >= 1


async def test_a_stop_is_counted_with_the_time_to_its_proof(rig: Rig) -> None:
    async def wait(probe: Probe, context: ToolContext) -> ToolResult:
        await context.kill.wait()
        return ToolResult("unknown", {}, processes_ended=3)

    rig.tool("count.long", wait)
    driver = await rig.start()
    before = counts()
    run_id = await rig.ask(step("one", "count.long"))
    driving = asyncio.create_task(driver.on_ring(run_id, 0))
    await until(lambda: _started(rig, run_id))

    stop = partial(kill, run_id=run_id, by=ANA, reason="", now_ms=rig.clock.wall_ms())
    await rig.database.journal.command(TENANT, Target(run_id=run_id), stop)
    await driver.check_stopped(run_id)
    await driving

    assert [1, 1, 1, 3, 0] == moved(
        before,
        "stops_requested_total{}",
        "stop_confirmation_seconds_count{}",
        "slice_duration_seconds_count{ended=killed}",
        "stop_processes_ended_total{}",
        "lease_losses_total{reason=renewal}",
    )


async def test_a_lease_that_is_taken_is_a_loss(rig: Rig) -> None:
    async def wait(probe: Probe, context: ToolContext) -> ToolResult:
        await context.kill.wait()
        return ToolResult("unknown", {})

    rig.tool("count.lost", wait)
    driver = await rig.start()
    before = counts()
    run_id = await rig.ask(step("one", "count.lost"))
    driving = asyncio.create_task(driver.on_ring(run_id, 0))
    await until(lambda: _started(rig, run_id))

    assert [run_id] == driver.stop_lost(driver.driving)
    assert [] == driver.stop_lost(driver.driving)
    await driving

    assert [1] == moved(before, "slice_duration_seconds_count{ended=lost}")


async def test_a_question_and_the_decision_on_it_are_counted(rig: Rig) -> None:
    rig.tool("count.gated", succeed, tier="compensable")
    await rig.start()
    before = counts()
    run_id = await rig.ask(step("one", "count.gated"))
    await rig.drive(run_id)
    assert [1, 1] == moved(before, "approvals_asked_total{}", "slice_duration_seconds_count{ended=waited}")

    await vote(rig, run_id)
    await rig.drive(run_id)

    assert [1, 1, 1] == moved(
        before,
        "approvals_closed_total{outcome=approved}",
        "approval_wait_seconds_count{outcome=approved}",
        "tool_call_attempts_total{status=succeeded,tool=count.gated}",
    )


async def _started(rig: Rig, run_id: str) -> bool:
    return any(call.status == "started" for call in (await rig.row(run_id)).calls)


async def test_what_the_journal_refuses_is_counted_by_reason(rig: Rig) -> None:
    rig.tool("count.plain", succeed)
    await rig.start()
    before = counts()

    for _ in range(2):
        await rig.ask(step("one", "count.plain"), source_key="test:same")

    assert [1] == moved(before, "journal_refusals_total{reason=duplicate}")
