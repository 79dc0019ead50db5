"""The part of the schema that says what Slack shows of a run: where it stands there, and what it last said.

Everything here can be drawn again from the runs; a row saves saying the same thing twice. See `tables`.
"""

from sqlalchemy import Column, Integer, PrimaryKeyConstraint, String, Table

from core.store.columns import index_where, keys, metadata, number, numbers, reference, time_ms

cards = Table(
    "cards",
    metadata,
    *keys("tenant", "run_id", "channel"),
    reference("ts"),
    number("shown_version", -1),
    time_ms("shown_at"),
    reference("stream_ts"),
    time_ms("gone_at"),
    PrimaryKeyConstraint("tenant", "run_id"),
)

approval_cards = Table(
    "approval_cards",
    metadata,
    *keys("tenant", "approval_id", "channel", "ts", "run_id", "shown"),
    PrimaryKeyConstraint("tenant", "approval_id", "channel", "ts"),
    comment="every message that shows an approval, and the state it shows",
)

sessions = Table(
    "sessions",
    metadata,
    *keys("tenant", "channel", "thread_ts"),
    reference("shown"),
    time_ms("shown_at", needed=True),
    PrimaryKeyConstraint("tenant", "channel", "thread_ts"),
    comment="what Slack's session of a thread last said while it is open; null = Slack did not take it",
)

streams = Table(
    "streams",
    metadata,
    *keys("tenant", "run_id"),
    Column("turn", Integer, nullable=False),
    Column("part", Integer, nullable=False),
    *keys("channel", "thread_ts"),
    Column("ts", String(200), comment="of the message; null = it may not be there yet"),
    *numbers("begins", "native"),
    time_ms("opened_at", needed=True),
    time_ms("closed_at"),
    number("gone"),
    PrimaryKeyConstraint("tenant", "run_id", "turn", "part"),
    index_where("ix_streams_open", "closed_at IS NULL", "opened_at", "tenant"),
    comment="messages that grow while a turn is being answered, and end with its whole text",
)
