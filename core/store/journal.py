"""The journal: the only code that commits anything of a run.

Two ways in. A change comes from a lease holder (or creates a run) and is batched with whatever else is waiting: one
commit for all, an answer for each. A command (stop, decide, answer) is evaluated on the locked rows on a connection of
its own and never stands behind a batch. How rows are written is the lane's business (`apply_sqlite`, `apply_postgres`),
what is right to write is decided in `core.runs`.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from core import metrics
from core.record.changes import Answer, Decided, Insert, Refusal, Refused, RunChange, Update
from core.record.rows import Snapshot
from core.store import tally
from core.store.lane import Claim, CommitUnknown, Decide, Lane, Target

log = logging.getLogger(__name__)

MAX_BATCH = 200
"""Changes in one commit; beyond this a batch only gets later, not cheaper."""

_BUSY_PAUSE_S = 0.002
_MAX_LOST_REPLIES = 2


class JournalClosed(Exception):
    """A change came after the journal had stopped."""


@dataclass
class _Waiting:
    change: RunChange
    answer: asyncio.Future[Answer]
    tries: int = 0
    """How often its commit's reply was lost."""


def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class Journal:
    """Batches changes into commits; one per process and database."""

    lane: Lane
    commits: int = 0
    """Batches committed, for measurements."""
    _queue: deque[_Waiting] = field(default_factory=deque)
    _work: asyncio.Event = field(default_factory=asyncio.Event)
    _committers: list[asyncio.Task[None]] = field(default_factory=list)
    _in_flight: set[tuple[str, str]] = field(default_factory=set)
    _idle: asyncio.Event = field(default_factory=_set_event)
    _closed: bool = False

    async def commit(self, change: RunChange) -> Answer:
        """Commit one change with its neighbours.

        Returns:
            `Landed` once it is durable, or `Refused` with the reason; a refused change wrote nothing.

        Raises:
            CommitUnknown: the connection broke and the database stayed away: the change may be there or not. Whoever
                goes on reads the run again.
            JournalClosed: `close` was called before.
            Exception: what the database raised, if it is this change (and not a neighbour) that it cannot take. Then
                nothing of it was written.
        """
        if self._closed:
            raise JournalClosed("the journal is closed; nothing was written")
        self._start()
        waiting = _Waiting(change, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._idle.clear()
        self._work.set()
        return await waiting.answer

    async def command(self, tenant: str, target: Target, decide: Decide) -> Decided | Refusal:
        """Evaluate a pure command on the locked runs and commit what it wants, at once."""
        before: Sequence[Snapshot] = ()

        def seen(runs: Sequence[Snapshot]) -> Decided | Refusal:
            nonlocal before
            before = runs
            return decide(runs)

        answer = await self.lane.command(tenant, target, seen)
        tally.command(answer, before)
        return answer

    async def record(self, writes: Sequence[Insert | Update]) -> list[int]:
        """Write rows that belong to no run's change (an inbox row, a delivery's outcome); rows touched, each."""
        return await self.lane.record(writes)

    async def claim(self, claim: Claim) -> list[Snapshot]:
        """Take the leases of due runs; each comes back with its fence raised."""
        claimed = await self.lane.claim(claim)
        metrics.CLAIMS.inc(len(claimed))
        return claimed

    async def close(self) -> None:
        """Finish what is queued, then stop; a change that comes later raises `JournalClosed`."""
        if self._closed:
            return
        self._closed = True
        await self._idle.wait()
        for task in self._committers:
            task.cancel()
        for task in self._committers:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.lane.close()

    def _start(self) -> None:
        if not self._committers:
            self._committers = [
                asyncio.create_task(self._commit_forever(), name=f"journal-{n}") for n in range(self.lane.committers)
            ]

    async def _commit_forever(self) -> None:
        while True:
            await self._work.wait()
            batch = self._take()
            if not batch:
                self._work.clear()
                self._note_idle()
                continue
            try:
                await self._commit_batch(batch)
            finally:
                self._in_flight -= {_key(waiting) for waiting in batch}
                if self._queue:
                    self._work.set()
                self._note_idle()

    def _note_idle(self) -> None:
        if not self._queue and not self._in_flight:
            self._idle.set()

    def _take(self) -> list[_Waiting]:
        """Everything that waits, at most one change per run and none of a run another committer is writing.

        A change that takes something out of budgets is a batch of its own: if a budget has not that much left, only it
        is undone.
        """
        batch: list[_Waiting] = []
        later: list[_Waiting] = []
        while self._queue and len(batch) < MAX_BATCH:
            waiting = self._queue.popleft()
            if waiting.answer.cancelled():
                continue
            if _key(waiting) in self._in_flight or (waiting.change.holds and batch):
                later.append(waiting)
            elif waiting.change.holds:
                self._in_flight.add(_key(waiting))
                batch.append(waiting)
                break
            else:
                self._in_flight.add(_key(waiting))
                batch.append(waiting)
        self._queue.extendleft(reversed(later))
        return batch

    async def _commit_batch(self, batch: list[_Waiting]) -> None:
        began_s = time.monotonic()
        try:
            answers = await self.lane.apply([waiting.change for waiting in batch])
        except CommitUnknown as error:
            await self._after_lost_reply(batch, error)
            return
        except Exception as error:
            await self._one_by_one(batch, error)
            return
        self.commits += 1
        metrics.BATCHES.observe(len(batch))
        metrics.BATCH_S.observe(time.monotonic() - began_s)
        busy = [waiting for waiting, answer in zip(batch, answers, strict=True) if answer is None]
        for waiting, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Refused) and waiting.tries:
                # It may have been refused because of itself: the first try, whose reply was lost, was only slow.
                await self._settle(waiting, otherwise=answer)
            elif answer is not None:
                _answer(waiting, answer)
        if busy:
            # Somebody holds these rows, most likely a command; it is done in a moment.
            await asyncio.sleep(_BUSY_PAUSE_S)
            self._queue.extend(busy)

    async def _one_by_one(self, batch: list[_Waiting], error: Exception) -> None:
        """The database refused the batch as a whole: find the one it cannot take, so that it fails alone."""
        if len(batch) == 1:
            _fail(batch[0], error)
            return
        metrics.TROUBLES.labels("replayed").inc()
        log.warning(
            "a batch failed and is replayed one by one", extra={"action": "journal_replay", "changes": len(batch)}
        )
        for waiting in batch:
            await self._commit_batch([waiting])

    async def _after_lost_reply(self, batch: list[_Waiting], error: Exception) -> None:
        """The connection broke: each change may or may not be there. Read it back, never guess."""
        metrics.TROUBLES.labels("reply-lost").inc()
        log.warning("the commit's reply was lost", extra={"action": "journal_commit_unknown", "changes": len(batch)})
        gone: Exception | None = None
        for waiting in batch:
            if gone is None:
                try:
                    answer = await self.lane.settle_unknown(waiting.change)
                except Exception as unreachable:
                    gone = unreachable
            if gone is not None:
                _fail(waiting, CommitUnknown(f"{error}; then the database did not answer: {gone!r}"))
                continue
            if answer is not None:
                _answer(waiting, answer)
            elif waiting.tries < _MAX_LOST_REPLIES:
                waiting.tries += 1
                self._queue.append(waiting)
            else:
                _fail(waiting, error)

    async def _settle(self, waiting: _Waiting, *, otherwise: Answer) -> None:
        try:
            answer = await self.lane.settle_unknown(waiting.change)
        except Exception as unreachable:
            _fail(waiting, CommitUnknown(f"the database did not answer: {unreachable!r}"))
        else:
            _answer(waiting, answer or otherwise)


def _key(waiting: _Waiting) -> tuple[str, str]:
    return waiting.change.tenant, waiting.change.run_id


def _answer(waiting: _Waiting, answer: Answer) -> None:
    if not waiting.answer.done():
        waiting.answer.set_result(answer)
    tally.answered(waiting.change, answer)


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)
