"""What a run may use beside money, and how many tokens a request to a model may take."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    zero = sa.text("0")
    op.add_column("model_turns", sa.Column("reserved_tokens", sa.BigInteger(), nullable=False, server_default=zero))
    op.add_column("runs", sa.Column("allowance_json", sa.Text(), nullable=False, server_default=sa.text("'{}'")))
