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
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path

from core.clock import SystemClock, boot_id, host_name
from core.config.settings import Settings
from core.errors import BanksmanError
from core.execution.hostfence import FENCES
from core.logs import start_logging
from core.ops.health import Health, works
from core.ops.server import serving
from core.periodic import Pulse
from core.runs.reaping import EVERY_S, Reaper
from core.runs.takeover import Here
from core.secrets import Redactor
from core.store import schema
from core.store.session import Database
from core.store.standing import database_check
from worker.deaths import PATIENCE_S, Neighbours
from worker.neighbours import Lock, reaper_lock, workers_lock

log = logging.getLogger("worker.reaper")

STANDBY_S = 0.5
"""How soon one that stands by notices that the one at work is gone."""

_LOOKS_WITHOUT_WORKERS = 3
_STUCK_S = 120.0
_REAPED_WITHIN_S = 15.0


async def serve(settings: Settings, *, stop: asyncio.Event, while_workers: bool) -> None:
    """Reap until `stop`.

    Args:
        while_workers: Whether nobody else looks after this process: then it ends by itself when the host has no worker
            any more, and at once when another reaper is at work.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    lock = Lock(reaper_lock(settings.home))
    if not lock.take() and while_workers:
        return
    database = Database(settings.database_url)
    # Until it is at work there is no loop that could be stuck.
    pulse = Pulse("reaping", _STUCK_S, over=True)
    # One that a worker has started has no port of its own: the one in its environment is that worker's.
    place = None if while_workers else settings.metrics_at
    try:
        async with serving(place, _health(database, pulse, is_stopping=stop.is_set)):
            print(f"ready {os.getpid()}", flush=True)
            if not await _at_work(lock, stop):
                return
            pulse.begin()
            log.info("this host's reaper is at work", extra={"action": "reaper_ready"})
            fences, pid = settings.home / FENCES, os.getpid()
            reaper = Reaper(database, SystemClock(), host_name(), boot_id(), fences, pid)
            here = Here(reaper.host, reaper.boot_id, fences)
            neighbours = Neighbours(database, reaper.clock, settings.home, here, patience_s=PATIENCE_S)
            shared = Lock(workers_lock(settings.home)) if while_workers else None
            async with aclosing(neighbours):
                await _reap(reaper, neighbours, shared, stop, pulse)
    finally:
        await database.close()
        lock.release()


async def _at_work(lock: Lock, stop: asyncio.Event) -> bool:
    """Stand by until no other reaper is at work; `False` = told to stop before that."""
    if not lock.take():
        log.info("another reaper serves this host; standing by", extra={"action": "reaper_stands_by"})
    while not lock.take():
        if await _waited(stop, STANDBY_S):
            return False
    return True


def _health(database: Database, pulse: Pulse, *, is_stopping: Callable[[], bool]) -> Health:
    return Health(
        part="reaper",
        checks={
            "database": database_check(database),
            "reaping": works(
                lambda: pulse.over or pulse.good_s_ago < _REAPED_WITHIN_S,
                f"no pass has succeeded for {_REAPED_WITHIN_S:.0f} s",
            ),
            "serving": works(lambda: not is_stopping(), "it was told to stop"),
        },
        pulses=(pulse,),
        facts=lambda: {"at_work": "no, another reaper is" if pulse.over else "yes"},
    )


async def _reap(
    reaper: Reaper, neighbours: Neighbours, workers: Lock | None, stop: asyncio.Event, pulse: Pulse
) -> None:
    failures = without = 0
    while without < _LOOKS_WITHOUT_WORKERS:
        try:
            found = await reaper.tick()
            await neighbours.look()
        except Exception as error:
            pulse.passed(ok=False)
            # Another version may have changed the schema meanwhile: then this one must make room, not hold the lock.
            await _refuse_other_schema(reaper.database)
            failures += 1
            if failures == 1:
                log.warning(
                    "the database cannot be read; nothing can be ended or proved until it can: %s", error,
                    exc_info=not isinstance(error, OSError), extra={"action": "reaper_blind"},
                )  # fmt: skip
        else:
            pulse.passed(ok=True)
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
    database = Database(settings.database_url)
    try:
        await _refuse_other_schema(database)
    finally:
        await database.close()


async def _refuse_other_schema(database: Database) -> None:
    """Refuse a schema that is not ours. A database that does not answer is waited for: stops may come once it does.

    Raises:
        SchemaMismatch: it is another version's.
    """
    try:
        await schema.check(database)
    except BanksmanError:
        raise
    except Exception as error:
        log.debug("the schema cannot be looked at: %s", error)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
