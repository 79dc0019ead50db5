"""`python -m worker.reaper`: this host's reaper, a process of its own.

It reads the database every second and needs neither Redis nor a worker. One is at work on a host; another one stands by
and takes over when the first is gone.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from core.clock import SystemClock, boot_id, host_name
from core.config.settings import Settings
from core.errors import BanksmanError
from core.execution.hostfence import FENCES
from core.logs import start_logging
from core.runs.reaping import EVERY_S, Reaper
from core.secrets import Redactor
from core.store import schema
from core.store.session import Database
from worker.neighbours import REAPER_LOCK, WORKERS_LOCK, Lock

log = logging.getLogger("worker.reaper")

STANDBY_S = 0.5
"""How soon one that stands by notices that the one at work is gone."""

_LOOKS_WITHOUT_WORKERS = 3


async def serve(settings: Settings, *, stop: asyncio.Event, while_workers: bool) -> None:
    """Reap until `stop`.

    Args:
        while_workers: Whether nobody else looks after this process: then it ends by itself when the host has no worker
            any more, and at once when another reaper is at work.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    lock = Lock(settings.home / REAPER_LOCK)
    at_work = lock.take()
    if not at_work and while_workers:
        return
    print(f"ready {os.getpid()}", flush=True)
    if not at_work:
        log.info("another reaper serves this host; standing by", extra={"action": "reaper_stands_by"})
    while not at_work:
        if await _waited(stop, STANDBY_S):
            return
        at_work = lock.take()
    log.info("this host's reaper is at work", extra={"action": "reaper_ready"})
    database = Database(settings.database_url)
    try:
        fences, pid = settings.home / FENCES, os.getpid()
        reaper = Reaper(database, SystemClock(), host_name(), boot_id(), fences, pid)
        await _reap(reaper, Lock(settings.home / WORKERS_LOCK) if while_workers else None, stop)
    finally:
        await database.close()
        lock.release()


async def _reap(reaper: Reaper, workers: Lock | None, stop: asyncio.Event) -> None:
    failures = without = 0
    while without < _LOOKS_WITHOUT_WORKERS:
        try:
            found = await reaper.tick()
        except Exception as error:
            failures += 1
            if failures == 1:
                log.warning(
                    "the database cannot be read; nothing can be ended or proved until it can: %s", error,
                    exc_info=not isinstance(error, OSError), extra={"action": "reaper_blind"},
                )  # fmt: skip
        else:
            if failures:
                log.info("the database can be read again", extra={"action": "reaper_sees", "passes": failures})
            failures = 0
        if workers is not None:
            idle = workers.is_free() and (failures > 0 or not (found.stops or found.strays))
            without = without + 1 if idle else 0
        if await _waited(stop, EVERY_S):
            return


async def _waited(stop: asyncio.Event, seconds: float) -> bool:
    """Wait for `stop`, at most so long; whether it came."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def main(arguments: Sequence[str]) -> int:
    """Reap until told to stop; 2 when it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m worker.reaper")
    parser.add_argument("--while-workers", action="store_true", help="end when the host has no worker any more")
    asked = parser.parse_args(arguments)
    os.umask(0o077)
    start_logging(Redactor())
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        settings = Settings.from_env(os.environ, cwd=Path.cwd())
        await _check(settings)
        await serve(settings, stop=stop, while_workers=asked.while_workers)
    except BanksmanError as error:
        print(error.user_text, file=sys.stderr)
        return 2
    return 0


async def _check(settings: Settings) -> None:
    """Refuse a schema that is not ours. A database that does not answer is waited for: stops may come once it does."""
    database = Database(settings.database_url)
    try:
        await schema.check(database)
    except (OSError, TimeoutError):
        pass
    finally:
        await database.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
