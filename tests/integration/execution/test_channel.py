"""A program that is spoken to while it runs: at every level it finds the channel, and whoever holds the other end hears
when nothing of the call is left.
"""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace

from core.execution.base import CHANNEL, ProcessSpec
from core.execution.local import LocalEnvironment
from tests.patience import PATIENCE_S

Build = Callable[..., ProcessSpec]

ECHO = f"""
import os
while said := os.read({CHANNEL}, 100):
    os.write({CHANNEL}, said.upper())
print(os.path.exists("/proc/self/fd/{CHANNEL + 1}"))
"""
LINGERS = f"""
import os, time
if not os.fork():
    time.sleep(600)
os.write({CHANNEL}, b"here")
"""


async def hear(ours: socket.socket, count: int = 100) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        return await asyncio.get_running_loop().sock_recv(ours, count)


def pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return ours, theirs


async def test_a_program_answers_over_its_channel_while_it_runs(environment: LocalEnvironment, python: Build) -> None:
    ours, theirs = pair()
    running = asyncio.create_task(environment.run(replace(python(ECHO), channel=theirs)))
    for word in (b"one", b"two"):
        await asyncio.get_running_loop().sock_sendall(ours, word)
        assert word.upper() == await hear(ours)
    assert not running.done()

    ours.shutdown(socket.SHUT_WR)
    result = await running

    assert ("exited", 0, b"False\n") == (result.ended, result.exit_code, result.stdout), result
    assert b"" == await hear(ours)
    assert -1 == theirs.fileno(), "it was given away"
    ours.close()


async def test_the_channel_ends_with_the_last_process_of_the_call(environment: LocalEnvironment, python: Build) -> None:
    ours, theirs = pair()
    running = asyncio.create_task(environment.run(replace(python(LINGERS), channel=theirs)))

    assert b"here" == await hear(ours)
    assert b"" == await hear(ours)
    result = await running

    assert ("exited", 1) == (result.ended, result.processes_ended), result
    ours.close()


async def test_a_call_that_is_not_started_gives_its_channel_away_all_the_same(
    environment: LocalEnvironment, spec: Build
) -> None:
    ours, theirs = pair()

    result = await environment.run(replace(spec("no-such-program"), channel=theirs))

    assert "not-started" == result.ended
    assert b"" == await hear(ours)
    ours.close()


async def test_a_call_without_a_channel_has_no_descriptor_there(environment: LocalEnvironment, python: Build) -> None:
    result = await environment.run(python(f"import os; print(os.path.exists('/proc/self/fd/{CHANNEL}'))"))

    assert b"False\n" == result.stdout
