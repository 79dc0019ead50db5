"""Statements compiled once from the table definitions: how rows of each kind are written.

The hot path does not go through SQLAlchemy's compiler; these texts are built at import from the same tables, so a
column added there is written here.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from core.record.events import Event
from core.record.rows import dumps
from core.store.columns import metadata

RUN_KEY = {
    "events": "stream",
    "tool_calls": "run_id",
    "call_attempts": "run_id",
    "late_results": "run_id",
    "approvals": "run_id",
    "votes": "run_id",
    "artifacts": "run_id",
    "inbox": "run_id",
    "outbox": "run_id",
    "answers": "run_id",
    "steers": "run_id",
    "model_turns": "run_id",
    "spend": "run_id",
    "loop_marks": "run_id",
    "stop_reports": "run_id",
}
"""Tables whose rows land only with their run's change, and the column that names the run."""

FREE = ("documents", "blobs")
"""Content-addressed tables: a row is true whether or not the change beside it lands."""

ON_CONFLICT = {
    "documents": "ON CONFLICT DO NOTHING",
    "contracts": "ON CONFLICT DO NOTHING",
    "outbox": "ON CONFLICT (tenant, dedupe_key) DO NOTHING",
    "inbox": "ON CONFLICT (tenant, dedupe_key) DO NOTHING",
    "budgets": "ON CONFLICT DO NOTHING",
    "approval_cards": "ON CONFLICT DO NOTHING",
    "readings": "ON CONFLICT DO NOTHING",
    "people": "ON CONFLICT (tenant, principal) DO UPDATE SET roles_json = excluded.roles_json, "
    "usable = excluded.usable, checked_at = excluded.checked_at",
    "blobs": "ON CONFLICT (tenant, sha256) DO UPDATE SET created_at = excluded.created_at",
    "stop_reports": "ON CONFLICT (tenant, run_id, host) DO UPDATE SET killed_fence = excluded.killed_fence, "
    "boot_id = excluded.boot_id, "
    "ended = excluded.ended, remaining = excluded.remaining, at = excluded.at",
}
"""What a second row with the same unique key means, where it is not an error."""

UPDATABLE = ("tool_calls", "call_attempts", "approvals", "votes", "model_turns", "spend", "steers", "inbox", "outbox")


@cache
def columns(table: str) -> tuple[str, ...]:
    """Column names of a table in order."""
    return tuple(metadata.tables[table].c.keys())


@cache
def selected(table: str, prefix: str = "") -> str:
    """All columns of a table as a query asks for them: by name, for a newer version may add some under our hands."""
    return quoted(columns(table), prefix)


@cache
def primary_key(table: str) -> tuple[str, ...]:
    """Names of a table's key columns."""
    return tuple(column.name for column in metadata.tables[table].primary_key)


@cache
def _defaults(table: str) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for column in metadata.tables[table].c:
        default = getattr(column.server_default, "arg", None)
        if default is None:
            found[column.name] = None
        else:
            literal = str(default)
            found[column.name] = literal.strip("'") if literal.startswith("'") else int(literal)
    return found


def complete(table: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row with the table's defaults filled in; an unknown column raises `KeyError`."""
    row = dict(_defaults(table))
    for name, value in values.items():
        if name not in row:
            raise KeyError(f"{table} has no column {name}")
        row[name] = value
    return row


def event_row(event: Event) -> dict[str, Any]:
    """A sealed event as a row of `events`."""
    draft = event.draft
    return {
        "tenant": event.tenant,
        "stream": event.stream,
        "seq": event.seq,
        "at": event.at_ms,
        "type": draft.type,
        "from_state": draft.from_state.value if draft.from_state else None,
        "to_state": draft.to_state.value if draft.to_state else None,
        "actor_kind": draft.actor.kind,
        "actor_id": draft.actor.id,
        "model_version": draft.model_version,
        "policy_version": draft.policy_version,
        "fence": event.fence,
        "evidence": dumps([dict(item) for item in draft.evidence]),
        "body": event.body,
        "prev_hash": event.prev_hash,
        "hash": event.hash,
    }


def quoted(names: tuple[str, ...] | list[str], prefix: str = "") -> str:
    """Comma-separated quoted column names."""
    return ", ".join(f'{prefix}"{name}"' for name in names)
