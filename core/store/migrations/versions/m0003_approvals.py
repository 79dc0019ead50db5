"""Where approvals are shown, who read them, what is known of voters."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("authors_json", sa.Text(), server_default=sa.text("'[]'"), nullable=False))
    op.add_column("runs", sa.Column("ask_cap", sa.BigInteger(), server_default=sa.text("(5)"), nullable=False))
    op.add_column(
        "approvals", sa.Column("use_within_ms", sa.BigInteger(), server_default=sa.text("(900000)"), nullable=False)
    )
    op.add_column("approvals", sa.Column("sentence", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.create_table(
        "approval_cards",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("approval_id", sa.String(length=200), nullable=False),
        sa.Column("channel", sa.String(length=200), nullable=False),
        sa.Column("ts", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=False),
        sa.Column("shown", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "approval_id", "channel", "ts", name=op.f("pk_approval_cards")),
        comment="every message that shows an approval, and the state it shows",
    )
    op.create_table(
        "readings",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("approval_id", sa.String(length=200), nullable=False),
        sa.Column("reader", sa.String(length=200), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "approval_id", "reader", "page", name=op.f("pk_readings")),
        comment="who opened which page of an action too long for a card",
    )
    op.create_table(
        "people",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("principal", sa.String(length=200), nullable=False),
        sa.Column("roles_json", sa.Text(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("usable", sa.Integer(), nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "principal", name=op.f("pk_people")),
        comment="what Slack and the config said of a voter, and when; the worker cannot ask Slack",
    )
