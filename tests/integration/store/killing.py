"""A process of its own that stops runs one after the other: `python -m tests.integration.store.killing URL`.

Prints `ready`, reads a JSON list of run ids, stops each as an operator once it has a few events, and prints as JSON
what it was told.
"""

import asyncio
import json
import sys
from functools import partial

from core.record.changes import Decided
from core.runs.commands.kill import kill
from core.store.lane import Target
from core.store.session import Database
from tests.factories import NOW_MS, OPERATOR, stored
from tests.patience import PATIENCE_S

_UNDER_WAY = 12
"""Events after which a run is in full swing."""


async def main(url: str) -> None:
    database = Database(url)
    print("ready", flush=True)
    answers = []
    for run_id in json.loads(await asyncio.to_thread(sys.stdin.readline)):
        async with asyncio.timeout(PATIENCE_S):
            while (await stored(database, run_id)).run.event_seq < _UNDER_WAY:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        decide = partial(kill, run_id=run_id, by=OPERATOR, reason="test", now_ms=NOW_MS)
        answer = await database.journal.command("main", Target(run_id=run_id), decide)
        answers.append("decided" if isinstance(answer, Decided) else answer.why)
    await database.close()
    print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
