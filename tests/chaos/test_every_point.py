"""The short form of `make chaos`: each recovery class dies at each crash point once, on both databases."""

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.rig.configuration import CLASSES
from tests.chaos.rig.holding import every_point
from tests.chaos.rig.trials import POINTS

pytestmark = pytest.mark.timeout(1500)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_each_class_survives_each_crash_point(database: str, tmp_path: Path) -> None:
    keep = os.environ.get("CHAOS_KEEP")
    held = await every_point(database, POINTS, keep=Path(keep, database) if keep else tmp_path / "kept")

    assert [] == held.violations
    # What a rollback takes back is of one class here: a push's own undo.
    wanted = Counter({point: 1 if point == "CP23" else len(CLASSES) for point in POINTS})
    assert Counter() == wanted - held.fired
    ends = Counter(trial.ended for trial in held.trials)
    assert {"completed", "canceled", "rolled-back"} == set(ends), [
        trial for trial in held.trials if trial.ended not in ("completed", "canceled", "rolled-back")
    ]
