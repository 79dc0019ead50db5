"""Rollbacks as values: what counts as an effect, what is asked for, in which order, and when it is refused."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from core.actions.policy import parse
from core.ids import RunId
from core.principals import Principal
from core.record.changes import Decided, Refusal, RunChange
from core.record.rows import CallRow, RunRow, Snapshot, dumps
from core.runs.commands.request import Limits
from core.runs.commands.rollback import Asked, roll_back, why_not
from core.runs.commands.rolled_back import close
from core.runs.undoing import effects
from tests.factories import GUEST, MEMBER, NOW_MS, OPERATOR, REQUESTER, StillTool, call_row, run_row, snapshot, surface
from tests.unit.runs.reading import evidence, facts, inserted_rows, moves

CHILD = RunId("run_child")
POLICY = "{}"


class Taking(StillTool):
    """Stands for what takes an effect back."""

    name = "push.undo"


class Pushing(StillTool):
    """Stands for a tool whose effect can be taken back, if its answer says which."""

    name = "push"
    undo = Taking()

    def undo_args(self, args: Mapping[str, Any], out: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return {"branch": out["branch"]} if "branch" in out else None


UNDOINGS = {"push": Pushing()}


def pushed(run: RunRow, step: str, **columns: Any) -> CallRow:
    """A push of a branch named like its step."""
    values: dict[str, Any] = {
        "id": f"call_{run.id[-6:]}{step}",
        "step": step,
        "tool": "push",
        "tier": "compensable",
        "recovery": "reconcilable",
        "status": "succeeded",
        "result_json": dumps({"branch": step}),
        "position": len(step),
    }
    return call_row(run, **(values | columns))


def done(*steps: str, state: str = "completed", **columns: Any) -> Snapshot:
    """A run that has ended after these pushes."""
    run = run_row(state=state, due_at=None, ended_at=NOW_MS, event_seq=9, **columns)
    calls = [pushed(run, step, position=n) for n, step in enumerate(steps)]
    return snapshot(run, *calls)


def rollback(parent: Snapshot, of: Mapping[str, str], *calls: CallRow, **columns: Any) -> Snapshot:
    """A rollback of `parent`: its steps and the calls they take back."""
    values: dict[str, Any] = {
        "id": CHILD,
        "root_id": parent.run.root_id,
        "parent_id": parent.run.id,
        "source_key": f"rollback:{parent.run.id}:1",
        "inputs_json": dumps({"undoes": dict(of)}),
        "state": "completed",
        "due_at": None,
    }
    return snapshot(run_row(**(values | columns)), *calls)


def asked(run_id: str, by: Principal = REQUESTER, **fields: Any) -> Asked:
    return replace(Asked(run_id, by, "", parse(POLICY), Limits(), UNDOINGS), **fields)


def answer(*runs: Snapshot, **fields: Any) -> Decided | Refusal:
    return roll_back(runs, asked=asked(runs[0].run.id, **fields), child_id=CHILD, salt="5a" * 16, now_ms=NOW_MS)


def begun(*runs: Snapshot, **fields: Any) -> tuple[RunChange, RunChange]:
    """The change of the run, and the new run."""
    decided = answer(*runs, **fields)
    assert isinstance(decided, Decided), decided
    first, *_, child = decided.changes
    assert child.creates
    return first, child


def body(child: RunChange) -> dict[str, Any]:
    (document,) = [row for row in inserted_rows(child, "documents") if row["kind"] == "rollback"]
    found: dict[str, Any] = json.loads(document["body"])
    return found


def test_the_last_effect_is_the_first_to_go() -> None:
    parent = done("a", "b", "c")
    _, child = begun(parent)
    plan = body(child)["undo"]
    assert [("undo-c", "c"), ("undo-b", "b"), ("undo-a", "a")] == [(s["step"], s["args"]["branch"]) for s in plan]
    assert {"push.undo"} == {step["tool"] for step in plan}
    of = {step["step"]: step["of_call"] for step in plan}
    assert {"undoes": of} == json.loads(child.run["inputs_json"])
    assert parent.calls[2].id == of["undo-c"]


def test_two_effects_of_one_step_are_two_steps() -> None:
    parent = done("a")
    twice = replace(parent, calls=(*parent.calls, pushed(parent.run, "a", id="call_again", position=5, ordinal=1)))
    _, child = begun(twice)
    assert ["undo-a", "undo-a-2"] == [step["step"] for step in body(child)["undo"]]


def test_only_what_was_done_outside_and_can_be_taken_back_is() -> None:
    run = run_row(state="completed")
    inside = pushed(run, "inside", tier="workspace")
    calls = (
        pushed(run, "yes"),
        pushed(run, "failed", status="failed"),
        pushed(run, "never", status="canceled"),
        inside,
        pushed(run, "final", tier="irreversible"),
        pushed(run, "strange", tier="unclassified"),
        pushed(run, "other", tool="mail"),
        pushed(run, "silent", result_json="{}"),
    )
    found = effects(snapshot(run, *calls), (), UNDOINGS)
    assert {"yes": True, "final": False, "strange": False, "other": False, "silent": False} == {
        effect.call.step: effect.undo is not None for effect in found
    }
    _, child = begun(snapshot(run, *calls))
    assert ["undo-yes"] == [step["step"] for step in body(child)["undo"]]
    assert {"final", "strange", "other", "silent"} == {each["step"] for each in body(child)["stays"]}


def test_the_new_run_is_in_the_same_place_and_its_requester_is_who_asked() -> None:
    place = surface()
    parent = done("a", **{name: getattr(place, name) for name in ("team", "channel", "thread_ts", "message_ts")})
    change, child = begun(parent, by=OPERATOR, reason="wrong branch")
    run = child.run
    assert ("omar", parent.run.agent, "context-loaded", "wrong branch") == (
        run["requester"], run["agent"], run["state"], run["text"],
    )  # fmt: skip
    assert (parent.run.id, parent.run.id, 1) == (run["parent_id"], run["root_id"], run["depth"])
    assert (place.channel, place.thread_ts) == (run["channel"], run["thread_ts"])
    assert f"rollback:{parent.run.id}:9" == run["source_key"]
    assert ["slack.card"] == [row["kind"] for row in inserted_rows(child, "outbox")]
    assert (["rollback-asked"], []) == (facts(change), moves(parent, change))
    noted = evidence(change, "rollback-asked")
    assert (CHILD, parent.calls[0].id) == (noted[0]["run"], noted[1]["call"])
    assert "wrong" not in str(noted), "the log holds nobody's text"
    assert CHILD == change.run["rollback_id"]


def test_the_cap_of_the_tree_grows_by_what_the_rollback_may_take() -> None:
    parent = done("a", step_cap=200)
    change, child = begun(parent)
    assert (200 + child.run["step_cap"]) == change.run["step_cap"]
    top = snapshot(run_row(state="completed", step_cap=7))
    below = done("a", parent_id=top.run.id, root_id=top.run.id, depth=1)
    decided = answer(below, top)
    assert isinstance(decided, Decided)
    of_below, of_top, child = decided.changes
    assert (top.run.id, 7 + child.run["step_cap"]) == (of_top.run_id, of_top.run["step_cap"])
    assert ("step_cap" in of_below.run, 2) == (False, child.run["depth"])


def test_it_may_ask_about_each_of_many_effects() -> None:
    _, child = begun(done(*"abcdefgh"))
    assert 5 + 8 == child.run["ask_cap"]


@pytest.mark.parametrize(
    ("by", "may"),
    [
        (REQUESTER, True),
        (OPERATOR, True),
        (Principal("alex", frozenset({"approver"})), True),
        (MEMBER, False),
        (GUEST, False),
        (replace(OPERATOR, external=True), False),
        (Principal(""), False),
    ],
)
def test_who_may_stop_a_run_may_have_it_rolled_back(by: Principal, may: bool) -> None:
    found = answer(done("a"), by=by)
    assert may is isinstance(found, Decided)
    assert may or (isinstance(found, Refusal) and "not-allowed" == found.why)


def test_a_run_that_is_not_there_is_said() -> None:
    found = roll_back([], asked=asked("run_x"), child_id=CHILD, salt="s", now_ms=NOW_MS)
    assert isinstance(found, Refusal) and "not-found" == found.why


@pytest.mark.parametrize(
    ("parent", "why", "said"),
    [
        (done("a", state="executing"), "invalid", "has not ended"),
        (done("a", state="rolled-back", rollback_id="run_c"), "already", "already rolled back, by run run_c"),
        (done("a", rollback_id="run_c"), "already", "being rolled back already, by run run_c"),
        (done("a", state="canceled", killed_at=1), "invalid", "still being stopped"),
        (done(), "invalid", "nothing to undo"),
        (done("a", parent_id="run_p", source_key="rollback:run_p:1"), "invalid", "is a rollback itself"),
    ],
)
def test_what_cannot_be_rolled_back_is_said(parent: Snapshot, why: str, said: str) -> None:
    found = answer(parent)
    assert isinstance(found, Refusal)
    assert (why, True) == (found.why, said in found.text), found.text
    assert found == why_not(parent, [parent], UNDOINGS)


@pytest.mark.parametrize("status", ["unknown", "started"])
def test_what_nobody_knows_is_settled_first(status: str) -> None:
    parent = done("a", "b")
    unsure = replace(parent, calls=(parent.calls[0], replace(parent.calls[1], status=status)))
    found = answer(unsure)
    assert isinstance(found, Refusal)
    assert "whether `push` in step `b` happened" in found.text


def test_a_run_whose_effects_have_no_undo_names_them() -> None:
    parent = done("a")
    found = answer(replace(parent, calls=(replace(parent.calls[0], tier="irreversible"),)))
    assert isinstance(found, Refusal)
    assert "`push` in step `a`" in found.text


def test_what_an_earlier_rollback_did_is_not_repeated_and_what_it_left_is_done() -> None:
    parent = done("a", "b")
    of = {"undo-b": parent.calls[1].id, "undo-a": parent.calls[0].id}
    earlier = rollback(parent, of, state="failed")
    earlier = replace(earlier, calls=(call_row(earlier.run, step="undo-b", status="succeeded", tool="push.undo"),))
    _, child = begun(parent, earlier)
    assert ["undo-a"] == [step["step"] for step in body(child)["undo"]]
    assert ["stands", "undone"] == [effect.status for effect in effects(parent, (earlier,), UNDOINGS)]


def test_an_earlier_rollback_of_unknown_outcome_is_settled_first() -> None:
    parent = done("a")
    earlier = rollback(parent, {"undo-a": parent.calls[0].id}, state="canceled")
    earlier = replace(earlier, calls=(call_row(earlier.run, step="undo-a", status="unknown", tool="push.undo"),))
    found = answer(parent, earlier)
    assert isinstance(found, Refusal)
    assert "whether undoing `push` in step `a` happened" in found.text
    assert f"banksman resolve {CHILD}" in found.text


def test_a_rollback_that_did_everything_makes_its_run_rolled_back_once() -> None:
    parent = done("a", rollback_id=CHILD)
    child = rollback(parent, {"undo-a": parent.calls[0].id})
    child = replace(child, calls=(call_row(child.run, id="call_u", step="undo-a", status="succeeded"),))
    decided = close([parent, child], child_id=CHILD, now_ms=NOW_MS)
    assert isinstance(decided, Decided)
    (change,) = decided.changes
    assert ["rolled-back"] == moves(parent, change)
    assert [{"run": CHILD}, {"call": parent.calls[0].id, "undone_by": "call_u"}] == evidence(change, "state")
    assert not {"ended_at", "outcome", "rollback_id"} & set(change.run), "its own end stays what it was"
    after = parent.folded(change)
    assert isinstance(close([after, child], child_id=CHILD, now_ms=NOW_MS), Refusal)


@pytest.mark.parametrize("state", ["failed", "canceled", "completed"])
def test_a_rollback_that_did_not_do_everything_leaves_its_run_as_it_was(state: str) -> None:
    parent = done("a", rollback_id=CHILD)
    child = rollback(parent, {"undo-a": parent.calls[0].id}, state=state)
    decided = close([parent, child], child_id=CHILD, now_ms=NOW_MS)
    assert isinstance(decided, Decided)
    (change,) = decided.changes
    assert ([], ["rollback-ended"], None) == (moves(parent, change), facts(change), change.run["rollback_id"])
    assert [{"run": CHILD, "state": state}] == evidence(change, "rollback-ended")
    assert isinstance(close([parent.folded(change), child], child_id=CHILD, now_ms=NOW_MS), Refusal)


def test_a_rollback_under_way_or_of_nobody_closes_nothing() -> None:
    parent = done("a", rollback_id=CHILD)
    child = rollback(parent, {}, state="executing")
    for runs in ([parent, child], [child], [], [parent], [done("a"), child]):
        found = close(runs, child_id=CHILD, now_ms=NOW_MS)
        assert isinstance(found, Refusal)
