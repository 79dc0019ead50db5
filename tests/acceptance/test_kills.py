"""Four ways to stop a runaway, each by another person who may, while something is broken: every time the whole process
tree is gone, the card says who asked and what was found, and whoever wakes up later changes nothing.
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from core.execution.labels import labelled
from core.execution.processes import read
from tests.acceptance.conftest import Builder
from tests.acceptance.house import ROOT, House, until
from tests.acceptance.team import DATA, Team, button, user, words
from tests.acceptance.test_stopping import busy
from tests.servers import PostgresServer

WAYS = {"button": "requester", "word": "operator", "reaction": "approver", "command": "approver2"}
"""Each way and who takes it."""

_SOCKET = ".s.PGSQL.5432"


async def stop(house: House, team: Team, root: str, run_id: str, way: str) -> None:
    """Ask for the stop."""
    who = WAYS[way]
    match way:
        case "button":
            await team.click(await team.card(root, "Running"), "Kill", who)
        case "word":
            await team.say("stop", thread=root, by=who)
        case "reaction":
            await team.act("reactions", user=user(who), channel=DATA, ts=root, name="x")
        case "command":
            done = await asyncio.to_thread(house.cli, "kill", run_id, "--as", who)
            assert f"Stop requested for run {run_id}. 1 tool call was in flight." in done.out


async def proved(house: House, run_id: str, way: str) -> dict[str, Any]:
    """Wait until nothing of the run is left and that is written down; what `show` says then."""

    def look() -> dict[str, Any] | None:
        shown = house.show(run_id)
        return shown if shown["stop"] and shown["stop"]["confirmed_at"] else None

    shown = await asyncio.to_thread(until, look, f"the stop of {run_id} to be proved")
    assert {} == labelled(run_id=run_id)
    assert ("canceled", WAYS[way]) == (shown["run"]["state"], shown["stop"]["by"])
    assert 1 == shown["stop"]["in_flight"]
    assert [] == shown["stop"]["unconfirmed_hosts"]
    assert 2 <= shown["stop"]["processes_ended"], "the busy one and the one that detached itself"
    assert ["unknown"] == [call["status"] for call in shown["stop"]["calls"]]
    return dict(shown)


async def shown_on_the_card(team: Team, root: str, way: str) -> None:
    """The card has both halves of the stop, and its button is gone."""
    card = await team.card(root, "Stop requested by", "Stop confirmed", "1 call was in flight", "In flight:", "shell")
    assert re.search(r"[1-9]\d* processes ended, nothing of it is left running", words(card))
    assert button(card, "Kill") is None
    if way != "command":
        await team.told(root, "Stop requested", WAYS[way])


def decided(house: House, run_id: str) -> tuple[Any, ...]:
    """Everything about a run that may not change any more, once its stop is proved."""
    shown = house.show(run_id)
    stop = {name: shown["stop"][name] for name in ("requested_at", "confirmed_at", "by", "reason", "in_flight")}
    calls = [(call["id"], call["status"], call["attempts"]) for call in shown["actions"]]
    return shown["run"]["state"], shown["run"]["outcome"], stop, calls, shown["artifacts"]


@contextmanager
def suspended(pid: int) -> Iterator[None]:
    """Let a process do nothing for a while."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: (process := read(pid)) is not None and process.state == "T", f"{pid} to be suspended")
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_with_the_worker_suspended(house: House, team: Team) -> None:
    runs = {way: await busy(house, team) for way in WAYS}
    with suspended(house.part("worker")):
        await asyncio.gather(*(_stopped(house, team, *runs[way], way) for way in WAYS))
        for _, run_id in runs.values():
            assert any(event["actor"].startswith("system:reaper:") for event in house.log(run_id))
        before = [decided(house, run_id) for _, run_id in runs.values()]

    # It has woken up when it does its work again.
    other = await asyncio.to_thread(house.ask, "report", "--file", str(house.csv()))
    await asyncio.to_thread(house.reaches, other, "completed")
    assert before == [decided(house, run_id) for _, run_id in runs.values()]
    for _, run_id in runs.values():
        assert {} == labelled(run_id=run_id)


async def test_with_redis_dead(new_house: Builder) -> None:
    house = new_house()
    async with Team(house.url) as team:
        runs = {way: await busy(house, team) for way in WAYS}
        with house.frozen():  # so that nobody starts Redis again
            os.kill(house.redis(), signal.SIGKILL)
            await asyncio.gather(*(_stopped(house, team, *runs[way], way) for way in WAYS))


async def test_with_slack_dead_from_the_command_line(new_house: Builder) -> None:
    house = new_house()
    async with Team(house.url) as team:
        root, run_id = await busy(house, team)
        with house.frozen():  # so that nobody starts the playground again
            os.kill(house.part("bot.playground"), signal.SIGKILL)
            await stop(house, team, root, run_id, "command")
            await proved(house, run_id, "command")
        await asyncio.to_thread(until, _answering(house), "the playground to come back")
        await shown_on_the_card(team, root, "command")


def _answering(house: House) -> Callable[[], bool]:
    def look() -> bool:
        try:
            return bool(house.part("bot.playground"))
        except AssertionError:
            return False

    return look


async def test_with_a_slow_database(new_house: Builder, postgres_server: PostgresServer) -> None:
    """A twentieth of a second for every message to the server and back, as on another continent."""
    there = make_url(postgres_server.create_database("slowly"))
    with tempfile.TemporaryDirectory(prefix="slow-") as directory:  # a socket's path has at most 107 bytes
        real = Path(str(there.query["host"])) / _SOCKET
        wire = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.slow_wire", str(real), str(Path(directory) / _SOCKET), "25"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert wire.stdout is not None
        try:
            assert b"ready\n" == wire.stdout.readline()
            slow = there.set(query={"host": directory}).render_as_string(hide_password=False)
            house = new_house(BANKSMAN_DATABASE_URL=slow)
            async with Team(house.url) as team:
                await asyncio.gather(*(_one_of_many(house, team, way) for way in WAYS))
            house.stop()
        finally:
            wire.kill()
            wire.wait()
            wire.stdout.close()


async def _one_of_many(house: House, team: Team, way: str) -> None:
    await _stopped(house, team, *await busy(house, team), way)


async def _stopped(house: House, team: Team, root: str, run_id: str, way: str) -> None:
    await stop(house, team, root, run_id, way)
    await proved(house, run_id, way)
    await shown_on_the_card(team, root, way)


async def test_who_may_not_is_told_so_while_the_worker_is_suspended(sqlite_house: House, team: Team) -> None:
    root, run_id = await busy(sqlite_house, team)
    with suspended(sqlite_house.part("worker")):
        await team.say("stop", thread=root, by="member")
        await team.told(root, "Only the person who asked for this run, its agent's approvers, or an operator", "member")
        assert sqlite_house.show(run_id)["stop"] is None
        await stop(sqlite_house, team, root, run_id, "command")
        await proved(sqlite_house, run_id, "command")
