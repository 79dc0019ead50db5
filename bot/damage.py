"""What the bot does when the action of an open question cannot be read: nobody decides it, and its run says why."""

import logging
from functools import partial

from bot.desk import Desk
from core.errors import ArtifactCorrupt
from core.record.changes import Decided
from core.runs.commands.damaged import damaged
from core.store.lane import Target

log = logging.getLogger(__name__)


async def lay_down(desk: Desk, approval_id: str, error: ArtifactCorrupt) -> None:
    """Close the question and block its run with the way on; a question that is closed stays as it is."""
    log.error("an action cannot be read: %s", error, extra={"action": "ask_unreadable", "approval": approval_id})
    decide = partial(damaged, approval_id=approval_id, error=error, by="bot", now_ms=desk.clock.wall_ms())
    done = await desk.database.journal.command(desk.tenant, Target(approval_id=approval_id), decide)
    if isinstance(done, Decided):
        await desk.doorbell.announce("delivery", done.changes[0].run_id)
