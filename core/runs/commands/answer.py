"""Answer a run's question: typed values become the result of the call that asked, and planning goes on."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from core.actions.envelope import canonical, digest, salted
from core.errors import TerminalError
from core.principals import Actor, Principal
from core.record.changes import Decided, Refusal
from core.record.rows import CallRow, Snapshot, dumps
from core.record.states import BlockedReason, CallStatus, RunState
from core.runs import asks
from core.runs.draft import Draft
from core.tools.ask import TOOL, accepted


def answer(
    runs: Sequence[Snapshot], *, call_id: str, by: Principal, given: Mapping[str, Any], now_ms: int
) -> Decided | Refusal:
    """Take an answer, if `by` may give it, the question is open and every value fits."""
    found = question_of(runs, call_id)
    if found is None:
        return Refusal("not-found", "This question is not known here.")
    snapshot, call = found
    run = snapshot.run
    if (refusal := may_answer(snapshot, by)) is not None:
        return refusal
    if call.call_status is not CallStatus.INTENT or run.blocked_reason != BlockedReason.QUESTION:
        by_whom = "" if call.resolved_by is None else f" by {call.resolved_by}"
        return Refusal("already", f"This was already answered{by_whom}, or the run went another way.")
    try:
        values = accepted(json.loads(call.envelope)["args"], given)
    except TerminalError as error:
        return Refusal("invalid", error.user_text)
    out = canonical({**values, "answered_by": by.id})
    draft = Draft(snapshot, Actor.of(by))
    draft.insert(
        "answers",
        {
            "tenant": run.tenant,
            "call_id": call.id,
            "run_id": run.id,
            "answered_by": by.id,
            "at": now_ms,
            "body_json": dumps(values),
        },
    )
    ended = {"status": CallStatus.SUCCEEDED.value, "ended_at": now_ms, "resolved_by": by.id}
    result = {"result_json": out.decode(), "result_digest": digest(out)}
    draft.update("tool_calls", {"id": call.id}, ended | result)
    draft.fact("question-answered", {"call": call.id, "answer": salted(run.salt, out)})
    draft.move(RunState.PLANNING, {"call": call.id})
    asks.wake(draft)
    return Decided((draft.seal(now_ms=now_ms),), "Thank you. The run goes on with your answer.")


def question_of(runs: Sequence[Snapshot], call_id: str) -> tuple[Snapshot, CallRow] | None:
    """The run and the call that asked."""
    for snapshot in runs:
        for call in snapshot.calls:
            if call.id == call_id and call.tool == TOOL:
                return snapshot, call
    return None


def may_answer(snapshot: Snapshot, by: Principal) -> Refusal | None:
    """Who may answer a run: whoever asked for it, and operators."""
    if by.external:
        return Refusal("not-allowed", "Guests and people from other organisations cannot answer runs here.")
    if by.id == snapshot.run.requester or by.is_operator:
        return None
    return Refusal("not-allowed", "Only the person who asked for this run, or an operator, can answer it.")
