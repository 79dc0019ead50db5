"""Which host holds a run, or held it last: whoever stops the run has to hear from it, calls or not."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("holder_host", sa.String(length=200), nullable=True))
