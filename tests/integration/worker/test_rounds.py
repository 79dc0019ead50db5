"""Steps made several times, as runs: each round is a call of its own, resumed where it was, asked about by itself."""

import json
from typing import Any

from core.ids import TENANT
from core.tools.base import ToolContext, ToolResult
from tests.factories import FixedClock
from tests.integration.worker.conftest import Probe, Rig, step, succeed
from tests.integration.worker.voting import vote
from tests.invariants import broken


async def _lists(probe: Probe, context: ToolContext) -> ToolResult:
    return ToolResult("succeeded", {"names": ["a", "b", "c"]})


def pushing(**more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    rounds = {"for-each": "${{ steps.list.out.names }}", "at-most": 5, "with": {"name": "${{ each }}"}}
    return step("list", "list"), step("push", "push", **rounds, **more)


async def test_each_round_is_asked_about_as_the_exact_action_it_is(rig: Rig) -> None:
    rig.tool("list", _lists)
    probe = rig.tool("push", succeed, tier="compensable")
    await rig.start()
    run_id = await rig.ask(*pushing(**{"on-failure": "continue"}))

    shown = await rig.drive(run_id)
    assert ("waiting-for-approval", 1) == (shown.state, len(shown.approvals))
    await vote(rig, run_id)
    shown = await rig.drive(run_id)
    assert ("waiting-for-approval", 2) == (shown.state, len(shown.approvals)), "one approval is for one round"
    assert ["push (2 of 3)"] == [line.title for line in shown.plan if line.status == "running"]
    await vote(rig, run_id, decision="deny")
    await rig.drive(run_id)
    await vote(rig, run_id)
    shown = await rig.drive(run_id)

    assert ("completed", 2) == (shown.state, len(probe.contexts))
    calls = [call for call in (await rig.row(run_id)).calls if call.tool == "push"]
    assert ["push[1]", "push[2]", "push[3]"] == [call.step for call in calls]
    assert ["a", "b", "c"] == [json.loads(call.envelope)["args"]["name"] for call in calls]
    assert 3 == len({call.idem_key for call in calls}) == len({call.action_digest for call in calls})
    assert [] == await broken(rig.database)


async def test_a_round_of_several_steps_is_asked_about_step_by_step_and_goes_on_where_it_was(rig: Rig) -> None:
    async def told_apart(probe: Probe, context: ToolContext) -> ToolResult:
        return ToolResult("succeeded", {"at": f"{len(probe.contexts)}"})

    rig.tool("list", _lists)
    rig.tool("look", told_apart)
    push = rig.tool("push", succeed, tier="compensable")
    await rig.start()
    inner = [step("look", "look"), step("push", "push", **{"with": {"at": "${{ steps.look.out.at }}"}})]
    group = {"id": "each_of", "for-each": "${{ steps.list.out.names }}", "at-most": 3, "steps": inner}
    run_id = await rig.ask(step("list", "list"), group)

    for number in (1, 2, 3):
        shown = await rig.drive(run_id)
        assert ("waiting-for-approval", number) == (shown.state, len(shown.approvals))
        running = [line.title for line in shown.plan if line.status == "running"]
        assert [f"Each of ({number} of 3): push"] == running
        await vote(rig, run_id)
    shown = await rig.drive(run_id)

    assert ("completed", 3) == (shown.state, len(push.contexts)), shown.outcome
    calls = (await rig.row(run_id)).calls
    made = [f"{name}[{number}]" for number in (1, 2, 3) for name in ("look", "push")]
    assert ["list", *made] == [call.step for call in calls]
    pushed = [json.loads(call.envelope)["args"]["at"] for call in calls if call.tool == "push"]
    assert ["1", "2", "3"] == pushed, "each round has its own answers"
    assert [] == await broken(rig.database)


async def test_a_run_whose_worker_dies_goes_on_with_the_round_it_was_at(rig: Rig) -> None:
    async def dies_once(probe: Probe, context: ToolContext) -> ToolResult:
        if len(probe.contexts) == 2:
            assert rig.driver is not None
            rig.driver.stop_lost(rig.driver.driving)
            return ToolResult("unknown", error="cut off")
        return ToolResult("succeeded")

    rig.clock = clock = FixedClock()
    rig.tool("list", _lists)
    probe = rig.tool("push", dies_once)
    await rig.start()
    run_id = await rig.ask(*pushing())
    await rig.drive(run_id)
    assert rig.driver is not None
    await rig.driver._abandon(TENANT, run_id, "x")
    clock.jump_wall(5_000)

    shown = await rig.drive(run_id)

    assert ("completed", 4) == (shown.state, len(probe.contexts))
    first, cut_off, again, last = (context.idempotency_key for context in probe.contexts)
    assert cut_off == again and 3 == len({first, again, last})
    assert [("list", "done", ""), ("push", "done", "3 times")] == [(p.id, p.status, p.note) for p in shown.plan]
    assert [] == await broken(rig.database)
