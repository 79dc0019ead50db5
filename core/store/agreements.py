"""Accepted contracts of channels as rows: one for each version, its text among the documents."""

import json

from sqlalchemy import and_, func, select

from core.actions.agreed import Agreed
from core.actions.contract import Contract
from core.errors import BanksmanError
from core.store.session import Database
from core.store.tables import contracts, documents

GONE = "none"
"""Stands for a digest where it was accepted that a channel has no contract any more."""


async def latest(database: Database, tenant: str) -> dict[str, Agreed]:
    """What was accepted last, by `#name` or id.

    Raises:
        BanksmanError: The text of one is not there.
    """
    newest = (
        select(contracts.c.channel, func.max(contracts.c.version).label("version"))
        .where(contracts.c.tenant == tenant)
        .group_by(contracts.c.channel)
        .subquery()
    )
    statement = (
        select(contracts, documents.c.body)
        .join(newest, and_(newest.c.channel == contracts.c.channel, newest.c.version == contracts.c.version))
        .outerjoin(documents, and_(documents.c.tenant == tenant, documents.c.digest == contracts.c.digest))
        .where(contracts.c.tenant == tenant)
    )
    found = {}
    async with database.read() as connection:
        for row in await connection.execute(statement):
            if row.body is None and row.digest != GONE:
                raise BanksmanError(f"The accepted contract of {row.channel} is not among the documents any more.")
            contract = None if row.body is None else Contract.from_json(json.loads(row.body))
            found[row.channel] = Agreed(row.channel, row.version, contract, row.changed_by, row.at)
    return found
