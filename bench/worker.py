"""`python -m bench.worker`: a worker process as `python -m worker` is one, with the bench's tools in its toolbox."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from bench.tools import toolbox
from core.config.settings import Settings
from core.logs import start_logging
from core.secrets import Redactor
from worker.main import run
from worker.wiring import Worker, assembled


@asynccontextmanager
async def bench_worker(settings: Settings) -> AsyncIterator[Worker]:
    """The real worker; only what its runs may do is the bench's."""
    async with assembled(settings) as worker:
        rules, tools = worker.station.bench.rules, toolbox()
        bench = replace(worker.station.bench, rules=lambda: replace(rules(), toolbox=tools), most_open_asks=1_000_000)
        yield replace(worker, station=replace(worker.station, bench=bench))


async def main() -> int:
    """Work until told to stop."""
    start_logging(Redactor())
    settings = Settings.from_env(os.environ, cwd=Path.cwd())
    async with bench_worker(settings) as worker:
        await run(worker)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
