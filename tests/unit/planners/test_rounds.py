"""Steps that are made several times: bounded, in order, each round with an id that never changes."""

from typing import Any

import pytest

from core.config.problems import ConfigProblems
from core.planners.base import Act, CallOutcome, Finish, GiveUp, Turn
from tests.unit.planners.books import book, decide, done, failed, lines


def pushing(items: str = '"${{ steps.list.out.names }}"', more: str = "", at_most: int = 3) -> str:
    return f"""
inputs:
  text: {{type: string, required: false}}
steps:
  - {{id: list, tool: list}}
  - {{id: push, tool: push, for-each: {items}, at-most: {at_most}, with: {{name: "${{{{ each }}}}"}}{more}}}
  - {{id: tell, tool: tell, if: "steps.push.status != 'skipped'", with: {{why: "${{{{ steps.push.error }}}}"}}}}
summary: "${{{{ steps.push.out.count }}}}"
""".replace('summary: "${{ steps.push.out.count }}"', "" if more else 'summary: "${{ steps.push.out.count }} pushed"')


LISTED = done("list", names=["a", "b", "c"])


def act(turn: Turn) -> tuple[str, Any, str]:
    assert isinstance(turn.move, Act), turn.move
    return turn.move.step, turn.move.args, turn.move.title


def test_each_item_is_a_call_of_its_own_and_the_plan_has_one_line_for_all() -> None:
    assert ("push[1]", {"name": "a"}, "Push (1 of 3)") == act(decide(pushing(), LISTED))

    turn = decide(pushing(), LISTED, done("push[1]"), done("push[2]"))
    assert ("push[3]", {"name": "c"}, "Push (3 of 3)") == act(turn)
    assert ["list:done", "push:running", "tell:pending"] == lines(turn)
    assert "Push (3 of 3)" == turn.plan[1].title

    after = decide(pushing(), LISTED, *(done(f"push[{n}]") for n in (1, 2, 3)))
    assert "tell" == act(after)[0]
    assert ("done", "3 times") == (after.plan[1].status, after.plan[1].note)
    assert Finish("3 pushed") == decide(pushing(), LISTED, *(done(f"push[{n}]") for n in (1, 2, 3)), done("tell")).move


def test_more_items_than_may_be_fail_the_step_before_anything_of_it_is_done() -> None:
    move = decide(pushing(at_most=2), LISTED).move

    assert GiveUp("Push: there are 3 items, and it may be made at most 2 times") == move


def test_an_empty_list_is_no_round_and_no_failure() -> None:
    turn = decide(pushing(), done("list", names=[]))

    assert ("tell", "0 times") == (act(turn)[0], turn.plan[1].note)


@pytest.mark.parametrize(
    ("items", "inputs", "names"),
    [
        ("[v, w]", {}, ["v", "w"]),
        ('["${{ steps.list.out.names[1] }}", z]', {}, ["b", "z"]),
        ('"${{ inputs.text }}"', {"text": "one\n\n  two \n"}, ["one", "two"]),
        ('"${{ inputs.text }}"', {}, []),
    ],
)
def test_items_come_from_inputs_earlier_steps_or_are_written_out(
    items: str, inputs: dict[str, str], names: list[str]
) -> None:
    outcomes: list[CallOutcome] = [LISTED]
    seen = []
    while (turn := decide(pushing(items), *outcomes, inputs=inputs)) and act(turn)[0] != "tell":
        seen.append(act(turn)[1]["name"])
        outcomes.append(done(act(turn)[0]))

    assert names == seen


def test_what_is_no_list_fails_the_step() -> None:
    assert GiveUp("Push: what `for-each` names is no list") == decide(pushing(), done("list", names={"a": 1})).move


def test_the_first_round_that_fails_fails_the_step() -> None:
    move = decide(pushing(), LISTED, done("push[1]"), failed("push[2]", "no room")).move

    assert GiveUp("Push: 2 of 3: no room") == move


def test_with_continue_the_other_rounds_are_made_all_the_same() -> None:
    more = ", on-failure: continue"
    outcomes = [LISTED, failed("push[1]", "no room")]
    assert "push[2]" == act(decide(pushing(more=more), *outcomes))[0]

    turn = decide(pushing(more=more), *outcomes, done("push[2]"), failed("push[3]", "late"))
    assert ("tell", {"why": "1 of 3: no room; 3 of 3: late"}) == act(turn)[:2]
    assert "failed" == turn.plan[1].status


def test_a_condition_about_the_items_chooses_among_them() -> None:
    more = ", if: \"each != 'b'\""
    turn = decide(pushing(more=more), LISTED, done("push[1]"))
    assert "push[3]" == act(turn)[0]

    over = decide(pushing(more=more), LISTED, done("push[1]"), done("push[3]"))
    assert "2 times, 1 skipped" == over.plan[1].note


def test_a_step_that_chooses_among_items_has_succeeded_for_those_after_it() -> None:
    text = """
inputs: {x: {type: string, required: false}}
steps:
  - {id: a, tool: t, for-each: [1], at-most: 1, if: CONDITION}
  - {id: b, tool: t, with: {n: "${{ steps.a.out.count }}"}}
"""
    assert 2 == len(book(text.replace("CONDITION", "each == 1")).steps)
    with pytest.raises(ConfigProblems, match="may be skipped"):
        book(text.replace("CONDITION", "has(inputs.x)"))


def test_a_condition_about_the_step_skips_all_of_it() -> None:
    turn = decide(pushing(more=", if: has(inputs.text)"), LISTED)

    assert isinstance(turn.move, Finish)
    assert "skipped" == turn.plan[1].status


DRAIN = """
steps:
  - {id: drain, tool: drain, repeat-until: look.out.left == 0, at-most: 3}
summary: "${{ steps.drain.out.each[0].left }} to ${{ steps.drain.out.count }}"
"""


def test_a_step_is_repeated_until_something_is_so() -> None:
    assert ("drain[1]", {}, "Drain (1 of at most 3)") == act(decide(DRAIN))
    assert "drain[2]" == act(decide(DRAIN, done("drain[1]", left=5)))[0]
    assert Finish("5 to 2") == decide(DRAIN, done("drain[1]", left=5), done("drain[2]", left=0)).move


def test_a_step_that_is_repeated_as_often_as_it_may_has_failed() -> None:
    move = decide(DRAIN, *(done(f"drain[{n}]", left=5) for n in (1, 2, 3))).move

    assert isinstance(move, GiveUp)
    assert "it was made 3 times" in move.reason


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        ("for-each: [a]", "how often `for-each`"),
        ("repeat-until: look.out.x", "how often `repeat-until`"),
        ("at-most: 3", "there is neither"),
        ("for-each: [a], repeat-until: look.out.x, at-most: 3", "not both"),
        ("for-each: 7, at-most: 3", "no list"),
        ("for-each: [a], at-most: 201", "200"),
        ('for-each: "${{ each }}", at-most: 3', "no `each` here"),
        ('with: {x: "${{ each.name }}"}', "no `each` here"),
        ("repeat-until: each == 1, at-most: 3", "no `each` here"),
    ],
)
def test_a_loop_without_a_bound_or_a_list_is_refused_when_it_is_loaded(step: str, complaint: str) -> None:
    with pytest.raises(ConfigProblems, match=complaint):
        book(f"steps: [{{id: push, tool: push, {step}}}]")
