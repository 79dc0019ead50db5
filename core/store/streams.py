"""The messages people read along in: where each is, and of which turn.

A row is there before its message is, so that whoever comes after a crash looks for it; it is open until the message
shows what it is to show for good.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, delete, insert, select, update

from core.record.rows import RunRow
from core.store.session import Database, uninterrupted
from core.store.tables import model_turns, runs, streams


@dataclass(frozen=True)
class StreamRow:
    """A part of what a turn says, in a message of its own."""

    tenant: str
    run_id: str
    turn: int
    part: int
    channel: str
    thread_ts: str
    begins: int
    """Which character of the turn's text it begins with."""
    native: bool
    """Whether Slack holds it open for more."""
    opened_at: int
    ts: str | None = None
    closed_at: int | None = None
    gone: bool = False
    """Somebody deleted it, or its channel is gone."""


@dataclass(frozen=True)
class Scene:
    """A turn, and the run it belongs to."""

    run: RunRow
    is_written: bool
    """Whether it is still being answered."""
    answer_sha256: str | None


async def scene(database: Database, tenant: str, run_id: str, turn: int) -> Scene | None:
    """What a turn is now; `None` = there is none, or it sums up."""
    same_run = and_(model_turns.c.tenant == runs.c.tenant, model_turns.c.run_id == runs.c.id)
    statement = (
        select(runs, model_turns.c.status.label("turn_status"), model_turns.c.answer_sha256)
        .join(model_turns, same_run)
        .where(runs.c.tenant == tenant, runs.c.id == run_id, model_turns.c.n == turn, model_turns.c.covers.is_(None))
    )
    async with database.read() as connection:
        found = (await connection.execute(statement)).mappings().one_or_none()
    if found is None:
        return None
    values = dict(found)
    status, sha256 = values.pop("turn_status"), values.pop("answer_sha256")
    run = RunRow(**values)
    return Scene(run, status == "started" and run.ended_at is None and run.killed_at is None, sha256)


async def last_answer(database: Database, tenant: str, run_id: str) -> tuple[int, str] | None:
    """`(turn, digest)` of the last answer of a run's model; `None` = it has none."""
    statement = (
        select(model_turns.c.n, model_turns.c.answer_sha256)
        .where(
            model_turns.c.tenant == tenant,
            model_turns.c.run_id == run_id,
            model_turns.c.covers.is_(None),
            model_turns.c.answer_sha256.is_not(None),
        )
        .order_by(model_turns.c.n.desc())
        .limit(1)
    )
    async with database.read() as connection:
        found = (await connection.execute(statement)).one_or_none()
    return None if found is None else (found.n, found.answer_sha256)


async def parts(database: Database, tenant: str, run_id: str, turn: int) -> list[StreamRow]:
    """Every message of a turn, in order."""
    statement = (
        select(streams)
        .where(streams.c.tenant == tenant, streams.c.run_id == run_id, streams.c.turn == turn)
        .order_by(streams.c.part)
    )
    async with database.read() as connection:
        return [_row(dict(row)) for row in (await connection.execute(statement)).mappings()]


async def open_turns(database: Database, tenant: str, run_id: str | None = None) -> list[tuple[str, int]]:
    """`(run id, turn)` of turns with messages that do not show yet what they are to show for good.

    Args:
        run_id: Only of this run.
    """
    of_run = [] if run_id is None else [streams.c.run_id == run_id]
    statement = (
        select(streams.c.run_id, streams.c.turn)
        .where(streams.c.closed_at.is_(None), streams.c.tenant == tenant, *of_run)
        .order_by(streams.c.opened_at)
    )
    async with database.read() as connection:
        found = [(row.run_id, row.turn) for row in await connection.execute(statement)]
    return list(dict.fromkeys(found))


async def in_thread(database: Database, tenant: str, channel: str, thread_ts: str) -> set[str]:
    """The messages of a thread that are known to belong to a turn."""
    here = (streams.c.tenant == tenant, streams.c.channel == channel, streams.c.thread_ts == thread_ts)
    async with database.read() as connection:
        found = (await connection.execute(select(streams.c.ts).where(*here, streams.c.ts.is_not(None)))).scalars()
        return {ts for ts in found if ts is not None}


@uninterrupted
async def begin(database: Database, row: StreamRow) -> None:
    """Note that there will be a message."""
    values = {name: getattr(row, name) for name in row.__dataclass_fields__}
    async with database.begin() as connection:
        await connection.execute(insert(streams).values(values | {"native": int(row.native), "gone": int(row.gone)}))


@uninterrupted
async def change(database: Database, row: StreamRow, values: Mapping[str, Any]) -> None:
    """Note what became of a message: `ts`, `native`, `closed_at`, `gone`."""
    async with database.begin() as connection:
        await connection.execute(update(streams).where(*_is(row)).values(values))


@uninterrupted
async def forget(database: Database, row: StreamRow) -> None:
    """Note that a message never was."""
    async with database.begin() as connection:
        await connection.execute(delete(streams).where(*_is(row)))


def _is(row: StreamRow) -> list[Any]:
    key = {"tenant": row.tenant, "run_id": row.run_id, "turn": row.turn, "part": row.part}
    return [streams.c[name] == value for name, value in key.items()]


def _row(values: dict[str, Any]) -> StreamRow:
    return StreamRow(**(values | {"native": bool(values["native"]), "gone": bool(values["gone"])}))
