"""What a batch that starts calls asks PostgreSQL about freezes: the newest word, and none while it commits.

The statement that commits a batch sees the database as of its beginning, and a freeze could commit after that. A
volatile function looks anew; the lock it takes until the batch is committed is the one a freeze takes for itself alone.
On SQLite one transaction writes at a time, so nothing is needed.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            """CREATE FUNCTION open_freezes() RETURNS SETOF freezes LANGUAGE plpgsql VOLATILE ROWS 10 AS $$
            BEGIN
                PERFORM pg_advisory_xact_lock_shared(1718773093);
                RETURN QUERY SELECT * FROM freezes WHERE thawed_at IS NULL;
            END $$"""
        )
