"""What a request to a model may cost, under which fence it was sent and what went wrong; what a run may spend, and where it stalled."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("reserved_micro_usd", "fence"):
        op.add_column("model_turns", sa.Column(name, sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    covers = "of a summary: how many answers it stands for"
    op.add_column("model_turns", sa.Column("covers", sa.Integer(), nullable=True, comment=covers))
    op.add_column("model_turns", sa.Column("error", sa.Text(), nullable=True))
    empty = sa.text("'[]'")
    op.add_column("runs", sa.Column("stalls_json", sa.Text(), nullable=False, server_default=empty))
    comment = "what it may spend; null = nothing that costs money"
    op.add_column("runs", sa.Column("budget_micro_usd", sa.BigInteger(), nullable=True, comment=comment))
