"""A worker that dies just after it began a run below another one: there is one such run, and it is waited for."""

import asyncio

from sqlalchemy import text

from core.store.session import Database
from tests.acceptance.crew import Crew, crew
from tests.acceptance.house import until
from tests.invariants import broken

__all__ = ["crew"]

HANDING_OVER = """\
tools:
  delegate: {tier: read, recovery: idempotent}
  files.write: {tier: workspace, recovery: pure}

models:
  leading: {provider: script, script: leading.yml}
  counting: {provider: script, script: counting.yml}

agents:
  - name: lead
    model: leading
    tools: [files.write]
    delegates: [counter]
  - name: counter
    description: Counts.
    model: counting
    tools: [files.write]
"""

LEADING = """\
- calls:
    - {id: part, tool: delegate, with: {agent: counter, request: Count them.}}
- text: It says ${{ steps.part.out.outcome }}
"""

COUNTING = """\
- calls:
    - {tool: files.write, with: {path: count.txt, content: "3"}}
- text: There are 3.
"""

_BELOW = text("SELECT id FROM runs WHERE parent_id = :id")


async def test_another_worker_finds_the_run_below_and_waits_for_it(crew: Crew) -> None:
    for name, content in (("banksman", HANDING_OVER), ("leading", LEADING), ("counting", COUNTING)):
        (crew.home / f"{name}.yml").write_text(content)
    crew.settings["BANKSMAN_CONFIG"] = str(crew.home / "banksman.yml")
    first = await asyncio.to_thread(crew.worker, "first", CHAOS=crew.order("CP17~idempotent.kill"))
    run_id = await asyncio.to_thread(crew.ask, "lead", "How many are there?")
    await asyncio.to_thread(until, lambda: first.poll() is not None, "the first worker to die")
    before = await below(crew, run_id)
    await asyncio.to_thread(crew.worker, "second")
    shown = await asyncio.to_thread(crew.reaches, run_id, "completed", "failed", "blocked")

    assert ("completed", True) == (shown["run"]["state"], "It says There are 3." in shown["run"]["outcome"])
    assert 1 == len(before), "it was begun before the worker died"
    assert before == await below(crew, run_id)
    assert [("delegate", "succeeded")] == [(call["tool"], call["status"]) for call in shown["actions"]]
    (made,) = (await asyncio.to_thread(crew.show, before[0]))["actions"]
    assert ("files.write", "succeeded", 1) == (made["tool"], made["status"], made["attempts"])


async def below(crew: Crew, run_id: str) -> list[str]:
    """The runs below one, in a database in which every invariant holds."""
    database = Database(crew.database_url)
    try:
        assert [] == await broken(database)
        async with database.read() as connection:
            return list((await connection.execute(_BELOW, {"id": run_id})).scalars())
    finally:
        await database.close()
