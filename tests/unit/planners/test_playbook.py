"""Following a playbook: the same request, the same answer; every step accounted for."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import TerminalError
from core.planners.base import Act, CallOutcome, Finish, GiveUp, PlanRequest, Turn
from core.planners.playbook import PlaybookPlanner
from tests.unit.planners.books import decide, done, failed, lines, source_of

CHAIN = """
inputs:
  n: {type: integer, default: 2}
  note: {type: string, required: false}
steps:
  - {id: one, tool: count, title: "Count to ${{ inputs.n }}", with: {to: "${{ inputs.n }}", note: "${{ inputs.note }}"}}
  - {id: two, tool: shell, if: steps.one.out.found > 1, with: {argv: [echo, "${{ steps.one.out.name }}"]}, timeout: 5s}
  - {id: three, tool: shell, with: {list: "${{ steps.one.out.list }}"}, on-failure: continue}
  - {id: four, tool: shell, if: "steps.three.status == 'failed'", with: {why: "${{ steps.three.error }}"}}
on-failure:
  - {id: tidy, tool: shell, with: {why: "${{ failed.step }}: ${{ failed.reason }}"}}
  - {id: report, tool: shell, if: "steps.tidy.status == 'succeeded' && steps.one.status == 'succeeded'", with: {n: "${{ steps.one.out.name }}"}}
summary:
  - Found ${{ steps.one.out.name }}.
  - {if: "steps.two.status == 'skipped'", text: Two was skipped.}
"""  # noqa: E501

FOUND = done("one", found=2, name="x", list=[1, {"a": None}])


def test_the_first_step_is_called_with_typed_arguments_and_defaults() -> None:
    turn = decide(CHAIN)

    assert Act("one", "count", {"to": 2, "note": None}, "Count to 2", None) == turn.move
    assert ["one:running", "two:pending", "three:pending", "four:pending"] == lines(turn)


def test_a_later_step_gets_what_an_earlier_one_answered() -> None:
    turn = decide(CHAIN, FOUND)

    assert Act("two", "shell", {"argv": ["echo", "x"]}, "Two", 5.0) == turn.move
    assert ["one:done", "two:running", "three:pending", "four:pending"] == lines(turn)


def test_a_step_whose_condition_is_false_is_skipped_with_a_note() -> None:
    turn = decide(CHAIN, done("one", found=1, name="x", list=[1]))

    assert isinstance(turn.move, Act)
    assert ("three", {"list": [1]}) == (turn.move.step, turn.move.args)
    assert ("skipped", "condition not met") == (turn.plan[1].status, turn.plan[1].note)


def test_the_end_is_a_summary_with_the_lines_that_apply() -> None:
    turn = decide(CHAIN, done("one", found=1, name="x", list=[1]), done("three"))

    assert Finish("Found x.\nTwo was skipped.") == turn.move
    assert ["one:done", "two:skipped", "three:done", "four:skipped"] == lines(turn)


def test_a_failure_that_may_happen_is_noted_and_later_steps_see_it() -> None:
    turn = decide(CHAIN, FOUND, done("two"), failed("three", "no disk"))

    assert isinstance(turn.move, Act)
    assert ("four", {"why": "no disk"}) == (turn.move.step, turn.move.args)
    assert ("failed", "no disk") == (turn.plan[2].status, turn.plan[2].note)


def test_after_a_failure_the_cleanup_runs_and_the_run_ends_with_the_first_reason() -> None:
    first = decide(CHAIN, FOUND, failed("two", "no echo"))
    assert isinstance(first.move, Act)
    assert ("tidy", {"why": "two: no echo"}) == (first.move.step, first.move.args)
    assert ["one:done", "two:failed", "three:skipped", "four:skipped", "tidy:running", "report:pending"] == lines(first)
    assert "not reached" == first.plan[2].note

    second = decide(CHAIN, FOUND, failed("two", "no echo"), done("tidy"))
    assert isinstance(second.move, Act) and second.move.args == {"n": "x"}

    last = decide(CHAIN, FOUND, failed("two", "no echo"), done("tidy"), done("report"))
    assert GiveUp("Two: no echo") == last.move


def test_cleanup_can_ask_which_steps_were_not_reached() -> None:
    text = """
steps: [{id: a, tool: shell}, {id: b, tool: shell}]
on-failure: [{id: c, tool: shell, if: "steps.b.status == 'skipped' && steps.a.status == 'failed'"}]
"""
    move = decide(text, failed("a")).move

    assert isinstance(move, Act) and move.step == "c"


def test_a_failed_cleanup_does_not_hide_the_first_reason() -> None:
    turn = decide(CHAIN, failed("one", "no count"), failed("tidy", "no broom"))

    assert GiveUp("Count to 2: no count (and afterwards: Tidy: no broom)") == turn.move
    assert ["tidy:failed", "report:skipped"] == lines(turn)[4:]


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ({"name": "x", "list": []}, "its condition cannot be decided: it reads a value that is not there"),
        ({"found": "many", "name": "x"}, "its condition cannot be decided: it compares"),
        ({"found": 2}, "`steps.one.out.name` is not there; there is found"),
        ({"found": 2, "name": [1]}, ""),
        ({"found": 2, "name": 1.5}, "its arguments cannot be used: $.argv[1] is a floating-point number"),
    ],
)
def test_a_step_that_cannot_be_prepared_has_failed_with_a_sentence(out: dict[str, Any], reason: str) -> None:
    turn = decide(CHAIN, CallOutcome("one", "succeeded", out))

    if not reason:  # a whole reference keeps a list a list; whether that fits is the tool's word
        assert isinstance(turn.move, Act) and turn.move.args == {"argv": ["echo", [1]]}
        return
    assert ("two", "failed") == (turn.plan[1].id, turn.plan[1].status)
    assert turn.plan[1].note.startswith(reason)


def test_what_an_input_contains_is_never_expanded() -> None:
    turn = decide(CHAIN, inputs={"note": "${{ inputs.n }}", "n": 7})

    assert isinstance(turn.move, Act)
    assert {"to": 7, "note": "${{ inputs.n }}"} == turn.move.args


def test_without_a_summary_the_title_stands_for_it() -> None:
    text = "title: Tidy up\nsteps: [{id: a, tool: shell}]"

    assert Finish("Tidy up: done.") == decide(text, done("a")).move


def test_a_summary_that_names_what_is_not_there_does_not_undo_the_work() -> None:
    text = "steps: [{id: a, tool: shell}]\nsummary: Rows ${{ steps.a.out.rows }}"

    move = decide(text, done("a")).move

    assert isinstance(move, Finish)
    assert move.summary == "(`steps.a.out.rows` is not there)"


def test_a_long_summary_is_cut_visibly() -> None:
    move = decide("steps: [{id: a, tool: shell}]\nsummary: ${{ steps.a.out.t }}", done("a", t="x" * 9000)).move

    assert isinstance(move, Finish)
    assert 3000 == len(move.summary) and move.summary.endswith("…")


@pytest.mark.parametrize("inputs", [{"m": 1}, {}])
def test_inputs_that_do_not_belong_to_the_playbook_end_the_run(inputs: dict[str, Any]) -> None:
    with pytest.raises(TerminalError, match=r"input m|needs n"):
        decide("inputs: {n: {type: string}}\nsteps: [{id: a, tool: shell}]", inputs=inputs)


outs = st.fixed_dictionaries(
    {}, optional={"found": st.integers(0, 3), "name": st.text(max_size=5), "list": st.lists(st.integers(), max_size=2)}
)
outcomes = st.builds(
    CallOutcome,
    st.sampled_from(["one", "two", "three", "four", "tidy", "report", "stranger"]),
    st.sampled_from(["succeeded", "failed"]),
    outs,
    st.none() | st.text(max_size=5),
)


@settings(deadline=None)
@given(st.lists(outcomes, max_size=7, unique_by=lambda outcome: outcome.step))
def test_any_history_gets_one_answer_and_a_complete_plan(history: list[CallOutcome]) -> None:
    request = PlanRequest("book", source_of(CHAIN).text, "", {}, tuple(history))

    turn, again = PlaybookPlanner().decide(request), PlaybookPlanner().decide(request)

    assert turn == again
    assert ["one", "two", "three", "four"] == [step.id for step in turn.plan[:4]]
    running = [step.id for step in turn.plan if step.status == "running"]
    assert running == ([turn.move.step] if isinstance(turn.move, Act) else [])
    if isinstance(turn.move, Act):
        assert turn.move.step not in {outcome.step for outcome in history}


@settings(deadline=None)
@given(st.data())
def test_every_way_through_ends(data: st.DataObject) -> None:
    history: list[CallOutcome] = []
    for _ in range(7):
        turn: Turn = decide(CHAIN, *history)
        if not isinstance(turn.move, Act):
            break
        ok = data.draw(st.booleans())
        history.append(
            CallOutcome(turn.move.step, "succeeded" if ok else "failed", {"found": 2, "name": "x", "list": []})
        )
    assert isinstance(turn.move, Finish | GiveUp)
