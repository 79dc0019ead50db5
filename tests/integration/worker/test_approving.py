"""A gated call from question to effect: asked once, decided by the right people, started once, as it was shown."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel

from core.actions.policy import USE_WITHIN_MS
from core.ids import TENANT
from core.principals import Principal
from core.record.changes import Decided, Refusal
from core.runs.commands.again import ask_again
from core.runs.commands.answer import answer
from core.runs.commands.decide import take_back
from core.runs.commands.expire import expire
from core.runs.commands.kill import kill
from core.runs.commands.resolve import resolve
from core.runs.toolbox import DeclaredTool
from core.store import people
from core.store.lane import Target
from core.tools.ask import Ask
from core.tools.base import Prepared, PreparedInput, ProbeAnswer, ToolContext, ToolResult
from core.tools.reach import Reach
from tests.factories import FixedClock
from tests.integration.worker.conftest import Probe, Rig, step, succeed
from tests.integration.worker.voting import BEN, CAT, asked, vote
from tests.patience import PATIENCE_S

ANA = Principal("ana")


async def waiting(rig: Rig, *steps: dict[str, Any], tier: Any = "compensable", **declared: Any) -> tuple[str, Probe]:
    """A run that waits for a decision about its call of `push`."""
    probe = rig.tool("push", succeed, tier=tier, **declared)
    if rig.driver is None:
        await rig.start()
    run_id = await rig.ask(*(steps or (step("push", "push"),)))
    shown = await rig.drive(run_id)
    assert "waiting-for-approval" == shown.state, shown
    return run_id, probe


def questions(shown: Any) -> list[str]:
    return [approval.status for approval in shown.approvals]


async def test_a_gated_call_asks_and_starts_once_when_it_is_approved(rig: Rig) -> None:
    run_id, probe = await waiting(rig)
    assert [] == probe.contexts
    before = await rig.row(run_id)
    assert (None, None) == (before.run.lease_owner, before.run.due_at), "waiting holds nothing"

    done = await vote(rig, run_id)
    shown = await rig.drive(run_id)

    assert isinstance(done, Decided), done
    assert ("completed", ["consumed"], 1) == (shown.state, questions(shown), len(probe.contexts))
    assert [("ben", "approve")] == [(v.voter, v.decision) for v in shown.approvals[0].votes]
    assert ["planning->waiting-for-approval", "waiting-for-approval->executing"] == (await rig.moves(run_id))[3:5]
    again = await rig.drive(run_id)
    assert (1, shown) == (len(probe.contexts), again)


async def test_a_denied_call_never_runs_and_its_reason_is_how_the_run_ends(rig: Rig) -> None:
    run_id, probe = await waiting(rig)

    await vote(rig, run_id, decision="deny", reason="not on a Friday")
    shown = await rig.drive(run_id)

    assert ("failed", ["denied"], 0) == (shown.state, questions(shown), len(probe.contexts))
    assert "ben denied it: not on a Friday" in str(shown.outcome)
    assert ["canceled"] == [action.status for action in shown.actions]


async def test_who_may_not_decide_is_told_why_and_nothing_counts(rig: Rig) -> None:
    run_id, _ = await waiting(rig)
    guest = Principal("slack:T9/U9", frozenset({"approver"}), external=True)
    for who, said in (
        (Principal("ana", frozenset({"approver"})), "You asked for this run"),
        (Principal("mia"), "people with the role approver"),
        (guest, "Guests"),
    ):
        refused = await vote(rig, run_id, who)
        assert isinstance(refused, Refusal), who
        assert said in refused.text
    shown = await rig.look(run_id)
    assert (["pending"], ()) == (questions(shown), shown.approvals[0].votes)


async def test_an_author_of_what_the_run_works_from_does_not_decide(rig: Rig) -> None:
    run_id, _ = await waiting(rig)
    await authored(rig, run_id, "ben")
    refused = await vote(rig, run_id)
    assert isinstance(refused, Refusal)
    assert "Your message is part" in refused.text
    assert isinstance(await vote(rig, run_id, CAT), Decided)


async def authored(rig: Rig, run_id: str, *names: str) -> None:
    async with rig.database.begin() as connection:
        await connection.exec_driver_sql(
            f"UPDATE runs SET authors_json = '{json.dumps(list(names))}' WHERE id = '{run_id}'"
        )


async def test_two_are_needed_where_the_rule_says_two(rig: Rig) -> None:
    rig.policy = json.dumps({"policy": {"rules": [{"name": "two", "decision": "ask", "tools": ["push"], "quorum": 2}]}})
    run_id, probe = await waiting(rig)
    first = await vote(rig, run_id)
    twice = await vote(rig, run_id)
    assert isinstance(first, Decided)
    assert "1 more needed" in first.text
    assert isinstance(twice, Refusal)
    assert "already" in twice.text
    assert 0 == len(probe.contexts)
    assert "waiting-for-approval" == (await rig.drive(run_id)).state
    await vote(rig, run_id, CAT)
    shown = await rig.drive(run_id)
    assert ("completed", 1) == (shown.state, len(probe.contexts))


async def test_the_second_click_says_who_was_first(rig: Rig) -> None:
    run_id, _ = await waiting(rig)
    await vote(rig, run_id)
    late = await vote(rig, run_id, CAT)
    assert isinstance(late, Refusal)
    assert "already approved by ben" in late.text


async def test_a_denial_beats_an_approval_until_the_call_starts(rig: Rig) -> None:
    run_id, probe = await waiting(rig)
    await vote(rig, run_id)
    assert isinstance(await vote(rig, run_id, CAT, "deny", reason="wait"), Decided)
    shown = await rig.drive(run_id)
    assert ("failed", 0) == (shown.state, len(probe.contexts))


async def test_a_started_call_can_neither_be_denied_nor_lose_its_votes(rig: Rig) -> None:
    """The commit that starts it has used its approval up: while it is under way there is nothing left to decide."""
    answers: list[Decided | Refusal] = []

    async def meanwhile(probe: Probe, context: ToolContext) -> ToolResult:
        ask = await asked(rig, run_id)
        answers.append(await vote(rig, run_id, CAT, "deny", reason="stop it"))
        back = partial(take_back, approval_id=ask.approval.id, by=BEN, now_ms=rig.clock.wall_ms())
        answers.append(await rig.database.journal.command(TENANT, Target(approval_id=ask.approval.id), back))
        return ToolResult("succeeded", {})

    rig.tool("push", meanwhile, tier="compensable")
    await rig.start()
    run_id = await rig.ask(step("push", "push"))
    await rig.drive(run_id)
    await vote(rig, run_id)

    shown = await rig.drive(run_id)

    started = "This was already approved by ben at .*Z. It has started."
    assert [True, True] == [isinstance(each, Refusal) and bool(re.fullmatch(started, each.text)) for each in answers]
    assert ("completed", ["consumed"]) == (shown.state, questions(shown))


async def test_a_question_nobody_answers_parks_the_run_and_can_be_asked_again(rig: Rig) -> None:
    run_id, probe = await waiting(rig)
    first = (await asked(rig, run_id)).approval
    late_ms = first.expires_at_ms + 1
    expiring = partial(expire, approval_id=first.id, now_ms=late_ms)
    assert isinstance(await rig.database.journal.command(TENANT, Target(approval_id=first.id), expiring), Decided)
    shown = await rig.look(run_id)
    assert ("blocked", "approval-expired", ["expired"]) == (shown.state, shown.blocked_reason, questions(shown))
    refused = await vote(rig, run_id)
    assert isinstance(refused, Refusal)
    assert "expired" in refused.text

    again = partial(ask_again, run_id=run_id, by=ANA, now_ms=rig.clock.wall_ms())
    assert isinstance(await rig.database.journal.command(TENANT, Target(run_id=run_id), again), Decided)
    shown = await rig.drive(run_id)
    assert ("waiting-for-approval", ["expired", "pending"]) == (shown.state, questions(shown))
    assert first.id == (await asked(rig, run_id)).replaces
    await vote(rig, run_id)
    assert ("completed", 1) == ((await rig.drive(run_id)).state, len(probe.contexts))


async def test_an_approval_nobody_used_in_time_is_not_used_later(rig: Rig) -> None:
    run_id, probe = await waiting(rig)
    await vote(rig, run_id)
    async with rig.database.begin() as connection:
        await connection.exec_driver_sql("UPDATE approvals SET use_by = 1")
    shown = await rig.drive(run_id)
    assert ("blocked", "approval-expired", 0) == (shown.state, shown.blocked_reason, len(probe.contexts))


async def test_a_changed_policy_voids_what_was_approved_and_asks_anew(rig: Rig) -> None:
    run_id, probe = await waiting(rig)
    await vote(rig, run_id)
    rig.policy = json.dumps(
        {"policy": {"rules": [{"name": "x", "decision": "ask", "tools": ["push"], "expires_ms": 7_200_000}]}}
    )
    shown = await rig.drive(run_id)
    assert ("waiting-for-approval", ["superseded", "pending"], 0) == (
        shown.state,
        questions(shown),
        len(probe.contexts),
    )
    fresh = await asked(rig, run_id)
    assert "x" == fresh.approval.rule
    assert {"policy"} <= {change.path for change in fresh.changed}
    await vote(rig, run_id)
    assert ("completed", 1) == ((await rig.drive(run_id)).state, len(probe.contexts))


async def test_a_click_under_a_changed_policy_counts_for_nothing(rig: Rig) -> None:
    run_id, probe = await waiting(rig)
    rig.policy = json.dumps(
        {"policy": {"rules": [{"name": "x", "decision": "ask", "tools": ["push"], "expires_ms": 7_200_000}]}}
    )
    done = await vote(rig, run_id)
    assert isinstance(done, Decided)
    assert "asked anew" in done.text
    shown = await rig.drive(run_id)
    assert ("waiting-for-approval", ["superseded", "pending"], 0) == (
        shown.state,
        questions(shown),
        len(probe.contexts),
    )
    assert () == shown.approvals[0].votes


@pytest.mark.parametrize("changed", ["definition", "environment", "gone"])
async def test_a_changed_tool_voids_what_was_approved(rig: Rig, changed: str) -> None:
    run_id, probe = await waiting(rig)
    await vote(rig, run_id)
    now = rig.tools["push"]
    if changed == "definition":
        rig.tools["push"] = replace(now, digest="sha256:other")
    elif changed == "environment":
        rig.tools["push"] = replace(now, reach=Reach(environment="production"))
    else:
        del rig.tools["push"]
    shown = await rig.drive(run_id)
    assert 0 == len(probe.contexts)
    assert "superseded" == questions(shown)[0]
    if changed == "gone":
        assert "failed" == shown.state
    else:
        assert ["superseded", "pending"] == questions(shown)


class Resolving(Probe):
    """A tool whose effect depends on something that can change: what it carries, or one of its arguments."""

    body = b"--- a\n+++ b\n"
    commit = "a" * 40
    probed = ProbeAnswer("not-happened")
    settle_s = 0.0
    meanwhile: Callable[[], Awaitable[None]] | None = None
    """What happens while it looks."""

    async def prepare(self, args: BaseModel, context: ToolContext) -> Prepared:
        if self.meanwhile is not None:
            await self.meanwhile()
        given = {**args.model_dump(), "commit": self.commit}
        return Prepared(given, f"Push {self.commit[:7]}", (PreparedInput("changes.patch", self.body),))

    async def probe(self, args: BaseModel, context: ToolContext) -> ProbeAnswer:
        return self.probed


def resolving(rig: Rig, recovery: Any = "reconcilable", behaviour: Any = succeed, timeout_s: float = 0.2) -> Resolving:
    tool = Resolving("push", behaviour)
    rig.tools["push"] = DeclaredTool(tool, "sha256:push", "compensable", recovery, timeout_s)
    return tool


@pytest.mark.parametrize("changed", ["body", "commit", "nothing"])
async def test_what_a_tool_resolved_is_derived_again_before_the_start(rig: Rig, changed: str) -> None:
    tool = resolving(rig)
    await rig.start()
    run_id = await rig.ask(step("push", "push"))
    await rig.drive(run_id)
    first = await asked(rig, run_id)
    assert "changes.patch" in first.box.text
    await vote(rig, run_id)
    if changed == "body":
        tool.body = b"--- a\n+++ c\n"
    elif changed == "commit":
        tool.commit = "b" * 40
    shown = await rig.drive(run_id)
    if changed == "nothing":
        assert ("completed", 1) == (shown.state, len(tool.contexts))
        return
    assert (["superseded", "pending"], 0) == (questions(shown), len(tool.contexts))
    paths = {change.path for change in (await asked(rig, run_id)).changed}
    assert any((changed == "commit" and "commit" in path) or "changes.patch" in path for path in paths), paths


@pytest.mark.parametrize("changed", ["policy", "tool", "hour"])
async def test_a_start_is_decided_by_what_holds_when_the_last_look_is_over(rig: Rig, changed: str) -> None:
    """Getting an effect ready may take a while, and what it was approved under may be over by then."""
    rig.clock = clock = FixedClock()
    tool = resolving(rig)
    await rig.start()
    run_id = await rig.ask(step("push", "push"))
    await rig.drive(run_id)
    await vote(rig, run_id)

    async def meanwhile() -> None:
        tool.meanwhile = None
        match changed:
            case "policy":
                rig.policy = json.dumps({"policy": {"rules": [{"name": "x", "decision": "ask", "tools": ["push"]}]}})
            case "tool":
                rig.tools["push"] = replace(rig.tools["push"], digest="sha256:other")
            case "hour":
                clock.jump_wall(USE_WITHIN_MS)

    tool.meanwhile = meanwhile
    shown = await rig.drive(run_id)
    assert ("expired" if changed == "hour" else "superseded") in questions(shown)
    assert 0 == len(tool.contexts)


async def test_a_voter_who_may_no_longer_decide_does_not_count_at_the_start(rig: Rig) -> None:
    run_id, probe = await waiting(rig)
    await vote(rig, run_id)
    await stands(rig, "ben", roles=())
    shown = await rig.drive(run_id)
    assert (["superseded", "pending"], 0) == (questions(shown), len(probe.contexts))


async def test_a_start_waits_until_somebody_has_asked_slack_about_the_voters_lately(rig: Rig) -> None:
    run_id, probe = await waiting(rig)
    await vote(rig, run_id)
    await stands(rig, "ben", age_ms=120_000)
    shown = await rig.drive(run_id)
    assert ("waiting-for-approval", ["approved"], 0) == (shown.state, questions(shown), len(probe.contexts))
    await stands(rig, "ben")
    async with rig.database.begin() as connection:
        await connection.exec_driver_sql("UPDATE runs SET due_at = 0")
    shown = await rig.drive(run_id)
    assert ("completed", 1) == (shown.state, len(probe.contexts))


async def stands(rig: Rig, who: str, *, roles: tuple[str, ...] = ("approver",), age_ms: int = 0) -> None:
    now_ms = rig.clock.wall_ms() - age_ms
    await rig.database.journal.record([people.known(TENANT, who, roles, usable=True, now_ms=now_ms)])


async def test_a_row_edited_to_approved_starts_nothing(rig: Rig) -> None:
    run_id, probe = await waiting(rig)
    async with rig.database.begin() as connection:
        await connection.exec_driver_sql("UPDATE approvals SET status = 'approved', use_by = 9999999999999")
        await connection.exec_driver_sql("UPDATE runs SET due_at = 0")
    shown = await rig.drive(run_id)
    assert 0 == len(probe.contexts)
    assert ["superseded", "pending"] == questions(shown)


async def test_an_edited_action_starts_nothing(rig: Rig) -> None:
    run_id, probe = await waiting(rig)
    await vote(rig, run_id)
    async with rig.database.begin() as connection:
        await connection.exec_driver_sql("""UPDATE tool_calls SET envelope = replace(envelope, '"n":1', '"n":2')""")
    shown = await rig.drive(run_id)
    assert (["superseded", "pending"], 0) == (questions(shown), len(probe.contexts))


async def test_a_stop_withdraws_the_question(rig: Rig) -> None:
    run_id, probe = await waiting(rig)
    stop = partial(kill, run_id=run_id, by=ANA, reason="", now_ms=rig.clock.wall_ms())
    await rig.database.journal.command(TENANT, Target(run_id=run_id), stop)
    refused = await vote(rig, run_id)
    assert isinstance(refused, Refusal)
    assert "already stopped by ana" in refused.text
    shown = await rig.drive(run_id)
    assert ("canceled", ["revoked"], 0) == (shown.state, questions(shown), len(probe.contexts))


async def test_exactly_the_same_is_not_asked_again_after_a_denial(rig: Rig) -> None:
    first, second = step("one", "push", **{"on-failure": "continue"}), step("two", "push")
    run_id, probe = await waiting(rig, first, second)
    await vote(rig, run_id, decision="deny", reason="no")
    shown = await rig.drive(run_id)
    assert ("failed", ["denied"], 0) == (shown.state, questions(shown), len(probe.contexts))
    assert "was denied by ben" in str(shown.outcome)


async def test_a_run_that_keeps_asking_is_parked(rig: Rig) -> None:
    steps = [step(f"s{n}", "push", **{"with": {"n": n}}) for n in range(7)]
    run_id, probe = await waiting(rig, *steps)
    for _ in range(5):
        await vote(rig, run_id)
        shown = await rig.drive(run_id)
    assert ("blocked", "loop", 5) == (shown.state, shown.blocked_reason, len(probe.contexts))
    again = partial(ask_again, run_id=run_id, by=ANA, now_ms=rig.clock.wall_ms())
    assert isinstance(await rig.database.journal.command(TENANT, Target(run_id=run_id), again), Decided)
    assert "waiting-for-approval" == (await rig.drive(run_id)).state


async def test_a_secret_in_what_would_be_shown_makes_it_unapprovable(rig: Rig) -> None:
    rig.tool("push", succeed, tier="compensable")
    await rig.start()
    run_id = await rig.ask(step("push", "push", **{"with": {"text": "a-very-secret-token"}}))
    shown = await rig.drive(run_id)
    assert "failed" == shown.state
    assert "looks like a secret" in str(shown.outcome)
    assert "a-very-secret-token" not in str(shown.outcome)


@pytest.mark.parametrize(
    ("probed", "state", "attempts"),
    [
        (ProbeAnswer("happened", {"commit": "a" * 40}), "completed", 1),
        (ProbeAnswer("not-happened"), "completed", 2),
        (ProbeAnswer("cannot-tell", detail="the ref is elsewhere"), "blocked", 1),
    ],
)
async def test_an_attempt_of_unknown_end_is_looked_for_and_repeated_only_if_it_did_not_happen(
    rig: Rig, probed: ProbeAnswer, state: str, attempts: int
) -> None:
    async def once_lost(probe: Probe, context: ToolContext) -> ToolResult:
        return (
            ToolResult("unknown", error="the line went dead") if len(probe.contexts) == 1 else ToolResult("succeeded")
        )

    tool = resolving(rig, behaviour=once_lost)
    tool.probed = probed
    await rig.start()
    run_id = await rig.ask(step("push", "push"))
    await rig.drive(run_id)
    await vote(rig, run_id)
    async with asyncio.timeout(PATIENCE_S):
        while (shown := await rig.drive(run_id)).state not in ("completed", "blocked", "failed"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (state, attempts) == (shown.state, len(tool.contexts)), shown
    assert ["consumed"] == questions(shown)


@pytest.mark.parametrize(("ran", "state"), [(True, "completed"), (False, "waiting-for-approval")])
async def test_an_ambiguous_effect_waits_for_somebody_who_looked(rig: Rig, ran: bool, state: str) -> None:
    async def lost(probe: Probe, context: ToolContext) -> ToolResult:
        return ToolResult("unknown", error="the line went dead")

    rig.tool("push", lost, tier="irreversible", recovery="opaque")
    await rig.start()
    run_id = await rig.ask(step("push", "push"))
    await rig.drive(run_id)
    await vote(rig, run_id)
    shown = await rig.drive(run_id)
    assert ("blocked", "ambiguous-effect") == (shown.state, shown.blocked_reason)
    (action,) = shown.actions
    for by, kind in ((Principal("mia"), Refusal), (ANA, Decided), (ANA, Refusal)):
        now_ms = rig.clock.wall_ms()
        said = partial(resolve, run_id=run_id, call_id=action.id, by=by, ran=ran, now_ms=now_ms)
        assert isinstance(await rig.database.journal.command(TENANT, Target(run_id=run_id), said), kind)
    assert state == (await rig.drive(run_id)).state


async def test_a_question_to_people_waits_for_a_typed_answer(rig: Rig) -> None:
    rig.tools["ask"] = DeclaredTool(Ask(), "sha256:ask", "read", "pure", 5)
    probe = rig.tool("use", succeed)
    await rig.start()
    run_id = await rig.ask(
        step("which", "ask", **{"with": {"question": "Which one?", "choices": ["red", "blue"]}}),
        step("use", "use", **{"with": {"colour": "${{ steps.which.out.answer }}"}}),
    )
    shown = await rig.drive(run_id)
    assert ("blocked", "question") == (shown.state, shown.blocked_reason)
    assert shown.question is not None
    for by, given, kind in (
        (Principal("mia"), {"answer": "red"}, Refusal),
        (ANA, {"answer": "green"}, Refusal),
        (ANA, {}, Refusal),
        (ANA, {"answer": "blue"}, Decided),
        (ANA, {"answer": "red"}, Refusal),
    ):
        said = partial(answer, call_id=shown.question.call_id, by=by, given=given, now_ms=rig.clock.wall_ms())
        done = await rig.database.journal.command(TENANT, Target(run_id=run_id), said)
        assert isinstance(done, kind), (by, given, done)
    shown = await rig.drive(run_id)
    assert ("completed", None) == (shown.state, shown.question)
    (row,) = [call for call in (await rig.row(run_id)).calls if call.step == "use"]
    assert {"colour": "blue"} == json.loads(row.envelope)["args"]
    assert 1 == len(probe.contexts)
