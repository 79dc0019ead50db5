"""A change being written: transitions, facts and rows collected in order, sealed at the end.

Used by `steps` and by the commands so that every transition is checked against the table and recorded exactly once,
wherever it is decided.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.principals import Actor
from core.record.changes import Hold, Insert, RunChange, Update, change
from core.record.events import EventDraft
from core.record.rows import Snapshot, dumps
from core.record.states import BlockedReason, RunState, allowed


class Draft:
    """One change to one run; nothing happens until `seal`."""

    def __init__(self, snapshot: Snapshot, actor: Actor, *, model_version: str | None = None) -> None:
        self.snapshot = snapshot
        self.state = snapshot.run.run_state
        self.run: dict[str, Any] = {}
        self.freezable: str | None = None
        """The tool of the call this starts, asks people about or lets lapse."""
        self.holds: tuple[Hold, ...] = ()
        """What it takes out of budgets or gives back."""
        self._actor = actor
        self._model = model_version
        self._events: list[EventDraft] = []
        self._inserts: list[Insert] = []
        self._updates: list[Update] = []

    def move(self, to: RunState, *evidence: Mapping[str, Any], actor: Actor | None = None) -> None:
        """Record a transition; leaving `blocked` clears its reason."""
        if not allowed(self.state, to):
            raise ValueError(f"a run does not go from {self.state} to {to}")
        if self.state is RunState.BLOCKED:
            self._let_on(to, actor or self._actor)
            self.run |= {"blocked_reason": None, "blocked_detail": None}
        self._event("state", evidence, actor, self.state, to)
        self.state = to

    def block(self, reason: BlockedReason, detail: str, *evidence: Mapping[str, Any]) -> None:
        """Record that only a person can help now, and how, and tell them; give the lease back.

        Whoever blocks it with a question asks it.
        """
        self.move(RunState.BLOCKED, {"reason": reason.value}, *evidence)
        self.run |= {"blocked_reason": reason.value, "blocked_detail": detail, "due_at": None, "lease_owner": None}
        if reason is not BlockedReason.QUESTION:
            self.offer("slack.blocked", f"blocked:{self.snapshot.run.id}:{self.snapshot.run.version}", {})

    def end(self, state: RunState, outcome: str, *evidence: Mapping[str, Any], now_ms: int) -> None:
        """Record that the run is over, tell its thread, and give the lease back."""
        self.move(state, *evidence)
        self.run |= {"outcome": outcome, "ended_at": now_ms, "due_at": None, "lease_owner": None}
        self.deliver("slack.ending", f"ending:{self.snapshot.run.id}", {})

    def fact(
        self, type_: str, *evidence: Mapping[str, Any], actor: Actor | None = None, model: str | None = None
    ) -> None:
        """Record something that is not a transition."""
        self._event(type_, evidence, actor, None, None, model)

    def insert(self, table: str, values: Mapping[str, Any]) -> None:
        """Add a row that lands with this change."""
        self._inserts.append(Insert(table, values))

    def update(self, table: str, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """Change a row with this change."""
        self._updates.append(Update(table, {"tenant": self.snapshot.run.tenant, **key}, values))

    def deliver(self, kind: str, dedupe_key: str, body: Mapping[str, Any]) -> None:
        """Queue something for the run's thread, once whatever happens; runs without a thread say nothing."""
        run = self.snapshot.run
        if run.channel is not None:
            self._inserts.append(
                delivery(run.tenant, run.id, run.team, run.channel, run.thread_ts, kind, dedupe_key, body, 0)
            )

    def offer(self, kind: str, dedupe_key: str, body: Mapping[str, Any]) -> None:
        """Queue something with buttons, which `over` will find by the version that the run has now."""
        self.deliver(kind, dedupe_key, {**body, "version": self.snapshot.run.version})

    def over(self, what: str, **said: Any) -> None:
        """Queue that the last message of a kind has nothing left to be pressed, and is drawn anew."""
        run = self.snapshot.run
        self.offer("slack.over", f"over:{what}:{run.id}:{run.version}", {"of": what, **said})

    def tell(self, kind: str, dedupe_key: str, body: Mapping[str, Any], *, lane: str, after_ms: int = 0) -> None:
        """Queue something that has no thread of its own, once, and not before `after_ms` from now."""
        run = self.snapshot.run
        insert = delivery(run.tenant, run.id, None, "", None, kind, dedupe_key, body, after_ms)
        # A row that has not been tried is due at once; this one begins as a later try of itself.
        values = {**insert.values, "lane": lane, "attempts": 1 if after_ms else 0}
        self._inserts.append(Insert("outbox", values))

    def seal(self, *, now_ms: int, owner: str | None = None) -> RunChange:
        """Link the events and return the write."""
        # Outbox rows are sent in the order of their stamps, which a clock that was set back must not turn round.
        stamp_ms = max(now_ms, self.snapshot.run.updated_at)
        inserts = tuple(_stamped(insert, stamp_ms, n) for n, insert in enumerate(self._inserts))
        sealed = change(
            self.snapshot,
            tuple(self._events),
            now_ms=now_ms,
            run=self.run,
            inserts=inserts,
            updates=tuple(self._updates),
            owner=owner,
            freezable=self.freezable,
        )
        return replace(sealed, holds=self.holds) if self.holds else sealed

    def _let_on(self, to: RunState, actor: Actor) -> None:
        run = self.snapshot.run
        if run.blocked_reason in (None, BlockedReason.FROZEN):
            return  # a freeze has a word of its own
        by = actor.id if actor.kind == "human" else None
        said = "slack.question" if run.blocked_reason == BlockedReason.QUESTION else "slack.blocked"
        self.over(said, by=by, to=to.value, reason=run.blocked_reason, detail=run.blocked_detail)

    def _event(
        self,
        type_: str,
        evidence: tuple[Mapping[str, Any], ...],
        actor: Actor | None,
        source: RunState | None,
        target: RunState | None,
        model: str | None = None,
    ) -> None:
        self._events.append(
            EventDraft(
                type=type_,
                actor=actor or self._actor,
                policy_version=self.snapshot.run.policy_digest,
                from_state=source,
                to_state=target,
                model_version=model or self._model,
                evidence=evidence,
            )
        )


def delivery(
    tenant: str,
    run_id: str | None,
    team: str | None,
    channel: str,
    thread_ts: str | None,
    kind: str,
    dedupe_key: str,
    body: Mapping[str, Any],
    now_ms: int,
) -> Insert:
    """An outbox row; rows of one lane are sent in the order of their ids, which is the order of commits."""
    return Insert(
        "outbox",
        {
            "tenant": tenant,
            "id": _outbox_id(now_ms, 0, dedupe_key),
            "dedupe_key": dedupe_key,
            "run_id": run_id,
            "kind": kind,
            "lane": f"{team or ''}:{channel}:{thread_ts or ''}",
            "body_json": dumps(dict(body)),
            "created_at": now_ms,
            "due_at": now_ms,
        },
    )


def _stamped(insert: Insert, now_ms: int, n: int) -> Insert:
    if insert.table != "outbox":
        return insert
    key, after_ms = insert.values["dedupe_key"], insert.values["due_at"]
    stamp = {"id": _outbox_id(now_ms, n, key), "created_at": now_ms, "due_at": now_ms + after_ms}
    return Insert("outbox", {**insert.values, **stamp})


def _outbox_id(now_ms: int, n: int, dedupe_key: str) -> str:
    return f"out_{now_ms:013d}_{n:03d}_{dedupe_key}"


def merged(first: RunChange, second: RunChange) -> RunChange:
    """Two consecutive changes of one run as one commit; the second was computed on what the first would leave."""
    return RunChange(
        tenant=first.tenant,
        run_id=first.run_id,
        version=first.version,
        fence=first.fence,
        run={**first.run, **second.run},
        events=first.events + second.events,
        inserts=first.inserts + second.inserts,
        updates=first.updates + second.updates,
        owner=first.owner,
        freezable=second.freezable or first.freezable,
        holds=first.holds + second.holds,
    )
