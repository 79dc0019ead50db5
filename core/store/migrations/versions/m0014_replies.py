"""What people write in a run's thread, and whether it is taken up; whose replies count."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    modes = "whose replies count: off, ask or auto"
    op.add_column(
        "runs", sa.Column("steering", sa.String(20), nullable=False, server_default=sa.text("'ask'"), comment=modes)
    )
    words = "asked (whether to take it up), taken or left"
    with op.batch_alter_table("steers") as steers:
        # Nothing has ever been stored here.
        steers.drop_column("artifact_id")
        steers.add_column(sa.Column("slack_user", sa.String(200), nullable=True))
        steers.add_column(sa.Column("text", sa.Text(), nullable=False, server_default=sa.text("''")))
        steers.add_column(
            sa.Column("digest", sa.String(80), nullable=False, server_default=sa.text("''"), comment="of the text")
        )
        steers.add_column(
            sa.Column("status", sa.String(20), nullable=False, server_default=sa.text("'taken'"), comment=words)
        )
        steers.add_column(sa.Column("decided_by", sa.String(200), nullable=True))
        steers.create_check_constraint(op.f("ck_steers_status"), "status IN ('asked', 'taken', 'left')")
