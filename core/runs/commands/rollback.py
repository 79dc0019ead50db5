"""Rolling a run back: a run of its own takes back what can be, the last effect first, and then says so on the first.

Each compensation is an action like any: prepared, asked about, recorded, probed. A rollback that fails, is denied or is
stopped leaves its run as it was; the next one does only what is left, which the ledger tells. What becomes of the run
at the end is `rolled_back`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.actions.envelope import salted
from core.actions.policy import Policy
from core.ids import RunId
from core.principals import Actor, Principal
from core.record.changes import Decided, Refusal, RunChange
from core.record.rows import CallRow, Snapshot, dumps
from core.record.states import TERMINAL, RunState
from core.runs.commands.kill import may_stop
from core.runs.commands.request import Limits, Pinned, Request, accept, surface_of
from core.runs.draft import Draft
from core.runs.undoing import KIND, Effect, effects, rollbacks_of
from core.tools.base import Undoing


@dataclass(frozen=True)
class Asked:
    """Who wants a run taken back, and what holds at that moment."""

    run_id: str
    by: Principal
    reason: str
    policy: Policy
    limits: Limits
    undoings: Mapping[str, Undoing]
    """The tools whose effects can be taken back, by name."""


def roll_back(runs: Sequence[Snapshot], *, asked: Asked, child_id: RunId, salt: str, now_ms: int) -> Decided | Refusal:
    """Create the run that takes another one back, if that may and can be.

    Args:
        runs: The whole tree.
        child_id: The new run's.
        salt: The new run's.
    """
    target = next((snapshot for snapshot in runs if snapshot.run.id == asked.run_id), None)
    if target is None:
        return Refusal("not-found", f"There is no run {asked.run_id}.")
    if (refusal := may_roll_back(target, asked.by, asked.policy) or why_not(target, runs, asked.undoings)) is not None:
        return refusal
    found = effects(target, runs, asked.undoings)
    steps = _steps([each for each in found if each.status == "stands" and each.undo is not None])
    stays = [each.call for each in found if each.undo is None]
    child = _child(target, steps, stays, asked, child_id=child_id, salt=salt, now_ms=now_ms)
    changes = (*_noted(target, runs, steps, asked, child_id=child_id, now_ms=now_ms), child)
    text = f"Run {child_id} undoes what run {asked.run_id} did: {_so_many(len(steps))}"
    return Decided(changes, text)


def may_roll_back(target: Snapshot, by: Principal, policy: Policy) -> Refusal | None:
    """Who may have a run rolled back: the same people who may stop it."""
    if by.external:
        return Refusal("not-allowed", "Guests and people from other organisations cannot roll runs back here.")
    if may_stop(target, by, policy) is None:
        return None
    text = "Only the person who asked for this run, its agent's approvers, or an operator, can have it rolled back."
    return Refusal("not-allowed", text)


def why_not(target: Snapshot, runs: Sequence[Snapshot], undoings: Mapping[str, Undoing]) -> Refusal | None:
    """Why nobody can have this run rolled back now, if so.

    Args:
        runs: Its tree, or at least the rollbacks of it.
    """
    run = target.run
    if run.rolls_back is not None:
        return Refusal("invalid", f"Run {run.id} is a rollback itself, and what it took back stays taken back.")
    if run.run_state is RunState.ROLLED_BACK:
        return Refusal("already", f"Run {run.id} was already rolled back, by run {run.rollback_id}.")
    if run.run_state not in TERMINAL:
        return Refusal("invalid", f"Run {run.id} has not ended: it is {run.state}. Wait for its end, or stop it first.")
    if run.rollback_id is not None:
        return Refusal("already", f"Run {run.id} is being rolled back already, by run {run.rollback_id}.")
    for each in (target, *rollbacks_of(runs, run.id)):
        if each.run.killed_at is not None and each.run.stop_confirmed_at is None:
            return Refusal("invalid", f"Run {each.run.id} is still being stopped. Try again when that is confirmed.")
    found = effects(target, runs, undoings)
    if not found:
        return Refusal("invalid", f"Run {run.id} changed nothing outside, so there is nothing to undo.")
    if unsettled := [each for each in found if each.status == "unsettled"]:
        first = unsettled[0]
        what = f"undoing `{first.call.tool}`" if first.undone_by else f"`{first.call.tool}`"
        return Refusal(
            "invalid",
            f"Nobody knows yet whether {what} in step `{first.call.step}` happened. Look at what it works on and "
            f"settle that first (`banksman resolve {first.undone_by or run.id} CALL`).",
        )
    if not any(each.undo is not None for each in found):
        listed = ", ".join(_named(each.call) for each in found[:5])
        return Refusal("invalid", f"Nothing that run {run.id} did can be undone: {listed}.")
    return None


def _steps(found: Sequence[Effect]) -> list[tuple[str, Effect]]:
    """The effects to take back under the names of their steps, the last effect first."""
    steps: list[tuple[str, Effect]] = []
    for effect in reversed(found):
        same = sum(1 for _, other in steps if other.call.step == effect.call.step)
        steps.append((f"undo-{effect.call.step}{f'-{same + 1}' if same else ''}", effect))
    return steps


def _so_many(count: int) -> str:
    match count:
        case 0:
            return "nothing is left of it to undo, and that will be written down."
        case 1:
            return "1 effect. It is asked about like any action."
        case _:
            return f"{count} effects, the last one first. Each is asked about like any action."


def _named(call: CallRow) -> str:
    return f"`{call.tool}` in step `{call.step}`"


def _child(
    target: Snapshot,
    steps: Sequence[tuple[str, Effect]],
    stays: Sequence[CallRow],
    asked: Asked,
    *,
    child_id: RunId,
    salt: str,
    now_ms: int,
) -> RunChange:
    run = target.run
    plan = [
        {
            "step": step,
            "title": f"Undo {effect.call.tool} of step {effect.call.step}",
            "of_call": effect.call.id,
            "tool": effect.undo.tool,
            "args": dict(effect.undo.args),
        }
        for step, effect in steps
        if effect.undo is not None
    ]
    kept = [{"step": call.step, "tool": call.tool} for call in stays]
    request = Request(
        tenant=run.tenant,
        # Where its run's log is names it for good: two clicks are one rollback, and a later one is another.
        source_key=f"rollback:{run.id}:{run.event_seq}",
        agent=run.agent,
        document=Pinned(KIND, dumps({"v": 1, "run": run.id, "undo": plan, "stays": kept})),
        policy=Pinned("policy", asked.policy.text),
        text=asked.reason,
        inputs={"undoes": {step: effect.call.id for step, effect in steps}},
        requester=asked.by,
        surface=surface_of(run),
        loaded=True,
        limits=replace(asked.limits, asks=asked.limits.asks + len(steps)),
    )
    return accept(request, run_id=child_id, salt=salt, now_ms=now_ms, below=run)


def _noted(
    target: Snapshot,
    runs: Sequence[Snapshot],
    steps: Sequence[tuple[str, Effect]],
    asked: Asked,
    *,
    child_id: RunId,
    now_ms: int,
) -> tuple[RunChange, ...]:
    """What is written on the run itself, and on the first of its tree: that one's cap is for all below it."""
    draft = Draft(target, Actor.of(asked.by))
    why = {} if not asked.reason else {"reason": salted(target.run.salt, asked.reason)}
    draft.fact("rollback-asked", {"run": child_id, **why}, *({"call": effect.call.id} for _, effect in steps))
    draft.run["rollback_id"] = child_id
    if target.run.id == target.run.root_id:
        draft.run["step_cap"] = target.run.step_cap + asked.limits.steps
        return (draft.seal(now_ms=now_ms),)
    root = next(snapshot for snapshot in runs if snapshot.run.id == target.run.root_id)
    more = Draft(root, Actor.of(asked.by))
    more.fact("rollback-asked", {"run": child_id})
    more.run["step_cap"] = root.run.step_cap + asked.limits.steps
    return draft.seal(now_ms=now_ms), more.seal(now_ms=now_ms)
