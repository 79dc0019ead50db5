"""Sessions of threads: what each should say, and what it said last.

A row goes with its session, so the table is as small as the work under way and what Slack refused.
"""

from dataclasses import dataclass

from sqlalchemy import BigInteger, String, and_, case, delete, func, insert, literal, or_, select, union_all

from core.record.sessions import RANK, Session
from core.store.session import Database, uninterrupted
from core.store.tables import runs, sessions

_RANKS = {str(state): rank for state, rank in RANK.items()}
_WORDS = {rank: literal(str(session), String) for rank, session in enumerate(Session)}


@dataclass(frozen=True)
class Due:
    """A thread whose session does not say what it should."""

    tenant: str
    channel: str
    thread_ts: str
    wanted: Session


async def next_due(database: Database, tenant: str, *, renew_before_ms: int, retry_before_ms: int) -> Due | None:
    """The thread that has waited longest for its session to say something else, those never spoken of first.

    Args:
        renew_before_ms: A session that says `processing` since before this is due again: Slack lets it run out.
        retry_before_ms: What Slack refused before this may be tried again.
    """
    here = and_(runs.c.tenant == tenant, runs.c.ended_at.is_(None), runs.c.channel.is_not(None))
    alive = (
        select(runs.c.channel, runs.c.thread_ts, func.min(case(_RANKS, value=runs.c.state)).label("rank"))
        .where(here, runs.c.thread_ts.is_not(None))
        .group_by(runs.c.channel, runs.c.thread_ts)
        .subquery()
    )
    wanted = case(_WORDS, value=alive.c.rank)
    same_thread = and_(sessions.c.channel == alive.c.channel, sessions.c.thread_ts == alive.c.thread_ts)
    says_less = or_(
        sessions.c.shown_at.is_(None),
        and_(sessions.c.shown.is_(None), sessions.c.shown_at < retry_before_ms),
        sessions.c.shown != wanted,
        and_(sessions.c.shown == str(Session.PROCESSING), sessions.c.shown_at < renew_before_ms),
    )
    never = literal(0, BigInteger)
    spoken_of = func.coalesce(sessions.c.shown_at, never).label("since")
    under_way = (
        select(alive.c.channel, alive.c.thread_ts, wanted.label("wanted"), spoken_of)
        .select_from(alive.outerjoin(sessions, and_(sessions.c.tenant == tenant, same_thread)))
        .where(says_less)
    )
    still_alive = select(runs.c.id).where(
        here, runs.c.channel == sessions.c.channel, runs.c.thread_ts == sessions.c.thread_ts
    )
    closed = literal(str(Session.CLOSED), String)
    over = select(sessions.c.channel, sessions.c.thread_ts, closed.label("wanted"), sessions.c.shown_at).where(
        sessions.c.tenant == tenant, sessions.c.shown.is_not(None), ~still_alive.exists()
    )
    found = union_all(under_way, over).subquery()
    statement = select(found).order_by(found.c.since, found.c.channel, found.c.thread_ts).limit(1)
    async with database.read() as connection:
        row = (await connection.execute(statement)).one_or_none()
    return None if row is None else Due(tenant, row.channel, row.thread_ts, Session(row.wanted))


@uninterrupted
async def said(database: Database, due: Due, shown: Session | None, *, at_ms: int) -> None:
    """Remember what a thread's session says now; `None` = Slack did not take it. One that is over is forgotten."""
    key = {"tenant": due.tenant, "channel": due.channel, "thread_ts": due.thread_ts}
    async with database.begin() as connection:
        await connection.execute(delete(sessions).where(*(sessions.c[name] == value for name, value in key.items())))
        if due.wanted is not Session.CLOSED:
            await connection.execute(insert(sessions).values(**key, shown=shown, shown_at=at_ms))
