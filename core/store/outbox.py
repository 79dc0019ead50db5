"""The outbox and the cards: what still has to be said, in which order, and what each card last showed."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    RowMapping,
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from core.record.changes import Update
from core.record.states import TERMINAL, RunState
from core.store.session import Database, uninterrupted
from core.store.tables import cards, leaders, outbox, runs

_MOST_OF_A_LANE = 200


@dataclass(frozen=True)
class Delivery:
    """One thing to say."""

    tenant: str
    id: str
    dedupe_key: str
    run_id: str | None
    kind: str
    lane: str
    body: Mapping[str, Any]
    created_at: int
    due_at: int
    attempts: int
    """Not 0 from before the first try on, so that whoever comes next looks before saying it again."""
    result: str | None
    """What Slack named it so far: a message's ts, a file's id."""
    is_open: bool
    """Whether it is still to be said."""


@dataclass(frozen=True)
class CardRow:
    """A run's live card, and what its run is now."""

    tenant: str
    run_id: str
    channel: str
    ts: str
    shown_at: int
    state: RunState
    stopped: bool
    lags: bool
    """Its run has moved on since; otherwise it was only silent for long."""


_OPEN = and_(outbox.c.sent_at.is_(None), outbox.c.dead_at.is_(None))
_DUE: ColumnElement[int] = case((outbox.c.attempts == 0, literal(0, BigInteger)), else_=outbox.c.due_at)
"""When a row may be tried; a first try never waits, whatever the clock of whoever wrote the row."""


async def due_lanes(
    database: Database, tenant: str, *, now_ms: int, without: Collection[str] = (), limit: int = 50
) -> list[str]:
    """Lanes with something to say now, those that have waited longest first.

    A lane none of whose rows waits for a later try is one whose first row is due: only the first is ever postponed.
    """
    statement = (
        select(outbox.c.lane)
        .where(outbox.c.tenant == tenant, _OPEN, outbox.c.lane.not_in(without))
        .group_by(outbox.c.lane)
        .having(func.max(_DUE) <= now_ms)
        .order_by(func.min(outbox.c.id))
        .limit(limit)
    )
    async with database.read() as connection:
        return list((await connection.execute(statement)).scalars())


async def open_in_lane(database: Database, tenant: str, lane: str) -> list[Delivery]:
    """What a lane still has to say, in the order it was written; also what is not due yet."""
    statement = (
        select(outbox)
        .where(outbox.c.tenant == tenant, outbox.c.lane == lane, _OPEN)
        .order_by(outbox.c.id)
        .limit(_MOST_OF_A_LANE)
    )
    async with database.read() as connection:
        return [_delivery(row) for row in (await connection.execute(statement)).mappings()]


async def find(database: Database, tenant: str, dedupe_key: str) -> Delivery | None:
    """One row, said or not."""
    statement = select(outbox).where(outbox.c.tenant == tenant, outbox.c.dedupe_key == dedupe_key)
    async with database.read() as connection:
        row = (await connection.execute(statement)).mappings().first()
    return None if row is None else _delivery(row)


async def said_last(
    database: Database, tenant: str, run_id: str, kinds: Collection[str], *, limit: int
) -> list[Delivery]:
    """The newest rows of some kinds that a run has written, said or not."""
    statement = (
        select(outbox)
        .where(outbox.c.tenant == tenant, outbox.c.run_id == run_id, outbox.c.kind.in_(kinds))
        .order_by(outbox.c.id.desc())
        .limit(limit)
    )
    async with database.read() as connection:
        return [_delivery(row) for row in (await connection.execute(statement)).mappings()]


def mark(delivery: Delivery, **values: Any) -> Update:
    """New values for a delivery: `sent_at`, `dead_at`, `due_at`, `attempts`, `result`, `last_error`."""
    return Update("outbox", {"tenant": delivery.tenant, "id": delivery.id}, values)


@uninterrupted
async def card_posted(
    database: Database, tenant: str, run_id: str, channel: str, ts: str, *, version: int, at_ms: int
) -> None:
    """Remember where a run's card is; a second one replaces the first."""
    async with database.begin() as connection:
        await connection.execute(delete(cards).where(cards.c.tenant == tenant, cards.c.run_id == run_id))
        await connection.execute(
            insert(cards).values(
                tenant=tenant, run_id=run_id, channel=channel, ts=ts, shown_version=version, shown_at=at_ms
            )
        )


@uninterrupted
async def card_shown(database: Database, card: CardRow, *, version: int, at_ms: int) -> None:
    """Remember what a card shows now, unless another one took its place meanwhile."""
    async with database.begin() as connection:
        await connection.execute(
            update(cards)
            .where(cards.c.tenant == card.tenant, cards.c.run_id == card.run_id, cards.c.ts == card.ts)
            .values(shown_version=version, shown_at=at_ms)
        )


@uninterrupted
async def card_gone(database: Database, card: CardRow, *, at_ms: int) -> None:
    """Remember that a card can be drawn no more."""
    async with database.begin() as connection:
        await connection.execute(
            update(cards)
            .where(cards.c.tenant == card.tenant, cards.c.run_id == card.run_id, cards.c.ts == card.ts)
            .values(gone_at=at_ms)
        )


async def stale_cards(database: Database, tenant: str, *, silent_since_ms: int, limit: int = 100) -> list[CardRow]:
    """Cards whose run is ahead of what they show, and cards of working runs that have shown nothing new for that long.

    Stopped runs come first, then whatever was drawn longest ago.
    """
    lags = runs.c.version > cards.c.shown_version
    working = runs.c.state.in_([RunState.PLANNING.value, RunState.EXECUTING.value])
    statement = (
        select(cards, runs.c.state, runs.c.killed_at, lags.label("lags"))
        .join(runs, and_(runs.c.tenant == cards.c.tenant, runs.c.id == cards.c.run_id))
        .where(
            cards.c.tenant == tenant,
            cards.c.ts.is_not(None),
            cards.c.gone_at.is_(None),
            or_(lags, and_(working, cards.c.shown_at < silent_since_ms)),
        )
        .order_by(runs.c.killed_at.is_(None), cards.c.shown_at)
        .limit(limit)
    )
    async with database.read() as connection:
        return [
            CardRow(
                tenant=row.tenant,
                run_id=row.run_id,
                channel=row.channel,
                ts=row.ts,
                shown_at=row.shown_at or 0,
                state=RunState(row.state),
                stopped=row.killed_at is not None,
                lags=bool(row.lags),
            )
            for row in await connection.execute(statement)
        ]


async def open_runs_of_message(database: Database, tenant: str, channel: str, ts: str) -> list[tuple[str, str | None]]:
    """The runs under way a message stands for: as card, as what asked for them, or as the root of their thread.

    Returns:
        `(run id, the thread the run lives in)`, oldest first; no thread if the card has moved to another channel.
    """
    as_card = select(cards.c.run_id).where(cards.c.tenant == tenant, cards.c.channel == channel, cards.c.ts == ts)
    in_thread = and_(runs.c.channel == channel, or_(runs.c.message_ts == ts, runs.c.thread_ts == ts))
    statement = (
        select(runs.c.id, case((runs.c.channel == channel, runs.c.thread_ts)).label("thread_ts"))
        .where(
            runs.c.tenant == tenant,
            runs.c.state.not_in([state.value for state in TERMINAL]),
            or_(in_thread, runs.c.id.in_(as_card)),
        )
        .order_by(runs.c.created_at)
    )
    async with database.read() as connection:
        return [(row.id, row.thread_ts) for row in await connection.execute(statement)]


@uninterrupted
async def hand_over(database: Database, name: str, owner: str) -> None:
    """Give up a leadership, so that the next process does not wait for it to run out."""
    async with database.begin() as connection:
        await connection.execute(delete(leaders).where(leaders.c.name == name, leaders.c.owner == owner))


def _delivery(row: RowMapping) -> Delivery:
    return Delivery(
        tenant=row["tenant"],
        id=row["id"],
        dedupe_key=row["dedupe_key"],
        run_id=row["run_id"],
        kind=row["kind"],
        lane=row["lane"],
        body=json.loads(row["body_json"]),
        created_at=row["created_at"],
        due_at=row["due_at"],
        attempts=row["attempts"],
        result=row["result"],
        is_open=row["sent_at"] is None and row["dead_at"] is None,
    )
