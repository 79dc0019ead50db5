"""A part as its own process, with its pages for operators, asked as a probe would ask."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[3]
ASK_WITHIN_S = 5.0


@dataclass
class Part:
    """A bot or worker that runs."""

    process: asyncio.subprocess.Process
    url: str
    session: aiohttp.ClientSession

    async def ask(self, page: str) -> tuple[int, dict[str, Any]]:
        """Status and body of a health page; `TimeoutError` if there is no answer as long as a probe waits."""
        async with asyncio.timeout(ASK_WITHIN_S), self.session.get(f"{self.url}{page}") as answer:
            return answer.status, json.loads(await answer.text())

    async def checks(self) -> dict[str, str]:
        """State of every check of `/readyz`."""
        _, body = await self.ask("/readyz")
        return {name: check["state"] for name, check in body["checks"].items()}

    async def becomes(self, condition: Callable[[int, dict[str, Any]], bool]) -> dict[str, Any]:
        """Ask `/readyz` until it says that; never is an answer late."""
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_S
        while True:
            status, body = await self.ask("/readyz")
            if condition(status, body):
                return body
            assert loop.time() < until, body
            await asyncio.sleep(0.1)

    async def ready(self) -> dict[str, Any]:
        """Wait until it is ready."""
        return await self.becomes(lambda status, _: status == 200)

    async def unready(self, check: str) -> dict[str, Any]:
        """Wait until it is not, for this reason."""
        return await self.becomes(lambda status, body: status == 503 and body["checks"][check]["state"] == "failed")

    async def metrics(self) -> Mapping[str, float]:
        """Every sample, as `name{label=value,…}`."""
        async with asyncio.timeout(ASK_WITHIN_S), self.session.get(f"{self.url}/metrics") as answer:
            text = await answer.text()
        found = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
                found[f"{sample.name.removeprefix('banksman_')}{{{labels}}}"] = sample.value
        return found


@asynccontextmanager
async def running(module: str, home: Path, **settings: str) -> AsyncIterator[Part]:
    """Start a part, wait until it serves, and end it."""
    mine = {"BANKSMAN_HOME": str(home), "BANKSMAN_METRICS_PORT": "0", **settings}
    log = home / f"{module}.log"
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]} | mine,
            stdout=asyncio.subprocess.PIPE,
            stderr=file,
        )
    try:
        assert process.stdout is not None
        said = [(await process.stdout.readline()).decode().strip() for _ in range(2)]
        assert said[0].startswith("metrics http://127.0.0.1:"), (said, log.read_text())
        assert f"ready {process.pid}" == said[1]
        async with aiohttp.ClientSession() as session:
            yield Part(process, said[0].removeprefix("metrics "), session)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        await process.communicate()
