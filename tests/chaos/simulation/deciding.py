"""What a worker commits next, on what it believes: as the engine decides it, by the same pure functions.

What the engine has to fetch or to wait for (workspaces, probes, what the bot knows of voters) is the history's choice.
"""

from dataclasses import replace

from core.actions.shown import box
from core.ids import TENANT
from core.planners.base import Act, Finish, GiveUp, PlanStep, Turn
from core.record.changes import RunChange
from core.record.freezes import covering
from core.record.rows import ApprovalRow, CallRow, Snapshot
from core.runs import asks, preparing, steps
from core.runs.draft import merged
from core.runs.proposals import Proposed, key_valid_until
from core.runs.recovery import recover
from core.runs.rulebook import Rulebook
from core.runs.starting import may_start
from core.runs.steps import CallEnd, Stamp
from core.store import runs as run_queries
from core.store.people import Standing
from tests.chaos.simulation.house import MOST_ATTEMPTS, SETTLE_MS
from tests.chaos.simulation.world import Slice, World
from tests.factories import BOOT_ID


def stamp_of(world: World, worker: str) -> Stamp:
    return Stamp(worker, f"host-{host_of(worker)}", world.now_ms, BOOT_ID)


def host_of(worker: str) -> str:
    return worker.partition(".")[0]


async def may_have_run(world: World, call: CallRow, *, before: int | None = None) -> bool:
    if call.recovery != "idempotent":
        return False
    return await run_queries.may_have_run(world.database, TENANT, call.id, before=before)


async def next_change(world: World, mine: Slice, rules: Rulebook) -> RunChange | None:
    """Everything that can be committed now; `None` = there is nothing to do for a worker."""
    snapshot, stamp, change = mine.run, stamp_of(world, mine.worker), None
    call = open_call(snapshot)
    if mine.result is not None:
        change = ended(snapshot, *mine.result, stamp)
    elif call is not None:
        return await _resume(world, mine, call, rules, stamp)
    elif snapshot.run.policy_digest != rules.pinned.digest:
        return steps.repin(snapshot, rules.pinned, stamp)
    elif snapshot.run.state in ("context-loaded", "executing"):
        change = steps.begin_planning(snapshot, stamp)
    elif snapshot.run.state != "planning":
        return None
    if change is not None:
        snapshot = snapshot.folded(change)
        if snapshot.run.state != "planning" or snapshot.run.policy_digest != rules.pinned.digest:
            return change
        if world.choose.chance(30):
            return change
    turn = _turn(world, snapshot, rules, stamp)
    return turn if change is None else merged(change, turn)


def ended(snapshot: Snapshot, call: CallRow, end: CallEnd, stamp: Stamp) -> RunChange:
    if end.status == "unknown" and end.retry_in_ms is None and call.recovery == "reconcilable":
        due_at = max(_settled_ms(call), stamp.now_ms)
        return steps.probe_later(snapshot, call, end, stamp, due_at=due_at)
    return steps.end_call(snapshot, call, end, stamp)


def _settled_ms(call: CallRow) -> int:
    return (call.started_at or 0) + call.timeout_ms + SETTLE_MS


async def _resume(world: World, mine: Slice, call: CallRow, rules: Rulebook, stamp: Stamp) -> RunChange:
    snapshot = mine.run
    approval = snapshot.approval(call.approval_id)
    if call.status == "intent" and call.attempts == 0:
        if approval is None:
            return steps.give_up(snapshot, "A planned call has lost the question it waits for.", stamp)
        return _start_approved(world, snapshot, call, approval, rules, stamp)
    if call.status != "started" and not await may_have_run(world, call):
        return _again(snapshot, call, approval, call.error or "due again", rules, stamp, unsure=False)
    found = recover(call, now_ms=stamp.now_ms, most_attempts=MOST_ATTEMPTS)
    world.reached[f"recovery-{found.do}"] += 1
    if found.do == "probe":
        return _probed(world, snapshot, call, approval, rules, stamp)
    if found.do == "repeat":
        return _again(snapshot, call, approval, found.why, rules, stamp, unsure=True)
    return steps.end_call(snapshot, call, CallEnd(found.do, {}, error=found.why, resolved_by="recovery"), stamp)


def _again(
    snapshot: Snapshot, call: CallRow, approval: ApprovalRow | None, why: str, rules: Rulebook, stamp: Stamp, *,
    unsure: bool,
) -> RunChange:  # fmt: skip
    if approval is not None:
        used_for_ms = stamp.now_ms - (approval.consumed_at or 0)
        if approval.policy_digest != rules.pinned.digest or used_for_ms > asks.CONSUMED_FOR_MS:
            error = f"{call.error or why}; its approval no longer covers another attempt"
            end = CallEnd("unknown" if unsure else "failed", {}, error=error, resolved_by="recovery")
            return steps.end_call(snapshot, call, end, stamp)
    return steps.start_again(snapshot, call, why=why, stamp=stamp)


def _start_approved(
    world: World, snapshot: Snapshot, call: CallRow, approval: ApprovalRow, rules: Rulebook, stamp: Stamp
) -> RunChange:
    if over := covering(world.freezes(), snapshot.run, {call.tool}):
        return steps.stand_still(snapshot, over, tool=call.tool, stamp=stamp)
    if world.choose.chance(3):
        return steps.give_up(snapshot, "Its workspace is gone.", stamp)
    tool = rules.toolbox.find(call.tool)
    assert tool is not None
    verdict = may_start(
        snapshot,
        call,
        approval,
        preparing.decided(snapshot, preparing.act_of(call), tool, rules),
        shown_digest=box(call.envelope, {}).digest,
        standings=_standings(world),
        rules=rules,
        now_ms=stamp.now_ms,
    )
    world.reached[f"verdict-{verdict.do}"] += 1
    match verdict.do:
        case "start":
            until = key_valid_until(tool, stamp.now_ms)
            return steps.start_approved(
                snapshot, call, approval, voters=verdict.voters, key_valid_until=until, stamp=stamp
            )
        case "wait":
            return steps.try_later(snapshot, stamp, due_at=stamp.now_ms + 2_000)
        case "late":
            return steps.too_late(snapshot, call, approval, stamp)
        case "void":
            return steps.ask_anew(snapshot, call, approval, verdict.why, stamp)


def _standings(world: World) -> dict[str, Standing]:
    """What the bot has found out about voters, lately or some time ago."""
    age_ms = 120_000 if world.choose.chance(10) else 0
    return {
        who: Standing(frozenset({"approver"} if who in world.approvers else ()), who != "gus", world.now_ms - age_ms)
        for who in ("alex", "ben", "cat", "gus")
    }


def _probed(
    world: World, snapshot: Snapshot, call: CallRow, approval: ApprovalRow | None, rules: Rulebook, stamp: Stamp
) -> RunChange:
    """What a probe that tells the truth finds out, or that it does not answer."""
    if world.choose.chance(10):
        answer = world.choose.one(("cannot-tell", "no-answer"))
    else:
        answer = "happened" if world.outside.of(call.id) else "not-happened"
    settled_ms = _settled_ms(call)
    match answer:
        case "happened":
            return steps.end_call(snapshot, call, CallEnd("succeeded", {}, resolved_by="probe"), stamp)
        case "cannot-tell":
            return steps.end_call(snapshot, call, CallEnd("unknown", {}, error="?", resolved_by="probe"), stamp)
        case "not-happened" if stamp.now_ms >= settled_ms and call.attempts >= MOST_ATTEMPTS:
            return steps.end_call(snapshot, call, CallEnd("failed", {}, error="never", resolved_by="probe"), stamp)
        case "not-happened" if stamp.now_ms >= settled_ms:
            why = "its probe says that it did not happen"
            return _again(snapshot, call, approval, why, rules, stamp, unsure=True)
        case _ if snapshot.run.retries >= MOST_ATTEMPTS:
            return steps.end_call(snapshot, call, CallEnd("unknown", {}, error="no answer", resolved_by="probe"), stamp)
        case _:
            pause_ms = 2_000 * 2 ** min(snapshot.run.retries, 5)
            return steps.try_later(snapshot, stamp, due_at=max(settled_ms, stamp.now_ms + pause_ms))


def _turn(world: World, snapshot: Snapshot, rules: Rulebook, stamp: Stamp) -> RunChange:
    """Ask the planner, and decide on what it wants."""
    if (limit := steps.over_limits(snapshot, stamp.now_ms)) is not None:
        return steps.give_up(snapshot, limit, stamp)
    if world.choose.chance(5):
        return steps.release(snapshot, stamp, due_at=stamp.now_ms + world.choose.one((0, 2_000)))
    turn = _planned(world, snapshot)
    proposed = None
    if isinstance(turn.move, Act):
        tool = rules.toolbox.find(turn.move.tool)
        assert tool is not None
        proposed = preparing.decided(snapshot, turn.move, tool, rules)
        if proposed.decision.verdict == "ask":
            if over := covering(world.freezes(), snapshot.run, {turn.move.tool}):
                return steps.stand_still(snapshot, over, tool=turn.move.tool, stamp=stamp)
            open_asks = len(world.every("SELECT id FROM approvals WHERE status = 'pending'"))
            proposed = replace(proposed, approval_id=world.ids.new("apr"), open_asks=open_asks, most_open_asks=4)
    return _taken(world, snapshot, turn, proposed, stamp)


def _taken(world: World, snapshot: Snapshot, turn: Turn, proposed: Proposed | None, stamp: Stamp) -> RunChange:
    return steps.take_turn(
        snapshot, turn, proposed, call_id=world.ids.call(), nonce=world.ids.salt(), sandbox="none", stamp=stamp
    )


def _planned(world: World, snapshot: Snapshot) -> Turn:
    """The next act of the run's script; one that failed is asked for once more if the script insists."""
    script = world.scripts[snapshot.run.id]
    known = {outcome.step: outcome for outcome in steps.request(snapshot, "").outcomes}
    for act in script.acts:
        plan = (PlanStep(act.step, act.title, "running"),)
        outcome = known.get(act.step)
        if outcome is None:
            return Turn(plan, act)
        if outcome.status == "failed":
            tries = sum(call.step == act.step for call in snapshot.calls)
            return Turn(plan, act) if script.insists and tries < 3 else Turn(plan, GiveUp(outcome.error or "no"))
    return Turn((PlanStep("s", "S", "running"),), Finish("ok"))


def open_call(snapshot: Snapshot) -> CallRow | None:
    return next((call for call in snapshot.calls if call.status in ("intent", "started")), None)
