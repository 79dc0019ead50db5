"""Which run takes another one back: under way, or done."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_WHERE = "rollback_id IS NOT NULL AND state <> 'rolled-back'"


def upgrade() -> None:
    op.add_column("runs", sa.Column("rollback_id", sa.String(length=200), nullable=True))
    op.create_index(
        "ix_runs_rollback",
        "runs",
        ["rollback_id", "tenant"],
        postgresql_where=sa.text(_WHERE),
        sqlite_where=sa.text(_WHERE),
    )
