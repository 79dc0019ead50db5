"""Freezing and thawing, carried out: the commit that stops starts, and the pass that brings runs in line with it.

The pass is level-triggered: it compares what is frozen with what each open run was told, so it can be late, be repeated
or be run by two at once. Whoever freezes or thaws makes one at once; the sweeper makes one before it lets anything
expire.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from core.ids import Ids
from core.principals import Principal
from core.queue import Doorbell
from core.record.changes import Decided, Refusal
from core.record.freezes import FreezeChange, FreezeRow, Frozen, Scope, covers
from core.record.rows import Snapshot
from core.record.states import BlockedReason, RunState
from core.runs.commands import freeze as commands
from core.store import freezes
from core.store.freezes import Touched
from core.store.lane import Target
from core.store.session import Database

log = logging.getLogger(__name__)

LATELY_MS = 3_600_000
"""How long after a thaw a pass still looks for runs that were told of the freeze and go on. Runs that stand still are
looked at for ever."""

_LOOKS = 5
"""Times a run that moves on meanwhile is looked at again in one pass."""

_MOST_FAILED = 20
"""Runs in a row that cannot be changed: then it is not the runs that are broken."""


async def freeze(
    database: Database, tenant: str, what: Frozen, *, by: Principal, reason: str, ids: Ids, now_ms: int
) -> FreezeChange | Refusal:
    """Freeze something. When this returns a change, nothing it covers starts any more; `spread` tells the runs."""
    command = partial(
        commands.freeze, tenant=tenant, what=what, id_=ids.new("frz"), by=by, reason=reason, now_ms=now_ms
    )
    return await freezes.decide(database, tenant, what, command)


async def thaw(
    database: Database, doorbell: Doorbell, tenant: str, what: Frozen, *, by: Principal, reason: str, now_ms: int
) -> FreezeChange | Refusal:
    """End a freeze; `spread` lets the runs go on.

    Runs nobody has told of the freeze yet are told first: their clocks are parked, so that they get back what they had.
    """
    if (refusal := commands.may_freeze(by)) is not None:
        return refusal
    await spread(database, doorbell, now_ms=now_ms)
    return await freezes.decide(
        database, tenant, what, partial(commands.thaw, what=what, by=by, reason=reason, now_ms=now_ms)
    )


async def spread(database: Database, doorbell: Doorbell, *, now_ms: int, whole: bool = False) -> int:
    """Bring every open run in line with the freezes there are; how many were changed.

    A run that cannot be changed is logged and left to the next pass, for the others must not wait for it.

    Args:
        whole: Look at everything that was thawed while open runs existed, not only at what was thawed lately.
    """
    thawed_since = await freezes.since_open_runs(database) if whole else now_ms - LATELY_MS
    changed = failed = 0
    for tenant, run_ids in (await freezes.concerned(database, thawed_since=thawed_since)).items():
        for start in range(0, len(run_ids), freezes.PAGE):
            for run in await _behind(database, tenant, run_ids[start : start + freezes.PAGE]):
                try:
                    changed += await _told(database, doorbell, run, now_ms)
                    failed = 0
                except Exception:
                    log.exception("a run did not follow a freeze", extra={"action": "freeze_failed", "run": run.id})
                    failed += 1
                    if failed >= _MOST_FAILED:
                        raise
    if changed:
        log.info("runs follow a freeze", extra={"action": "freeze_spread", "runs": changed})
    return changed


async def covering(database: Database, snapshot: Snapshot) -> tuple[FreezeRow, ...]:
    """The open freezes a run stands under, the earliest first; for whoever shows it."""
    run = snapshot.run
    opened = await freezes.open_ones(database, run.tenant)
    if not opened:
        return ()
    notes: Mapping[str, str] = {}
    if run.blocked_reason == BlockedReason.FROZEN and any(each.what.scope is Scope.TOOL for each in opened):
        found = await freezes.touched(database, run.tenant, [run.id])
        notes = found[0].notes if found else {}
    return commands.standing(opened, snapshot, notes)


async def _behind(database: Database, tenant: str, run_ids: Sequence[str]) -> list[Touched]:
    """Those that may have to be changed, by one look at the freezes of all of them."""
    runs = await freezes.touched(database, tenant, run_ids)
    opened, ended = await _known(database, tenant, runs)
    return [run for run in runs if _is_behind(run, opened, ended)]


async def _known(database: Database, tenant: str, runs: Iterable[Touched]) -> tuple[list[FreezeRow], list[FreezeRow]]:
    """The open freezes, and the ended ones these runs were told of and not of their end."""
    told = {freeze_id for run in runs for freeze_id, word in run.notes.items() if word in ("frozen", "held")}
    known = await freezes.known(database, tenant, told)
    return [each for each in known if each.thawed_at is None], [each for each in known if each.thawed_at is not None]


def _is_behind(run: Touched, opened: Sequence[FreezeRow], ended: Sequence[FreezeRow]) -> bool:
    """Whether a run may have to be changed; what has to be is decided on the locked rows."""
    if any(run.notes.get(each.id) in ("frozen", "held") for each in ended):
        return True
    opened = commands.not_ended(opened, run.notes)
    over = [each for each in opened if covers(each, run, run.tools)]
    held = run.blocked_reason == BlockedReason.FROZEN
    if any(run.notes.get(each.id) not in ("frozen", "held") for each in over):
        return True
    if held:
        return not any(covers(each, run, run.tools) or run.notes.get(each.id) == "held" for each in opened)
    return bool(over) and run.state == RunState.WAITING_FOR_APPROVAL


async def _told(database: Database, doorbell: Doorbell, found: Touched, now_ms: int) -> int:
    """Change one run as it is now; 1 if there was something to change.

    What is frozen is read anew each time: others freeze and thaw while a pass is on its way.
    """
    run: Touched | None = found
    for _ in range(_LOOKS):
        if run is None:
            return 0
        opened, ended = await _known(database, run.tenant, [run])
        if not _is_behind(run, opened, ended):
            return 0
        follow = partial(
            commands.follow,
            run_id=run.id,
            version=run.version,
            opened=opened,
            ended=ended,
            notes=run.notes,
            held_at=run.held_at,
            now_ms=now_ms,
        )
        done = await database.journal.command(run.tenant, Target(run_id=run.id), follow)
        if isinstance(done, Decided):
            for change in done.changes:
                if "wake" in change.run:
                    await doorbell.ring(change.run_id, change.run["wake"])
                await doorbell.announce("delivery", change.run_id)
            return 1
        run = next(iter(await freezes.touched(database, run.tenant, [run.id])), None)
    return 0
