"""What a crash leaves on a host's disk goes; what a run still needs stays."""

import os
import time
from functools import partial

from core.ids import TENANT
from core.principals import Principal
from core.runs.commands.kill import kill
from core.runs.tidying import SCRATCH_AGE_S, tidy
from core.store.lane import Target
from tests.integration.worker.conftest import Rig, step, succeed


async def test_only_directories_of_ended_runs_and_old_attempts_go(rig: Rig) -> None:
    rig.tool("work", succeed)
    await rig.start()
    assert rig.station is not None
    ended, open_ = await rig.ask(step("one", "work")), await rig.ask(step("one", "work"))
    decide = partial(kill, run_id=ended, by=Principal("ana"), reason="", now_ms=rig.clock.wall_ms())
    await rig.database.journal.command(TENANT, Target(run_id=ended), decide)
    for run_id in (ended, open_, "run_of_somebody_else"):
        (rig.home / "workspaces" / TENANT / run_id).mkdir(parents=True)
    old, new = rig.home / "scratch" / "old", rig.home / "scratch" / "new"
    old.mkdir()
    new.mkdir()
    long_ago = time.time() - SCRATCH_AGE_S - 1
    os.utime(old, (long_ago, long_ago))

    removed = await tidy(rig.database, rig.station.workspaces, rig.home / "scratch", rig.station.fences)

    left = {path.name for path in (rig.home / "workspaces" / TENANT).iterdir()}
    assert (2, {open_, "run_of_somebody_else"}) == (removed, left)
    assert (False, True) == (old.exists(), new.exists())
