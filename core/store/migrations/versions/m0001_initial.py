"""Runs and all that is recorded of them, the table of transitions and the events that nobody may change."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TRANSITIONS = """
    created: context-loaded, failed, canceled
    context-loaded: planning, blocked, failed, canceled
    planning: waiting-for-approval, executing, blocked, completed, failed, canceled
    waiting-for-approval: planning, executing, blocked, failed, canceled
    executing: planning, blocked, completed, failed, canceled
    blocked: planning, waiting-for-approval, failed, canceled
    completed: rolled-back
    failed: rolled-back
    canceled: rolled-back
"""

_IMMUTABLE = {
    "sqlite": [
        """CREATE TRIGGER events_no_update BEFORE UPDATE ON events
           BEGIN SELECT RAISE(ABORT, 'events are never changed'); END""",
        """CREATE TRIGGER events_no_delete BEFORE DELETE ON events
           BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END""",
    ],
    "postgresql": [
        """CREATE FUNCTION events_immutable() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'events are never changed or deleted'; END $$""",
        """CREATE TRIGGER events_no_change BEFORE UPDATE OR DELETE ON events
           FOR EACH ROW EXECUTE FUNCTION events_immutable()""",
        """CREATE TRIGGER events_no_truncate BEFORE TRUNCATE ON events
           FOR EACH STATEMENT EXECUTE FUNCTION events_immutable()""",
    ],
}


def upgrade() -> None:
    _tables()
    pairs = [line.split(":") for line in _TRANSITIONS.strip().splitlines()]
    rows = [{"a": a.strip(), "b": b.strip()} for a, targets in pairs for b in targets.split(",")]
    op.bulk_insert(sa.table("transitions", sa.column("a"), sa.column("b")), rows)
    for statement in _IMMUTABLE[op.get_bind().dialect.name]:
        op.execute(statement)


def _tables() -> None:
    op.create_table(
        "blobs",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("sha256", sa.String(length=200), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "sha256", name=op.f("pk_blobs")),
    )
    op.create_table(
        "documents",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "digest", name=op.f("pk_documents")),
        comment="playbooks, policies and channel contracts by content: what a run pinned stays readable",
    )
    op.create_table(
        "late_results",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=False),
        sa.Column("call_id", sa.String(length=200), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=200), nullable=False),
        sa.Column("result_json", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_late_results")),
    )
    with op.batch_alter_table("late_results", schema=None) as batch_op:
        batch_op.create_index("ix_late_results_run_id", ["run_id", "tenant"], unique=False)

    op.create_table(
        "runs",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("root_id", sa.String(length=200), nullable=False),
        sa.Column("parent_id", sa.String(length=200), nullable=True),
        sa.Column("depth", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "source_key",
            sa.String(length=300),
            nullable=False,
            comment="what asked for it; one run per message or idempotency key",
        ),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.Column("agent_digest", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.Column(
            "request_digest",
            sa.String(length=80),
            server_default=sa.text("('')"),
            nullable=False,
            comment="digest of what was asked: same key, other request = refused",
        ),
        sa.Column("inputs_json", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("plan_json", sa.Text(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("requester", sa.String(length=200), nullable=False),
        sa.Column("requester_slack", sa.String(length=200), nullable=True),
        sa.Column("salt", sa.String(length=200), nullable=False),
        sa.Column("policy_digest", sa.String(length=200), nullable=False),
        sa.Column("team", sa.String(length=200), nullable=True),
        sa.Column("channel", sa.String(length=200), nullable=True),
        sa.Column("thread_ts", sa.String(length=200), nullable=True),
        sa.Column("message_ts", sa.String(length=200), nullable=True),
        sa.Column("state", sa.String(length=200), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("fence", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_owner", sa.String(length=200), nullable=True),
        sa.Column("wake", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "due_at",
            sa.BigInteger(),
            nullable=True,
            comment="when a worker should look at it; null = not before somebody acts",
        ),
        sa.Column("deadline_at", sa.BigInteger(), nullable=True),
        sa.Column("retries", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("event_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("event_hash", sa.String(length=64), nullable=False),
        sa.Column("event_at", sa.BigInteger(), nullable=False),
        sa.Column("steps", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("step_cap", sa.BigInteger(), server_default=sa.text("(200)"), nullable=False),
        sa.Column("cost_micro_usd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("blocked_reason", sa.String(length=200), nullable=True),
        sa.Column("blocked_detail", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("sandbox", sa.String(length=200), nullable=True),
        sa.Column("workspace_host", sa.String(length=200), nullable=True),
        sa.Column("killed_at", sa.BigInteger(), nullable=True),
        sa.Column("killed_fence", sa.BigInteger(), nullable=True),
        sa.Column("killed_by", sa.String(length=200), nullable=True),
        sa.Column("kill_reason", sa.Text(), nullable=True),
        sa.Column("kill_in_flight", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("stop_confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(state = 'blocked') = (blocked_reason IS NOT NULL)", name=op.f("ck_runs_blocked_has_reason")
        ),
        sa.CheckConstraint(
            "blocked_reason IN ('question', 'ambiguous-effect', 'budget', 'loop', 'frozen', 'approval-expired', 'missing-secret', 'egress-denied', 'dependency-down', 'policy-error', 'artifact-integrity', 'model-error')",
            name=op.f("ck_runs_blocked_reason"),
        ),
        sa.CheckConstraint(
            "state IN ('created', 'context-loaded', 'planning', 'waiting-for-approval', 'executing', 'blocked', 'completed', 'failed', 'canceled', 'rolled-back')",
            name=op.f("ck_runs_state"),
        ),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_runs")),
        sa.UniqueConstraint("tenant", "source_key", name=op.f("uq_runs_tenant_source_key")),
    )
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.create_index(
            "ix_runs_due",
            ["due_at"],
            unique=False,
            postgresql_where=sa.text("due_at IS NOT NULL"),
            sqlite_where=sa.text("due_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_runs_lease_owner",
            ["lease_owner"],
            unique=False,
            postgresql_where=sa.text("lease_owner IS NOT NULL"),
            sqlite_where=sa.text("lease_owner IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_runs_unconfirmed",
            ["killed_at"],
            unique=False,
            postgresql_where=sa.text("killed_at IS NOT NULL AND stop_confirmed_at IS NULL"),
            sqlite_where=sa.text("killed_at IS NOT NULL AND stop_confirmed_at IS NULL"),
        )
        batch_op.create_index("ix_runs_created_at", ["created_at", "tenant"], unique=False)
        batch_op.create_index("ix_runs_root_id", ["root_id", "tenant"], unique=False)
        batch_op.create_index("ix_runs_updated_at", ["updated_at", "tenant"], unique=False)
        batch_op.create_index("ix_runs_thread", ["channel", "thread_ts", "tenant"], unique=False)

    op.create_table(
        "transitions",
        sa.Column("a", sa.String(length=200), nullable=False),
        sa.Column("b", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("a", "b", name=op.f("pk_transitions")),
    )
    op.create_table(
        "artifacts",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=False),
        sa.Column("call_id", sa.String(length=200), nullable=True),
        sa.Column("role", sa.String(length=200), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=200), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("role IN ('input', 'output', 'context')", name=op.f("ck_artifacts_role")),
        sa.ForeignKeyConstraint(
            ["tenant", "run_id"], ["runs.tenant", "runs.id"], name=op.f("fk_artifacts_tenant_run_id")
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "sha256"], ["blobs.tenant", "blobs.sha256"], name=op.f("fk_artifacts_tenant_sha256")
        ),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_artifacts")),
    )
    with op.batch_alter_table("artifacts", schema=None) as batch_op:
        batch_op.create_index("ix_artifacts_run_id", ["run_id", "tenant"], unique=False)
        batch_op.create_index("ix_artifacts_sha256", ["sha256", "tenant"], unique=False)

    op.create_table(
        "events",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("stream", sa.String(length=200), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=200), nullable=False),
        sa.Column("from_state", sa.String(length=200), nullable=True),
        sa.Column("to_state", sa.String(length=200), nullable=True),
        sa.Column("actor_kind", sa.String(length=200), nullable=False),
        sa.Column("actor_id", sa.String(length=200), nullable=False),
        sa.Column("model_version", sa.String(length=200), nullable=True),
        sa.Column("policy_version", sa.String(length=200), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("evidence", sa.Text(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("prev_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["from_state", "to_state"], ["transitions.a", "transitions.b"], name="fk_events_transition"
        ),
        sa.PrimaryKeyConstraint("tenant", "stream", "seq", name=op.f("pk_events")),
    )
    op.create_table(
        "tool_calls",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=False),
        sa.Column("step", sa.String(length=200), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("tool", sa.String(length=200), nullable=False),
        sa.Column("tool_digest", sa.String(length=200), nullable=False),
        sa.Column("action_digest", sa.String(length=200), nullable=False),
        sa.Column("effect_digest", sa.String(length=200), nullable=False),
        sa.Column("envelope", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.Column("tier", sa.String(length=200), nullable=False),
        sa.Column("recovery", sa.String(length=200), nullable=False),
        sa.Column("needs_approval", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("approval_id", sa.String(length=200), nullable=True),
        sa.Column("idem_key", sa.String(length=200), nullable=False),
        sa.Column("idem_valid_until", sa.BigInteger(), nullable=True),
        sa.Column("timeout_ms", sa.BigInteger(), server_default=sa.text("(60000)"), nullable=False),
        sa.Column("status", sa.String(length=200), nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("start_fence", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("end_fence", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("result_json", sa.Text(), nullable=True),
        sa.Column("result_digest", sa.String(length=200), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("required_artifacts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("resolved_by", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "recovery IN ('pure', 'idempotent', 'reconcilable', 'opaque')", name=op.f("ck_tool_calls_recovery")
        ),
        sa.CheckConstraint(
            "status IN ('intent', 'started', 'succeeded', 'failed', 'unknown', 'canceled')",
            name=op.f("ck_tool_calls_status"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "run_id"], ["runs.tenant", "runs.id"], name=op.f("fk_tool_calls_tenant_run_id")
        ),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_tool_calls")),
        sa.UniqueConstraint("tenant", "idem_key", name=op.f("uq_tool_calls_tenant_idem_key")),
        sa.UniqueConstraint(
            "tenant",
            "run_id",
            "step",
            "ordinal",
            "generation",
            name=op.f("uq_tool_calls_tenant_run_id_step_ordinal_generation"),
        ),
    )
    with op.batch_alter_table("tool_calls", schema=None) as batch_op:
        batch_op.create_index("ix_tool_calls_run_id", ["run_id", "tenant"], unique=False)

    op.create_table(
        "approvals",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=False),
        sa.Column("call_id", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=200), nullable=False),
        sa.Column("action_digest", sa.String(length=200), nullable=False),
        sa.Column("effect_digest", sa.String(length=200), nullable=False),
        sa.Column("policy_digest", sa.String(length=200), nullable=False),
        sa.Column("rule", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=200), nullable=False),
        sa.Column("quorum", sa.Integer(), nullable=False),
        sa.Column("self_ok", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("approvers_json", sa.Text(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("use_by", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("consumed_by", sa.String(length=200), nullable=True),
        sa.Column("consumed_at", sa.BigInteger(), nullable=True),
        sa.Column("superseded_by", sa.String(length=200), nullable=True),
        sa.Column("remaining_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'approved', 'denied', 'expired', 'revoked', 'superseded', 'consumed')",
            name=op.f("ck_approvals_status"),
        ),
        sa.CheckConstraint("quorum >= 1", name=op.f("ck_approvals_quorum")),
        sa.ForeignKeyConstraint(
            ["tenant", "call_id"], ["tool_calls.tenant", "tool_calls.id"], name=op.f("fk_approvals_tenant_call_id")
        ),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_approvals")),
    )
    with op.batch_alter_table("approvals", schema=None) as batch_op:
        batch_op.create_index("ix_approvals_status", ["status", "expires_at"], unique=False)
        batch_op.create_index("ix_approvals_run_id", ["run_id", "tenant"], unique=False)

    op.create_table(
        "call_attempts",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("call_id", sa.String(length=200), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=False),
        sa.Column("worker", sa.String(length=200), nullable=False),
        sa.Column("host", sa.String(length=200), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(length=200), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant", "call_id"], ["tool_calls.tenant", "tool_calls.id"], name=op.f("fk_call_attempts_tenant_call_id")
        ),
        sa.PrimaryKeyConstraint("tenant", "call_id", "n", name=op.f("pk_call_attempts")),
        sa.UniqueConstraint("tenant", "call_id", "fence", "n", name=op.f("uq_call_attempts_tenant_call_id_fence_n")),
    )
    with op.batch_alter_table("call_attempts", schema=None) as batch_op:
        batch_op.create_index("ix_call_attempts_run_id", ["run_id", "tenant"], unique=False)

    op.create_table(
        "votes",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("approval_id", sa.String(length=200), nullable=False),
        sa.Column("voter", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=False),
        sa.Column("decision", sa.String(length=200), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("seen_digest", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("inbox_key", sa.String(length=200), nullable=True),
        sa.Column("via", sa.String(length=200), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("decision IN ('approve', 'deny')", name=op.f("ck_votes_decision")),
        sa.ForeignKeyConstraint(
            ["tenant", "approval_id"], ["approvals.tenant", "approvals.id"], name=op.f("fk_votes_tenant_approval_id")
        ),
        sa.PrimaryKeyConstraint("tenant", "approval_id", "voter", name=op.f("pk_votes")),
    )
