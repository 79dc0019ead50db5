"""What the journal asks of a database: the port its SQLite and PostgreSQL forms share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from core.record.changes import Answer, Decided, Insert, Refusal, RunChange, Update
from core.record.rows import Snapshot
from core.record.states import DRIVEN, LONGEST_PAUSE_MS, RunState


class CommitUnknown(Exception):
    """The connection broke while a commit was under way: it may or may not have happened."""


class IsFrozen(Exception):
    """A command wants what an open freeze stops; nothing of it is written."""


FROZEN = Refusal("frozen", "An operator has frozen this. Nothing was changed; it can be done once it is thawed.")

Decide = Callable[[Sequence[Snapshot]], Decided | Refusal]
"""A pure command: the locked runs, ordered by id, to what should be committed."""


@dataclass(frozen=True)
class Target:
    """Which runs a command locks: one with its whole tree, the run of one approval, or none."""

    run_id: str | None = None
    approval_id: str | None = None
    source_key: str | None = None

    def where(self) -> tuple[str, tuple[Any, ...]]:
        """A condition on `runs` with the placeholders `{tenant}` and `{value}`, and the values after the tenant.

        The inner queries take the tenant as given rather than from the outer row: they are answered once, not per run.
        """
        if self.run_id is not None:
            inner = "SELECT x.root_id FROM runs x WHERE x.tenant = {tenant} AND x.id = {value}"
            return f"root_id = ({inner})", (self.run_id,)
        if self.approval_id is not None:
            inner = "SELECT a.run_id FROM approvals a WHERE a.tenant = {tenant} AND a.id = {value}"
            return f"id = ({inner})", (self.approval_id,)
        return "source_key = {value}", (self.source_key or "",)


@dataclass(frozen=True)
class Claim:
    """A worker asking for runs to drive."""

    worker: str
    now_ms: int
    boot_id: str
    boot_ms: int
    limit: int
    run_ids: tuple[str, ...] | None = None
    """Only these (rung for), or any that is due."""
    host: str | None = None
    """The worker's."""

    def where(self, mark: str) -> tuple[str, tuple[Any, ...]]:
        """The condition on `runs` that makes one claimable, without the lease part; `mark` is the placeholder."""
        moments = (self.now_ms, self.now_ms + LONGEST_PAUSE_MS)
        driven = ", ".join(f"'{state}'" for state in sorted(DRIVEN))
        decided = (
            "EXISTS (SELECT 1 FROM approvals a "
            "WHERE a.tenant = runs.tenant AND a.run_id = runs.id AND a.status = 'approved')"
        )
        condition = (
            f"killed_at IS NULL AND due_at IS NOT NULL AND (due_at <= {mark} OR due_at > {mark}) "
            f"AND (state IN ({driven}) OR (state = '{RunState.WAITING_FOR_APPROVAL}' AND {decided}))"
        )
        if self.run_ids is None:
            return condition, moments
        return f"{condition} AND id IN ({', '.join([mark] * len(self.run_ids))})", (*moments, *self.run_ids)


class Lane(Protocol):
    """A database as the journal uses it."""

    committers: int

    async def open(self) -> None: ...

    async def apply(self, changes: Sequence[RunChange]) -> list[Answer | None]:
        """Commit every change that may land, in one transaction; `None` = the row was locked, try in a later batch.

        Raises:
            CommitUnknown: the reply was lost; `settle_unknown` tells.
        """
        ...

    async def command(self, tenant: str, target: Target, decide: Decide) -> Decided | Refusal: ...

    async def record(self, writes: Sequence[Insert | Update]) -> list[int]: ...

    async def claim(self, claim: Claim) -> list[Snapshot]: ...

    async def settle_unknown(self, change: RunChange) -> Answer | None:
        """After a lost COMMIT reply: the answer if it landed, `None` if it did not."""
        ...

    async def close(self) -> None: ...
