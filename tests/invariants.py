"""What must hold of any history, as queries that return no row when it does: PROTOCOL 3, in our column names.

The texts run unchanged on SQLite and PostgreSQL. `class` of the protocol is `recovery` here and leases live in
`workers`. `broken` runs all of them; tests of anything that writes runs can end with it.
"""

import json
import sqlite3
from typing import Any

from sqlalchemy import text

from core.record.events import GENESIS, event_hash
from core.store.session import Database

INVARIANTS: tuple[tuple[str, str], ...] = (
    (
        "I1: only transitions of the table",
        """SELECT e.stream, e.seq FROM events e LEFT JOIN transitions t ON t.a = e.from_state AND t.b = e.to_state
           WHERE e.type = 'state' AND e.from_state IS NOT NULL AND t.a IS NULL""",
    ),
    (
        "I1: a run begins as created, and every state event says where it goes",
        """SELECT e.stream, e.seq FROM events e
           WHERE e.type = 'state' AND (e.to_state IS NULL OR (e.from_state IS NULL AND e.to_state <> 'created'))""",
    ),
    (
        "I2: each stream is one chain without a gap",
        """SELECT e.stream, e.seq FROM events e
           LEFT JOIN events p ON p.tenant = e.tenant AND p.stream = e.stream AND p.seq = e.seq - 1
           WHERE e.seq > 1 AND (p.seq IS NULL OR p.hash <> e.prev_hash)""",
    ),
    (
        "I2: the run remembers the end of its chain",
        """SELECT r.id FROM runs r LEFT JOIN events e ON e.tenant = r.tenant AND e.stream = r.id AND e.seq = r.event_seq
           WHERE e.seq IS NULL OR e.hash <> r.event_hash OR e.at <> r.event_at OR EXISTS
           (SELECT 1 FROM events x WHERE x.tenant = r.tenant AND x.stream = r.id AND x.seq > r.event_seq)""",
    ),
    (
        "I3: the run's state is where its last transition went",
        """SELECT r.id FROM runs r WHERE r.state <> (SELECT e.to_state FROM events e WHERE e.tenant = r.tenant
           AND e.stream = r.id AND e.type = 'state' ORDER BY e.seq DESC LIMIT 1)""",
    ),
    (
        "I4: each transition begins where the one before ended",
        """SELECT e.stream, e.seq FROM events e WHERE e.type = 'state' AND e.from_state <>
           (SELECT p.to_state FROM events p WHERE p.tenant = e.tenant AND p.stream = e.stream
           AND p.type = 'state' AND p.seq < e.seq ORDER BY p.seq DESC LIMIT 1)""",
    ),
    (
        "I5: every transition says who, on which policy and evidence, and with which model",
        """SELECT stream, seq FROM events WHERE type = 'state' AND (actor_id = '' OR policy_version IS NULL
           OR evidence IS NULL OR (actor_kind = 'agent' AND model_version IS NULL))""",
    ),
    (
        "I6: fences never go back",
        """SELECT e.stream, e.seq FROM events e JOIN events p ON p.tenant = e.tenant AND p.stream = e.stream
           AND p.seq < e.seq AND p.fence > e.fence""",
    ),
    (
        "I7: what has ended, or waits for a person, holds no lease",
        """SELECT id FROM runs WHERE lease_owner IS NOT NULL
           AND state IN ('completed', 'failed', 'canceled', 'rolled-back', 'blocked')""",
    ),
    (
        "I8: nothing starts after a stop (by fence, not by clock)",
        """SELECT c.id FROM tool_calls c JOIN runs r ON r.tenant = c.tenant AND r.id = c.run_id
           WHERE c.start_fence >= r.killed_fence""",
    ),
    (
        "I8: no attempt carries a fence of the time after a stop",
        """SELECT a.call_id, a.n FROM call_attempts a JOIN runs r ON r.tenant = a.tenant AND r.id = a.run_id
           WHERE a.fence >= r.killed_fence""",
    ),
    (
        "I17: what was denied, expired or revoked never starts",
        """SELECT c.id FROM tool_calls c JOIN approvals a ON a.tenant = c.tenant AND a.id = c.approval_id
           WHERE a.status IN ('denied', 'expired', 'revoked') AND c.started_at IS NOT NULL""",
    ),
    (
        "I20: a completed run has no open call",
        """SELECT r.id FROM runs r JOIN tool_calls c ON c.tenant = r.tenant AND c.run_id = r.id
           WHERE r.state IN ('completed', 'rolled-back') AND c.status IN ('intent', 'started', 'unknown')""",
    ),
    (
        "I21: an unknown outcome stops the run",
        """SELECT r.id FROM runs r JOIN tool_calls c ON c.tenant = r.tenant AND c.run_id = r.id
           WHERE c.status = 'unknown' AND r.state NOT IN ('blocked', 'failed', 'canceled')""",
    ),
    (
        "I22: a result comes only from an attempt's fence",
        """SELECT c.id FROM tool_calls c WHERE c.status IN ('succeeded', 'failed') AND c.resolved_by IS NULL
           AND NOT EXISTS (SELECT 1 FROM call_attempts a WHERE a.tenant = c.tenant AND a.call_id = c.id
           AND a.fence = c.end_fence) AND NOT EXISTS (SELECT 1 FROM events e WHERE e.tenant = c.tenant
           AND e.stream = c.run_id AND e.type = 'call-ended' AND e.fence = c.end_fence)""",
    ),
    (
        "I26: one run per source key",
        "SELECT tenant, source_key FROM runs GROUP BY tenant, source_key HAVING COUNT(*) > 1",
    ),
    (
        "I32: a late result is never applied",
        """SELECT l.id FROM late_results l JOIN tool_calls c ON c.tenant = l.tenant AND c.id = l.call_id
           WHERE c.end_fence = l.fence AND c.resolved_by IS NULL AND c.status = 'succeeded'""",
    ),
    (
        "I37: attempts count up, and their fences never go back",
        """SELECT a.call_id, a.n FROM call_attempts a LEFT JOIN call_attempts p
           ON p.tenant = a.tenant AND p.call_id = a.call_id AND p.n = a.n - 1
           WHERE a.n > 1 AND (p.n IS NULL OR p.fence > a.fence)""",
    ),
)
"""`(name, query)`; a query returns what breaks it."""


_EVENTS = "SELECT * FROM events ORDER BY tenant, stream, seq"


async def broken(database: Database) -> list[str]:
    """A line for each invariant that does not hold, with what breaks it; also re-computes every event's hash."""
    found = []
    async with database.read() as connection:
        for name, sql in INVARIANTS:
            if rows := (await connection.execute(text(sql))).all():
                found.append(f"{name}: {rows}")
        events = (await connection.execute(text(_EVENTS))).mappings().all()
    return found + broken_chains(events)


def broken_in(connection: sqlite3.Connection) -> list[str]:
    """The same on an SQLite connection with named rows: a hundred times as fast, for use after every step."""
    found = []
    for name, sql in INVARIANTS:
        if rows := connection.execute(sql).fetchall():
            found.append(f"{name}: {[tuple(row) for row in rows]}")
    return found + broken_chains(connection.execute(_EVENTS).fetchall())


def broken_chains(events: Any) -> list[str]:
    """What is wrong with these rows of `events`, ordered by stream and seq: hashes, links, bodies against columns."""
    found = []
    ends: dict[tuple[str, str], tuple[int, str, int]] = {}
    for row in events:
        stream = row["tenant"], row["stream"]
        seq, prev_hash, at_ms = ends.get(stream, (0, GENESIS, 0))
        body = json.loads(row["body"])
        said = {
            "v": 1,
            "tenant": row["tenant"],
            "stream": row["stream"],
            "seq": row["seq"],
            "at": row["at"],
            "type": row["type"],
            "from": row["from_state"],
            "to": row["to_state"],
            "actor": {"kind": row["actor_kind"], "id": row["actor_id"]},
            "model": row["model_version"],
            "policy": row["policy_version"],
            "fence": row["fence"],
            "evidence": json.loads(row["evidence"]),
            "prev_hash": row["prev_hash"],
        }
        if said != body:
            found.append(f"{stream} {row['seq']}: its columns and its body disagree")
        if row["hash"] != event_hash(row["body"].encode()):
            found.append(f"{stream} {row['seq']}: its hash is not that of its body")
        if (row["seq"], row["prev_hash"]) != (seq + 1, prev_hash) or row["at"] < at_ms:
            found.append(f"{stream} {row['seq']}: does not follow {seq}")
        ends[stream] = row["seq"], row["hash"], row["at"]
    return found
