"""The messages in which people read along while a model writes."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    words = [sa.Column(name, sa.String(200), nullable=False) for name in ("tenant", "run_id")]
    op.create_table(
        "streams",
        *words,
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(200), nullable=False),
        sa.Column("thread_ts", sa.String(200), nullable=False),
        sa.Column("ts", sa.String(200), nullable=True, comment="of the message; null = it may not be there yet"),
        sa.Column("begins", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("native", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("gone", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("tenant", "run_id", "turn", "part", name=op.f("pk_streams")),
        comment="messages that grow while a turn is being answered, and end with its whole text",
    )
    where = sa.text("closed_at IS NULL")
    op.create_index("ix_streams_open", "streams", ["opened_at", "tenant"], postgresql_where=where, sqlite_where=where)
