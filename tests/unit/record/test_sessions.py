"""What a thread's session says of its runs."""

import pytest

from core.record.sessions import RANK, SESSION_OF, Session
from core.record.states import TERMINAL, RunState

WAITING = {RunState.WAITING_FOR_APPROVAL, RunState.BLOCKED}


@pytest.mark.parametrize("state", RunState)
def test_a_run_works_or_waits_for_a_person_or_has_ended(state: RunState) -> None:
    expected = Session.CLOSED if state in TERMINAL else Session.SUSPENDED if state in WAITING else Session.PROCESSING

    assert expected is SESSION_OF[state]


def test_one_that_works_outshines_one_that_waits_and_both_one_that_has_ended() -> None:
    states = [RunState.COMPLETED, RunState.BLOCKED, RunState.EXECUTING]

    assert [RunState.EXECUTING, RunState.BLOCKED, RunState.COMPLETED] == sorted(states, key=RANK.__getitem__)
    assert {0: Session.PROCESSING, 1: Session.SUSPENDED, 2: Session.CLOSED} == dict(enumerate(Session))
