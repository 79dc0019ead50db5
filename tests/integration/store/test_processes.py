"""Several processes on one database: two that commit, one that stops runs; and two that write one file flat out."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from core.store.session import Database
from core.store.turnstile import connect
from tests.factories import a_created_run
from tests.integration.store.looking import rows
from tests.invariants import broken

RUNS = 6
"""Per committer."""
STEPS = 15
STOPPED = 3
Start = Callable[..., Awaitable[asyncio.subprocess.Process]]
_ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
async def started() -> AsyncIterator[Start]:
    """Starts a module of this folder and waits until it is ready; whatever still runs at the end is ended."""
    running: list[asyncio.subprocess.Process] = []

    async def start(module: str, *argv: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"tests.integration.store.{module}",
            *argv,
            cwd=_ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 22,
        )
        running.append(process)
        assert "ready" == await line(process)
        return process

    yield start
    for process in running:
        assert process.stdin is not None
        process.stdin.close()
        if process.returncode is None:
            process.kill()
        await process.wait()
        # The transport closes in the next rounds of the loop.
        await asyncio.sleep(0)


async def test_two_committers_and_a_killer_never_break_a_chain_or_tell_a_lie(
    database: Database, database_url: str, started: Start
) -> None:
    every = [(await a_created_run(database)).run.id for _ in range(2 * RUNS)]
    one, two, killer = await asyncio.gather(
        started("committing", database_url, "w1", str(RUNS), str(STEPS)),
        started("committing", database_url, "w2", str(RUNS), str(STEPS)),
        started("killing", database_url),
    )
    stopped = every[:: len(every) // STOPPED][:STOPPED]
    told = await asyncio.gather(
        finished(one, [every, stopped]), finished(two, [every, stopped]), finished(killer, stopped)
    )
    answers = [tuple(answer) for committer in told[:2] for answer in committer]
    assert ["decided"] * STOPPED == told[2]

    # Every answer is true: what was answered as landed is there, and nothing else is.
    events = await rows(database, "SELECT stream, seq, hash, type, fence FROM events ORDER BY stream, seq")
    there = {(event["stream"], event["seq"], event["hash"]) for event in events}
    assert {answer[:3] for answer in answers if answer[3] == "landed"} <= there
    assert set() == {answer[:3] for answer in answers if answer[3] != "landed"} & there
    assert {"landed", "stale", "fenced", "killed"} <= {answer[3] for answer in answers}

    # No broken chain, no gap, no transition that is not in the table, nothing under a stopped run's old fence.
    assert [] == await broken(database)
    for _, listed in groupby(events, key=lambda event: event["stream"]):
        stream = list(listed)
        assert list(range(1, len(stream) + 1)) == [event["seq"] for event in stream]
        stops = [n for n, event in enumerate(stream) if event["type"] == "stop-requested"]
        if stops:
            after = {event["type"] for event in stream[stops[0] :]}
            assert after <= {"stop-requested", "state", "call-canceled", "stop-confirmed", "late-result"}
    ended = await rows(database, "SELECT id, state, lease_owner FROM runs WHERE killed_at IS NOT NULL ORDER BY id")
    assert [(run, "canceled", None) for run in sorted(stopped)] == [tuple(run.values()) for run in ended]
    # And what nobody stopped went all the way.
    calls = await rows(database, "SELECT run_id, count(*) AS n FROM tool_calls GROUP BY run_id")
    done = {call["run_id"]: call["n"] for call in calls}
    assert {STEPS} == {done[run_id] for run_id in every if run_id not in stopped}


async def test_two_processes_that_write_one_file_flat_out_both_get_their_turns(tmp_path: Path, started: Start) -> None:
    path = tmp_path / "turns.db"
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE turns (n INTEGER PRIMARY KEY AUTOINCREMENT, who TEXT)")
    writers = [await started("turning", str(path), who, "400") for who in ("a", "b")]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
    assert ["done", "done"] == [await line(writer) for writer in writers]
    assert [0, 0] == [await writer.wait() for writer in writers]
    with closing(connect(path)) as connection:
        order = [who for (who,) in connection.execute("SELECT who FROM turns ORDER BY n")]
    # From the moment both write, neither is kept out: each has its share.
    together = order[max(order.index("a"), order.index("b")) + 1 :]
    assert len(together) >= 400
    assert all(together.count(who) >= 60 for who in "ab"), (together.count("a"), together.count("b"))


async def finished(process: asyncio.subprocess.Process, told: list[Any]) -> list[Any]:
    """Tell it about the runs, wait for its answer and for its end."""
    assert process.stdin is not None
    process.stdin.write(json.dumps(told).encode() + b"\n")
    answer = json.loads(await line(process))
    assert 0 == await process.wait()
    return list(answer)


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()
