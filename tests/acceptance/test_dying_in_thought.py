"""A worker that dies while a model thinks: another one asks again, and what the first request may have cost is paid."""

import asyncio

import pytest

from tests.acceptance.crew import Crew, crew
from tests.acceptance.house import until
from tests.vendors import Say, openai_server

__all__ = ["crew"]

THINKING = """\
tools:
  files.write: {{tier: workspace, recovery: idempotent}}

models:
  main:
    provider: openai-compatible
    model: clever-1
    url: {url}
    price: {{input: "1.00", output: "10.00"}}

agents:
  - name: writer
    model: main
    tools: [files.write]
    budget: "1.00"
"""

WRITES = Say(calls=[("files-write", {"path": "note.txt", "content": "once"})], usage=(100, 50))
SAYS = Say("It is written.", usage=(100, 50))


@pytest.mark.parametrize(("point", "asked_before"), [("CP07", 0), ("CP08", 1)])
async def test_the_turn_is_paid_for_and_asked_again(crew: Crew, point: str, asked_before: int) -> None:
    # What was asked before the worker died is answered to nobody.
    async with openai_server(*[WRITES] * asked_before, WRITES, SAYS) as vendor:
        path = crew.home / "thinking.yml"
        path.write_text(THINKING.format(url=vendor.url))
        crew.settings["BANKSMAN_CONFIG"] = str(path)
        first = await asyncio.to_thread(crew.worker, "first", CHAOS=point)
        run_id = await asyncio.to_thread(crew.ask, "writer", "Write it down.")
        await asyncio.to_thread(until, lambda: first.poll() is not None, "the first worker to die")
        assert asked_before == len(vendor.asked)
        await asyncio.to_thread(crew.worker, "second")
        shown = await asyncio.to_thread(crew.reaches, run_id, "completed")

    assert asked_before + 2 == len(vendor.asked)
    lost, *rest = shown["turns"]
    assert ["lost", "answered", "answered"] == [turn["status"] for turn in shown["turns"]]
    assert lost["cost_micro_usd"] > 600, "all that was reserved, which is more than an answer costs"
    assert [600, 600] == [turn["cost_micro_usd"] for turn in rest]
    assert sum(turn["cost_micro_usd"] for turn in shown["turns"]) == shown["run"]["cost_micro_usd"]
    assert [("files.write", "succeeded", 1)] == [
        (call["tool"], call["status"], call["attempts"]) for call in shown["actions"]
    ]
