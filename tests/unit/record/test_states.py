"""The ten states and their transitions: PROTOCOL 2.4, word for word, and the page that shows them."""

import re
from pathlib import Path

import pytest

from core.record.states import DRIVEN, TERMINAL, TRANSITIONS, BlockedReason, RunState, allowed, diagram

PROTOCOL = """
created→context-loaded|failed|canceled
context-loaded→planning|blocked|failed|canceled
planning→executing|waiting-for-approval|completed|blocked|failed|canceled
waiting-for-approval→executing|planning|blocked|failed|canceled
executing→planning|completed|blocked|failed|canceled
blocked→planning|waiting-for-approval|failed|canceled
completed|failed|canceled→rolled-back
"""
PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "states.md"


def agreed() -> set[tuple[str, str]]:
    sides = [line.split("→") for line in PROTOCOL.split()]
    return {(source, target) for left, right in sides for source in left.split("|") for target in right.split("|")}


def test_there_are_exactly_the_ten_states_in_the_agreed_order() -> None:
    words = (
        "created context-loaded planning waiting-for-approval executing blocked completed failed canceled rolled-back"
    )
    assert words.split() == [state.value for state in RunState]


def test_the_transitions_are_the_agreed_ones_and_no_other() -> None:
    assert agreed() == {(str(a), str(b)) for a in RunState for b in RunState if allowed(a, b)}
    assert set(RunState) == set(TRANSITIONS)


def test_every_state_can_be_reached_and_what_has_ended_is_only_ever_rolled_back() -> None:
    reached, before = {RunState.CREATED}, set()
    while reached != before:
        before, reached = set(reached), reached | {b for a in reached for b in TRANSITIONS[a]}
    assert set(RunState) == reached
    for state in TERMINAL:
        assert TRANSITIONS[state] <= {RunState.ROLLED_BACK}


@pytest.mark.parametrize("state", sorted(set(RunState) - TERMINAL))
def test_whatever_has_not_ended_can_be_stopped_and_can_fail(state: RunState) -> None:
    assert allowed(state, RunState.CANCELED)
    assert allowed(state, RunState.FAILED)


def test_workers_drive_only_what_goes_on_by_itself() -> None:
    assert {"context-loaded", "planning", "executing"} == DRIVEN


def test_the_documents_diagram_is_the_table() -> None:
    (shown,) = re.findall(r"```mermaid\n(.*?)\n```", PAGE.read_text(), re.DOTALL)
    assert diagram() == shown


def test_the_documents_tables_have_every_state_and_every_reason_once() -> None:
    named = re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(), re.MULTILINE)
    assert [state.value for state in RunState] == named[: len(RunState)]
    assert sorted(BlockedReason) == sorted(named[len(RunState) :])
