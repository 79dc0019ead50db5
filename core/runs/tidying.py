"""Tidying a host: what a crash left on its disk and nobody needs any more."""

import asyncio
import contextlib
import logging
import shutil
import time
from pathlib import Path

from core.errors import BanksmanError
from core.execution.hostfence import forget_old
from core.execution.labels import labelled
from core.record.states import TERMINAL
from core.runs.workspaces import Workspaces
from core.store import runs
from core.store.session import Database

log = logging.getLogger(__name__)

SCRATCH_AGE_S = 3_600.0
"""Older than any attempt may take, with its grace."""


async def tidy(database: Database, workspaces: Workspaces, scratch: Path, fences: Path) -> int:
    """Remove directories of runs that have ended and of attempts that are over, and old fences; how many."""
    removed = await asyncio.to_thread(_old_scratch, scratch)
    removed += await asyncio.to_thread(forget_old, str(fences), now_s=time.time())
    for tenant, run_id in await asyncio.to_thread(workspaces.here):
        found = await runs.snapshot(database, tenant, run_id)
        # A run waits for its stop to be proved before its directory goes: its processes may still be writing there.
        if found is None or found.run.run_state not in TERMINAL:
            continue
        if found.run.killed_at is not None and found.run.stop_confirmed_at is None:
            continue
        try:
            await workspaces.remove(tenant, run_id)
            removed += 1
        except BanksmanError as error:
            log.warning("a workspace could not be removed: %s", error, extra={"action": "tidy_failed", "run": run_id})
    return removed


def _old_scratch(scratch: Path) -> int:
    before = time.time() - SCRATCH_AGE_S
    alive = {label.call_id for label in labelled().values()}
    removed = 0
    for path in scratch.iterdir():
        with contextlib.suppress(FileNotFoundError):
            # A clock that was set forward makes everything look old; what has a process is in use.
            if path.stat().st_mtime < before and path.name.split("-")[0] not in alive:
                shutil.rmtree(path, ignore_errors=True)
                removed += 1
    return removed
