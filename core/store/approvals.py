"""Reading approvals: what waits, what is overdue, where each is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import String, and_, case, cast, func, literal, or_, select, update

from core.record.changes import Insert
from core.record.rows import ApprovalRow
from core.record.states import TERMINAL
from core.store.session import Database, uninterrupted
from core.store.tables import approval_cards, approvals, readings, runs, votes

MAX_LIST = 200


async def find(database: Database, tenant: str, approval_id: str) -> ApprovalRow | None:
    """One approval, by its id only."""
    statement = select(approvals).where(approvals.c.tenant == tenant, approvals.c.id == approval_id)
    async with database.read() as connection:
        row = (await connection.execute(statement)).mappings().one_or_none()
    return None if row is None else ApprovalRow(**row)


async def resolve(database: Database, tenant: str, text: str) -> list[str]:
    """Ids of the approvals a person may mean: the whole id, or its last characters (at least 4). At most 5."""
    text = text.strip().lower()
    if len(text) < 4 or not text.replace("_", "").isalnum():
        return []
    pattern = "%" + text.replace("_", "\\_")
    statement = select(approvals.c.id).where(approvals.c.tenant == tenant, approvals.c.id.like(pattern, escape="\\"))
    async with database.read() as connection:
        return list((await connection.execute(statement.order_by(approvals.c.asked_at.desc()).limit(5))).scalars())


async def pending(database: Database, tenant: str, *, limit: int = 50) -> list[ApprovalRow]:
    """Questions that wait for people, the longest waiting first."""
    statement = (
        select(approvals)
        .where(approvals.c.tenant == tenant, approvals.c.status == "pending")
        .order_by(approvals.c.asked_at, approvals.c.id)
        .limit(min(limit, MAX_LIST))
    )
    async with database.read() as connection:
        return [ApprovalRow(**row) for row in (await connection.execute(statement)).mappings()]


async def open_asks(database: Database, tenant: str, approvers_json: str) -> int:
    """How many questions wait for exactly these approvers."""
    statement = select(func.count()).where(
        approvals.c.tenant == tenant, approvals.c.status == "pending", approvals.c.approvers_json == approvers_json
    )
    async with database.read() as connection:
        return int((await connection.execute(statement)).scalar_one())


async def overdue(database: Database, *, now_ms: int, limit: int) -> list[tuple[str, str]]:
    """`(tenant, approval id)` of questions nobody answered, and approvals nobody used, in time."""
    late = or_(
        and_(approvals.c.status == "pending", approvals.c.expires_at <= now_ms),
        and_(approvals.c.status == "approved", approvals.c.use_by <= now_ms),
    )
    statement = (
        select(approvals.c.tenant, approvals.c.id)
        .join(runs, and_(runs.c.tenant == approvals.c.tenant, runs.c.id == approvals.c.run_id))
        .where(late, approvals.c.remaining_ms.is_(None), runs.c.state.not_in([str(state) for state in TERMINAL]))
        .order_by(approvals.c.expires_at)
        .limit(limit)
    )
    async with database.read() as connection:
        return [(row.tenant, row.id) for row in await connection.execute(statement)]


@dataclass(frozen=True)
class Shown:
    """A message that shows an approval, and what it should show now."""

    approval_id: str
    run_id: str
    channel: str
    ts: str
    state: str
    """Of the approval, as `state_of` words it."""


def shown_at(tenant: str, approval: ApprovalRow, channel: str, ts: str, state: str) -> Insert:
    """The row that remembers a message showing an approval."""
    where = {"tenant": tenant, "approval_id": approval.id, "channel": channel, "ts": ts}
    return Insert("approval_cards", {**where, "run_id": approval.run_id, "shown": state})


def state_of(approval: ApprovalRow, live_votes: int) -> str:
    """What a message has to be drawn anew for when it changes."""
    return f"{approval.status}:{live_votes}{'' if approval.remaining_ms is None else ':parked'}"


async def stale(database: Database, tenant: str, *, limit: int = 50) -> list[Shown]:
    """Messages that show an approval as it no longer is."""
    live = (
        select(func.count())
        .select_from(votes)
        .where(
            votes.c.tenant == approvals.c.tenant, votes.c.approval_id == approvals.c.id, votes.c.revoked_at.is_(None)
        )
        .correlate(approvals)
        .scalar_subquery()
    )
    parked = case((approvals.c.remaining_ms.is_(None), ""), else_=":parked")
    state = approvals.c.status + literal(":") + cast(live, String) + parked
    statement = (
        select(approval_cards, state.label("state"))
        .join(
            approvals,
            and_(approvals.c.tenant == approval_cards.c.tenant, approvals.c.id == approval_cards.c.approval_id),
        )
        .where(approval_cards.c.tenant == tenant, approval_cards.c.shown != "gone", approval_cards.c.shown != state)
        .order_by(case((approvals.c.status == "pending", 1), else_=0))
        .limit(limit)
    )
    async with database.read() as connection:
        return [
            Shown(row.approval_id, row.run_id, row.channel, row.ts, row.state)
            for row in await connection.execute(statement)
        ]


@uninterrupted
async def drawn(database: Database, tenant: str, shown: Shown, state: str) -> None:
    """Remember what a message shows now; `gone` = it can be drawn no more."""
    async with database.begin() as connection:
        await connection.execute(
            update(approval_cards)
            .where(
                approval_cards.c.tenant == tenant,
                approval_cards.c.approval_id == shown.approval_id,
                approval_cards.c.channel == shown.channel,
                approval_cards.c.ts == shown.ts,
            )
            .values(shown=state)
        )


async def messages(database: Database, tenant: str, approval_id: str) -> Sequence[Any]:
    """Where an approval is shown: rows of `approval_cards`."""
    statement = select(approval_cards).where(
        approval_cards.c.tenant == tenant, approval_cards.c.approval_id == approval_id
    )
    async with database.read() as connection:
        return (await connection.execute(statement)).mappings().all()


def page_read(tenant: str, approval_id: str, reader: str, page: int, *, now_ms: int) -> Insert:
    """The row that says somebody opened a page (from 1) of an action."""
    who = {"tenant": tenant, "approval_id": approval_id, "reader": reader}
    return Insert("readings", {**who, "page": page, "at": now_ms})


async def pages_read(database: Database, tenant: str, approval_id: str, reader: str) -> frozenset[int]:
    """Pages somebody has opened."""
    statement = select(readings.c.page).where(
        readings.c.tenant == tenant, readings.c.approval_id == approval_id, readings.c.reader == reader
    )
    async with database.read() as connection:
        return frozenset((await connection.execute(statement)).scalars())
