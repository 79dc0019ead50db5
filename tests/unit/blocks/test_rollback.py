"""What surfaces say about undoing a run: the button and its question, the run while it is undone, and afterwards."""

from dataclasses import replace
from typing import Any

from bot.blocks.details import run_details
from bot.blocks.run_card import run_card
from bot.blocks.summary import ending
from core.record.states import CallStatus, RunState
from core.runs.rollback_views import Undoable
from core.runs.views import RunView
from tests.unit.blocks.anything import NOW_MS
from tests.unit.blocks.asks import an_approval
from tests.unit.blocks.models import a_rollback, a_run, a_stop, an_action, an_effect, an_ended_run
from tests.unit.blocks.shapes import buttons, leaves, shown

PUSH, MAIL = an_effect(), an_effect(action_id="call_2", step="tell", tool="mail", undo=None)


def a_pushed_run(state: RunState = RunState.COMPLETED, **undoing: Any) -> RunView:
    """A run that has ended after a push and a mail."""
    actions = (
        an_action(id="call_1", step="push", tool="git_push", tier="compensable"),
        an_action(id="call_2", step="tell", tool="mail", tier="irreversible"),
    )
    values: dict[str, Any] = {"effects": (PUSH, MAIL), "possible": True}
    return an_ended_run(state, actions=actions, undoing=Undoable(**(values | undoing)))


def card(view: RunView) -> tuple[dict[str, Any], ...]:
    return run_card(view, now_ms=NOW_MS).blocks


def test_the_button_asks_first_and_names_what_goes_and_what_stays() -> None:
    assert ["Roll back", "Details"] == buttons(card(a_pushed_run()))
    [button] = [leaf for leaf in leaves(card(a_pushed_run()), "button") if "confirm" in leaf]
    question = button["confirm"]["text"]["text"]
    assert "Undoes git_push in step push." in question
    assert "approvers are asked first" in question
    assert "Cannot be undone: mail in step tell." in question


def test_one_effect_is_named_as_people_approved_it() -> None:
    approved = an_approval(
        action_id="call_1", sentence="Push 1 commit to the new branch `fix` of https://git.test/shop"
    )
    view = replace(a_pushed_run(effects=(PUSH,)), approvals=(approved,))
    [button] = [leaf for leaf in leaves(card(view), "button") if "confirm" in leaf]
    assert "Undoes “Push 1 commit to the new branch `fix`" in button["confirm"]["text"]["text"]


def test_a_long_list_of_effects_is_cut_and_counted() -> None:
    many = tuple(an_effect(action_id=f"call_{n}", step=f"s{n}") for n in range(9))
    [button] = [leaf for leaf in leaves(card(a_pushed_run(effects=many)), "button") if "confirm" in leaf]
    assert "git_push in step s3 and 5 more effects" in button["confirm"]["text"]["text"]


def test_there_is_no_button_where_it_would_not_work() -> None:
    assert ["Details"] == buttons(card(a_pushed_run(possible=False)))
    assert ["Kill", "Details"] == buttons(card(a_run()))
    assert [] == buttons(ending(a_pushed_run(possible=False)).blocks)
    assert ["Roll back"] == buttons(ending(a_pushed_run()).blocks)


def test_while_it_is_undone_the_card_names_the_run_that_does_it() -> None:
    said = shown(card(a_pushed_run(possible=False, rollback=a_rollback())))
    assert "Completed" in said
    assert "Rolling back: run 0child, asked by" in said
    assert "mail in step tell: cannot be undone" in said
    assert "git_push in step push" not in said, "it is not undone yet"


def test_afterwards_it_says_what_was_undone_and_what_could_not_be() -> None:
    gone = an_effect(status="undone", undone_by=a_rollback().run_id)
    view = a_pushed_run(
        RunState.ROLLED_BACK, possible=False, rollback=a_rollback(state=RunState.COMPLETED), effects=(gone, MAIL)
    )
    said = shown(card(view))
    assert "Rolled back: run 0child" in said
    assert "git_push in step push: undone by run 0child" in said
    assert "mail in step tell: could not be undone" in said
    assert "ran for" in said


def test_who_stopped_a_run_is_not_who_rolled_it_back() -> None:
    view = a_pushed_run(RunState.ROLLED_BACK, possible=False, rollback=a_rollback())
    stopped = a_run(**{**vars(view), "stop": a_stop()})
    assert "Rolled back by" not in shown(card(stopped))
    assert "Stop requested by" in shown(card(stopped))


def test_a_rollback_says_what_it_is_for_on_its_card_and_at_its_end() -> None:
    of = Undoable(effects=(an_effect(tool="git_push.undo", undo=None),), rolls_back="run_01kb2x9v7n4m8q3z5t6w0parent")
    done = an_action(tool="git_push.undo", tier="compensable", status=CallStatus.SUCCEEDED)
    running, ended = a_run(undoing=of), an_ended_run(undoing=of, actions=(done,))
    for said in (shown(card(running)), shown(ending(ended).blocks), shown(run_details(ended, [], now_ms=NOW_MS))):
        assert "Undoes what run parent did outside, the last effect first." in said
        assert "cannot be undone" not in said
        assert "Rollback of report" in said
    assert run_card(running, now_ms=NOW_MS).text.startswith("Rollback of report (run 0yabcd): running")


def test_the_ending_says_of_each_effect_whether_it_can_be_undone() -> None:
    said = shown(ending(a_pushed_run()).blocks)
    assert "git_push in step push: done; it can be undone" in said
    assert "mail in step tell: done; it cannot be undone" in said


def test_the_details_list_every_effect() -> None:
    unsure = an_effect(action_id="call_3", step="again", status="unsettled")
    tried = an_effect(action_id="call_4", step="tried", status="unsettled", undone_by=a_rollback().run_id)
    said = shown(run_details(a_pushed_run(effects=(PUSH, MAIL, unsure, tried)), [], now_ms=NOW_MS))
    for line in (
        "git_push in step push: can be undone",
        "mail in step tell: cannot be undone",
        "git_push in step again: may or may not have happened",
        "git_push in step tried: may or may not have been undone by run 0child",
    ):
        assert line in said
