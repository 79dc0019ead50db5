"""The whole schema on one read (what Slack shows is in `shown_tables`, what people tell a run in `said_tables`): what
is stored, under which keys.

Times are milliseconds since 1970 UTC (`*_at`); money is integer micro-USD; JSON is canonical text (`*_json`).
Everything that belongs to a team's work has the tenant in its key; `workers`, `hosts`, `leaders` and `transitions`
belong to the installation. Migrations build exactly this; a test compares. Who writes what: runs, events, calls,
approvals, votes, inbox, outbox, spend only by the journal; workers, hosts, leaders, cards, sessions and streams by
`session.begin()`.
Secondary indexes end with the tenant: before PostgreSQL has statistics, it would take one that begins with it for any.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from core.record.states import BlockedReason, CallStatus, RunState
from core.store.columns import (
    index_where,
    json_text,
    key,
    keys,
    number,
    numbers,
    one_of,
    reference,
    references,
    sized,
    time_ms,
    times_ms,
)
from core.store.columns import metadata as metadata
from core.store.said_tables import answers as answers
from core.store.said_tables import steers as steers
from core.store.shown_tables import approval_cards as approval_cards
from core.store.shown_tables import cards as cards
from core.store.shown_tables import sessions as sessions
from core.store.shown_tables import streams as streams

runs = Table(
    "runs",
    metadata,
    *keys("tenant", "id", "root_id"),
    *references("parent_id", "root_agent", "rollback_id"),
    number("depth"),
    sized("source_key", 300, "what asked for it; one run per message or idempotency key"),
    *keys("agent", "agent_digest"),
    Column("text", Text, nullable=False, server_default=text("''")),
    sized("request_digest", 80, "digest of what was asked: same key, other request = refused", "''"),
    json_text("inputs_json"),
    json_text("plan_json", "[]"),
    json_text("authors_json", "[]"),
    key("requester"),
    reference("requester_slack"),
    *keys("salt", "policy_digest"),
    *references("team", "channel", "thread_ts", "message_ts"),
    key("state"),
    *numbers("version", "fence"),
    reference("lease_owner"),
    number("wake"),
    Column("due_at", BigInteger, comment="when a worker should look at it; null = not before somebody acts"),
    time_ms("deadline_at"),
    *numbers("retries", "event_seq"),
    Column("event_hash", String(64), nullable=False),
    time_ms("event_at", needed=True),
    number("steps"),
    number("step_cap", 200),
    number("ask_cap", 5),
    number("cost_micro_usd"),
    Column("budget_micro_usd", BigInteger, comment="what it may spend; null = nothing that costs money"),
    json_text("stalls_json", "[]"),
    json_text("allowance_json"),
    sized("steering", 20, "whose replies count: off, ask or auto", "'ask'"),
    reference("blocked_reason"),
    Column("blocked_detail", Text),
    Column("outcome", Text),
    *references("sandbox", "workspace_host", "holder_host"),
    time_ms("killed_at"),
    Column("killed_fence", BigInteger),
    reference("killed_by"),
    Column("kill_reason", Text),
    Column("kill_in_flight", Integer, nullable=False, server_default=text("0")),
    time_ms("stop_confirmed_at"),
    time_ms("created_at", needed=True),
    time_ms("updated_at", needed=True),
    time_ms("ended_at"),
    PrimaryKeyConstraint("tenant", "id"),
    UniqueConstraint("tenant", "source_key"),
    one_of("state", "state", RunState),
    one_of("blocked_reason", "blocked_reason", BlockedReason),
    CheckConstraint("(state = 'blocked') = (blocked_reason IS NOT NULL)", name="blocked_has_reason"),
    index_where("ix_runs_due", "due_at IS NOT NULL", "due_at"),
    index_where("ix_runs_lease_owner", "lease_owner IS NOT NULL", "lease_owner"),
    index_where("ix_runs_open", "ended_at IS NULL", "state", "blocked_reason", "tenant"),
    index_where("ix_runs_unconfirmed", "killed_at IS NOT NULL AND stop_confirmed_at IS NULL", "killed_at"),
    index_where("ix_runs_rollback", "rollback_id IS NOT NULL AND state <> 'rolled-back'", "rollback_id", "tenant"),
    Index("ix_runs_root_id", "root_id", "tenant"),
    Index("ix_runs_created_at", "created_at", "tenant"),
    Index("ix_runs_updated_at", "updated_at", "tenant"),
    Index("ix_runs_thread", "channel", "thread_ts", "tenant"),
)

transitions = Table("transitions", metadata, *keys("a", "b"), PrimaryKeyConstraint("a", "b"))

events = Table(
    "events",
    metadata,
    *keys("tenant", "stream"),
    Column("seq", BigInteger, nullable=False),
    time_ms("at", needed=True),
    key("type"),
    *references("from_state", "to_state"),
    *keys("actor_kind", "actor_id"),
    reference("model_version"),
    key("policy_version"),
    Column("fence", BigInteger, nullable=False),
    json_text("evidence", "[]"),
    Column("body", Text, nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    PrimaryKeyConstraint("tenant", "stream", "seq"),
    ForeignKeyConstraint(["from_state", "to_state"], ["transitions.a", "transitions.b"], name="fk_events_transition"),
)

documents = Table(
    "documents",
    metadata,
    *keys("tenant", "digest", "kind"),
    Column("body", Text, nullable=False),
    time_ms("created_at", needed=True),
    PrimaryKeyConstraint("tenant", "digest"),
    comment="playbooks, policies and channel contracts by content: what a run pinned stays readable",
)

tool_calls = Table(
    "tool_calls",
    metadata,
    *keys("tenant", "id", "run_id", "step"),
    *numbers("position", "ordinal", "generation"),
    *keys("tool", "tool_digest", "action_digest", "effect_digest"),
    Column("envelope", Text, nullable=False),
    Column("title", Text, nullable=False, server_default=text("''")),
    *keys("tier", "recovery"),
    Column("needs_approval", Integer, nullable=False, server_default=text("0")),
    reference("approval_id"),
    key("idem_key"),
    time_ms("idem_valid_until"),
    number("timeout_ms", 60000),
    key("status"),
    number("attempts"),
    Column("start_fence", BigInteger),
    time_ms("started_at"),
    Column("end_fence", BigInteger),
    time_ms("ended_at"),
    Column("result_json", Text),
    reference("result_digest"),
    Column("error", Text),
    number("required_artifacts"),
    reference("resolved_by"),
    Column("wait_json", Text, comment="of a wait: what it looks for, when it looks again and what it has seen"),
    time_ms("created_at", needed=True),
    PrimaryKeyConstraint("tenant", "id"),
    UniqueConstraint("tenant", "idem_key"),
    UniqueConstraint("tenant", "run_id", "step", "ordinal", "generation"),
    ForeignKeyConstraint(["tenant", "run_id"], ["runs.tenant", "runs.id"]),
    one_of("status", "status", CallStatus),
    one_of("recovery", "recovery", ("pure", "idempotent", "reconcilable", "opaque")),
    Index("ix_tool_calls_run_id", "run_id", "tenant"),
)

call_attempts = Table(
    "call_attempts",
    metadata,
    *keys("tenant", "call_id"),
    Column("n", Integer, nullable=False),
    *keys("run_id", "worker"),
    *references("host", "boot_id"),
    Column("fence", BigInteger, nullable=False),
    time_ms("started_at", needed=True),
    time_ms("ended_at"),
    reference("status"),
    Column("error", Text),
    PrimaryKeyConstraint("tenant", "call_id", "n"),
    UniqueConstraint("tenant", "call_id", "fence", "n"),
    ForeignKeyConstraint(["tenant", "call_id"], ["tool_calls.tenant", "tool_calls.id"]),
    Index("ix_call_attempts_run_id", "run_id", "tenant"),
)

late_results = Table(
    "late_results",
    metadata,
    *keys("tenant", "id", "run_id", "call_id"),
    Column("fence", BigInteger, nullable=False),
    key("status"),
    Column("result_json", Text),
    Column("error", Text),
    time_ms("at", needed=True),
    PrimaryKeyConstraint("tenant", "id"),
    Index("ix_late_results_run_id", "run_id", "tenant"),
)

approvals = Table(
    "approvals",
    metadata,
    *keys(
        "tenant", "id", "run_id", "call_id", "kind", "action_digest", "effect_digest", "policy_digest", "rule", "status"
    ),
    Column("quorum", Integer, nullable=False),
    Column("self_ok", Integer, nullable=False, server_default=text("0")),
    json_text("approvers_json", "[]"),
    time_ms("asked_at", needed=True),
    time_ms("expires_at", needed=True),
    *times_ms("use_by", "decided_at"),
    reference("consumed_by"),
    time_ms("consumed_at"),
    reference("superseded_by"),
    time_ms("remaining_ms"),
    number("use_within_ms", 900_000),
    Column("sentence", Text, nullable=False, server_default=text("''")),
    PrimaryKeyConstraint("tenant", "id"),
    ForeignKeyConstraint(["tenant", "call_id"], ["tool_calls.tenant", "tool_calls.id"]),
    one_of("status", "status", ("pending", "approved", "denied", "expired", "revoked", "superseded", "consumed")),
    CheckConstraint("quorum >= 1", name="quorum"),
    Index("ix_approvals_run_id", "run_id", "tenant"),
    Index("ix_approvals_status", "status", "expires_at"),
)

votes = Table(
    "votes",
    metadata,
    *keys("tenant", "approval_id", "voter", "run_id", "decision"),
    time_ms("at", needed=True),
    key("seen_digest"),
    Column("reason", Text),
    *references("inbox_key", "via"),
    time_ms("revoked_at"),
    PrimaryKeyConstraint("tenant", "approval_id", "voter"),
    ForeignKeyConstraint(["tenant", "approval_id"], ["approvals.tenant", "approvals.id"]),
    one_of("decision", "decision", ("approve", "deny")),
)

readings = Table(
    "readings",
    metadata,
    *keys("tenant", "approval_id", "reader"),
    Column("page", Integer, nullable=False),
    time_ms("at", needed=True),
    PrimaryKeyConstraint("tenant", "approval_id", "reader", "page"),
    comment="who opened which page of an action too long for a card",
)

people = Table(
    "people",
    metadata,
    *keys("tenant", "principal"),
    json_text("roles_json", "[]"),
    Column("usable", Integer, nullable=False),
    time_ms("checked_at", needed=True),
    PrimaryKeyConstraint("tenant", "principal"),
    comment="what Slack and the config said of a voter, and when; the worker cannot ask Slack",
)

blobs = Table(
    "blobs",
    metadata,
    *keys("tenant", "sha256"),
    Column("size", BigInteger, nullable=False),
    time_ms("created_at", needed=True),
    PrimaryKeyConstraint("tenant", "sha256"),
)

artifacts = Table(
    "artifacts",
    metadata,
    *keys("tenant", "id", "run_id"),
    reference("call_id"),
    key("role"),
    Column("name", Text, nullable=False),
    key("sha256"),
    Column("size", BigInteger, nullable=False),
    key("media_type"),
    time_ms("created_at", needed=True),
    PrimaryKeyConstraint("tenant", "id"),
    ForeignKeyConstraint(["tenant", "run_id"], ["runs.tenant", "runs.id"]),
    ForeignKeyConstraint(["tenant", "sha256"], ["blobs.tenant", "blobs.sha256"]),
    one_of("role", "role", ("input", "output", "context")),
    Index("ix_artifacts_run_id", "run_id", "tenant"),
    Index("ix_artifacts_sha256", "sha256", "tenant"),
)

inbox = Table(
    "inbox",
    metadata,
    key("tenant"),
    Column("dedupe_key", String(400), nullable=False),
    key("kind"),
    json_text("body_json"),
    reference("run_id"),
    time_ms("received_at", needed=True),
    time_ms("processed_at"),
    reference("outcome"),
    number("attempts"),
    PrimaryKeyConstraint("tenant", "dedupe_key"),
    index_where("ix_inbox_open", "processed_at IS NULL", "received_at"),
)

outbox = Table(
    "outbox",
    metadata,
    *keys("tenant", "id"),
    Column("dedupe_key", String(400), nullable=False),
    reference("run_id"),
    key("kind"),
    Column("lane", String(300), nullable=False, comment="rows of one lane are sent in order: team:channel:thread"),
    json_text("body_json"),
    time_ms("created_at", needed=True),
    time_ms("due_at", needed=True),
    number("attempts"),
    *times_ms("sent_at", "dead_at"),
    reference("result"),
    Column("last_error", Text),
    PrimaryKeyConstraint("tenant", "id"),
    UniqueConstraint("tenant", "dedupe_key"),
    index_where("ix_outbox_open", "sent_at IS NULL AND dead_at IS NULL", "due_at"),
    Index("ix_outbox_run_id", "run_id", "tenant"),
)

model_turns = Table(
    "model_turns",
    metadata,
    *keys("tenant", "run_id"),
    Column("n", Integer, nullable=False),
    key("requested_model"),
    *references("answering_model", "prompt_sha256", "answer_sha256"),
    number("format", 1),
    *numbers("input_tokens", "output_tokens", "cost_micro_usd", "reserved_micro_usd", "reserved_tokens", "fence"),
    Column("covers", Integer, comment="of a summary: how many answers it stands for"),
    reference("status"),
    Column("error", Text),
    time_ms("started_at", needed=True),
    time_ms("ended_at"),
    PrimaryKeyConstraint("tenant", "run_id", "n"),
)

budgets = Table(
    "budgets",
    metadata,
    *keys("tenant", "id", "scope", "scope_id", "unit", "period"),
    Column("cap", BigInteger, nullable=False),
    *numbers("used", "warned"),
    time_ms("created_at", needed=True),
    PrimaryKeyConstraint("tenant", "id"),
    UniqueConstraint("tenant", "scope", "scope_id", "unit", "period"),
    CheckConstraint("used <= cap", name="never_over_cap"),
)

spend = Table(
    "spend",
    metadata,
    *keys("tenant", "id", "budget_id", "run_id"),
    reference("call_id"),
    Column("reserved", BigInteger, nullable=False),
    Column("settled", BigInteger),
    time_ms("reserved_at", needed=True),
    time_ms("settled_at"),
    Column("lost", Integer, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("tenant", "id"),
    ForeignKeyConstraint(["tenant", "budget_id"], ["budgets.tenant", "budgets.id"]),
    CheckConstraint("settled IS NULL OR settled <= reserved", name="settle_within_reserve"),
    Index("ix_spend_budget_id", "budget_id", "tenant"),
    Index("ix_spend_run_id", "run_id", "tenant"),
)

loop_marks = Table(
    "loop_marks",
    metadata,
    *keys("tenant", "root_id"),
    Column("n", BigInteger, nullable=False),
    *keys("run_id", "action"),
    *references("outcome", "error_class"),
    Column("progress", Integer, nullable=False, server_default=text("0")),
    time_ms("at", needed=True),
    PrimaryKeyConstraint("tenant", "root_id", "n"),
)

freezes = Table(
    "freezes",
    metadata,
    *keys("tenant", "id", "scope", "scope_id", "frozen_by"),
    Column("reason", Text, nullable=False),
    time_ms("frozen_at", needed=True),
    time_ms("thawed_at"),
    reference("thawed_by"),
    PrimaryKeyConstraint("tenant", "id"),
    index_where("uq_freezes_open", "thawed_at IS NULL", "tenant", "scope", "scope_id", unique=True),
)

mcp_tools = Table(
    "mcp_tools",
    metadata,
    *keys("tenant", "server", "tool", "definition_digest"),
    Column("definition", Text, nullable=False),
    key("status"),
    time_ms("seen_at", needed=True),
    reference("accepted_by"),
    PrimaryKeyConstraint("tenant", "server", "tool", "definition_digest"),
)

contracts = Table(
    "contracts",
    metadata,
    *keys("tenant", "channel"),
    Column("version", Integer, nullable=False),
    *keys("digest", "changed_by"),
    time_ms("at", needed=True),
    PrimaryKeyConstraint("tenant", "channel", "version"),
)

workers = Table(
    "workers",
    metadata,
    *keys("id", "host", "boot_id"),
    Column("pid", Integer, nullable=False),
    key("version"),
    *references("sandbox", "lock"),
    Column("until", BigInteger, nullable=False, comment="PostgreSQL: its clock; SQLite: CLOCK_BOOTTIME of boot_id; ms"),
    time_ms("started_at", needed=True),
    time_ms("draining_at"),
    PrimaryKeyConstraint("id"),
)

hosts = Table(
    "hosts",
    metadata,
    *keys("host", "boot_id"),
    Column("reaper_pid", Integer),
    time_ms("seen_at", needed=True),
    PrimaryKeyConstraint("host"),
)

stop_reports = Table(
    "stop_reports",
    metadata,
    *keys("tenant", "run_id", "host"),
    reference("boot_id"),
    Column("killed_fence", BigInteger, nullable=False),
    Column("ended", Integer, nullable=False),
    Column("remaining", Integer, nullable=False),
    time_ms("at", needed=True),
    PrimaryKeyConstraint("tenant", "run_id", "host"),
)

leaders = Table(
    "leaders",
    metadata,
    *keys("name", "owner"),
    Column("until", BigInteger, nullable=False),
    PrimaryKeyConstraint("name"),
)
