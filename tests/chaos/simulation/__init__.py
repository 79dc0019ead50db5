"""A deterministic simulation: the product's decisions, its store in memory and a world in which anything may happen.

A seed is a history: who does what when, who dies, whose picture is old, what the outside world does with a request.
After every step the invariants and a model in its own words (`model.py`) judge it; at its end everything has to come to
rest. The same actions are a Hypothesis state machine in `test_any_history.py`, which shrinks what it finds.
"""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.record.states import TRANSITIONS
from tests.chaos.simulation.history import ACTIONS, WEIGHTED, History
from tests.chaos.simulation.world import Chance

STEPS = 50
"""Of one history, before it comes to rest."""

IMPOSSIBLE: Mapping[str, str] = {
    "context-loaded -> failed": "what cannot be planned with is found out in planning",
    "executing -> completed": "a run ends by its planner's word, and for that it plans",
    "executing -> failed": "for the same reason",
    "blocked -> failed": "a blocked run is helped or stopped by people",
}
"""Transitions of the table that no code makes, and why."""


MUST: tuple[str, ...] = (
    *(f"{source} -> {target}" for source, targets in TRANSITIONS.items() for target in sorted(targets)),
    *(f"refused-{why}" for why in ("stale", "fenced", "killed", "frozen", "duplicate", "missing")),
    *(f"refusal-{why}" for why in ("not-found", "not-allowed", "already", "ended", "invalid", "frozen")),
    *(f"rule-{name}" for name in ACTIONS),
    *(f"verdict-{do}" for do in ("start", "void", "late", "wait")),
    *(f"recovery-{do}" for do in ("repeat", "probe", "unknown")),
    *(f"vote-{told}" for told in ("counts", "approved", "denied", "anew", "frozen", "ended", "already")),
    *("last-look-no", "late-result", "rule-late-effect", "rule-expired", "rule-undone", "rule-answered"),
    *("take-back-ok", "settle-ok-ran", "settle-ok-not"),
)
"""What a few hundred histories have to reach, or they have shown nothing about it."""


@dataclass
class Simulated:
    """What a number of histories came to."""

    histories: int = 0
    reached: Counter[str] = field(default_factory=Counter)
    """Transitions `planning -> executing`, refusals `refused-stale` and `refusal-already`, and rules by name."""
    violations: list[str] = field(default_factory=list)
    """A line for each history that was broken, beginning with its seed."""


RARE: Mapping[str, str] = {
    "failed -> rolled-back": "a run that failed after an effect, asked to be rolled back, and nobody denies it",
    "canceled -> rolled-back": "the same of one that was stopped, and its stop is proved in time",
}
"""What comes once in hundreds of histories: asked of the long form."""


def unreached(reached: Counter[str], *, rare: bool = True) -> list[str]:
    """What should have been reached and was not.

    Args:
        rare: Whether there were histories enough for what is rare.
    """
    left_out = IMPOSSIBLE if rare else {**IMPOSSIBLE, **RARE}
    return [name for name in MUST if not reached[name] and name not in left_out]


def simulate(examples: int, seed: int) -> Simulated:
    """Go through so many histories, the first of which is that of `seed`."""
    done = Simulated()
    for number in range(seed, seed + examples):
        broken, history = replay(number)
        done.histories += 1
        done.reached += history.world.reached
        if broken is not None:
            done.violations.append(f"seed {number}: {broken}")
    return done


def replay(seed: int) -> tuple[str | None, History]:
    """Go through one history; why it is broken, if so."""
    rng = random.Random(seed)
    history = History(Chance(rng))
    try:
        for _ in range(STEPS):
            history.do(rng.choice(WEIGHTED))
        history.rest()
        if rng.random() < 0.3:
            history.help()
    except Exception as error:
        # Not only `Broken`: what the product raises on a history that people could live through is a fault as well.
        return f"{type(error).__name__}: {error}", history
    finally:
        history.close()
    return None, history
