"""A bot process that dies at a crash point, or is told to go: the next one finishes, and nothing happens twice."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing

import pytest
from sqlalchemy import delete, update

from bot.delivery.duty import Duty
from core.record.states import RunState
from core.store import workers
from core.store.tables import inbox, leaders
from core.store.turnstile import Door, connect
from tests import nursery
from tests.integration.bot_runtime.office import House, Running, Team, poll, words
from tests.patience import PATIENCE_S

Process = asyncio.subprocess.Process
Start = Callable[[str], Awaitable[Process]]


@pytest.fixture
async def start_process(house: House) -> AsyncIterator[Start]:
    """Starts `python -m bot` with a crash point armed: `await start_process("CP10@1")`."""
    started: list[Process] = []

    async def start(chaos: str) -> Process:
        process = await asyncio.create_subprocess_exec(
            *nursery.command("-m", "bot"),
            env={**house.environ, "PATH": os.environ["PATH"], "CHAOS": chaos},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        started.append(process)
        assert process.stdout is not None
        line = await process.stdout.readline()
        assert line.startswith(b"ready "), line
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _time_passes(house: House) -> None:
    """The dead bot's lead runs out, and what it stored has lain for a while."""
    async with house.database.begin() as connection:
        await connection.execute(delete(leaders))
    async with house.database.begin() as connection:
        await connection.execute(update(inbox).values(received_at=inbox.c.received_at - 20_000))


@pytest.mark.parametrize("point", ["CP01@1", "CP02@1", "CP10@1", "CP20@1"])
async def test_wherever_it_dies_there_is_one_run_one_card_and_one_ending(
    house: House, team: Team, start_process: Start, point: str
) -> None:
    process = await start_process(point)
    await team.say("@banksman idle")
    assert -signal.SIGKILL == await process.wait()
    await _time_passes(house)

    await house.start_bot()

    run = await house.run()
    await team.card()
    await house.completes(run.id)
    await team.hears(": completed after")
    await poll(lambda: _shows_end(team), "the card to show the end")
    assert 2 == len(await team.heard())


async def _shows_end(team: Team) -> bool:
    return "Completed" in words(await team.card())


async def test_an_ending_that_was_posted_by_a_bot_that_died_is_not_posted_again(
    house: House, team: Team, start_process: Start
) -> None:
    process = await start_process("CP20@2")
    await team.say("@banksman idle")
    run = await house.run()
    await team.card()
    await house.completes(run.id, "a.csv")
    assert -signal.SIGKILL == await process.wait()
    await _time_passes(house)

    await house.start_bot()

    await team.hears(": completed after")
    assert 3 == len(await team.heard())


async def test_a_click_stored_by_a_process_that_died_is_carried_out(
    house: House, team: Team, start_process: Start
) -> None:
    process = await start_process("CP11@1")
    await team.say("@banksman idle")
    await house.run()

    clicked = await team.click(await team.card(), "run_kill")

    assert not clicked["acked"]
    assert -signal.SIGKILL == await process.wait()
    await _time_passes(house)
    await house.start_bot()
    await house.run(RunState.CANCELED)
    await team.hears("Stop requested", user="U0REQUESTER")


async def _its_lead_lasts(house: House) -> None:
    """Waiting for the dead bot's lead to run out would take longer than any of these tests."""
    async with house.database.begin() as connection:
        await connection.execute(update(leaders).values(until=leaders.c.until + 80_000))


async def test_the_next_bot_knows_that_the_one_before_is_dead_and_does_not_wait(
    house: House, team: Team, start_process: Start
) -> None:
    process = await start_process("CP03@1")
    await team.say("@banksman idle")
    await house.run()
    clicked = await team.click(await team.card(), "run_kill")
    assert clicked["acked"], "from here on nobody but us knows of it"
    assert -signal.SIGKILL == await process.wait()
    await _its_lead_lasts(house)

    await house.start_bot()

    await house.run(RunState.CANCELED)
    await team.hears("Stop requested", user="U0REQUESTER")


async def test_a_bot_that_is_only_suspended_keeps_the_lead(house: House, team: Team, start_process: Start) -> None:
    process = await start_process("")
    await team.say("@banksman idle")
    await team.card()
    try:
        await _suspend_between_writes(house, process)
        leading = await workers.leader(house.database, "delivery:main")
        second = await house.start_bot()
        await poll(lambda: _looked(second), "the second one to look who leads")

        assert leading == await workers.leader(house.database, "delivery:main") != second.bot.id
    finally:
        process.send_signal(signal.SIGCONT)


async def _suspend_between_writes(house: House, process: Process) -> None:
    """Suspend it while nobody else can write: so it keeps neither the database nor its door. Its lead lasts."""
    assert house.database.path is not None
    door = Door(house.database.path, wait_s=PATIENCE_S)
    with closing(connect(house.database.path)) as ours:
        ours.execute("PRAGMA busy_timeout=5000")
        async with door.held():
            ours.execute("BEGIN IMMEDIATE")
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
            ours.execute("ROLLBACK")
    door.close()
    await _its_lead_lasts(house)


async def _looked(running: Running) -> bool:
    return await Duty(running.bot.office.desk, running.bot.id, running.bot.life).leads() is False


async def test_told_to_go_it_is_gone_within_seconds_and_leaves_nothing_undone(
    house: House, team: Team, start_process: Start
) -> None:
    process = await start_process("")
    await team.fault("hang", method="chat.postMessage", seconds=30)
    await team.say("@banksman idle")
    await house.run()

    process.terminate()
    async with asyncio.timeout(PATIENCE_S):
        assert 0 == await process.wait()

    await team.fault("clear")
    await house.start_bot()
    await team.card()
