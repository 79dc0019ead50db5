"""Operators who freeze and thaw, for tests of a worker."""

from core.ids import TENANT, Ids
from core.principals import Principal
from core.queue import SilentDoorbell
from core.record.changes import Refusal
from core.record.freezes import EVERYTHING_ID, FreezeChange, Frozen, Scope
from core.runs import freezing
from core.store.session import Database
from tests.integration.worker.conftest import Rig

OPS = Principal("ops", frozenset({"operator"}))


def what(text: str) -> Frozen:
    """`tool:push` as a value."""
    scope, _, scope_id = text.partition(":")
    return Frozen(Scope(scope), scope_id or EVERYTHING_ID)


async def frozen(
    rig: Rig, text: str, by: Principal = OPS, *, told: bool = True, database: Database | None = None
) -> FreezeChange | Refusal:
    """Freeze something, and tell the runs unless the test wants that to be late."""
    into = database or rig.database
    done = await freezing.freeze(
        into, TENANT, what(text), by=by, reason="a bad deploy", ids=Ids(rig.clock), now_ms=rig.clock.wall_ms()
    )
    if told:
        await spread(rig)
    return done


async def thawed(rig: Rig, text: str, by: Principal = OPS, *, told: bool = True) -> FreezeChange | Refusal:
    """End a freeze."""
    now_ms = rig.clock.wall_ms()
    done = await freezing.thaw(rig.database, SilentDoorbell(), TENANT, what(text), by=by, reason="", now_ms=now_ms)
    if told:
        await spread(rig)
    return done


async def spread(rig: Rig) -> int:
    """The pass that brings runs in line."""
    return await freezing.spread(rig.database, SilentDoorbell(), now_ms=rig.clock.wall_ms())
