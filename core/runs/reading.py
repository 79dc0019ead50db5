"""Read models of runs, loaded: what cards, lists, the CLI and its JSON show."""

import json
from collections.abc import Sequence
from typing import Any

from core.config.load import uses_in
from core.planners.base import PlanStep
from core.record.freezes import FreezeRow, covering
from core.record.rows import ArtifactRow, CallRow, RunRow, Snapshot, SteerRow, TurnRow
from core.record.states import TERMINAL, BlockedReason, CallStatus, RunState
from core.runs import allowance, freezing, material
from core.runs.approval_views import approval_views, question_view
from core.runs.commands.again import goes_round
from core.runs.commands.confirm import came_back
from core.runs.rollback_views import Undoable, undoable
from core.runs.undoing import INSIDE
from core.runs.views import (
    ActionView,
    ArtifactView,
    CutOff,
    EventView,
    FreezeView,
    LateView,
    ReplyView,
    RunLine,
    RunView,
    StopView,
    TurnView,
    WaitView,
)
from core.runs.waiting import Waiting
from core.store import documents, freezes, runs
from core.store.runs import Late, Traces
from core.store.session import Database
from core.tools.catalogue import undoings


async def view(database: Database, tenant: str, run_id: str) -> RunView | None:
    """The run as people see it."""
    found = await runs.snapshot(database, tenant, run_id)
    if found is None:
        return None
    undoing = await _undoing(database, found)
    tree_cost = await runs.tree_cost(database, tenant, run_id) if found.run.root_id == run_id else None
    if found.run.killed_at is None:
        over = () if found.run.run_state in TERMINAL else await freezing.covering(database, found)
        return _view(found, None, await runs.late_of(database, tenant, run_id), over, undoing, tree_cost)
    traces = await runs.traces(database, tenant, run_id)
    return _view(found, traces, traces.late, (), undoing, tree_cost)


async def lines(
    database: Database,
    tenant: str,
    *,
    state: RunState | None = None,
    requester: str | None = None,
    open_only: bool = False,
    limit: int = 50,
) -> list[RunLine]:
    """A list of runs, newest first."""
    found = await runs.listed(database, tenant, state=state, requester=requester, open_only=open_only, limit=limit)
    opened = await freezes.open_ones(database, tenant)
    return [line(row, opened) for row in found]


async def frozen(database: Database, tenant: str, *, ended: bool = False) -> list[FreezeView]:
    """What is frozen, the earliest first; or with what was, the newest first."""
    found = await freezes.listed(database, tenant) if ended else await freezes.open_ones(database, tenant)
    return [freeze_view(row) for row in found]


async def log(database: Database, tenant: str, run_id: str) -> list[EventView]:
    """A run's events in order."""
    return [_event(row) for row in await runs.event_rows(database, tenant, run_id)]


def artifact_view(row: ArtifactRow) -> ArtifactView:
    """A stored file as people see it."""
    role = row.role if row.role in ("input", "output") else "context"
    return ArtifactView(row.id, row.name, row.sha256, row.size, row.media_type, role)  # type: ignore[arg-type]


def freeze_view(row: FreezeRow) -> FreezeView:
    """A freeze as people see it."""
    return FreezeView(
        id=row.id,
        scope=row.what.name,
        by=row.frozen_by,
        reason=row.reason,
        frozen_at_ms=row.frozen_at,
        thawed_at_ms=row.thawed_at,
        thawed_by=row.thawed_by,
    )


def line(row: RunRow, opened: Sequence[FreezeRow] = ()) -> RunLine:
    """A run as one row of a list, beside what is frozen; what a freeze of one tool covers only shows when it holds."""
    held = row.blocked_reason == BlockedReason.FROZEN
    return RunLine(
        id=row.id,
        state=row.run_state,
        agent=row.agent,
        requester=row.requester,
        channel=row.channel,
        thread_ts=row.thread_ts,
        created_at_ms=row.created_at,
        updated_at_ms=row.updated_at,
        blocked_reason=BlockedReason(row.blocked_reason) if row.blocked_reason else None,
        cost_micro_usd=row.cost_micro_usd,
        frozen=held or (row.run_state not in TERMINAL and bool(covering(opened, row, ()))),
        rolls_back=row.rolls_back,
    )


async def _undoing(database: Database, found: Snapshot) -> Undoable:
    """What it did outside; only a run that has ended and did something may have rollbacks to look at."""
    run = found.run
    if all(call.tier in INSIDE for call in found.calls):
        return undoable(found, [found], {})
    policy = await documents.find(database, run.tenant, run.policy_digest)
    known = undoings({} if policy is None else uses_in(policy.body))
    ended = run.run_state in TERMINAL
    return undoable(found, await runs.tree(database, run.tenant, run.root_id) if ended else [found], known)


def _view(
    found: Snapshot,
    traces: Traces | None,
    late: Sequence[Late],
    over: Sequence[FreezeRow],
    undoing: Undoable,
    tree_cost: int | None,
) -> RunView:
    run, held = found.run, allowance.of(found)
    return RunView(
        id=run.id,
        tenant=run.tenant,
        state=run.run_state,
        agent=run.agent,
        agent_digest=run.agent_digest,
        text=run.text,
        requester=run.requester,
        requester_slack=run.requester_slack,
        team=run.team,
        channel=run.channel,
        thread_ts=run.thread_ts,
        created_at_ms=run.created_at,
        updated_at_ms=run.updated_at,
        ended_at_ms=run.ended_at,
        version=run.version,
        blocked_reason=BlockedReason(run.blocked_reason) if run.blocked_reason else None,
        blocked_detail=run.blocked_detail,
        outcome=run.outcome,
        plan=tuple(PlanStep(**step) for step in json.loads(run.plan_json)),
        actions=tuple(
            ActionView(
                id=call.id,
                step=call.step,
                tool=call.tool,
                tier=call.tier,
                recovery=call.recovery,
                digest=call.action_digest,
                status=CallStatus(call.status),
                attempts=call.attempts,
                idempotency_key=call.idem_key,
                error=call.error,
                late=_late(late, call.id),
            )
            for call in found.calls
        ),
        approvals=approval_views(found),
        artifacts=tuple(artifact_view(row) for row in found.artifacts),
        stop=None if traces is None else _stop(found, traces),
        sandbox=run.sandbox,
        question=question_view(found),
        freezes=tuple(freeze_view(row) for row in over),
        undoing=undoing,
        cost_micro_usd=run.cost_micro_usd,
        budget_micro_usd=run.budget_micro_usd,
        turns=tuple(_turn(turn) for turn in found.turns),
        steps=run.steps,
        usages=allowance.usages(found, run.ended_at or run.updated_at),
        short=held.short,
        goes_round=goes_round(found),
        wrap_up=held.wrap_up,
        contract=held.contract,
        tree_cost_micro_usd=tree_cost,
        steering=run.steering,
        given=material.given(found),
        replies=tuple(_reply(row) for row in found.steers),
        waiting=_waiting(found),
    )


def _reply(row: SteerRow) -> ReplyView:
    turn = None if row.used_by is None else int(row.used_by)
    return ReplyView(row.id, row.author, row.slack_user, row.text, row.digest, row.at, row.status, row.decided_by, turn)


def _waiting(found: Snapshot) -> WaitView | None:
    for call in found.calls:
        wait = Waiting.of(call)
        if wait is not None and call.call_status in (CallStatus.INTENT, CallStatus.STARTED):
            next_ms = wait.next_at if call.call_status is CallStatus.INTENT else None
            return WaitView(call.title, wait.condition, wait.since, wait.until, next_ms, wait.looks, wait.seen)
    return None


def _turn(row: TurnRow) -> TurnView:
    return TurnView(
        row.n,
        row.status,
        row.requested_model,
        row.answering_model,
        row.input_tokens,
        row.output_tokens,
        row.reserved_micro_usd,
        row.cost_micro_usd,
        row.error,
        row.started_at,
        row.ended_at,
    )


def _late(late: Sequence[Late], call_id: str) -> tuple[LateView, ...]:
    return tuple(LateView(row.at, row.status, row.fence, row.error) for row in late if row.call_id == call_id)


def _stop(found: Snapshot, traces: Traces) -> StopView:
    run = found.run
    assert run.killed_at is not None
    clear = {report.host for report in traces.reports if not report.remaining}
    asked = {*traces.boots, *([] if run.holder_host is None else [run.holder_host])}
    waiting = [] if run.stop_confirmed_at is not None else sorted(asked - clear)
    late = {row.call_id: row.status for row in traces.late if row.at >= run.killed_at}
    return StopView(
        requested_at_ms=run.killed_at,
        confirmed_at_ms=run.stop_confirmed_at,
        by=run.killed_by or "",
        reason=run.kill_reason or "",
        processes_ended=sum(report.ended for report in traces.reports),
        in_flight=run.kill_in_flight,
        unconfirmed_hosts=tuple(waiting),
        calls=tuple(
            CutOff(call.id, call.tool, call.tier, call.call_status, late.get(call.id), call.resolved_by)
            for call in found.calls
            if _was_cut_off(call, run.killed_at) or call.id in late
        ),
        restarted_hosts=tuple(
            report.host for report in traces.reports if came_back(traces.boots.get(report.host, ()), report.boot_id)
        ),
    )


def _was_cut_off(call: CallRow, killed_at: int) -> bool:
    """Whether a stop came while this call was under way; somebody may have found out since how it ended."""
    if call.call_status is CallStatus.STARTED:
        return True
    in_doubt = call.call_status is CallStatus.UNKNOWN or call.resolved_by is not None
    return in_doubt and call.ended_at is not None and call.ended_at >= killed_at


def _event(row: Any) -> EventView:
    return EventView(
        seq=row["seq"],
        at_ms=row["at"],
        type=row["type"],
        from_state=row["from_state"],
        to_state=row["to_state"],
        actor=f"{row['actor_kind']}:{row['actor_id']}",
        model_version=row["model_version"],
        policy_version=row["policy_version"],
        fence=row["fence"],
        evidence=tuple(json.loads(row["evidence"])),
        hash=row["hash"],
        prev_hash=row["prev_hash"],
    )
