"""A process of its own that commits to a database as a worker does, for the tests of several processes.

`python -m tests.integration.store.committing URL WORKER RUNS STEPS` claims RUNS runs, prints `ready` and reads as JSON
the lists of all runs and of those that somebody will stop. It drives the latter until it is refused and the others for
STEPS steps, and prints as JSON how each change was answered: `[[run, seq, hash, answer], …]`. On the way it also writes
notes onto runs of others (which makes their next change stale) and tries what it must not.
"""

import asyncio
import json
import sys
from random import Random

from core.principals import Actor
from core.record.changes import Answer, Landed, RunChange, change
from core.record.events import EventDraft
from core.record.rows import Snapshot
from core.store import workers
from core.store.lane import Claim
from core.store.session import Database
from tests.factories import BOOT_ID, IDS, NOW_MS, call_started, identity, stored


class Committer:
    """One worker that drives runs and keeps a list of what it was told."""

    def __init__(self, database: Database, worker: str, steps: int) -> None:
        self.database = database
        self.worker = worker
        self.steps = steps
        self.told: list[tuple[str, int, str, str]] = []
        self.random = Random(worker)

    async def commit(self, asked: RunChange) -> Answer:
        answer = await self.database.journal.commit(asked)
        last = asked.events[-1]
        said = "landed" if isinstance(answer, Landed) else answer.why
        self.told.append((asked.run_id, last.seq, last.hash, said))
        return answer

    async def drive(self, snapshot: Snapshot, others: list[str], *, until_stopped: bool) -> None:
        step = 0
        while until_stopped or step < self.steps:
            asked = call_started(snapshot, f"{self.worker}-{step}", worker=self.worker)
            answer = await self.commit(asked)
            if isinstance(answer, Landed):
                snapshot, step = snapshot.folded(asked), step + 1
            elif answer.why == "stale":
                fresh = await stored(self.database, snapshot.run.id)
                # Stopped in the meantime: nothing can be derived from it any more, so the old one is tried and refused.
                snapshot = snapshot if fresh.run.killed_at is not None else fresh
            else:
                return
            if others and self.random.random() < 0.2:
                await self.bother(self.random.choice(others))

    async def bother(self, run_id: str) -> None:
        """Write a note onto somebody else's run, and try to write as its holder."""
        theirs = await stored(self.database, run_id)
        await self.commit(change(theirs, (self.note(theirs),), now_ms=NOW_MS))
        await self.commit(change(theirs, (self.note(theirs),), now_ms=NOW_MS, owner=self.worker))

    def note(self, snapshot: Snapshot) -> EventDraft:
        """A fact like no other, so that its hash tells whether exactly it was written."""
        actor, evidence = Actor.system(self.worker), ({"note": len(self.told)}, {"salt": IDS.salt()})
        return EventDraft("late-result", actor, snapshot.run.policy_digest, evidence=evidence)


async def main(url: str, worker: str, how_many: int, steps: int) -> None:
    database = Database(url)
    await workers.register(database, identity(worker), lock=None, boot_ms=1_000_000, lease_ms=120_000, now_ms=NOW_MS)
    claimed = await database.journal.claim(Claim(worker, NOW_MS, BOOT_ID, 1_000_000, limit=how_many))
    print("ready", flush=True)
    every, stopped = json.loads(await asyncio.to_thread(sys.stdin.readline))
    mine = {snapshot.run.id for snapshot in claimed}
    committer = Committer(database, worker, steps)
    others = [run_id for run_id in every if run_id not in mine]
    await asyncio.gather(
        *(committer.drive(snapshot, others, until_stopped=snapshot.run.id in stopped) for snapshot in claimed)
    )
    await database.close()
    print(json.dumps(committer.told), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
