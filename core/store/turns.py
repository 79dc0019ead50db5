"""Requests to models that nobody has settled."""

from sqlalchemy import and_, select

from core.store.session import Database
from core.store.tables import model_turns, runs


async def unsettled(database: Database, *, before_ms: int, limit: int) -> list[tuple[str, str]]:
    """`(tenant, run id)` of runs that have ended while a request of theirs, from before then, was under way.

    Those that have not ended settle it themselves as soon as a worker takes them up.
    """
    same_run = and_(model_turns.c.tenant == runs.c.tenant, model_turns.c.run_id == runs.c.id)
    statement = (
        select(runs.c.tenant, runs.c.id)
        .join(model_turns, same_run)
        .where(model_turns.c.status == "started", model_turns.c.started_at < before_ms, runs.c.ended_at.is_not(None))
        .limit(limit)
    )
    async with database.read() as connection:
        return [(row.tenant, row.id) for row in await connection.execute(statement)]
