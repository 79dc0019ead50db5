"""Following a rollback: in the order it was written down, no further than what failed, and honest at the end."""

from typing import Any

from core.planners.base import Act, CallOutcome, Finish, GiveUp, PlanRequest, Turn
from core.planners.rollback import RollbackPlanner
from core.record.rows import dumps


def document(*names: str, stays: tuple[tuple[str, str], ...] = ()) -> str:
    undo = [
        {"step": f"undo-{n}", "title": f"Undo {n}", "of_call": f"c-{n}", "tool": "push.undo", "args": {"branch": n}}
        for n in names
    ]
    kept = [{"tool": tool, "step": step} for tool, step in stays]
    return dumps({"v": 1, "run": "run_000000000000000000abcdef", "undo": undo, "stays": kept})


def decide(text: str, *outcomes: CallOutcome) -> Turn:
    return RollbackPlanner().decide(PlanRequest("checkup", text, "", {}, outcomes))


def ended(name: str, status: Any = "succeeded", error: str | None = None) -> CallOutcome:
    return CallOutcome(f"undo-{name}", status, {}, error)


def statuses(turn: Turn) -> list[str]:
    return [line.status for line in turn.plan]


def test_the_first_that_is_not_done_is_next() -> None:
    turn = decide(document("c", "b", "a"), ended("c"))
    assert Act("undo-b", "push.undo", {"branch": "b"}, "Undo b") == turn.move
    assert ["done", "running", "pending"] == statuses(turn)


def test_what_failed_ends_it_with_how_far_it_came_and_who_is_needed() -> None:
    turn = decide(document("c", "b", "a"), ended("c"), ended("b", "failed", "ben denied it: people use it"))
    assert GiveUp("1 of 3 undone; the step `undo-b` needs you: ben denied it: people use it") == turn.move
    assert ["done", "failed", "skipped"] == statuses(turn)
    assert "ben denied it: people use it" == turn.plan[1].note


def test_when_all_is_done_it_says_what_stays() -> None:
    assert Finish("Undid 1 effect of run abcdef: everything of it that can be undone.") == (
        decide(document("a"), ended("a")).move
    )
    move = decide(document("b", "a", stays=(("mail", "tell"),)), ended("b"), ended("a")).move
    assert isinstance(move, Finish)
    assert "Undid 2 effects" in move.summary
    assert move.summary.endswith("Could not be undone: `mail` in step `tell`.")


def test_what_stays_is_not_listed_without_end() -> None:
    many = tuple((f"tool{n}", f"step{n}") for n in range(300))
    move = decide(document("a", stays=many), ended("a")).move
    assert isinstance(move, Finish)
    assert move.summary.endswith("`tool9` in step `step9` and 290 more.")


def test_with_nothing_left_it_is_done_at_once() -> None:
    assert isinstance(decide(document()).move, Finish)
