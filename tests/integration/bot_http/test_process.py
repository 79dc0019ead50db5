"""The bot as its own process in HTTP mode: started, asked, ended."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from tests.integration.bot_http.house import HttpHouse, encoded, mention
from tests.integration.bot_runtime.office import Team

ROOT = Path(__file__).resolve().parents[3]


async def _bot(house: HttpHouse) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | house.environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_it_says_when_it_listens_takes_a_request_and_ends_on_sigterm(house: HttpHouse, team: Team) -> None:
    process = await _bot(house)
    try:
        assert process.stdout is not None
        assert f"ready {process.pid}\n".encode() == await process.stdout.readline()

        assert 200 == (await house.post(encoded(mention()))).status
        await house.run()
        await team.card()

        process.send_signal(signal.SIGTERM)
        assert 0 == await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_on_a_port_that_is_taken_it_ends_with_a_sentence(house: HttpHouse) -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", house.port)
    async with server:
        process = await _bot(house)
        out, error = await process.communicate()

    assert (2, b"") == (process.returncode, out)
    last = error.decode().splitlines()[-1]
    assert f"cannot listen on 127.0.0.1, port {house.port}: Address already in use" in last
    assert "BANKSMAN_HTTP_PORT" in last
