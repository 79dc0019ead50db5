"""A run from claim to end: what is committed, in which order, and what becomes of each way a call can end."""

import asyncio
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from core.errors import RetryableError, TerminalError
from core.execution.base import CallLabel
from core.execution.labels import labelled
from core.execution.processes import Process
from core.execution.refusing import RefusingEnvironment
from core.ids import TENANT
from core.principals import Principal
from core.record.changes import Decided
from core.record.states import BlockedReason, CallStatus, RunState
from core.runs import reading
from core.runs.commands.kill import kill
from core.store.lane import Target
from core.tools.base import Produced, ToolContext, ToolResult
from core.tools.shell import Shell, ShellArguments
from tests.integration.worker.conftest import Probe, Rig, step, succeed, until


async def test_a_run_goes_through_its_steps_with_one_commit_each(rig: Rig) -> None:
    rig.tool("work", succeed)
    await rig.start()
    run_id = await rig.ask(step("one", "work"), step("two", "work"), step("three", "work"))
    before = rig.database.journal.commits

    view = await rig.drive(run_id)

    assert (RunState.COMPLETED, "It is done.") == (view.state, view.outcome)
    assert ["done", "done", "done"] == [line.status for line in view.plan]
    # The first start, two results that share a commit with the next start, and the last result with the end.
    assert 4 == rig.database.journal.commits - before
    assert [
        "None->created",
        "created->context-loaded",
        "context-loaded->planning",
        *["planning->executing", "executing->planning"] * 3,
        "planning->completed",
    ] == await rig.moves(run_id)
    row = (await rig.row(run_id)).run
    assert (None, None) == (row.lease_owner, row.due_at)


async def test_later_steps_see_what_earlier_ones_answered(rig: Rig) -> None:
    seen: list[object] = []

    async def look(probe: Probe, context: ToolContext) -> ToolResult:
        return ToolResult("succeeded", {"count": 7})

    rig.tool("look", look)
    rig.tool("work", succeed)
    await rig.start()
    run_id = await rig.ask(step("one", "look"), step("two", "work", **{"with": {"n": "${{ steps.one.out.count }}"}}))

    await rig.drive(run_id)

    call = next(call for call in (await rig.row(run_id)).calls if call.step == "two")
    assert '"args":{"n":7}' in call.envelope
    assert [] == seen


async def test_a_failed_call_fails_the_run_with_its_reason(rig: Rig) -> None:
    async def fail(probe: Probe, context: ToolContext) -> ToolResult:
        raise TerminalError("The table has no rows. Give one that has.")

    rig.tool("work", fail)
    await rig.start()
    run_id = await rig.ask(step("one", "work"), step("two", "work"))

    view = await rig.drive(run_id)

    assert RunState.FAILED == view.state
    assert "The table has no rows" in (view.outcome or "")
    assert [CallStatus.FAILED] == [action.status for action in view.actions]


async def test_what_provably_did_not_happen_is_tried_again_under_the_same_key(rig: Rig) -> None:
    async def at_last(probe: Probe, context: ToolContext) -> ToolResult:
        if len(probe.contexts) < 3:
            raise RetryableError("The shop is closed.")
        return ToolResult("succeeded")

    probe = rig.tool("work", at_last, recovery="opaque")
    await rig.start()
    run_id = await rig.ask(step("one", "work"))

    for _ in range(3):
        view = await rig.drive(run_id)

    assert RunState.COMPLETED == view.state
    assert 3 == view.actions[0].attempts
    assert 1 == len({context.idempotency_key for context in probe.contexts})


async def test_retries_have_an_end(rig: Rig) -> None:
    async def never(probe: Probe, context: ToolContext) -> ToolResult:
        raise RetryableError("The shop is closed.")

    probe = rig.tool("work", never)
    await rig.start()
    run_id = await rig.ask(step("one", "work"))

    async def ended() -> bool:
        return (await rig.drive(run_id)).state is RunState.FAILED

    await until(ended)

    assert 4 == len(probe.contexts)


async def test_an_opaque_call_with_an_unknown_outcome_waits_for_a_person(rig: Rig) -> None:
    async def who_knows(probe: Probe, context: ToolContext) -> ToolResult:
        raise OSError("the line went dead")

    probe = rig.tool("work", who_knows, recovery="opaque")
    await rig.start()
    run_id = await rig.ask(step("one", "work"))

    view = await rig.drive(run_id)
    await rig.drive(run_id)

    assert (RunState.BLOCKED, BlockedReason.AMBIGUOUS_EFFECT) == (view.state, view.blocked_reason)
    assert "may or may not have run" in (view.blocked_detail or "")
    assert 1 == len(probe.contexts)


async def test_an_idempotent_call_with_an_unknown_outcome_is_repeated(rig: Rig) -> None:
    async def hiccup(probe: Probe, context: ToolContext) -> ToolResult:
        if len(probe.contexts) == 1:
            raise OSError("the line went dead")
        return ToolResult("succeeded")

    probe = rig.tool("work", hiccup, recovery="idempotent")
    await rig.start()
    run_id = await rig.ask(step("one", "work"))

    await rig.drive(run_id)
    view = await rig.drive(run_id)

    assert RunState.COMPLETED == view.state
    assert 2 == len(probe.contexts)


async def test_a_tool_nobody_declared_and_one_nobody_classified_do_not_start(rig: Rig) -> None:
    unclassified = rig.tool("work", succeed, tier=None)
    outside = rig.tool("pay", succeed, tier="irreversible")
    await rig.start()

    undeclared = await rig.drive(await rig.ask(step("one", "nothing")))
    asking = await rig.drive(await rig.ask(step("one", "work")))
    paying = await rig.drive(await rig.ask(step("one", "pay")))

    assert RunState.FAILED == undeclared.state
    assert {RunState.WAITING_FOR_APPROVAL} == {view.state for view in (asking, paying)}
    assert [] == [*unclassified.contexts, *outside.contexts]


async def test_without_a_sandbox_a_program_is_refused_with_the_remedy(rig: Rig) -> None:
    async def run(probe: Probe, context: ToolContext) -> ToolResult:
        return await Shell().perform(ShellArguments(argv=["true"]), context)

    rig.tool("work", run)
    rig.environment = RefusingEnvironment("No sandbox holds on this host. Install bubblewrap.")
    await rig.start()

    view = await rig.drive(await rig.ask(step("one", "work")))

    assert (RunState.FAILED, "none") == (view.state, view.sandbox)
    assert "Install bubblewrap" in (view.outcome or "")


async def test_the_step_cap_ends_a_run(rig: Rig) -> None:
    rig.tool("work", succeed)
    await rig.start()
    run_id = await rig.ask(step("one", "work"), step("two", "work"), step_cap=1)

    view = await rig.drive(run_id)

    assert RunState.FAILED == view.state
    assert "limits.steps" in (view.outcome or "")


async def test_success_means_its_files_are_stored(rig: Rig) -> None:
    async def write(probe: Probe, context: ToolContext) -> ToolResult:
        path = context.scratch / "numbers.txt"
        path.write_text("42 and a-very-secret-token")
        return ToolResult("succeeded", {"ok": True}, (Produced("numbers.txt", path, "text/plain"),))

    rig.tool("work", write)
    await rig.start()
    run_id = await rig.ask(step("one", "work"))

    view = await rig.drive(run_id)

    assert RunState.COMPLETED == view.state
    assert ["numbers.txt"] == [artifact.name for artifact in view.artifacts]
    assert [1] == [call.required_artifacts for call in (await rig.row(run_id)).calls]
    assert rig.station is not None
    data = await rig.station.bench.objects.read(view.artifacts[0].sha256, 1000)
    assert b"42 and " in data
    assert b"a-very-secret-token" not in data


@pytest.mark.parametrize(
    ("recovery", "state", "attempts"), [("pure", "failed", 4), ("idempotent", "blocked", 4), ("opaque", "blocked", 1)]
)
async def test_success_without_the_files_a_tool_leaves_is_none(
    rig: Rig, recovery: Any, state: str, attempts: int
) -> None:
    probe = rig.tool("work", succeed, recovery=recovery)
    probe.keeps = 1
    await rig.start()
    run_id = await rig.ask(step("one", "work"))

    for _ in range(attempts):
        view = await rig.drive(run_id)

    assert (state, attempts) == (view.state, len(probe.contexts)), view
    assert "0 of the 1 files" in f"{view.outcome} {view.blocked_detail}"


async def test_a_file_over_the_cap_is_no_success(rig: Rig) -> None:
    async def write(probe: Probe, context: ToolContext) -> ToolResult:
        path = context.scratch / "big.bin"
        path.write_bytes(b"x" * 1001)
        return ToolResult("succeeded", {}, (Produced("big.bin", path, "application/octet-stream"),))

    rig.tool("work", write)
    await rig.start()

    view = await rig.drive(await rig.ask(step("one", "work")))

    assert RunState.FAILED == view.state
    assert () == view.artifacts


async def test_a_secret_in_an_answer_never_reaches_the_database(rig: Rig) -> None:
    async def leak(probe: Probe, context: ToolContext) -> ToolResult:
        return ToolResult("failed", {"seen": "a-very-secret-token"}, error="it said a-very-secret-token")

    rig.tool("work", leak)
    await rig.start()
    run_id = await rig.ask(step("one", "work"))

    view = await rig.drive(run_id)

    call = (await rig.row(run_id)).calls[0]
    assert "a-very-secret-token" not in f"{call.result_json}{call.error}{view.outcome}"
    assert "[redacted:TOKEN]" in (call.error or "")


async def test_a_killed_run_ends_at_once_and_its_result_comes_too_late(rig: Rig) -> None:
    async def until_killed(probe: Probe, context: ToolContext) -> ToolResult:
        await context.kill.wait()
        return ToolResult("failed", error="stopped", processes_ended=3)

    probe = rig.tool("work", until_killed)
    driver = await rig.start()
    run_id = await rig.ask(step("one", "work"), step("two", "work"))
    driving = asyncio.create_task(rig.drive(run_id))
    await until(lambda: _started(probe))

    decide = partial(kill, run_id=run_id, by=Principal("ana"), reason="enough", now_ms=rig.clock.wall_ms())
    answer = await rig.database.journal.command(TENANT, Target(run_id=run_id), decide)
    await driver.check_stopped(run_id)
    await driving
    await until(lambda: _confirmed(rig, run_id))

    view = await rig.look(run_id)
    assert isinstance(answer, Decided)
    assert RunState.CANCELED == view.state
    assert view.stop is not None
    assert ("ana", "enough", 3, 1) == (view.stop.by, view.stop.reason, view.stop.processes_ended, view.stop.in_flight)
    assert [CallStatus.UNKNOWN] == [action.status for action in view.actions]
    log = [event.type for event in await reading.log(rig.database, TENANT, run_id)]
    assert ["stop-requested", "state", "late-result", "call-ended", "stop-reported", "stop-confirmed"] == log[-6:]
    assert 1 == len(probe.contexts)


async def test_a_look_at_stopped_runs_leaves_the_word_to_the_slice_that_ends(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a slice's end and its report another look must not prove the stop without what the slice ended."""

    async def until_killed(probe: Probe, context: ToolContext) -> ToolResult:
        await context.kill.wait()
        return ToolResult("failed", error="stopped", processes_ended=3)

    looking, go = threading.Event(), threading.Event()

    def held_once(*, run_id: str) -> Mapping[Process, CallLabel]:
        if not looking.is_set():
            looking.set()
            assert go.wait(20)
        return labelled(run_id=run_id)

    monkeypatch.setattr("core.execution.reaper.labelled", held_once)
    probe = rig.tool("work", until_killed)
    driver = await rig.start()
    run_id = await rig.ask(step("one", "work"))
    driving = asyncio.create_task(rig.drive(run_id))
    await until(lambda: _started(probe))
    decide = partial(kill, run_id=run_id, by=Principal("ana"), reason="enough", now_ms=rig.clock.wall_ms())
    await rig.database.journal.command(TENANT, Target(run_id=run_id), decide)

    driver.stop_lost(driver.driving)
    assert await asyncio.to_thread(looking.wait, 20)
    await driver.check_stopped(run_id)
    go.set()
    await driving
    await until(lambda: _confirmed(rig, run_id))

    view = await rig.look(run_id)
    assert view.stop is not None
    assert 3 == view.stop.processes_ended


async def test_a_result_survives_a_change_by_somebody_else(rig: Rig) -> None:
    """A command bumps the version while a call runs; its result is recorded all the same, once."""

    async def meanwhile(probe: Probe, context: ToolContext) -> ToolResult:
        def touch(found: list[object]) -> Decided:
            snapshot = found[0]
            from core.principals import Actor
            from core.runs.draft import Draft

            draft = Draft(snapshot, Actor.system("test"))  # type: ignore[arg-type]
            draft.run["wake"] = 9
            return Decided((draft.seal(now_ms=rig.clock.wall_ms()),), "touched")

        await rig.database.journal.command(TENANT, Target(run_id=context.label.run_id), touch)  # type: ignore[arg-type]
        return ToolResult("succeeded", {"n": 1})

    probe = rig.tool("work", meanwhile)
    await rig.start()

    view = await rig.drive(await rig.ask(step("one", "work"), step("two", "work")))

    assert RunState.COMPLETED == view.state
    assert [1, 1] == [action.attempts for action in view.actions]
    assert 2 == len(probe.contexts)


async def test_a_working_directory_is_the_runs_own_and_gone_afterwards(rig: Rig) -> None:
    async def write(probe: Probe, context: ToolContext) -> ToolResult:
        (context.workspace / "left.txt").write_text("x")
        return ToolResult("succeeded", {"there": sorted(path.name for path in context.workspace.iterdir())})

    probe = rig.tool("work", write)
    await rig.start()
    run_id = await rig.ask(step("one", "work"), step("two", "work"))

    await rig.drive(run_id)

    places = {context.workspace for context in probe.contexts}
    assert 1 == len(places)
    assert not Path(places.pop()).exists()
    assert [] == list((rig.home / "scratch").iterdir())


async def _started(probe: Probe) -> bool:
    return bool(probe.contexts)


async def _confirmed(rig: Rig, run_id: str) -> bool:
    view = await rig.look(run_id)
    return view.stop is not None and view.stop.confirmed_at_ms is not None
