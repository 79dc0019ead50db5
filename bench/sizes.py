"""How much of each piece of work is done."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Numbers of repetitions."""

    steps: tuple[tuple[int, int], ...]
    """W1: `(at once, runs)`, the most at once last."""
    parked: tuple[int, ...]
    """W2: how many runs are parked while runs are woken."""
    wakes: int
    deaths: int
    accepts: tuple[tuple[int, int], ...]
    """W4: `(at once, requests)`."""
    stops: int
    busy_stops: int
    mentions: int
    sandboxes: int
    turns: tuple[int, int]
    """turns: `(runs, turns of each)`."""
    spends: int
    """spend: how many runs ask a model at once."""
    within_s: float
    """How long one workload may take before it counts as failed."""


SMALL = Sizes(
    steps=((1, 15), (20, 60)),
    parked=(100, 1_000),
    wakes=30,
    deaths=20,
    accepts=((1, 200), (50, 1_000)),
    stops=20,
    busy_stops=8,
    mentions=12,
    sandboxes=100,
    turns=(6, 20),
    spends=1_000,
    within_s=300,
)
"""Two or three minutes for each database on an idle machine."""

FULL = Sizes(
    steps=((1, 50), (20, 300)),
    parked=(1_000, 10_000),
    wakes=100,
    deaths=50,
    accepts=((1, 500), (50, 5_000)),
    stops=30,
    busy_stops=20,
    mentions=20,
    sandboxes=1_000,
    turns=(20, 40),
    spends=1_000,
    within_s=900,
)
"""Some minutes for each database."""
