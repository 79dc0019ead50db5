"""What a call that is repeated until something is so waits for, and how far it is."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    comment = "of a wait: what it looks for, when it looks again and what it has seen"
    op.add_column("tool_calls", sa.Column("wait_json", sa.Text(), nullable=True, comment=comment))
