"""Whose run is at the top of a run's tree, so that a freeze of that agent covers all of it."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("root_agent", sa.String(200), nullable=True))
    op.execute(
        "UPDATE runs SET root_agent = (SELECT top.agent FROM runs AS top WHERE top.tenant = runs.tenant"
        " AND top.id = runs.root_id) WHERE parent_id IS NOT NULL"
    )
