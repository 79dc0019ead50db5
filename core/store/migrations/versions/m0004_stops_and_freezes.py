"""Which boot of a host ran an attempt and which one reported a stop; one open freeze for each scope."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("call_attempts", sa.Column("boot_id", sa.String(length=200), nullable=True))
    op.add_column("stop_reports", sa.Column("boot_id", sa.String(length=200), nullable=True))
    op.drop_index("ix_freezes_open", "freezes")
    op.create_index(
        "uq_freezes_open",
        "freezes",
        ["tenant", "scope", "scope_id"],
        unique=True,
        postgresql_where=sa.text("thawed_at IS NULL"),
        sqlite_where=sa.text("thawed_at IS NULL"),
    )
