"""One turn of a model, pure: what asking, its answer and its failure mean for the rows.

Nothing is asked before the most it can cost is taken out of every budget it counts against, in the commit that says
that it is asked; what it did cost is settled in the commit that keeps its answer. A turn whose worker died is charged
at its reserve: nobody knows whether the vendor did the work.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.actions.envelope import salted
from core.budgets import day_of, month_of, usd_text
from core.planners.agents import AgentSpec, ModelSpec
from core.planners.base import PlanStep
from core.planners.dialogue import Answer
from core.record.changes import Hold, RunChange
from core.record.rows import RunRow, Snapshot, TurnRow, dumps
from core.record.states import BlockedReason
from core.runs import allowance, asks, replies, shared, steps
from core.runs.allowance import Usage
from core.runs.draft import Draft
from core.runs.shared import NO_CAP, SETTINGS, WHOSE
from core.runs.stalls import Found
from core.runs.stamps import GO_ON, Stamp, plan_line
from core.runs.stored import Stored

MOST_TRIES = 4
"""Times one model is asked for one answer before the next one is."""

MODEL = "model"
"""What a freeze of a tool would have to be called to cover every request to a model, and nothing else."""

LOST_AFTER_MS = 600_000
"""A turn nobody has settled for so long is charged at its reserve."""


@dataclass(frozen=True)
class Caps:
    """What may be spent beside what a run may; `None` = no limit."""

    tree: int | None = None
    person_day: int | None = None
    channel_month: int | None = None
    team_day: int | None = None


@dataclass(frozen=True)
class Asked:
    """A turn about to be asked for."""

    spec: ModelSpec
    prompt_sha256: str
    reserved_micro_usd: int
    reserved_tokens: int


@dataclass(frozen=True)
class Failed:
    """A turn that brought no usable answer."""

    why: str
    again: bool
    cost_micro_usd: int
    retry_after_ms: int | None = None
    answering_model: str | None = None
    parked: BlockedReason | None = None
    """Set when it is not the model's fault and only a person can help."""


def next_model(snapshot: Snapshot, agent: AgentSpec) -> ModelSpec | None:
    """Which model to ask next: the first that has not failed for good; `None` = all of them have."""
    failed = snapshot.turns[-snapshot.run.retries :] if snapshot.run.retries else ()
    for spec in agent.models:
        tries = [turn for turn in failed if turn.requested_model == spec.label and turn.status != "lost"]
        if len(tries) < MOST_TRIES and not any(turn.status == "refused" for turn in tries):
            return spec
    return None


def holds(run: RunRow, caps: Caps, amount: int, at_ms: int) -> tuple[Hold, ...]:
    """What a turn takes out of every budget it counts against; a budget without a cap is kept, too, to be looked at.

    Args:
        amount: Micro-USD; negative gives back.
        at_ms: When the turn was asked for: its day and month are charged.
    """
    day, month = day_of(at_ms), month_of(at_ms)
    own = run.budget_micro_usd or 0
    tree = own if run.root_id == run.id else NO_CAP
    found = [
        Hold("run", run.id, "-", own, amount),
        Hold("tree", run.root_id, "-", tree if caps.tree is None else caps.tree, amount),
        Hold("person", run.requester, day, NO_CAP if caps.person_day is None else caps.person_day, amount),
        Hold("team", run.team or run.tenant, day, NO_CAP if caps.team_day is None else caps.team_day, amount),
    ]
    if run.channel is not None:
        cap = NO_CAP if caps.channel_month is None else caps.channel_month
        found.append(Hold("channel", run.channel, month, cap, amount))
    return tuple(found)


def ask(
    snapshot: Snapshot,
    plan: Sequence[PlanStep],
    asked: Asked,
    caps: Caps,
    stamp: Stamp,
    *,
    stalls: str | None = None,
    covers: int | None = None,
) -> RunChange:
    """Reserve a turn; its request is sent once this is durable.

    Args:
        stalls: What the run remembers of its stalls from now on, if another one was found.
        covers: For how many answers its answer will stand, if it is to sum up.
    """
    run = snapshot.run
    draft = Draft(snapshot, stamp.actor)
    n = max((turn.n for turn in snapshot.turns), default=0) + 1
    draft.run |= {"plan_json": dumps([plan_line(step) for step in plan]), "steps": run.steps + 1}
    draft.freezable = MODEL
    if stalls is not None:
        draft.run["stalls_json"] = stalls
    draft.insert(
        "model_turns",
        {
            "tenant": run.tenant,
            "run_id": run.id,
            "n": n,
            "requested_model": asked.spec.label,
            "prompt_sha256": asked.prompt_sha256,
            "status": "started",
            "reserved_micro_usd": asked.reserved_micro_usd,
            "reserved_tokens": asked.reserved_tokens,
            "fence": run.fence,
            "covers": covers,
            "started_at": stamp.now_ms,
        },
    )
    draft.holds = holds(run, caps, asked.reserved_micro_usd, stamp.now_ms)
    for hold in draft.holds:
        draft.insert(
            "spend",
            {
                "tenant": run.tenant,
                "id": _spend_id(run, n, hold.scope),
                "budget_id": hold.budget_id,
                "run_id": run.id,
                "reserved": hold.amount_micro_usd,
                "reserved_at": stamp.now_ms,
            },
        )
    reserved = {"turn": n, "reserved_micro_usd": asked.reserved_micro_usd}
    evidence: list[dict[str, object]] = [reserved | {"prompt": salted(run.salt, asked.prompt_sha256)}]
    if covers is None:  # what is summed up are earlier turns
        evidence += [{"reply": reply} for reply in replies.ids_given(snapshot)]
        replies.give(draft, n)
    draft.fact("model-asked", *evidence, model=asked.spec.label)
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def answered(
    snapshot: Snapshot,
    turn: TurnRow,
    answer: Answer,
    stored: Stored,
    cost: int,
    caps: Caps,
    stamp: Stamp,
    *,
    used: Mapping[str, int],
) -> RunChange:
    """Keep an answer and settle what it cost.

    Args:
        used: Of the budgets it counts against, by id, while this turn's reserve was in them.
    """
    run = snapshot.run
    draft = Draft(snapshot, stamp.actor)
    _settle(draft, turn, cost, caps, stamp)
    _close(
        draft,
        turn,
        "answered",
        cost,
        stamp,
        answering_model=answer.model,
        answer_sha256=stored.sha256,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
    )
    blob = {"tenant": run.tenant, "sha256": stored.sha256, "size": stored.size, "created_at": stamp.now_ms}
    draft.insert("blobs", blob)
    draft.insert(
        "artifacts",
        {
            "tenant": run.tenant,
            "id": stored.artifact_id,
            "run_id": run.id,
            "role": "context",
            "name": stored.name,
            "sha256": stored.sha256,
            "size": stored.size,
            "media_type": stored.media_type,
            "created_at": stamp.now_ms,
        },
    )
    draft.run["retries"] = 0
    if answer.calls:  # one without is the last as a rule, and nobody has to think about more money then
        done = replace(turn, status="answered", input_tokens=answer.input_tokens, output_tokens=answer.output_tokens)
        _warn(draft, done, cost, caps, used, stamp)
    evidence = {"turn": turn.n, "cost_micro_usd": cost, "requested": turn.requested_model}
    kept = {"artifact": stored.artifact_id, "digest": salted(run.salt, stored.sha256)}
    draft.fact("model-answered", evidence, kept, model=answer.model)
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def failed(
    snapshot: Snapshot,
    turn: TurnRow,
    failure: Failed,
    agent: AgentSpec,
    caps: Caps,
    due_at: int,
    stamp: Stamp,
    *,
    used: Mapping[str, int],
) -> RunChange:
    """Settle a turn that brought nothing; it is asked for again later, of the same model or the next, or not at all.

    Args:
        used: As for an answer.
    """
    draft = Draft(snapshot, stamp.actor)
    _settle(draft, turn, failure.cost_micro_usd, caps, stamp)
    status = "failed" if failure.again or failure.parked is not None else "refused"
    _close(
        draft,
        turn,
        status,
        failure.cost_micro_usd,
        stamp,
        error=failure.why,
        answering_model=failure.answering_model,
    )
    evidence = {"turn": turn.n, "cost_micro_usd": failure.cost_micro_usd, "again": failure.again}
    draft.fact("model-failed", evidence, model=failure.answering_model or turn.requested_model)
    done = replace(turn, status=status, cost_micro_usd=failure.cost_micro_usd)
    _warn(draft, done, failure.cost_micro_usd, caps, used, stamp)
    if failure.parked is not None:
        draft.run["retries"] = 0
        draft.block(failure.parked, f"{failure.why}. {GO_ON}", {"turn": turn.n})
        return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)
    retries = snapshot.run.retries + 1
    draft.run["retries"] = retries
    after = Snapshot(
        run=snapshot.with_run({"retries": retries}).run,
        turns=tuple(replace(each, status=status) if each.n == turn.n else each for each in snapshot.turns),
    )
    if next_model(after, agent) is None:
        draft.run["retries"] = 0
        draft.block(BlockedReason.MODEL_ERROR, f"{failure.why}. {GO_ON}", {"turn": turn.n})
    else:
        draft.run |= {"lease_owner": None, "due_at": due_at, "wake": snapshot.run.wake + 1}
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def lost(snapshot: Snapshot, turn: TurnRow, stamp: Stamp, *, owner: str | None) -> RunChange:
    """Charge a turn nobody knows the end of at its reserve.

    Args:
        owner: The lease holder, or `None` for a command on a run that has ended.
    """
    run = snapshot.run
    draft = Draft(snapshot, stamp.actor)
    _close(draft, turn, "lost", turn.reserved_micro_usd, stamp, error="its worker was gone before it had answered")
    for hold in holds(run, Caps(), 0, turn.started_at):
        values = {"settled": turn.reserved_micro_usd, "settled_at": stamp.now_ms, "lost": 1}
        draft.update("spend", {"id": _spend_id(run, turn.n, hold.scope)}, values)
    draft.fact("model-lost", {"turn": turn.n, "cost_micro_usd": turn.reserved_micro_usd}, model=turn.requested_model)
    return draft.seal(now_ms=stamp.now_ms, owner=owner)


def stalled(snapshot: Snapshot, found: Found, stamp: Stamp) -> RunChange:
    """Park a run that goes round in circles although its model was told."""
    why = f"It gets nowhere: {found.stall.text}. Let it continue for some steps, tell it more, or stop it."
    return steps.block(snapshot, BlockedReason.LOOP, why, stamp, {"calls": len(snapshot.calls)})


def too_long(snapshot: Snapshot, spec: ModelSpec, stamp: Stamp) -> RunChange:
    """Park a run whose model cannot read what it would have to."""
    why = f"What it has to read is more than the window of `{spec.label}`, {spec.window:,} tokens, even summed up."
    remedy = "Ask again with less, or of a model that reads more."
    return steps.block(snapshot, BlockedReason.MODEL_ERROR, f"{why} {remedy}", stamp)


def over_budget(snapshot: Snapshot, asked: Asked, budget_id: str, caps: Caps, stamp: Stamp) -> RunChange:
    """Park a run that cannot pay for its next turn."""
    run, scope = snapshot.run, budget_id.partition(":")[0]
    spent = f"This run has spent {usd_text(run.cost_micro_usd)} of {usd_text(run.budget_micro_usd or 0)}"
    most = usd_text(asked.reserved_micro_usd)
    may = f"its next step may cost up to {most}, more than the budget of {WHOSE[scope]} has left"
    if shared.is_raisable(run, scope, caps.tree):
        lack: allowance.Lack = "money"
        remedy = "Raise it and let this run go on, or stop it."
    else:
        lack = "shared"
        then = (
            "when an operator has raised it" if scope == "tree" else "when that is over, or an operator has raised it"
        )
        remedy = f"It is set by `budgets.{SETTINGS[scope]}`: let this run ask again {then}, or stop it."
    row = {"allowance_json": allowance.short_of(snapshot, lack)}
    return steps.block(
        snapshot, BlockedReason.BUDGET, f"{spent}; {may}. {remedy}", stamp, {"budget": budget_id}, run=row
    )


def used_up(snapshot: Snapshot, usage: Usage, stamp: Stamp, *, tokens: int = 0) -> RunChange:
    """Park a run that may take no further step, because it has used up something that is not money.

    Args:
        tokens: What its next step may take at most, if that is what there are too few for.
    """
    match usage.unit:
        case "tokens":
            may = f"its next turn may take up to {tokens:,}"
            why = f"This run has used {usage.text}; {may}."
        case "time":
            why = f"This run has taken {usage.text}, waiting included."
        case _:
            why = f"This run has used {usage.text}."
    why = f"{why} Let it have more and it goes on, let it wrap up, or stop it."
    row = {"allowance_json": allowance.short_of(snapshot, usage.unit)}
    return steps.block(snapshot, BlockedReason.BUDGET, why, stamp, {"budget": f"run:{usage.unit}"}, run=row)


def unaffordable(snapshot: Snapshot, spec: ModelSpec, stamp: Stamp) -> RunChange:
    """Park a run whose model has no price anybody knows."""
    why = f"Nobody knows what `{spec.label}` costs, so it is not asked. Add `price` to `models.{spec.name}`. {GO_ON}"
    return steps.block(snapshot, BlockedReason.BUDGET, why, stamp)


def out_of_models(snapshot: Snapshot, why: str, stamp: Stamp) -> RunChange:
    """Park a run none of whose models answers."""
    draft = Draft(snapshot, stamp.actor)
    asks.drop_open(draft, stamp.now_ms)
    draft.run["retries"] = 0
    draft.block(BlockedReason.MODEL_ERROR, f"{why} {GO_ON}")
    return draft.seal(now_ms=stamp.now_ms, owner=stamp.worker)


def _warn(draft: Draft, turn: TurnRow, cost: int, caps: Caps, used: Mapping[str, int], stamp: Stamp) -> None:
    """Tell the thread, once for each cap, that most of it is used up, of the run's own and of those it shares.

    Args:
        turn: As it ended.
        used: Of the budgets it counted against, while its reserve was in them.
    """
    before = draft.snapshot
    run = before.run
    after = Snapshot(
        run=before.with_run({"cost_micro_usd": run.cost_micro_usd + cost}).run,
        calls=before.calls,
        turns=tuple(turn if each.n == turn.n else each for each in before.turns),
    )
    own = allowance.nearly_spent(after, stamp.now_ms)
    if own:
        named = ",".join(f"{usage.unit}={usage.cap}" for usage in own)
        draft.offer("slack.budget", f"nearly-spent:{run.id}:{named}", {})
    others = shared.nearly_spent(shared.of(run, draft.holds, used, caps.tree), allowance.of(before).warned)
    for each in others:
        # One thread is told once, whichever of its runs notices.
        key = f"nearly-spent:{run.team or ''}:{run.channel}:{run.thread_ts or run.root_id}:{each.budget_id}={each.cap}"
        draft.offer("slack.budget", key, {"shared": [each.to_json()]})
    if own or others:
        told = {usage.unit: usage.cap for usage in own} | {each.budget_id: each.cap for each in others}
        draft.run["allowance_json"] = allowance.told(before, told)


def _settle(draft: Draft, turn: TurnRow, cost: int, caps: Caps, stamp: Stamp) -> None:
    run = draft.snapshot.run
    draft.holds = holds(run, caps, cost - turn.reserved_micro_usd, turn.started_at)
    for hold in draft.holds:
        values = {"settled": cost, "settled_at": stamp.now_ms}
        draft.update("spend", {"id": _spend_id(run, turn.n, hold.scope)}, values)


def _close(draft: Draft, turn: TurnRow, status: str, cost: int, stamp: Stamp, **more: object) -> None:
    run = draft.snapshot.run
    values = {"status": status, "cost_micro_usd": cost, "ended_at": stamp.now_ms, **more}
    draft.update("model_turns", {"run_id": run.id, "n": turn.n}, values)
    draft.run["cost_micro_usd"] = run.cost_micro_usd + cost


def _spend_id(run: RunRow, n: int, scope: str) -> str:
    return f"{run.id}:{n}:{scope}"
