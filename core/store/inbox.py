"""The inbox: what reached us from outside, stored before it was acknowledged."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from core.record.changes import Insert, Update
from core.record.rows import dumps
from core.store.session import Database
from core.store.tables import inbox


@dataclass(frozen=True)
class InboxRow:
    """One delivery."""

    dedupe_key: str
    kind: str
    body: Mapping[str, Any]
    received_at: int
    """When it reached us, which is when whoever sent it wanted it done."""
    processed_at: int | None = None
    attempts: int = 0


def received(
    tenant: str,
    dedupe_key: str,
    kind: str,
    body: Mapping[str, Any],
    *,
    now_ms: int,
    run_id: str | None = None,
    outcome: str | None = None,
) -> Insert:
    """The row of a delivery; with an `outcome` it counts as processed."""
    return Insert(
        "inbox",
        {
            "tenant": tenant,
            "dedupe_key": dedupe_key,
            "kind": kind,
            "body_json": dumps(dict(body)),
            "run_id": run_id,
            "received_at": now_ms,
            "processed_at": now_ms if outcome else None,
            "outcome": outcome,
        },
    )


def processed(tenant: str, dedupe_key: str, outcome: str, *, now_ms: int, run_id: str | None = None) -> Update:
    """Mark a delivery as dealt with, by this run if it started one."""
    values: dict[str, Any] = {"processed_at": now_ms, "outcome": outcome}
    if run_id is not None:
        values["run_id"] = run_id
    return Update("inbox", {"tenant": tenant, "dedupe_key": dedupe_key}, values)


def failed(row: InboxRow, tenant: str) -> Update:
    """Count an attempt to deal with a delivery that came to nothing."""
    return Update("inbox", {"tenant": tenant, "dedupe_key": row.dedupe_key}, {"attempts": row.attempts + 1})


async def find(database: Database, tenant: str, dedupe_key: str) -> InboxRow | None:
    """One delivery by its key."""
    statement = select(inbox).where(inbox.c.tenant == tenant, inbox.c.dedupe_key == dedupe_key)
    async with database.read() as connection:
        row = (await connection.execute(statement)).mappings().one_or_none()
    return None if row is None else _row(row)


async def waiting(database: Database, tenant: str, *, before_ms: int, limit: int = 50) -> list[InboxRow]:
    """Deliveries stored before that instant and not dealt with yet; what failed before goes behind what did not."""
    statement = (
        select(inbox)
        .where(inbox.c.tenant == tenant, inbox.c.processed_at.is_(None), inbox.c.received_at <= before_ms)
        .order_by(inbox.c.attempts, inbox.c.received_at)
        .limit(limit)
    )
    async with database.read() as connection:
        return [_row(row) for row in (await connection.execute(statement)).mappings()]


def _row(row: Any) -> InboxRow:
    return InboxRow(
        row["dedupe_key"],
        row["kind"],
        json.loads(row["body_json"]),
        row["received_at"],
        row["processed_at"],
        row["attempts"],
    )
