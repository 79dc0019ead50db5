"""What is known of voters: the bot's last word on each, for those who cannot ask Slack.

Roles from Slack groups, guests and accounts that were switched off are only known to the bot. It writes them down when
somebody votes and while a vote waits to be used; whoever starts the call reads how fresh that is and trusts nothing
old.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import select

from core.record.changes import Insert
from core.record.rows import dumps
from core.store.session import Database
from core.store.tables import approvals, people, votes


@dataclass(frozen=True)
class Standing:
    """One person as of `checked_at`."""

    roles: frozenset[str]
    usable: bool
    """An active account of a person of ours."""
    checked_at: int


def known(tenant: str, principal: str, roles: Iterable[str], *, usable: bool, now_ms: int) -> Insert:
    """The row that says how somebody stands now; it replaces the one before."""
    values = {"tenant": tenant, "principal": principal, "roles_json": dumps(sorted(roles)), "usable": int(usable)}
    return Insert("people", {**values, "checked_at": now_ms})


async def standings(database: Database, tenant: str, principals: Collection[str]) -> dict[str, Standing]:
    """What is known of these people; who is missing is not known."""
    statement = select(people).where(people.c.tenant == tenant, people.c.principal.in_(principals))
    async with database.read() as connection:
        return {
            row["principal"]: Standing(frozenset(json.loads(row["roles_json"])), bool(row["usable"]), row["checked_at"])
            for row in (await connection.execute(statement)).mappings()
        }


async def waiting_voters(database: Database, tenant: str, *, before_ms: int) -> list[str]:
    """Voters on approvals that were given and not used yet, whose standing is older than that or not known."""
    statement = (
        select(votes.c.voter)
        .join(approvals, (approvals.c.tenant == votes.c.tenant) & (approvals.c.id == votes.c.approval_id))
        .outerjoin(people, (people.c.tenant == votes.c.tenant) & (people.c.principal == votes.c.voter))
        .where(
            votes.c.tenant == tenant,
            approvals.c.status == "approved",
            approvals.c.remaining_ms.is_(None),
            votes.c.revoked_at.is_(None),
            votes.c.via.is_(None),
            (people.c.checked_at.is_(None)) | (people.c.checked_at < before_ms),
        )
        .distinct()
    )
    async with database.read() as connection:
        return list((await connection.execute(statement)).scalars())
