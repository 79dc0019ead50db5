"""Read models for the builders: plain ones to override, and strategies that produce any."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from core.planners.base import PlanStep
from core.record.states import BlockedReason, CallStatus, RunState
from core.runs.allowance import UNITS, Usage, WrapUp
from core.runs.rollback_views import EffectView, RollbackView, Undoable
from core.runs.views import ActionView, ArtifactView, CutOff, EventView, LateView, RunLine, RunView, StopView, WaitView
from tests.unit.blocks.anything import NOW_MS, RUN_ID, counts, lists, numbers, run_ids, texts, users
from tests.unit.blocks.asks import approvals, questions

PLAIN_RUN = RunView(
    id=RUN_ID,
    tenant="T0TEAM",
    state=RunState.EXECUTING,
    agent="report",
    agent_digest="sha256:00",
    text="the numbers of March",
    requester="rosa",
    requester_slack="U0ROSA",
    team="T0TEAM",
    channel="C0DATA",
    thread_ts="1800000000.000100",
    created_at_ms=NOW_MS - 42_000,
    updated_at_ms=NOW_MS - 2_000,
    ended_at_ms=None,
    version=3,
    blocked_reason=None,
    blocked_detail=None,
    outcome=None,
    plan=(
        PlanStep("read", "Read the file", "done"),
        PlanStep("draw", "Draw the picture", "running"),
        PlanStep("tell", "Write it up", "pending"),
    ),
    actions=(),
    approvals=(),
    artifacts=(),
    stop=None,
    sandbox="landlock",
)


def a_run(**changes: Any) -> RunView:
    """A run that is drawing its picture, unless `changes` say otherwise."""
    return replace(PLAIN_RUN, **changes)


def an_ended_run(state: RunState = RunState.COMPLETED, **changes: Any) -> RunView:
    """A run that ended just now."""
    plan = tuple(replace(step, status="done") for step in PLAIN_RUN.plan)
    return a_run(**{"state": state, "ended_at_ms": NOW_MS, "updated_at_ms": NOW_MS, "plan": plan} | changes)


def a_stop(**changes: Any) -> StopView:
    """A stop that is proved, unless `changes` say otherwise."""
    stop = StopView(NOW_MS - 1500, NOW_MS - 300, "olu", "wrong file", processes_ended=2, in_flight=0)
    return replace(stop, **changes)


def an_action(**changes: Any) -> ActionView:
    plain = ActionView(
        "call_1", "draw", "shell", "workspace", "pure", "sha256:" + "ab" * 32, CallStatus.SUCCEEDED, 1, "v1.KEY"
    )
    return replace(plain, **changes)


def an_effect(**changes: Any) -> EffectView:
    """A push that is there and can be undone, unless `changes` say otherwise."""
    return replace(EffectView("call_1", "push", "git_push", "stands", "git_push.undo", None), **changes)


def a_rollback(**changes: Any) -> RollbackView:
    """A rollback that waits for its approver."""
    plain = RollbackView(
        "run_01kb2x9v7n4m8q3z5t6w0child", RunState.WAITING_FOR_APPROVAL, "rosa", "U0ROSA", NOW_MS - 900
    )
    return replace(plain, **changes)


def a_file(name: str, size: int = 4200, role: Any = "output") -> ArtifactView:
    return ArtifactView("art_1", name, "cd" * 32, size, "image/png", role)


steps = st.builds(
    PlanStep, texts, texts, st.sampled_from(["pending", "running", "done", "failed", "skipped"]), note=texts
)
some_actions = st.builds(
    ActionView,
    id=st.sampled_from(["call_1", "call_2", "call_3"]),
    step=texts,
    tool=texts,
    tier=st.one_of(st.sampled_from(["read", "workspace", "compensable", "irreversible"]), texts),
    recovery=texts,
    digest=texts,
    status=st.sampled_from(CallStatus),
    attempts=counts,
    idempotency_key=texts,
    error=st.one_of(st.none(), texts),
    late=lists(st.builds(LateView, numbers, texts, counts, st.one_of(st.none(), texts)), 3),
)
artifacts = st.builds(ArtifactView, texts, texts, texts, counts, texts, st.sampled_from(["input", "output", "context"]))
cut_off = st.builds(
    CutOff,
    action_id=texts,
    tool=texts,
    tier=st.one_of(st.sampled_from(["read", "workspace", "compensable", "irreversible"]), texts),
    status=st.sampled_from(CallStatus),
    late=st.one_of(st.none(), st.sampled_from(["succeeded", "failed", "unknown"])),
    resolved_by=st.one_of(st.none(), texts),
)
stops = st.builds(
    StopView,
    requested_at_ms=numbers,
    confirmed_at_ms=st.one_of(st.none(), numbers),
    by=st.one_of(st.just("slack:T0TEAM/U0ROSA"), texts),
    reason=texts,
    processes_ended=counts,
    in_flight=counts,
    unconfirmed_hosts=lists(texts, 12),
    calls=lists(cut_off, 12),
    restarted_hosts=lists(texts, 12),
)
effects = st.builds(
    EffectView,
    action_id=st.sampled_from(["call_1", "call_2", "call_3"]),
    step=texts,
    tool=texts,
    status=st.sampled_from(["stands", "undone", "unsettled"]),
    undo=st.one_of(st.none(), texts),
    undone_by=st.one_of(st.none(), run_ids),
)
rollbacks = st.builds(
    RollbackView, run_id=run_ids, state=st.sampled_from(RunState), by=texts, by_slack=users, asked_at_ms=numbers
)
undoables = st.builds(
    Undoable,
    effects=lists(effects, 20),
    rollback=st.one_of(st.none(), rollbacks),
    possible=st.booleans(),
    rolls_back=st.one_of(st.none(), run_ids),
)
waits = st.builds(WaitView, texts, texts, numbers, numbers, st.one_of(st.none(), numbers), counts, texts)
runs = st.builds(
    RunView,
    id=run_ids,
    tenant=texts,
    state=st.sampled_from(RunState),
    agent=texts,
    agent_digest=texts,
    text=texts,
    requester=texts,
    requester_slack=users,
    team=texts,
    channel=texts,
    thread_ts=texts,
    created_at_ms=numbers,
    updated_at_ms=numbers,
    ended_at_ms=st.one_of(st.none(), numbers),
    version=counts,
    blocked_reason=st.one_of(st.none(), st.sampled_from(BlockedReason)),
    blocked_detail=st.one_of(st.none(), texts),
    outcome=st.one_of(st.none(), texts),
    plan=lists(steps),
    actions=lists(some_actions),
    approvals=lists(approvals, 8),
    artifacts=lists(artifacts),
    stop=st.one_of(st.none(), stops),
    sandbox=st.one_of(st.none(), texts),
    question=st.one_of(st.none(), questions),
    waiting=st.one_of(st.none(), waits),
    undoing=undoables,
    cost_micro_usd=numbers,
    budget_micro_usd=st.one_of(st.none(), counts),
    steps=counts,
    usages=lists(st.builds(Usage, unit=st.sampled_from(UNITS), used=counts, cap=counts), 5),
    short=st.one_of(st.none(), st.sampled_from(UNITS)),
    wrap_up=st.one_of(st.none(), st.builds(WrapUp, by=texts, by_slack=users, at_ms=numbers, answers=counts)),
    tree_cost_micro_usd=st.one_of(st.none(), counts),
)
run_lines = st.builds(
    RunLine,
    id=run_ids,
    state=st.sampled_from(RunState),
    agent=texts,
    requester=texts,
    channel=st.one_of(st.none(), texts),
    thread_ts=texts,
    created_at_ms=numbers,
    updated_at_ms=numbers,
    blocked_reason=st.one_of(st.none(), st.sampled_from(BlockedReason)),
    cost_micro_usd=numbers,
)
events = st.builds(
    EventView,
    seq=counts,
    at_ms=numbers,
    type=texts,
    from_state=st.one_of(st.none(), texts),
    to_state=st.one_of(st.none(), texts),
    actor=texts,
    model_version=st.none(),
    policy_version=st.none(),
    fence=counts,
    evidence=st.just(()),
    hash=texts,
    prev_hash=texts,
)
