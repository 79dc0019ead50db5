"""What stays between the calls of a run: it is asked again, and gone before anybody else can have the run in hand."""

import asyncio
import json
import socket
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from core.execution.base import ProcessResult, SandboxLevel
from core.execution.local import SupervisorLost
from core.ids import TENANT
from core.record.changes import Decided
from core.record.states import RunState
from core.runs.commands.kill import kill
from core.store.lane import Target
from core.tools.base import ToolContext, ToolResult
from core.tools.residents import Residents
from tests.factories import NOW_MS, OPERATOR
from tests.integration.worker.conftest import Probe, Rig, step, succeed
from tests.patience import PATIENCE_S


def ended_with(processes_ended: int) -> ProcessResult:
    return ProcessResult(
        ended="killed" if processes_ended else "exited", exit_code=None, signal=None, stdout=b"", stderr=b"",
        stdout_bytes=0, stderr_bytes=0, stdout_file=None, stderr_file=None, duration_s=0.0, limit=None,
        processes_ended=processes_ended, level=SandboxLevel.NONE, enforced=(), detail="",
    )  # fmt: skip


@dataclass
class Counter:
    """A program that counts what it is asked, in this process, and says how the run stood when it ended."""

    rig: Rig
    run_id: str = ""
    begun: int = 0
    asked: int = 0
    at_its_end: list[tuple[str | None, list[str]]] = field(default_factory=list)
    """The holder of the run, and what became of its calls."""
    stops: list[bool] = field(default_factory=list)
    """Whether it was ended, or left."""

    async def run(self, directory: Path, channel: socket.socket, stop: asyncio.Event) -> ProcessResult:
        self.begun += 1
        assert directory.is_dir()
        ours, count = channel.dup(), 0
        ours.setblocking(False)
        stopping = asyncio.ensure_future(stop.wait())
        loop = asyncio.get_running_loop()
        while True:
            hearing = asyncio.ensure_future(loop.sock_recv(ours, 1000))
            await asyncio.wait({hearing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not hearing.done() or not hearing.result():
                break
            count += 1
            self.asked += 1
            await loop.sock_sendall(ours, json.dumps({"count": count}).encode() + b"\n")
        row = await self.rig.row(self.run_id)
        self.at_its_end.append((row.run.lease_owner, [call.status for call in row.calls]))
        self.stops.append(stop.is_set())
        hearing.cancel()
        stopping.cancel()
        ours.close()
        return ended_with(int(stop.is_set()))

    async def count(self, probe: Probe, context: ToolContext) -> ToolResult:
        """Ask it once more."""
        assert context.residents is not None
        self.run_id = context.label.run_id
        heard = await context.residents.ask(
            "counter", self.run, b"next", call_id=context.label.call_id, timeout_s=PATIENCE_S, kill=context.kill
        )
        return ToolResult("succeeded", json.loads(heard.said))


@pytest.fixture
def counter(rig: Rig) -> Counter:
    found = Counter(rig)
    rig.tool("count", found.count)
    return found


def counts(calls: object) -> list[int]:
    return [json.loads(call.result_json or "{}").get("count") for call in calls if call.tool == "count"]  # type: ignore[attr-defined]


async def test_it_stays_from_step_to_step_and_is_gone_before_the_run_is_given_back(rig: Rig, counter: Counter) -> None:
    rig.tool("other", succeed)
    driver = await rig.start()
    run_id = await rig.ask(step("one", "count"), step("two", "other"), step("three", "count"))

    view = await rig.drive(run_id)

    assert RunState.COMPLETED == view.state
    assert [1, 2] == counts((await rig.row(run_id)).calls)
    assert 1 == counter.begun
    ((holder, calls),) = counter.at_its_end
    assert holder is not None, "the run was still in hand"
    assert ["succeeded"] * 3 == calls, "what had happened was durable by then"
    assert [False] == counter.stops
    assert [] == driver.driving


async def test_it_is_gone_while_the_run_waits_for_people(rig: Rig, counter: Counter) -> None:
    rig.tool("risky", succeed, tier="irreversible", recovery="opaque")
    await rig.start()
    run_id = await rig.ask(step("one", "count"), step("two", "risky"))

    view = await rig.drive(run_id)

    assert RunState.WAITING_FOR_APPROVAL == view.state
    ((holder, _),) = counter.at_its_end
    assert holder is not None


async def test_a_worker_that_is_told_to_go_leaves_it_at_a_step_boundary(rig: Rig, counter: Counter) -> None:
    async def drains(probe: Probe, context: ToolContext) -> ToolResult:
        assert rig.station is not None
        if len(probe.contexts) == 1:
            rig.station.draining.set()
        return ToolResult("succeeded")

    rig.tool("drains", drains)
    driver = await rig.start()
    run_id = await rig.ask(step("one", "count"), step("two", "drains"), step("three", "count"))
    await rig.drive(run_id)
    await driver.drain(PATIENCE_S)

    left = (await rig.row(run_id)).run
    assert (RunState.PLANNING, None) == (left.run_state, left.lease_owner)
    await rig.start()
    assert RunState.COMPLETED == (await rig.drive(run_id)).state
    assert [1, 1] == counts((await rig.row(run_id)).calls)
    assert 2 == counter.begun


async def test_a_stop_ends_it_at_once_and_counts_it(rig: Rig, counter: Counter) -> None:
    async def stopped(probe: Probe, context: ToolContext) -> ToolResult:
        decide = partial(kill, run_id=context.label.run_id, by=OPERATOR, reason="test", now_ms=NOW_MS)
        answer = await rig.database.journal.command(TENANT, Target(run_id=context.label.run_id), decide)
        assert isinstance(answer, Decided)
        assert rig.driver is not None
        await rig.driver.check_stopped()
        return ToolResult("succeeded")

    rig.tool("stopped", stopped)
    await rig.start()
    run_id = await rig.ask(step("one", "count"), step("two", "stopped"), step("three", "count"))

    view = await rig.drive(run_id)

    assert RunState.CANCELED == view.state
    assert [True] == counter.stops
    assert 1 == counter.asked
    assert view.stop is not None
    assert (True, 1) == (view.stop.confirmed_at_ms is not None, view.stop.processes_ended)


async def test_what_was_said_before_the_end_counts_though_nobody_listened(tmp_path: Path) -> None:
    """A request may have left by the time its call is stopped: the word that it has must not be lost."""
    residents, stopped = Residents(tmp_path), asyncio.Event()

    async def says_and_hangs(directory: Path, channel: socket.socket, stop: asyncio.Event) -> ProcessResult:
        with channel.dup() as ours:
            ours.setblocking(False)
            loop = asyncio.get_running_loop()
            assert b"go\n" == await loop.sock_recv(ours, 100)
            await loop.sock_sendall(ours, b"sent\n")
            await stop.wait()
        return ended_with(0)

    stopped.set()
    heard = await residents.ask("it", says_and_hangs, b"go", call_id="c", timeout_s=PATIENCE_S, kill=stopped)

    assert heard.result is not None
    assert ("sent\n", "killed") == (heard.said, heard.result.ended)


async def test_a_program_that_was_lost_between_two_calls_is_no_trouble_of_the_next(tmp_path: Path) -> None:
    residents, begun = Residents(tmp_path), []

    async def is_lost(directory: Path, channel: socket.socket, stop: asyncio.Event) -> ProcessResult:
        begun.append(directory)
        ours = channel.dup()
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_recv(ours, 100)
        await loop.sock_sendall(ours, b"{}\n")
        ours.close()
        raise SupervisorLost("somebody ended it")

    for _ in range(2):
        heard = await residents.ask("it", is_lost, b"go", call_id="c", timeout_s=PATIENCE_S, kill=asyncio.Event())
        assert ("{}\n", None) == (heard.said, heard.result)
        while residents.any:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert 2 == len(begun)
    assert 0 == await residents.end(at_once=False)
    assert [] == list(tmp_path.iterdir())
