"""Any history of runs, however unlucky: the invariants hold, and the model in its own words agrees.

By seeds, which are cheap and must reach everything, and as a Hypothesis state machine over the same actions, which
shrinks what it finds. `EXAMPLES` goes through more seeds, `SEED` begins elsewhere; `python -m tests.chaos.simulation`
is the long form.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from core.record.states import TRANSITIONS
from tests.chaos.simulation import IMPOSSIBLE, simulate, unreached
from tests.chaos.simulation.history import ACTIONS, History

T = TypeVar("T")

EXAMPLES = int(os.environ.get("EXAMPLES", "240"))
SEED = int(os.environ.get("SEED", "1"))

pytestmark = pytest.mark.timeout(300 + 2 * EXAMPLES)


def test_many_histories_hold_and_reach_everything() -> None:
    print(f"seed {SEED}")
    done = simulate(EXAMPLES, SEED)
    assert [] == done.violations
    assert EXAMPLES == done.histories
    assert [] == unreached(done.reached, rare=EXAMPLES >= 2_000), "nothing was shown about these"


def test_a_seed_is_one_history() -> None:
    one, same, other = simulate(1, SEED), simulate(1, SEED), simulate(1, SEED + 1)
    assert one == same and one.reached != other.reached


def test_what_no_code_does_is_in_the_table() -> None:
    assert IMPOSSIBLE.keys() <= {f"{source} -> {to}" for source, targets in TRANSITIONS.items() for to in targets}


class Drawn:
    """Choices that Hypothesis makes, and makes smaller."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data

    def one(self, options: Sequence[T]) -> T:
        return self.data.draw(st.sampled_from(options))

    def chance(self, percent: int) -> bool:
        return self.data.draw(st.integers(0, 99)) >= 100 - percent


class Histories(RuleBasedStateMachine):
    """The actions of `history.py` as rules."""

    history: History

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.choose = Drawn(data)
        self.history = History(self.choose)

    def teardown(self) -> None:
        try:
            self.history.rest()
        finally:  # Hypothesis may have had enough in the middle of it
            self.history.close()


def _rule(name: str) -> Callable[..., Any]:
    def happens(self: Histories, data: st.DataObject) -> None:
        self.choose.data = data
        self.history.do(name)

    happens.__name__ = name.replace("-", "_")
    return rule(data=st.data())(happens)


for _name in ACTIONS:
    setattr(Histories, _name.replace("-", "_"), _rule(_name))

Histories.TestCase.settings = settings(
    max_examples=20, stateful_step_count=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
TestHistories = Histories.TestCase
