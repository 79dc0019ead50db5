"""What follows when somebody looked and says that an effect did not happen: asked afresh, then run once more."""

import json
from functools import partial
from typing import Any

import pytest

from core.ids import TENANT
from core.principals import Principal
from core.record.changes import Decided
from core.record.rows import Snapshot
from core.runs import reading
from core.runs.commands.resolve import resolve
from core.store.lane import Target
from core.tools.base import ToolContext, ToolResult
from tests.integration.worker.conftest import Probe, Rig, step
from tests.integration.worker.voting import asked, known, vote

ANA = Principal("ana")
ALLOW = json.dumps({"policy": {"rules": [{"name": "free", "decision": "allow", "tools": ["push"]}]}})
DENY = json.dumps({"policy": {"denials": [{"name": "never", "tools": ["push"], "reason": "Not on a Friday."}]}})


async def lost_at_first(probe: Probe, context: ToolContext) -> ToolResult:
    return ToolResult("unknown", error="the line went dead") if len(probe.contexts) == 1 else ToolResult("succeeded")


async def in_doubt(rig: Rig, *steps: dict[str, Any], tier: Any = "irreversible", behaviour: Any = lost_at_first) -> str:
    """A run that is blocked because nobody knows whether its first push happened."""
    rig.tool("push", behaviour, tier=tier, recovery="opaque")
    await rig.start()
    run_id = await rig.ask(*(steps or (step("push", "push"),)))
    shown = await rig.drive(run_id)
    if shown.state == "waiting-for-approval":
        await vote(rig, run_id)
        shown = await rig.drive(run_id)
    assert ("blocked", "ambiguous-effect") == (shown.state, shown.blocked_reason)
    return run_id


async def says_not_run(rig: Rig, run_id: str) -> None:
    call = next(call for call in (await rig.row(run_id)).calls if call.status == "unknown")
    said = partial(resolve, run_id=run_id, call_id=call.id, by=ANA, ran=False, now_ms=rig.clock.wall_ms())
    done = await rig.database.journal.command(TENANT, Target(run_id=run_id), said)
    assert isinstance(done, Decided), done


def calls(row: Snapshot) -> list[tuple[str, int, int, str | None]]:
    return [(call.status, call.ordinal, call.generation, call.resolved_by) for call in row.calls]


def probe_of(rig: Rig) -> Probe:
    tool = rig.tools["push"].tool
    assert isinstance(tool, Probe)
    return tool


@pytest.mark.parametrize(("tier", "rule"), [("irreversible", "tier:irreversible"), ("workspace", "run-again")])
async def test_it_is_asked_afresh_and_runs_under_another_key(rig: Rig, tier: str, rule: str) -> None:
    run_id = await in_doubt(rig, tier=tier)

    await says_not_run(rig, run_id)
    shown = await rig.drive(run_id)

    assert ("waiting-for-approval", rule) == (shown.state, shown.approvals[-1].rule)
    assert 1 == len(probe_of(rig).contexts), "nothing runs before that"
    await vote(rig, run_id)
    shown = await rig.drive(run_id)
    row = await rig.row(run_id)
    assert "completed" == shown.state
    assert [("failed", 0, 1, "ana"), ("succeeded", 0, 2, None)] == calls(row)
    first, second = probe_of(rig).contexts
    assert first.idempotency_key != second.idempotency_key
    assert "looked and says that it did not happen" in str(row.calls[0].error)


async def test_who_said_it_is_in_the_record(rig: Rig) -> None:
    run_id = await in_doubt(rig)

    await says_not_run(rig, run_id)

    (event,) = [e for e in await reading.log(rig.database, TENANT, run_id) if e.type == "call-resolved"]
    assert ("human:ana", "failed") == (event.actor, event.evidence[0]["status"])


async def test_whoever_asked_for_the_run_does_not_approve_it_to_run_again(rig: Rig) -> None:
    run_id = await in_doubt(rig, tier="workspace")
    await says_not_run(rig, run_id)
    await rig.drive(run_id)

    await vote(rig, run_id, by=Principal("ana", frozenset({"approver"})))

    assert ["pending"] == [each.status for each in (await rig.look(run_id)).approvals]


@pytest.mark.parametrize("tier", ["irreversible", "workspace"])
async def test_a_denial_fails_the_step(rig: Rig, tier: str) -> None:
    run_id = await in_doubt(rig, tier=tier)
    await says_not_run(rig, run_id)
    await rig.drive(run_id)

    await vote(rig, run_id, decision="deny", reason="leave it")
    shown = await rig.drive(run_id)

    assert ("failed", 1) == (shown.state, len(probe_of(rig).contexts))
    assert "leave it" in str(shown.outcome)


async def test_what_the_policy_forbids_meanwhile_is_not_asked_about(rig: Rig) -> None:
    run_id = await in_doubt(rig)
    before = len((await rig.look(run_id)).approvals)
    await says_not_run(rig, run_id)
    rig.policy = DENY

    shown = await rig.drive(run_id)

    assert ("failed", before) == (shown.state, len(shown.approvals))
    assert "`never` forbids it" in str(shown.outcome)


async def test_an_earlier_denial_of_the_same_does_not_answer_this_question(rig: Rig) -> None:
    steps = step("one", "push", **{"on-failure": "continue"}), step("two", "push")
    rig.tool("push", lost_at_first, tier="irreversible", recovery="opaque")
    await rig.start()
    run_id = await rig.ask(*steps)
    await rig.drive(run_id)
    await vote(rig, run_id, decision="deny", reason="not now")
    rig.policy = ALLOW
    shown = await rig.drive(run_id)
    assert "ambiguous-effect" == shown.blocked_reason

    await says_not_run(rig, run_id)
    shown = await rig.drive(run_id)

    assert ("waiting-for-approval", "run-again") == (shown.state, shown.approvals[-1].rule)
    await vote(rig, run_id)
    assert ("completed", 2) == ((await rig.drive(run_id)).state, len(probe_of(rig).contexts))


async def test_a_question_that_is_asked_anew_stays_the_same_generation(rig: Rig) -> None:
    run_id = await in_doubt(rig)
    await says_not_run(rig, run_id)
    await rig.drive(run_id)
    await vote(rig, run_id)
    rig.policy = json.dumps({"policy": {"quorum": 1}})

    shown = await rig.drive(run_id)

    assert "waiting-for-approval" == shown.state
    assert [("failed", 0, 1), ("canceled", 0, 2), ("intent", 1, 2)] == [
        each[:3] for each in calls(await rig.row(run_id))
    ]


async def test_it_may_be_in_doubt_twice(rig: Rig) -> None:
    async def lost_twice(probe: Probe, context: ToolContext) -> ToolResult:
        return ToolResult("unknown" if len(probe.contexts) < 3 else "succeeded")

    run_id = await in_doubt(rig, behaviour=lost_twice)
    for _ in range(2):
        await says_not_run(rig, run_id)
        await rig.drive(run_id)
        await vote(rig, run_id)
        shown = await rig.drive(run_id)

    assert "completed" == shown.state
    assert [1, 2, 3] == [call.generation for call in (await rig.row(run_id)).calls]


async def test_the_block_says_what_is_in_doubt_and_what_to_do(rig: Rig) -> None:
    run_id = await in_doubt(rig)

    shown = await rig.look(run_id)

    said = str(shown.blocked_detail)
    assert said.startswith("`push` in step `push` may or may not have run: the line went dead.")
    assert "Look at what it works on, then say whether it ran, or stop this run." in said
    await known(rig, ANA)
    assert "run-again" not in (await asked(rig, run_id)).approval.rule
