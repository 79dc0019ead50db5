"""Accepting contracts of channels, carried out: the commit of a version, and of those that are the first ones."""

import logging
from collections.abc import Mapping

from core.actions.agreed import Agreed
from core.actions.contract import Contract
from core.principals import Principal
from core.record.changes import Refusal
from core.runs.commands import agree
from core.runs.commands.agree import Agreement
from core.store import agreements
from core.store.session import Database

log = logging.getLogger(__name__)


async def accept(
    database: Database,
    tenant: str,
    channel: str,
    written: Contract | None,
    seen: Agreed | None,
    *,
    by: Principal,
    now_ms: int,
) -> Agreement | Refusal:
    """Accept what the file says of a channel; when this returns an agreement, it holds for what is asked for next."""
    decided = agree.accept(channel, written, seen, tenant=tenant, by=by, now_ms=now_ms)
    if isinstance(decided, Refusal):
        return decided
    if not (await database.journal.record(decided.inserts))[-1]:
        return Refusal("already", f"Somebody else has just accepted a contract of {channel}. Look at it again.")
    log.info("a contract was accepted", extra={"action": "contract_accepted", "channel": channel, "by": by.id})
    return decided


async def note_first(
    database: Database, tenant: str, written: Mapping[str, Contract], *, now_ms: int
) -> dict[str, Agreed]:
    """Take first contracts as accepted.

    Returns:
        What is accepted now.
    """
    agreed = await agreements.latest(database, tenant)
    found = [agree.first(name, each, agreed, tenant=tenant, now_ms=now_ms) for name, each in written.items()]
    inserts = [insert for each in found if each is not None for insert in each.inserts]
    if not inserts:
        return agreed
    await database.journal.record(inserts)  # another bot may have been faster, with the same or with what it has read
    return await agreements.latest(database, tenant)
