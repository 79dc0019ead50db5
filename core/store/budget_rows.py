"""What is used of budgets, looked at from outside: whoever takes something out of one decides on its locked row."""

from collections.abc import Collection

from sqlalchemy import select

from core.store.session import Database
from core.store.tables import budgets


async def used(database: Database, tenant: str, ids: Collection[str]) -> dict[str, int]:
    """Micro-USD reserved and spent of each of these budgets; one that nothing was taken out of is left out."""
    statement = select(budgets.c.id, budgets.c.used).where(budgets.c.tenant == tenant, budgets.c.id.in_(ids))
    async with database.read() as connection:
        return {row.id: row.used for row in await connection.execute(statement)}
