"""Inbox, outbox, cards, budgets, freezes, models, workers and hosts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "answers",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("call_id", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=False),
        sa.Column("answered_by", sa.String(length=200), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body_json", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "call_id", name=op.f("pk_answers")),
        comment="typed answers to an agent's questions",
    )
    op.create_table(
        "budgets",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("scope_id", sa.String(length=200), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("period", sa.String(length=200), nullable=False),
        sa.Column("cap", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("warned", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("used <= cap", name=op.f("ck_budgets_never_over_cap")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_budgets")),
        sa.UniqueConstraint(
            "tenant", "scope", "scope_id", "unit", "period", name=op.f("uq_budgets_tenant_scope_scope_id_unit_period")
        ),
    )
    op.create_table(
        "cards",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=False),
        sa.Column("channel", sa.String(length=200), nullable=False),
        sa.Column("ts", sa.String(length=200), nullable=True),
        sa.Column("shown_version", sa.BigInteger(), server_default=sa.text("(-1)"), nullable=False),
        sa.Column("shown_at", sa.BigInteger(), nullable=True),
        sa.Column("stream_ts", sa.String(length=200), nullable=True),
        sa.Column("gone_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "run_id", name=op.f("pk_cards")),
    )
    op.create_table(
        "contracts",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("channel", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=200), nullable=False),
        sa.Column("changed_by", sa.String(length=200), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "channel", "version", name=op.f("pk_contracts")),
    )
    op.create_table(
        "freezes",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("scope_id", sa.String(length=200), nullable=False),
        sa.Column("frozen_by", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("frozen_at", sa.BigInteger(), nullable=False),
        sa.Column("thawed_at", sa.BigInteger(), nullable=True),
        sa.Column("thawed_by", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_freezes")),
    )
    with op.batch_alter_table("freezes", schema=None) as batch_op:
        batch_op.create_index("ix_freezes_open", ["scope_id", "scope", "tenant"], unique=False)

    op.create_table(
        "hosts",
        sa.Column("host", sa.String(length=200), nullable=False),
        sa.Column("boot_id", sa.String(length=200), nullable=False),
        sa.Column("reaper_pid", sa.Integer(), nullable=True),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_hosts")),
    )
    op.create_table(
        "inbox",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("dedupe_key", sa.String(length=400), nullable=False),
        sa.Column("kind", sa.String(length=200), nullable=False),
        sa.Column("body_json", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("processed_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(length=200), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "dedupe_key", name=op.f("pk_inbox")),
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_inbox_open",
            ["received_at"],
            unique=False,
            postgresql_where=sa.text("processed_at IS NULL"),
            sqlite_where=sa.text("processed_at IS NULL"),
        )

    op.create_table(
        "leaders",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leaders")),
    )
    op.create_table(
        "loop_marks",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("root_id", sa.String(length=200), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=200), nullable=False),
        sa.Column("outcome", sa.String(length=200), nullable=True),
        sa.Column("error_class", sa.String(length=200), nullable=True),
        sa.Column("progress", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "root_id", "n", name=op.f("pk_loop_marks")),
    )
    op.create_table(
        "mcp_tools",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("server", sa.String(length=200), nullable=False),
        sa.Column("tool", sa.String(length=200), nullable=False),
        sa.Column("definition_digest", sa.String(length=200), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=200), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("accepted_by", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "server", "tool", "definition_digest", name=op.f("pk_mcp_tools")),
    )
    op.create_table(
        "model_turns",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("requested_model", sa.String(length=200), nullable=False),
        sa.Column("answering_model", sa.String(length=200), nullable=True),
        sa.Column("prompt_sha256", sa.String(length=200), nullable=True),
        sa.Column("answer_sha256", sa.String(length=200), nullable=True),
        sa.Column("format", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cost_micro_usd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("status", sa.String(length=200), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "run_id", "n", name=op.f("pk_model_turns")),
    )
    op.create_table(
        "outbox",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("dedupe_key", sa.String(length=400), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=True),
        sa.Column("kind", sa.String(length=200), nullable=False),
        sa.Column(
            "lane",
            sa.String(length=300),
            nullable=False,
            comment="rows of one lane are sent in order: team:channel:thread",
        ),
        sa.Column("body_json", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("dead_at", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.String(length=200), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("tenant", "dedupe_key", name=op.f("uq_outbox_tenant_dedupe_key")),
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_outbox_open",
            ["due_at"],
            unique=False,
            postgresql_where=sa.text("sent_at IS NULL AND dead_at IS NULL"),
            sqlite_where=sa.text("sent_at IS NULL AND dead_at IS NULL"),
        )
        batch_op.create_index("ix_outbox_run_id", ["run_id", "tenant"], unique=False)

    op.create_table(
        "steers",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("artifact_id", sa.String(length=200), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("noted_at", sa.BigInteger(), nullable=True),
        sa.Column("used_by", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_steers")),
        comment="replies in the thread, queued for the next step",
    )
    with op.batch_alter_table("steers", schema=None) as batch_op:
        batch_op.create_index("ix_steers_run_id", ["run_id", "tenant"], unique=False)

    op.create_table(
        "stop_reports",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=False),
        sa.Column("host", sa.String(length=200), nullable=False),
        sa.Column("killed_fence", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.Integer(), nullable=False),
        sa.Column("remaining", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "run_id", "host", name=op.f("pk_stop_reports")),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("host", sa.String(length=200), nullable=False),
        sa.Column("boot_id", sa.String(length=200), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=200), nullable=False),
        sa.Column("sandbox", sa.String(length=200), nullable=True),
        sa.Column(
            "until",
            sa.BigInteger(),
            nullable=False,
            comment="PostgreSQL: its clock; SQLite: CLOCK_BOOTTIME of boot_id; ms",
        ),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("draining_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_table(
        "spend",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("budget_id", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=False),
        sa.Column("call_id", sa.String(length=200), nullable=True),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.BigInteger(), nullable=True),
        sa.Column("reserved_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("lost", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("settled IS NULL OR settled <= reserved", name=op.f("ck_spend_settle_within_reserve")),
        sa.ForeignKeyConstraint(
            ["tenant", "budget_id"], ["budgets.tenant", "budgets.id"], name=op.f("fk_spend_tenant_budget_id")
        ),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_spend")),
    )
    with op.batch_alter_table("spend", schema=None) as batch_op:
        batch_op.create_index("ix_spend_budget_id", ["budget_id", "tenant"], unique=False)
        batch_op.create_index("ix_spend_run_id", ["run_id", "tenant"], unique=False)
