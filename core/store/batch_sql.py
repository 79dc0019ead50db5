"""The one statement that commits a batch on PostgreSQL.

A batch travels as one JSON document. The statement locks the runs it names in order (skipping those somebody else
holds), lets through the changes whose guard holds, writes every table from the document joined to what was let through,
and returns what it found of each run. One round trip, one commit; nothing of a refused change is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from core.record.changes import Insert, RunChange, Update
from core.record.rows import dumps
from core.store.columns import metadata
from core.store.statements import (
    FREE,
    ON_CONFLICT,
    RUN_KEY,
    UPDATABLE,
    columns,
    complete,
    event_row,
    primary_key,
    quoted,
)


@dataclass(frozen=True)
class Shape:
    """Which tables a batch writes: the server spends time on every part of a statement, even on one without rows."""

    creates: bool
    guarded: bool
    """Whether a change in it is one that a freeze stops."""
    inserts: tuple[str, ...]
    updates: tuple[str, ...]


COVERS = """(f.scope = 'everything' OR (f.scope = 'tool' AND f.scope_id = {tool})
    OR (f.scope = 'run' AND f.scope_id IN (r.id, r.parent_id, r.root_id))
    OR (f.scope = 'agent' AND f.scope_id IN (r.agent, r.root_agent))
    OR (f.scope = 'channel' AND f.scope_id = r.channel) OR (f.scope = 'team' AND f.scope_id = r.team))"""
"""`core.record.freezes.covers` as a condition on a freeze `f` and a run `r`."""

# Looks anew, not as of the statement's beginning, and lets no freeze commit before the batch has.
_FROZEN = f"""frozen AS MATERIALIZED (SELECT w.tenant, w.id FROM want w
    JOIN locked r ON r.tenant = w.tenant AND r.id = w.id JOIN open_freezes() f ON f.tenant = w.tenant
    WHERE w.freezable IS NOT NULL AND {COVERS.format(tool="w.freezable")})"""
_IS_FROZEN = "EXISTS (SELECT 1 FROM frozen z WHERE z.tenant = w.tenant AND z.id = w.id)"


@cache
def batch_statement(shape: Shape) -> str:
    """Build the statement for one shape; its one parameter is the document of `batch_document`."""
    run_columns = [name for name in columns("runs") if name not in ("tenant", "id", "version")]
    parts = [
        "doc AS (SELECT $1::jsonb AS d)",
        """want AS (SELECT w.* FROM doc, jsonb_to_recordset(doc.d->'want')
            AS w(tenant text, id text, version bigint, fence bigint, owner text, freezable text, patch jsonb))""",
        f"""locked AS MATERIALIZED (SELECT r.tenant, r.id, r.version, r.fence, r.lease_owner, r.killed_at
            {", r.root_id, r.parent_id, r.agent, r.root_agent, r.channel, r.team" if shape.guarded else ""}
            FROM runs r JOIN want w ON w.tenant = r.tenant AND w.id = r.id ORDER BY r.tenant, r.id FOR UPDATE OF r SKIP
            LOCKED)""",
        *([_FROZEN] if shape.guarded else []),
        f"""moved AS (UPDATE runs r SET ({quoted(run_columns)}, version) =
              (SELECT {quoted(run_columns, "x.")}, w.version + 1 FROM jsonb_populate_record(r, w.patch) x)
            FROM want w JOIN locked l ON l.tenant = w.tenant AND l.id = w.id
            WHERE r.tenant = w.tenant AND r.id = w.id AND r.version = w.version AND l.version = w.version
              AND l.fence = w.fence AND (w.owner IS NULL OR (l.killed_at IS NULL AND l.lease_owner = w.owner))
              {"AND NOT " + _IS_FROZEN if shape.guarded else ""}
            RETURNING r.tenant, r.id)""",
        "created AS (SELECT ''::text AS tenant, ''::text AS id WHERE FALSE)"
        if not shape.creates
        else f"""created AS (INSERT INTO runs ({quoted(columns("runs"))}) SELECT {quoted(columns("runs"), "x.")}
            FROM doc, jsonb_populate_recordset(NULL::runs, doc.d->'create') x
            ON CONFLICT DO NOTHING RETURNING tenant, id)""",
        "ok AS (SELECT tenant, id FROM moved UNION ALL SELECT tenant, id FROM created)",
    ]
    parts += [_insert(table, gated=table not in FREE) for table in shape.inserts]
    parts += [_update(table) for table in shape.updates]
    return f"""WITH {", ".join(parts)}
        SELECT w.tenant, w.id, ok.id IS NOT NULL AS landed, l.version, l.fence, l.lease_owner, l.killed_at,
               EXISTS (SELECT 1 FROM runs r WHERE r.tenant = w.tenant AND r.id = w.id) AS present,
               l.id IS NOT NULL AS held, {_IS_FROZEN if shape.guarded else "FALSE"} AS frozen,
               {_all_updated(shape)} AS complete
        FROM want w LEFT JOIN ok ON ok.tenant = w.tenant AND ok.id = w.id
             LEFT JOIN locked l ON l.tenant = w.tenant AND l.id = w.id
        UNION ALL SELECT tenant, id, TRUE, 0, 0, NULL, NULL, TRUE, TRUE, FALSE, 1 FROM created"""


def _all_updated(shape: Shape) -> str:
    """1, or a division by zero that undoes the batch: an update whose row is missing must not land in silence."""
    if not shape.updates:
        return "1"
    done = " + ".join(f"(SELECT count(*) FROM u_{table})" for table in shape.updates)
    owed = " + ".join(
        f"(SELECT count(*) FROM doc, jsonb_array_elements(doc.d->'u'->'{table}') e "
        "JOIN ok ON ok.tenant = e->>'t' AND ok.id = e->>'r')"
        for table in shape.updates
    )
    return f"1 / (CASE WHEN {done} = {owed} THEN 1 ELSE 0 END)"


def _insert(table: str, *, gated: bool) -> str:
    names = columns(table)
    source = f"doc, jsonb_array_elements(doc.d->'i'->'{table}') e"
    if gated:
        source += " JOIN ok ON ok.tenant = e->>'t' AND ok.id = e->>'r'"
    return f"""i_{table} AS (INSERT INTO {table} ({quoted(names)}) SELECT {quoted(names, "x.")}
        FROM {source}, jsonb_populate_record(NULL::{table}, e->'v') x {ON_CONFLICT.get(table, "")})"""


def _update(table: str) -> str:
    key = primary_key(table)
    names = [name for name in columns(table) if name not in key]
    where = " AND ".join(f"t.\"{name}\" = (e->'k'->>'{name}')::{_key_type(table, name)}" for name in key)
    return f"""u_{table} AS (UPDATE {table} t SET ({quoted(names)}) =
          (SELECT {quoted(names, "x.")} FROM jsonb_populate_record(t, e->'v') x)
        FROM doc, jsonb_array_elements(doc.d->'u'->'{table}') e JOIN ok ON ok.tenant = e->>'t' AND ok.id = e->>'r'
        WHERE {where} RETURNING 1)"""


def _key_type(table: str, name: str) -> str:
    return "bigint" if metadata.tables[table].c[name].type.python_type is int else "text"


def batch_document(changes: Sequence[RunChange]) -> tuple[Shape, str]:
    """The batch as the statement's parameter, and its shape; at most one change per run."""
    want: list[dict[str, Any]] = []
    create: list[dict[str, Any]] = []
    inserts: dict[str, list[dict[str, Any]]] = {table: [] for table in (*FREE, *RUN_KEY)}
    updates: dict[str, list[dict[str, Any]]] = {table: [] for table in UPDATABLE}
    free: set[tuple[str, ...]] = set()
    for change in changes:
        if change.creates:
            create.append(complete("runs", change.run))
        else:
            want.append(
                {
                    "tenant": change.tenant,
                    "id": change.run_id,
                    "version": change.version,
                    "fence": change.fence,
                    "owner": change.owner,
                    "freezable": change.freezable,
                    "patch": dict(change.run),
                }
            )
        gate = {"t": change.tenant, "r": change.run_id}
        inserts["events"] += [gate | {"v": event_row(event)} for event in change.events]
        new, patches = _one_write_per_row(change)
        for insert in new:
            row = complete(insert.table, insert.values)
            if insert.table in FREE:
                # One statement may touch a row once, and these are the same row whoever brings them.
                identity = (insert.table, *(row[name] for name in primary_key(insert.table)))
                if identity in free:
                    continue
                free.add(identity)
            inserts[insert.table].append(gate | {"v": row})
        for update in patches:
            updates[update.table].append(gate | {"k": dict(update.key), "v": dict(update.values)})
    shape = Shape(
        creates=bool(create),
        guarded=any(each["freezable"] is not None for each in want),
        inserts=tuple(table for table, rows in inserts.items() if rows),
        updates=tuple(table for table, rows in updates.items() if rows),
    )
    return shape, dumps({"want": want, "create": create, "i": inserts, "u": updates})


def _one_write_per_row(change: RunChange) -> tuple[list[Insert], list[Update]]:
    """The change's writes with everything it does to one row folded into one: a statement sees no row twice."""
    inserts = list(change.inserts)
    updates: dict[tuple[str, ...], Update] = {}
    for update in change.updates:
        identity = (update.table, *(update.key[name] for name in primary_key(update.table)))
        for n, insert in enumerate(inserts):
            if (insert.table, *(insert.values.get(name) for name in primary_key(insert.table))) == identity:
                inserts[n] = Insert(insert.table, {**insert.values, **update.values})
                break
        else:
            before = updates[identity].values if identity in updates else {}
            updates[identity] = Update(update.table, update.key, {**before, **update.values})
    return inserts, list(updates.values())
