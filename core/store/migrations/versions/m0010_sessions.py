"""What Slack's own session of each thread last said, so that a bot that starts does not say it again."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("channel", sa.String(length=200), nullable=False),
        sa.Column("thread_ts", sa.String(length=200), nullable=False),
        sa.Column("shown", sa.String(length=200), nullable=True),
        sa.Column("shown_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "channel", "thread_ts", name=op.f("pk_sessions")),
        comment="what Slack's session of a thread last said while it is open; null = Slack did not take it",
    )
