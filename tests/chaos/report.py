"""What a chaos run says at its end: a table for people, one JSON document for scripts, and whether it may be believed.

A run in which a label, a transition or a refusal was never reached has not tested it: that fails the run as a violation
does (PROTOCOL I45).
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.crashpoints import LABELS
from core.record.states import TRANSITIONS
from tests.chaos.rig.checker import ELSEWHERE
from tests.chaos.rig.holding import Held
from tests.chaos.simulation import IMPOSSIBLE, Simulated

REFUSED = ("stale", "fenced", "killed", "duplicate", "frozen")
"""Why a change of a lease holder is refused; `missing` needs somebody to delete a run, which nothing does."""
REFUSALS = ("not-found", "not-allowed", "already", "ended", "invalid", "frozen")
"""Why a person's command is."""
RULES = tuple(f"I{number}" for number in range(1, 46))


@dataclass
class Report:
    """Everything a run found."""

    seed: int
    held: Held = field(default_factory=Held)
    simulated: int = 0
    """Histories the simulation went through."""
    simulated_reached: Counter[str] = field(default_factory=Counter)
    """Transitions and refusals, named as in `Held`."""
    mutants: Mapping[str, str | None] = field(default_factory=dict)
    """By name, the test that caught it; `None` = nobody did."""
    with_mutants: bool = True
    points: Sequence[str] = tuple(LABELS)
    """Crash points that were asked for; a run that leaves some out need not reach those."""

    def add_simulated(self, found: Simulated) -> None:
        """Take in what the simulation found."""
        self.simulated += found.histories
        self.simulated_reached.update(found.reached)
        self.held.violations += found.violations

    @property
    def reached(self) -> dict[str, int]:
        """Everything that has to be reached, with how often it was."""
        held, simulated = self.held, self.simulated_reached
        moves = [f"{source} -> {target}" for source, targets in TRANSITIONS.items() for target in sorted(targets)]
        return {
            **{label: held.fired[label] for label in self.points},
            **{move: held.transitions[move] + simulated[move] for move in moves},
            **{f"refused-{why}": held.reached[f"refused-{why}"] + simulated[f"refused-{why}"] for why in REFUSED},
            **{f"refusal-{why}": held.reached[f"refusal-{why}"] + simulated[f"refusal-{why}"] for why in REFUSALS},
        }

    @property
    def unreached(self) -> list[str]:
        # Transitions and refusals are for the simulation to reach; a run without one has only its crash points to show.
        wanted = self.reached if self.simulated else self.points
        return [name for name in wanted if not self.reached[name] and name not in IMPOSSIBLE]

    @property
    def survivors(self) -> list[str]:
        return [name for name, test in self.mutants.items() if test is None]

    @property
    def is_good(self) -> bool:
        return not (self.held.violations or self.unreached or self.survivors)

    def document(self) -> dict[str, Any]:
        """The last line of stdout."""
        return {
            "seed": self.seed,
            "trials": len(self.held.trials),
            "violations": len(self.held.violations),
            "violated": sorted(self.held.violations),
            "unreached": self.unreached,
            "mutants_caught": len(self.mutants) - len(self.survivors),
            "mutants_total": len(self.mutants),
            "survivors": self.survivors,
            "simulated_histories": self.simulated,
            "faults": dict(self.held.faults),
            "deaths": dict(self.held.deaths),
            "reached": self.reached,
        }

    def lines(self) -> Iterable[str]:
        """The table."""
        held = self.held
        ends = Counter(trial.ended for trial in held.trials)
        yield f"seed {self.seed}: {len(held.trials)} trials ({_listed(ends)}), {self.simulated} simulated histories"
        yield f"processes that died: {_listed(held.deaths)}"
        yield from _table("faults", held.faults.items())
        broken = Counter(line.split()[0] for line in held.violations)
        judged = [(rule, ELSEWHERE.get(rule, str(broken[rule]))) for rule in RULES if rule != "I45"]
        yield from _table("violations by invariant", [*judged, ("truth", str(broken["truth:"]))])
        yield from _table("reached", self.reached.items())
        if self.with_mutants:
            yield from _table("mutants", [(name, test or "SURVIVED") for name, test in self.mutants.items()], wide=True)
        yield from (f"VIOLATION {line}" for line in held.violations)
        yield from (f"UNREACHED {name}" for name in self.unreached)
        yield from (f"SURVIVED {name}" for name in self.survivors)

    def print(self) -> None:
        """The table, then the document as the last line."""
        for line in self.lines():
            print(line)
        print(json.dumps(self.document(), sort_keys=True), flush=True)


def _listed(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{times} {name}" for name, times in sorted(counted.items())) or "none"


def _table(title: str, rows: Iterable[tuple[str, Any]], *, wide: bool = False) -> Iterable[str]:
    yield f"\n{title}"
    cells: Sequence[str] = [f"{name:<36} {value}" for name, value in rows]
    step = 1 if wide else 2
    for number in range(0, len(cells), step):
        yield "  " + "".join(f"{cell:<52}" for cell in cells[number : number + step]).rstrip()
