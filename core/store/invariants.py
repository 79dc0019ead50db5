"""What must hold of any history, as queries that return no row when it does: PROTOCOL 3, in our column names.

The texts run unchanged on SQLite and PostgreSQL; the first columns of a row name what breaks the rule. `class` of the
protocol is `recovery` here and leases live in `workers`. What a query cannot say (hashes, digests, the fold of a log)
is in `retelling.py`; who runs all of them on a living database is `examining.py`.

Those that are `timed` compare with clocks and take what `times` gives.
"""

from dataclasses import dataclass

GRACE_MS = 60_000
"""How far clocks of our hosts may be apart before a rule about time is broken."""


def times(*, now_ms: int, lease_ms: int, boot_id: str) -> dict[str, int | str]:
    """The parameters of the queries about time.

    Args:
        now_ms: The wall clock.
        lease_ms: The clock of leases: PostgreSQL's own, or on SQLite that of this boot.
        boot_id: Of this boot; empty on PostgreSQL, where it does not matter.
    """
    return {
        "grace": GRACE_MS,
        "minute_ago": now_ms - GRACE_MS,
        "two_minutes_ago": now_ms - 120_000,
        "ten_minutes_ago": now_ms - 600_000,
        "lease_gone": lease_ms - 120_000,
        "boot_id": boot_id,
    }


@dataclass(frozen=True)
class Invariant:
    """One rule."""

    id: str
    """As in PROTOCOL 3; several queries may serve one."""
    sentence: str
    sql: str
    means: str
    """What a violation means, and what to do."""
    timed: bool = False

    @property
    def name(self) -> str:
        """Id and sentence."""
        return f"{self.id}: {self.sentence}"


_TAMPERED = "The log or a row was changed outside of Banksman. Keep a copy of the database, and trust no backup since."
_RACE = "Two workers acted for one run, which the fence is to prevent. Stop it, look at its effects, and report it."
_GATE = "Something ran without the approval it needed. Look at what the call did, freeze its agent, and report it."
_STOP = "Something started after a stop. Look at what the call did, and report it."
_SHAPE = "A row was written by something else than the journal, or by a fault of ours. Report it with the run's log."
_STUCK = "Nobody attends to it. Look whether bot and workers run, and at their logs."

INVARIANTS: tuple[Invariant, ...] = (
    Invariant(
        "I1",
        "only transitions of the table",
        """SELECT e.stream, e.seq FROM events e LEFT JOIN transitions t ON t.a = e.from_state AND t.b = e.to_state
           WHERE e.type = 'state' AND e.from_state IS NOT NULL AND t.a IS NULL""",
        _TAMPERED,
    ),
    Invariant(
        "I1",
        "a run begins as created, and every state event says where it goes",
        """SELECT e.stream, e.seq FROM events e
           WHERE e.type = 'state' AND (e.to_state IS NULL OR (e.from_state IS NULL AND e.to_state <> 'created'))""",
        _TAMPERED,
    ),
    Invariant(
        "I2",
        "each stream is one chain without a gap",
        """SELECT e.stream, e.seq FROM events e
           LEFT JOIN events p ON p.tenant = e.tenant AND p.stream = e.stream AND p.seq = e.seq - 1
           WHERE e.seq > 1 AND (p.seq IS NULL OR p.hash <> e.prev_hash)""",
        _TAMPERED,
    ),
    Invariant(
        "I2",
        "the run remembers the end of its chain",
        """SELECT r.id FROM runs r LEFT JOIN events e ON e.tenant = r.tenant AND e.stream = r.id AND e.seq = r.event_seq
           WHERE e.seq IS NULL OR e.hash <> r.event_hash OR e.at <> r.event_at OR EXISTS
           (SELECT 1 FROM events x WHERE x.tenant = r.tenant AND x.stream = r.id AND x.seq > r.event_seq)""",
        _TAMPERED,
    ),
    Invariant(
        "I3",
        "the run's state is where its last transition went",
        """SELECT r.id FROM runs r WHERE r.state <> (SELECT e.to_state FROM events e WHERE e.tenant = r.tenant
           AND e.stream = r.id AND e.type = 'state' ORDER BY e.seq DESC LIMIT 1)""",
        _TAMPERED,
    ),
    Invariant(
        "I4",
        "each transition begins where the one before ended",
        """SELECT e.stream, e.seq FROM events e WHERE e.type = 'state' AND e.from_state <>
           (SELECT p.to_state FROM events p WHERE p.tenant = e.tenant AND p.stream = e.stream
           AND p.type = 'state' AND p.seq < e.seq ORDER BY p.seq DESC LIMIT 1)""",
        _TAMPERED,
    ),
    Invariant(
        "I5",
        "every transition says who, on which policy and evidence, and with which model",
        """SELECT stream, seq FROM events WHERE type = 'state' AND (actor_id = '' OR policy_version IS NULL
           OR evidence IS NULL OR (actor_kind = 'agent' AND model_version IS NULL))""",
        _SHAPE,
    ),
    Invariant(
        "I6",
        "fences never go back",
        """SELECT e.stream, e.seq FROM events e JOIN events p ON p.tenant = e.tenant AND p.stream = e.stream
           AND p.seq = e.seq - 1 AND p.fence > e.fence""",
        _RACE,
    ),
    Invariant(
        "I7",
        "what has ended, or waits for a person, holds no lease",
        """SELECT id FROM runs WHERE lease_owner IS NOT NULL
           AND state IN ('completed', 'failed', 'canceled', 'rolled-back', 'blocked')""",
        _SHAPE,
    ),
    Invariant(
        "I8",
        "nothing starts after a stop (by fence, not by clock)",
        """SELECT c.id FROM tool_calls c JOIN runs r ON r.tenant = c.tenant AND r.id = c.run_id
           WHERE c.start_fence >= r.killed_fence""",
        _STOP,
    ),
    Invariant(
        "I8",
        "no attempt carries a fence of the time after a stop",
        """SELECT a.call_id, a.n FROM call_attempts a JOIN runs r ON r.tenant = a.tenant AND r.id = a.run_id
           WHERE a.fence >= r.killed_fence""",
        _STOP,
    ),
    Invariant(
        "I9",
        "an opaque call is attempted again only where the attempt before surely did nothing",
        """SELECT c.id, a.n FROM tool_calls c
           JOIN call_attempts a ON a.tenant = c.tenant AND a.call_id = c.id AND a.n > 1
           LEFT JOIN call_attempts p ON p.tenant = a.tenant AND p.call_id = a.call_id AND p.n = a.n - 1
           WHERE c.recovery = 'opaque' AND (p.status IS NULL OR p.status <> 'failed-safe')""",
        "An effect nobody can look up may have happened twice. Look at what the call works on, and report it.",
    ),
    Invariant(
        "I13",
        "a gated call started on its own approval, which it used up",
        """SELECT c.id FROM tool_calls c LEFT JOIN approvals a ON a.tenant = c.tenant AND a.id = c.approval_id
           WHERE c.needs_approval = 1 AND c.started_at IS NOT NULL AND (a.id IS NULL OR a.consumed_by IS NULL
           OR a.consumed_by <> c.id OR a.action_digest <> c.action_digest OR a.run_id <> c.run_id)""",
        _GATE,
    ),
    Invariant(
        "I13",
        "an approval is used up by one call, the one it was given for",
        """SELECT a.id FROM approvals a LEFT JOIN tool_calls c ON c.tenant = a.tenant AND c.id = a.consumed_by
           WHERE (a.status = 'consumed' OR a.consumed_by IS NOT NULL OR a.consumed_at IS NOT NULL)
           AND (a.status <> 'consumed' OR a.consumed_at IS NULL OR c.id IS NULL OR c.id <> a.call_id
           OR c.started_at IS NULL)""",
        _GATE,
    ),
    Invariant(
        "I14",
        "an approval is used after it was given and before its time is over",
        """SELECT id FROM approvals WHERE consumed_at IS NOT NULL AND (use_by IS NULL OR decided_at IS NULL
           OR consumed_at >= use_by + CAST(:grace AS BIGINT) OR consumed_at < decided_at - CAST(:grace AS BIGINT))""",
        f"{_GATE} If only clocks are apart, set them right.",
        timed=True,
    ),
    Invariant(
        "I15",
        "what is approved has its votes, in time, none of them by who asked for the run",
        """SELECT a.id FROM approvals a JOIN runs r ON r.tenant = a.tenant AND r.id = a.run_id
           WHERE a.kind = 'ask' AND a.status IN ('approved', 'consumed') AND (SELECT COUNT(*) FROM votes v
           WHERE v.tenant = a.tenant AND v.approval_id = a.id AND v.decision = 'approve' AND v.revoked_at IS NULL
           AND v.run_id = a.run_id AND v.at < a.expires_at AND (a.self_ok = 1 OR v.voter <> r.requester)) < a.quorum""",
        _GATE,
    ),
    Invariant(
        "I16",
        "a denial is final",
        """SELECT a.id FROM approvals a JOIN votes v ON v.tenant = a.tenant AND v.approval_id = a.id
           WHERE v.decision = 'deny' AND v.revoked_at IS NULL AND a.status IN ('approved', 'consumed')""",
        _GATE,
    ),
    Invariant(
        "I17",
        "what was denied, expired or revoked never starts",
        """SELECT c.id FROM tool_calls c JOIN approvals a ON a.tenant = c.tenant AND (a.id = c.approval_id
           OR a.call_id = c.id) WHERE a.status IN ('denied', 'expired', 'revoked', 'superseded')
           AND c.started_at IS NOT NULL""",
        _GATE,
    ),
    Invariant(
        "I18",
        "a call that succeeded has the files it has to leave",
        """SELECT c.id FROM tool_calls c WHERE c.status = 'succeeded' AND c.resolved_by IS NULL
           AND (SELECT COUNT(*) FROM artifacts f WHERE f.tenant = c.tenant AND f.call_id = c.id AND f.role = 'output')
           < c.required_artifacts""",
        "A result was recorded without its files. Run the step again, and report it.",
    ),
    Invariant(
        "I19",
        "each file has its blob, of the same size",
        """SELECT f.id FROM artifacts f LEFT JOIN blobs b ON b.tenant = f.tenant AND b.sha256 = f.sha256
           WHERE b.sha256 IS NULL OR b.size <> f.size""",
        _SHAPE,
    ),
    Invariant(
        "I20",
        # A call that a stop cut off inside the workspace stays unknown, and there is nothing of it to take back.
        "what is completed has no open call, and what is rolled back has no open effect",
        """SELECT r.id FROM runs r JOIN tool_calls c ON c.tenant = r.tenant AND c.run_id = r.id
           WHERE r.state IN ('completed', 'rolled-back') AND (c.status IN ('intent', 'started')
           OR (c.status = 'unknown' AND (r.state = 'completed' OR c.tier NOT IN ('read', 'workspace'))))""",
        "A run said that it was done while something of it was open. Look at the call, and report it.",
    ),
    Invariant(
        "I20",
        "what is rolled back has a rollback that was completed",
        """SELECT r.id FROM runs r LEFT JOIN runs c ON c.tenant = r.tenant AND c.id = r.rollback_id
           AND c.parent_id = r.id AND c.state = 'completed' WHERE r.state = 'rolled-back' AND c.id IS NULL""",
        "A run says that it was undone, and nothing has done it. Look at its log and at its effects, and report it.",
    ),
    Invariant(
        "I21",
        "an unknown outcome stops the run",
        """SELECT r.id FROM runs r JOIN tool_calls c ON c.tenant = r.tenant AND c.run_id = r.id
           WHERE c.status = 'unknown' AND r.state NOT IN ('blocked', 'failed', 'canceled', 'rolled-back')""",
        "A run went on although nobody knows what its call did. Stop it, look at the call, and report it.",
    ),
    Invariant(
        "I22",
        "a result comes only from an attempt's fence",
        """SELECT c.id FROM tool_calls c WHERE c.status IN ('succeeded', 'failed') AND c.resolved_by IS NULL
           AND NOT EXISTS (SELECT 1 FROM call_attempts a WHERE a.tenant = c.tenant AND a.call_id = c.id
           AND a.fence = c.end_fence) AND NOT EXISTS (SELECT 1 FROM events e WHERE e.tenant = c.tenant
           AND e.stream = c.run_id AND e.type = 'call-ended' AND e.fence = c.end_fence)""",
        _RACE,
    ),
    Invariant(
        "I23",
        "no budget is spent beyond its cap",
        """SELECT b.id FROM budgets b JOIN spend s ON s.tenant = b.tenant AND s.budget_id = b.id
           GROUP BY b.tenant, b.id, b.cap HAVING SUM(COALESCE(s.settled, s.reserved)) > b.cap""",
        "More was spent than allowed. Freeze what spends from it, and report it.",
    ),
    Invariant(
        "I24",
        "nothing is settled above what was reserved for it",
        "SELECT id FROM spend WHERE settled > reserved",
        "A reservation was too small for what it stood for. Report it with the model or tool it was for.",
    ),
    Invariant(
        "I25",
        "a run and all below it stay within the steps of the first",
        """SELECT root_id FROM runs GROUP BY tenant, root_id
           HAVING SUM(steps) > MAX(CASE WHEN id = root_id THEN step_cap ELSE 0 END)""",
        "A run took more steps than it may. Stop it, and report it.",
    ),
    Invariant(
        "I26",
        "one run per source key",
        "SELECT tenant, source_key FROM runs GROUP BY tenant, source_key HAVING COUNT(*) > 1",
        "One request became two runs. Stop one of them, and report it.",
    ),
    Invariant(
        "I27",
        "what came in is attended to within a minute",
        "SELECT dedupe_key FROM inbox WHERE processed_at IS NULL AND received_at < :minute_ago",
        f"Somebody's message or click waits. {_STUCK}",
        timed=True,
    ),
    Invariant(
        "I28",
        "what is to be said is said, or given up, within ten minutes",
        """SELECT id FROM outbox WHERE sent_at IS NULL AND dead_at IS NULL
           AND created_at < :ten_minutes_ago AND due_at < :ten_minutes_ago""",
        f"People are not told. Look whether Slack answers, and whether the bot runs. {_STUCK}",
        timed=True,
    ),
    Invariant(
        "I29",
        "what could go on is held by a living worker",
        """SELECT r.id FROM runs r LEFT JOIN workers w ON w.id = r.lease_owner
           WHERE r.killed_at IS NULL AND r.updated_at < :two_minutes_ago
           AND (r.due_at IS NULL OR r.due_at < :two_minutes_ago)
           AND r.state IN ('created', 'context-loaded', 'planning', 'executing')
           AND (w.id IS NULL OR w.until < :lease_gone
           OR (CAST(:boot_id AS VARCHAR) <> '' AND w.boot_id <> CAST(:boot_id AS VARCHAR)))""",
        f"A run stands still. {_STUCK}",
        timed=True,
    ),
    Invariant(
        "I30",
        "a run that waits for approval waits for something that can still be decided or used",
        """SELECT r.id FROM runs r WHERE r.state = 'waiting-for-approval' AND r.updated_at < :minute_ago
           AND NOT EXISTS (SELECT 1 FROM approvals a WHERE a.tenant = r.tenant AND a.run_id = r.id
           AND ((a.status = 'pending' AND a.expires_at > :minute_ago)
           OR (a.status = 'approved' AND a.use_by > :minute_ago)))""",
        f"A run waits for an answer that nobody can give. {_STUCK} Or stop it.",
        timed=True,
    ),
    Invariant(
        "I31",
        # What is frozen says so on its card alone: one word for a whole channel, not one for each run in it.
        "a blocked run says why, and has told its thread",
        """SELECT r.id FROM runs r WHERE r.state = 'blocked' AND (r.blocked_reason IS NULL
           OR (r.blocked_reason <> 'frozen' AND r.channel IS NOT NULL AND NOT EXISTS (SELECT 1 FROM outbox o
           WHERE o.tenant = r.tenant AND o.run_id = r.id AND o.kind IN ('slack.blocked', 'slack.question'))))""",
        "A run waits for a person who does not know. Tell whoever asked for it, and report it.",
    ),
    Invariant(
        "I32",
        "a late result is never applied",
        """SELECT l.id FROM late_results l JOIN tool_calls c ON c.tenant = l.tenant AND c.id = l.call_id
           WHERE c.end_fence = l.fence AND c.resolved_by IS NULL AND c.status = 'succeeded'""",
        _RACE,
    ),
    Invariant(
        "I37",
        "attempts count up, and their fences never go back",
        """SELECT a.call_id, a.n FROM call_attempts a LEFT JOIN call_attempts p
           ON p.tenant = a.tenant AND p.call_id = a.call_id AND p.n = a.n - 1
           WHERE a.n > 1 AND (p.n IS NULL OR p.fence > a.fence)""",
        _RACE,
    ),
)

NOT_HERE: tuple[tuple[str, str, str], ...] = (
    ("I10", "each idempotency key took effect once", "needs what the outside world has recorded"),
    ("I11", "no effect without a call that started", "needs what the outside world has recorded"),
    ("I12", "no effect under a fence that was lost", "needs what the outside world has recorded"),
    ("I33", "checkpoints of the log only grow", "not yet: the signed log is not there"),
    ("I41", "every finished history agrees with signed checkpoints", "not yet: the signed log is not there"),
)
"""Id, sentence, and why a database cannot answer it."""
