"""Read models for the builders: plain ones to override, and strategies that produce any."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from bot.blocks.approval_parts import TITLES
from core.actions.envelope import canonical
from core.actions.policy import Approvers
from core.actions.shown import Change, box
from core.planners.base import PlanStep
from core.planners.definition import InputSpec
from core.record.states import BlockedReason, CallStatus, RunState
from core.runs.approval_views import ApprovalView, AskView, QuestionView, VoteView
from core.runs.views import ActionView, ArtifactView, EventView, RunLine, RunView, StopView

NOW_MS = 1_800_000_000_000
RUN_ID = "run_01kb2x9v7n4m8q3z5t6w0yabcd"

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


def a_file(name: str, size: int = 4200, role: Any = "output") -> ArtifactView:
    return ArtifactView("art_1", name, "cd" * 32, size, "image/png", role)


def a_vote(voter: str = "ben", decision: Any = "approve", **changes: Any) -> VoteView:
    return replace(VoteView(voter, decision, NOW_MS, "sha256:00"), **changes)


PLAIN_APPROVAL = ApprovalView(
    id="apr_01kb2x9v7n4m8q3z5t6w0yabcd",
    run_id=RUN_ID,
    action_id="call_1",
    digest="sha256:" + "ab" * 32,
    status="pending",
    quorum=2,
    votes=(),
    asked_at_ms=NOW_MS - 60_000,
    expires_at_ms=NOW_MS + 3_600_000,
    use_by_ms=None,
    decided_at_ms=None,
    consumed_at_ms=None,
    tool="git_push",
    tier="compensable",
    rule="tier:compensable",
    approvers=Approvers(frozenset({"approver"}), frozenset({"ben"})),
    self_ok=False,
    sentence="Push one commit to the new branch `fix`",
    title="Offer the fixes",
)


def an_approval(**changes: Any) -> ApprovalView:
    """A question about a push that waits for two approvals, unless `changes` say otherwise."""
    return replace(PLAIN_APPROVAL, **changes)


def an_ask(
    body: str | bytes = "one", *, args: Mapping[str, Any] | None = None, about: Mapping[str, Any] | None = None,
    **changes: Any,
) -> AskView:  # fmt: skip
    """A question with its action: a push that carries `body`.

    Args:
        args: Of the action.
        about: Fields of the view; `changes` are fields of the approval.
    """
    patch = body.encode() if isinstance(body, str) else body
    sha256 = hashlib.sha256(patch).hexdigest()
    action = {
        "v": 1,
        "tool": "git_push",
        "args": {"branch": "fix"} if args is None else dict(args),
        "environment": "staging",
        "inputs": [{"ref": "changes.patch", "sha256": sha256}],
    }
    envelope = canonical(action).decode()
    shown = box(envelope, {sha256: patch})
    ask = AskView(
        approval=an_approval(**{"digest": shown.action_digest} | changes),
        run_state=RunState.WAITING_FOR_APPROVAL,
        agent="checkup",
        requester="ana",
        requester_slack="U0ANA",
        team="T0TEAM",
        channel="C0OPS",
        thread_ts="1800000000.000100",
        envelope=envelope,
        box=shown,
    )
    return replace(ask, **(about or {}))


def a_long_ask(units: int, unit: str = "a", **changes: Any) -> AskView:
    """A question whose box has exactly so many UTF-16 units, give or take one where `unit` is two of them."""
    around = len(an_ask("").box.text)
    tries = (units - around - slack for slack in (0, *range(-12, 0), *range(1, 12)))
    for room in tries:
        ask = an_ask(unit * (room // (len(unit.encode("utf-16-le")) // 2)), **changes)
        if units - 1 <= len(ask.box.text.encode("utf-16-le")) // 2 <= units:
            return ask
    raise AssertionError(f"no action has a text of {units} units")


def a_question(**changes: Any) -> QuestionView:
    wanted = {
        "count": InputSpec("count", "integer", True, description="How many"),
        "price": InputSpec("price", "decimal", True),
        "colour": InputSpec("colour", "choice", True, choices=("red", "blue")),
        "sure": InputSpec("sure", "boolean", True),
        "note": InputSpec("note", "string", False),
    }
    return replace(QuestionView("call_1", RUN_ID, "How many, and which?", wanted, NOW_MS), **changes)


_EXTREMES = ["", " ", "\n" * 50, "<!channel>", "\ud800", "x" * 3500, "😀" * 1700, "&<>" * 1200]
# Anything: control characters, astral planes, half surrogates, very long.
texts = st.one_of(
    st.text(alphabet=st.characters(), max_size=12),
    st.integers(0, len(_EXTREMES) - 1).map(_EXTREMES.__getitem__),
)
numbers = st.integers(min_value=-(2**53), max_value=2**53)
counts = st.integers(min_value=0, max_value=2**40)
run_ids = st.text(alphabet="0123456789abcdefghjkmnpqrstvwxyz", min_size=26, max_size=26).map(lambda tail: f"run_{tail}")
users = st.one_of(st.none(), st.just("U0ROSA"), texts)


def lists(items: st.SearchStrategy[Any], most: int = 28) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, max_size=most).map(tuple)


steps = st.builds(
    PlanStep, texts, texts, st.sampled_from(["pending", "running", "done", "failed", "skipped"]), note=texts
)
some_actions = st.builds(
    ActionView,
    id=texts,
    step=texts,
    tool=texts,
    tier=st.one_of(st.sampled_from(["read", "workspace", "compensable", "irreversible"]), texts),
    recovery=texts,
    digest=texts,
    status=st.sampled_from(CallStatus),
    attempts=counts,
    idempotency_key=texts,
    error=st.one_of(st.none(), texts),
)
artifacts = st.builds(ArtifactView, texts, texts, texts, counts, texts, st.sampled_from(["input", "output", "context"]))
stops = st.builds(
    StopView,
    requested_at_ms=numbers,
    confirmed_at_ms=st.one_of(st.none(), numbers),
    by=st.one_of(st.just("slack:T0TEAM/U0ROSA"), texts),
    reason=texts,
    processes_ended=counts,
    in_flight=counts,
    unconfirmed_hosts=lists(texts, 12),
)
votes = st.builds(
    VoteView,
    voter=st.one_of(st.sampled_from(["ben", "slack:T0TEAM/U0OLU"]), texts),
    decision=st.sampled_from(["approve", "deny"]),
    at_ms=numbers,
    seen_digest=texts,
    reason=texts,
    via=st.one_of(st.none(), st.just("cli:1000@host"), texts),
    taken_back=st.booleans(),
)
approvers = st.builds(Approvers, st.frozensets(texts, max_size=4), st.frozensets(texts, max_size=12))
approvals = st.builds(
    ApprovalView,
    # What a button carries is an id of ours and a digest of ours, never a text.
    id=st.just(PLAIN_APPROVAL.id),
    run_id=run_ids,
    action_id=st.one_of(st.just("call_1"), texts),
    digest=st.just(PLAIN_APPROVAL.digest),
    status=st.sampled_from(list(TITLES)),
    quorum=counts,
    votes=lists(votes, 12),
    asked_at_ms=numbers,
    expires_at_ms=numbers,
    use_by_ms=st.none(),
    decided_at_ms=st.none(),
    consumed_at_ms=st.none(),
    tool=texts,
    tier=texts,
    rule=texts,
    approvers=approvers,
    self_ok=st.booleans(),
    sentence=texts,
    title=texts,
    superseded_by=st.none(),
)
_storable = texts.map(lambda text: text.replace("\0", "").encode("utf-8", "ignore").decode())
_changes = st.builds(Change, texts, st.one_of(st.none(), texts), st.one_of(st.none(), texts))


@st.composite
def any_ask(draw: st.DrawFn) -> AskView:
    """Any question; its box is made from any action, as always."""
    body, args = draw(st.one_of(st.binary(max_size=300), texts)), draw(st.dictionaries(st.just("a"), _storable))
    data = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    about = {
        "run_state": draw(st.sampled_from(RunState)),
        "agent": draw(texts),
        "requester": draw(texts),
        "requester_slack": draw(users),
        "replaces": draw(st.one_of(st.none(), st.just("apr_00"))),
        "changed": draw(lists(_changes, 8)),
    }
    ask = an_ask(data, args=args, about=about)
    return replace(ask, approval=replace(draw(approvals), digest=ask.box.action_digest))


_specs = st.builds(
    InputSpec,
    name=st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True),
    type=st.sampled_from(["string", "integer", "decimal", "boolean"]),
    required=st.booleans(),
    description=texts,
)
_choices = st.builds(
    InputSpec,
    name=st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True),
    type=st.just("choice"),
    required=st.booleans(),
    description=texts,
    choices=st.lists(st.text(min_size=1, max_size=70), min_size=1, max_size=6, unique=True).map(tuple),
)
questions = st.builds(
    QuestionView,
    call_id=st.just("call_1"),
    run_id=run_ids,
    question=texts,
    wanted=st.lists(st.one_of(_specs, _choices), min_size=1, max_size=10).map(
        lambda specs: {spec.name: spec for spec in specs}
    ),
    asked_at_ms=numbers,
)

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
    cost_micro_usd=numbers,
    steps=counts,
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
