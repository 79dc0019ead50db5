"""`python -m worker`: a worker process."""

import asyncio
import os
import sys
from pathlib import Path

from core.config.settings import Settings
from core.crashpoints import arm
from core.errors import BanksmanError
from core.logs import start_logging
from core.secrets import Redactor
from core.store.trouble import in_words
from worker.main import run
from worker.wiring import assembled


async def main() -> int:
    """Work until told to stop; 2 when it cannot start."""
    os.umask(0o077)
    arm(os.environ.get("CHAOS", ""))
    start_logging(Redactor())
    try:
        settings = Settings.from_env(os.environ, cwd=Path.cwd())
        async with assembled(settings) as worker:
            start_logging(worker.station.bench.redactor)
            await run(worker)
    except BanksmanError as error:
        print(error.user_text, file=sys.stderr)
        return 2
    except Exception as error:
        if (said := in_words(error)) is None:
            raise
        print(said, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
