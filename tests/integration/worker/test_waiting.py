"""Waits: a call that changes nothing is repeated until something is so, and between looks its run holds nothing."""

import json
from functools import partial
from typing import Any

import pytest

from core.ids import TENANT
from core.principals import Principal
from core.record.changes import Decided
from core.runs import reading
from core.runs.commands.kill import kill
from core.store.lane import Target
from core.tools.base import ToolContext, ToolResult
from tests.factories import FixedClock
from tests.integration.worker.conftest import Probe, Rig, step, succeed
from tests.integration.worker.operating import frozen, thawed
from tests.invariants import broken

UNTIL = {"condition": "look.out.state == 'done'", "deadline": "10m", "every": "10s"}


@pytest.fixture
def clock(rig: Rig) -> FixedClock:
    rig.clock = clock = FixedClock()
    return clock


def saying(*answers: Any) -> Any:
    """Each look gets the next of these; the last one stays."""

    async def behave(probe: Probe, context: ToolContext) -> ToolResult:
        answer = answers[min(len(probe.contexts), len(answers)) - 1]
        return answer if isinstance(answer, ToolResult) else ToolResult("succeeded", {"state": answer})

    return behave


def polling(rig: Rig, *answers: Any, **more: Any) -> Probe:
    return rig.tool("poll", saying(*answers), **({"tier": "read", "recovery": "pure"} | more))


async def wake(rig: Rig, clock: FixedClock, run_id: str) -> Any:
    """Let time pass until the run is due, and drive it; the lease, which counts on another clock, goes on."""
    due_at = (await rig.row(run_id)).run.due_at
    assert due_at is not None
    clock.jump_wall(max(0, due_at - clock.wall_ms()))
    return await rig.drive(run_id)


async def to_the_end(rig: Rig, clock: FixedClock, run_id: str) -> Any:
    shown = await rig.drive(run_id)
    while shown.state == "executing":
        shown = await wake(rig, clock, run_id)
    return shown


async def test_a_wait_looks_until_its_condition_holds_and_later_steps_see_the_last_look(
    rig: Rig, clock: FixedClock
) -> None:
    probe, after = polling(rig, "queued", "at work", "done"), rig.tool("after", succeed)
    await rig.start()
    run_id = await rig.ask(step("poll", "poll", **{"wait-until": UNTIL}), step("after", "after"))

    shown = await rig.drive(run_id)

    row = await rig.row(run_id)
    assert ("executing", None, clock.wall_ms() + 10_000) == (row.run.state, row.run.lease_owner, row.run.due_at)
    assert shown.waiting is not None
    seen = '`look.out.state` is "queued"'
    assert (1, seen, clock.wall_ms(), clock.wall_ms() + 600_000, clock.wall_ms() + 10_000) == (
        shown.waiting.looks,
        shown.waiting.seen,
        shown.waiting.since_ms,
        shown.waiting.until_ms,
        shown.waiting.next_ms,
    )
    await rig.drive(run_id)
    assert 1 == len(probe.contexts)  # nobody looks early
    shown = await to_the_end(rig, clock, run_id)

    assert ("completed", 3, 1) == (shown.state, len(probe.contexts), len(after.contexts))
    assert None is shown.waiting
    (call, _) = (await rig.row(run_id)).calls
    assert ("succeeded", {"state": "done"}, 3) == (call.status, json.loads(str(call.result_json)), call.attempts)
    assert 1 == len({context.idempotency_key for context in probe.contexts})
    assert [] == await broken(rig.database)


async def test_a_wait_whose_deadline_passes_fails_with_what_was_seen_last(rig: Rig, clock: FixedClock) -> None:
    probe = polling(rig, "at work")
    await rig.start()
    run_id = await rig.ask(step("poll", "poll", **{"wait-until": UNTIL | {"every": "1m"}}))
    began = clock.wall_ms()

    shown = await to_the_end(rig, clock, run_id)

    assert "failed" == shown.state
    looks = f'it waited 10m and looked {len(probe.contexts)} times; last seen: `look.out.state` is "at work"'
    assert looks in str(shown.outcome)
    assert 600_000 == clock.wall_ms() - began
    assert [] == await broken(rig.database)


async def test_a_wait_that_may_fail_lets_its_playbook_go_on(rig: Rig, clock: FixedClock) -> None:
    polling(rig, "at work")
    after = rig.tool("after", succeed)
    await rig.start()
    more = {"wait-until": UNTIL, "on-failure": "continue"}
    run_id = await rig.ask(
        step("poll", "poll", **more), step("after", "after", **{"if": "steps.poll.status == 'failed'"})
    )

    assert "completed" == (await to_the_end(rig, clock, run_id)).state
    assert 1 == len(after.contexts)


async def test_looks_do_not_count_as_attempts_or_steps_and_their_history_ends(rig: Rig, clock: FixedClock) -> None:
    probe = polling(rig, ToolResult("unknown", error="no answer"), ToolResult("failed-safe", error="busy"), "at work")
    await rig.start()
    until = UNTIL | {"deadline": "5m", "every": "20s"}
    run_id = await rig.ask(step("poll", "poll", **{"wait-until": until}), step_cap=2)

    shown = await to_the_end(rig, clock, run_id)

    assert "failed" == shown.state
    assert (16, 1) == (len(probe.contexts), shown.steps)
    log = [event.type for event in await reading.log(rig.database, TENANT, run_id)]
    assert 16 + 15 == sum(type_ in ("call-started", "call-retried") for type_ in log)
    assert len(log) < 40


async def test_a_look_that_failed_for_good_ends_the_wait_unless_its_condition_speaks_of_failures(
    rig: Rig, clock: FixedClock
) -> None:
    gone = ToolResult("failed", error="404")
    polling(rig, "there", gone)
    await rig.start()
    first = await rig.ask(step("poll", "poll", **{"wait-until": UNTIL}))
    assert "404" in str((await to_the_end(rig, clock, first)).outcome)

    until = UNTIL | {"condition": "look.status == 'failed' && look.error == '404'"}
    second = await rig.ask(step("poll", "poll", **{"wait-until": until}))
    assert "completed" == (await to_the_end(rig, clock, second)).state


async def test_a_worker_that_dies_while_it_looks_costs_that_look_and_nothing_else(rig: Rig, clock: FixedClock) -> None:
    async def dies(probe: Probe, context: ToolContext) -> ToolResult:
        if len(probe.contexts) == 1:
            assert rig.driver is not None
            rig.driver.stop_lost(rig.driver.driving)
            return ToolResult("unknown", error="cut off")
        return ToolResult("succeeded", {"state": "done"})

    probe = rig.tool("poll", dies, tier="read", recovery="idempotent")
    await rig.start()
    run_id = await rig.ask(step("poll", "poll", **{"wait-until": UNTIL}))
    await rig.drive(run_id)
    assert rig.driver is not None
    await rig.driver._abandon(TENANT, run_id, "x")

    shown = await to_the_end(rig, clock, run_id)

    assert ("completed", 2) == (shown.state, len(probe.contexts))
    assert [] == await broken(rig.database)


async def test_a_drained_worker_hands_a_wait_over_with_the_look_it_made(rig: Rig, clock: FixedClock) -> None:
    async def drains(probe: Probe, context: ToolContext) -> ToolResult:
        assert rig.station is not None
        if len(probe.contexts) == 1:
            rig.station.draining.set()
        return ToolResult("succeeded", {"state": "at work" if len(probe.contexts) == 1 else "done"})

    rig.tool("poll", drains, tier="read", recovery="pure")
    await rig.start()
    run_id = await rig.ask(step("poll", "poll", **{"wait-until": UNTIL}))
    shown = await rig.drive(run_id)

    assert ("executing", 1) == (shown.state, 0 if shown.waiting is None else shown.waiting.looks)
    await rig.start()
    assert "completed" == (await to_the_end(rig, clock, run_id)).state


async def test_a_stop_ends_a_wait_between_two_looks_at_once(rig: Rig, clock: FixedClock) -> None:
    probe = polling(rig, "at work")
    await rig.start()
    run_id = await rig.ask(step("poll", "poll", **{"wait-until": UNTIL}))
    await rig.drive(run_id)
    stop = partial(kill, run_id=run_id, by=Principal("ana"), reason="", now_ms=clock.wall_ms())
    assert isinstance(await rig.database.journal.command(TENANT, Target(run_id=run_id), stop), Decided)
    clock.jump_wall(60_000)
    shown = await rig.drive(run_id)

    assert ("canceled", 1, None) == (shown.state, len(probe.contexts), shown.waiting)
    assert ["canceled"] == [call.status for call in (await rig.row(run_id)).calls]
    assert [] == await broken(rig.database)


async def test_a_frozen_wait_does_not_look_and_looks_once_more_when_it_is_thawed(rig: Rig, clock: FixedClock) -> None:
    probe = polling(rig, "at work", "done")
    await rig.start()
    run_id = await rig.ask(step("poll", "poll", **{"wait-until": UNTIL}))
    await rig.drive(run_id)
    await frozen(rig, "tool:poll")
    shown = await wake(rig, clock, run_id)
    assert ("blocked", "frozen", 1) == (shown.state, shown.blocked_reason, len(probe.contexts))

    clock.jump_wall(3_600_000)  # the deadline passes while nobody may look
    await thawed(rig, "tool:poll")

    assert ("completed", 2) == ((await to_the_end(rig, clock, run_id)).state, len(probe.contexts))
    assert [] == await broken(rig.database)


async def test_a_run_that_has_taken_too_long_stops_waiting(rig: Rig, clock: FixedClock) -> None:
    polling(rig, "at work")
    await rig.start()
    run_id = await rig.ask(step("poll", "poll", **{"wait-until": UNTIL | {"deadline": "5d"}}))

    shown = await to_the_end(rig, clock, run_id)

    assert "failed" == shown.state
    assert "longer than a run may" in str(shown.outcome)


async def test_a_wait_does_not_outlive_the_policy_that_let_it_look(rig: Rig, clock: FixedClock) -> None:
    probe = polling(rig, "at work")
    await rig.start()
    run_id = await rig.ask(step("poll", "poll", **{"wait-until": UNTIL}))
    await rig.drive(run_id)
    rig.policy = json.dumps({"policy": {"denials": [{"name": "closed", "tools": ["poll"]}]}})

    shown = await wake(rig, clock, run_id)

    assert ("failed", 1) == (shown.state, len(probe.contexts))
    assert "`closed` no longer lets `poll` look" in str(shown.outcome)
    assert [] == await broken(rig.database)


@pytest.mark.parametrize(("tier", "recovery"), [("workspace", "idempotent"), ("read", "opaque"), (None, "pure")])
async def test_what_may_change_something_is_never_waited_with(
    rig: Rig, clock: FixedClock, tier: Any, recovery: Any
) -> None:
    probe = polling(rig, "done", tier=tier, recovery=recovery)
    await rig.start()
    run_id = await rig.ask(step("poll", "poll", **{"wait-until": UNTIL}))

    shown = await rig.drive(run_id)

    assert ("failed", 0) == (shown.state, len(probe.contexts))
    assert "`poll` cannot be waited with" in str(shown.outcome)


async def test_an_agent_waits_by_a_tool_and_that_is_no_loop_and_costs_nothing(rig: Rig, clock: FixedClock) -> None:
    rig.tool("git.look", saying("at work", "at work", "done"), tier="read", recovery="pure")
    await rig.start()
    args = {"tool": "git-look", "args": {}, "condition": "look.out.state == 'done'", "deadline_s": 3600, "for": "it"}
    short = args | {"condition": "look.out.state == 'x'", "deadline_s": 20, "every_s": 20}
    wait = {"calls": [{"tool": "wait_until", "with": args}]}
    never = {"calls": [{"tool": "wait_until", "with": short}]}
    run_id = await rig.ask_agent(
        "Wait.",
        models=[{"turns": [wait, never, never, never, never, never, never, {"text": "It is done."}]}],
        tools=("git.look", "wait_until"),
    )

    shown = await rig.drive(run_id)
    assert ("executing", "Wait until it") == (shown.state, "" if shown.waiting is None else shown.waiting.title)
    assert 1 == len(shown.turns)
    shown = await to_the_end(rig, clock, run_id)

    assert "completed" == shown.state, (shown.outcome, shown.blocked_detail)
    assert ["git.look"] * 7 == [action.tool for action in shown.actions]
    assert 8 == len(shown.turns)
    assert [] == await broken(rig.database)
