"""The part of the schema that holds what people tell a run once it is under way: answers to its questions, replies in
its thread. See `tables`.
"""

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table, Text, text

from core.store.columns import json_text, keys, metadata, one_of, reference, sized, time_ms

answers = Table(
    "answers",
    metadata,
    *keys("tenant", "call_id", "run_id", "answered_by"),
    time_ms("at", needed=True),
    json_text("body_json"),
    PrimaryKeyConstraint("tenant", "call_id"),
    comment="typed answers to an agent's questions",
)

steers = Table(
    "steers",
    metadata,
    *keys("tenant", "id", "run_id", "author"),
    reference("slack_user"),
    Column("text", Text, nullable=False, server_default=text("''")),
    sized("digest", 80, "of the text", "''"),
    time_ms("at", needed=True),
    sized("status", 20, "asked (whether to take it up), taken or left", "'taken'"),
    reference("decided_by"),
    time_ms("noted_at"),
    reference("used_by"),
    PrimaryKeyConstraint("tenant", "id"),
    one_of("status", "status", ("asked", "taken", "left")),
    Index("ix_steers_run_id", "run_id", "tenant"),
    comment="replies in the thread, queued for the next step",
)
