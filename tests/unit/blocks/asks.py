"""Read models of what waits for people: plain ones to override, and strategies that produce any."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from bot.blocks.approval_parts import TITLES
from core.actions.envelope import canonical
from core.actions.policy import Approvers
from core.actions.shown import Change, box
from core.planners.definition import InputSpec
from core.record.states import RunState
from core.runs.approval_views import ApprovalView, AskView, QuestionView, VoteView
from tests.unit.blocks.anything import NOW_MS, RUN_ID, counts, lists, numbers, run_ids, texts, users


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
    """A question whose box has exactly so many UTF-16 units; its action carries `unit` again and again."""

    def made(times: int, rest: int) -> tuple[AskView, int]:
        # What fills up stands on a line of its own: beside other letters it would change how these are written.
        ask = an_ask(unit * times + "\n" + "a" * rest, **changes)
        return ask, units - len(ask.box.text.encode("utf-16-le")) // 2

    each = made(1, 0)[1] - made(2, 0)[1]
    most = made(1, 0)[1] // each
    for times in range(most, max(most - 8, 0), -1):
        rest = made(times, 0)[1]
        for tried in range(max(rest - 5, 0), rest + 1):  # a longer body may need one digit more for its own length
            ask, missing = made(times, tried)
            if missing == 0:
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
