"""Rounds that are several steps: made in order for each item or until something is so, each call with its own id."""

import pytest

from core.config.problems import ConfigProblems
from core.planners.base import CallOutcome, Finish, GiveUp
from tests.unit.planners.books import book, decide, done, failed, lines
from tests.unit.planners.test_rounds import act

ROLLOUT = """
steps:
  - {id: list, tool: list}
  - id: rollout
    for-each: "${{ steps.list.out.names }}"
    at-most: 3
    MORE
    steps:
      - {id: deploy, tool: deploy, with: {region: "${{ each }}"}}
      - {id: check, tool: check, title: Look, with: {url: "${{ steps.deploy.out.url }}"}}
  - {id: tell, tool: tell, if: "steps.rollout.status != 'skipped'", with: {why: "${{ steps.rollout.error }}"}}
"""
LISTED = done("list", names=["eu", "us"])


def rollout(more: str = "") -> str:
    return ROLLOUT.replace("MORE\n", f"{more}\n" if more else "\n")


def test_each_round_is_made_whole_before_the_next_and_sees_its_own_answers() -> None:
    outcomes: list[CallOutcome] = [LISTED]
    seen = []
    while (turn := decide(rollout(), *outcomes)) and act(turn)[0] != "tell":
        seen.append(act(turn))
        outcomes.append(done(act(turn)[0], url=f"{act(turn)[0]}.example"))

    assert [
        ("deploy[1]", {"region": "eu"}, "Rollout (1 of 2): Deploy"),
        ("check[1]", {"url": "deploy[1].example"}, "Rollout (1 of 2): Look"),
        ("deploy[2]", {"region": "us"}, "Rollout (2 of 2): Deploy"),
        ("check[2]", {"url": "deploy[2].example"}, "Rollout (2 of 2): Look"),
    ] == seen
    assert ["list:done", "rollout:done", "tell:running"] == lines(turn)
    assert "2 times" == turn.plan[1].note


def test_the_card_has_one_line_that_says_which_round_and_which_step() -> None:
    turn = decide(rollout(), LISTED, done("deploy[1]", url="x"))

    assert ["list:done", "rollout:running", "tell:pending"] == lines(turn)
    assert "Rollout (1 of 2): Look" == turn.plan[1].title


def test_a_round_is_over_with_its_first_failure_and_so_is_the_step() -> None:
    move = decide(rollout(), LISTED, failed("deploy[1]", "no room")).move

    assert GiveUp("Rollout: 1 of 2: Deploy: no room") == move


def test_with_continue_the_other_rounds_are_made_all_the_same() -> None:
    more = "on-failure: continue"
    outcomes = [LISTED, failed("deploy[1]", "no room")]
    assert "deploy[2]" == act(decide(rollout(more), *outcomes))[0]

    over = decide(rollout(more), *outcomes, done("deploy[2]", url="x"), failed("check[2]", "down"))
    assert ("tell", {"why": "1 of 2: Deploy: no room; 2 of 2: Look: down"}) == act(over)[:2]


def test_a_step_of_a_round_that_may_fail_does_not_end_it() -> None:
    text = """
steps:
  - id: each_of
    for-each: [a]
    at-most: 1
    steps:
      - {id: one, tool: t, on-failure: continue}
      - {id: two, tool: t, with: {before: "${{ steps.one.status }}"}}
"""
    assert ("two[1]", {"before": "failed"}) == act(decide(text, failed("one[1]", "x")))[:2]


def test_what_the_rounds_brought_is_read_by_round_and_step() -> None:
    text = """
steps:
  - id: each_of
    for-each: [a, b]
    at-most: 2
    if: each != 'a'
    steps:
      - {id: one, tool: t}
      - {id: two, tool: t, if: steps.one.out.n > 5}
summary: "${{ steps.each_of.out.each[1].one.out.n }} ${{ steps.each_of.out.each[1].two.status }}"
"""
    over = decide(text, done("one[2]", n=3))
    assert Finish("3 skipped") == over.move
    assert "once, 1 skipped" == over.plan[0].note


UNTIL = """
steps:
  - id: mend
    repeat-until: steps.test.out.failing == 0
    at-most: 2
    steps:
      - {id: change, tool: change}
      - {id: test, tool: test}
summary: "after ${{ steps.mend.out.count }}"
"""


def test_a_round_is_repeated_until_something_of_it_is_so() -> None:
    first = [done("change[1]"), done("test[1]", failing=2)]
    assert "change[2]" == act(decide(UNTIL, *first))[0]
    assert Finish("after 2") == decide(UNTIL, *first, done("change[2]"), done("test[2]", failing=0)).move

    move = decide(UNTIL, *first, done("change[2]"), done("test[2]", failing=1)).move
    assert isinstance(move, GiveUp) and "it was made 2 times" in move.reason


def test_what_was_answered_in_one_round_is_not_seen_in_the_next() -> None:
    text = UNTIL.replace("{id: change, tool: change}", "{id: change, tool: change, if: EARLIER}")
    with pytest.raises(ConfigProblems, match="Step `test` has not run at this place"):
        book(text.replace("EARLIER", "steps.test.out.failing == 1"))


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        ("steps: [{id: a, tool: t}]", "nothing says for what"),
        ("steps: [{id: a, tool: t}], for-each: [x], at-most: 1, tool: t", "`tool` has no meaning"),
        ("steps: [{id: a, tool: t}], for-each: [x], at-most: 1, with: {a: b}", "`with` has no meaning"),
        ("steps: [{id: a, tool: t}], for-each: [x], at-most: 1, timeout: 5s", "`timeout` has no meaning"),
        ("steps: [{id: a}], for-each: [x], at-most: 1", "`tool` is missing"),
        ("steps: [{id: a, tool: nothing}], for-each: [x], at-most: 1", "no tool `nothing`"),
        ("steps: [{id: outer, tool: t}], for-each: [x], at-most: 1", "two steps `outer`"),
        ("steps: [{id: a, tool: t, for-each: [y], at-most: 1}], for-each: [x], at-most: 1", "for-each"),
        ("steps: [{id: a, tool: t}], repeat-until: look.out.x, at-most: 1", "no `look` here"),
    ],
)
def test_a_group_that_makes_no_sense_is_refused_when_it_is_loaded(step: str, complaint: str) -> None:
    with pytest.raises(ConfigProblems, match=complaint):
        book(f"steps: [{{id: outer, {step}}}]", tools={"t"})


def test_a_step_of_a_round_has_no_single_answer_after_it() -> None:
    text = rollout().replace("steps.rollout.error", "steps.check.out.x")
    with pytest.raises(ConfigProblems, match=r"steps\.rollout\.out\.each\[0\]\.check\.out\.field"):
        book(text)
