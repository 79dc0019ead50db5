"""Which file a worker holds a lock on for as long as its process lives."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("lock", sa.String(length=200), nullable=True))
