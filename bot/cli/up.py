"""`banksman up`: everything on one machine, from one command, gone with it.

Redis, the playground (unless real Slack tokens are in the environment), the bot, a worker and the reaper; one line is
printed when all of them answer. Ctrl-C ends all of it, and so does losing this process in any other way.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bot.cli.embedded import EmbeddedRedis
from bot.cli.installation import RUN_FILE, reaching
from bot.cli.parts import Part, environment, playground_arguments, python
from bot.cli.ports import claim_port
from core.config.load import load_config
from core.config.settings import LOOPBACK, Settings
from core.errors import ConfigError
from core.periodic import every
from core.planners.compile import compile_playbooks
from core.store import schema
from core.store.session import Database
from core.tools.catalogue import tool_names

REDIS_WATCH_S = 1.0
PLAYGROUND_BOT_TOKEN = "xoxb-playground"
PLAYGROUND_APP_TOKEN = "xapp-playground"
SLACK_NAMES = ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_API_URL")


async def up(settings: Settings) -> int:
    """Start everything, say so, and keep it running until a signal."""
    config = load_config(settings.config_path)
    compile_playbooks(config.playbooks.values(), tools=tool_names(config))
    settings.home.mkdir(parents=True, exist_ok=True)
    with _only_one(settings.home):
        await _migrate(settings)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        try:
            if settings.redis_url is not None:
                await _parts(settings, settings.redis_url, stop)
            else:
                await _with_redis(settings, stop)
        finally:
            (settings.home / RUN_FILE).unlink(missing_ok=True)
    return 0


async def _with_redis(settings: Settings, stop: asyncio.Event) -> None:
    """Run the parts beside a Redis of our own, started again if it dies; the parts do not need it meanwhile."""
    data = settings.home / "redis"
    redis = await asyncio.to_thread(EmbeddedRedis.start, data)

    async def keep() -> None:
        nonlocal redis
        if not redis.is_running():
            print("The embedded Redis ended; starting it again.", file=sys.stderr, flush=True)
            redis = await asyncio.to_thread(redis.again, data)

    keeper = asyncio.create_task(every(stop, lambda: REDIS_WATCH_S, keep))
    try:
        await _parts(settings, redis.url, stop)
    finally:
        stop.set()
        await keeper
        await asyncio.to_thread(redis.stop)


async def _parts(settings: Settings, redis_url: str, stop: asyncio.Event) -> None:
    started: list[Part] = []
    listener = None
    try:
        env = {
            "BANKSMAN_REDIS_URL": redis_url,
            "BANKSMAN_CONFIG": str(settings.config_path),
            # One port cannot be several parts': each takes a free one of its own and says which.
            "BANKSMAN_METRICS_PORT": "0",
            "BANKSMAN_METRICS_HOST": LOOPBACK,
        }
        where = f"connected to Slack at {settings.slack_api_url}"
        port = None
        if settings.slack_mode is None:
            # Ours as long as we are up: a playground that is started again takes the same port.
            listener = claim_port(settings.port, is_set=settings.port_is_set)
            playground = await _playground(settings, listener)
            started.append(playground)
            url = playground.ready
            port = int(url.rsplit(":", 1)[1].strip("/"))
            where = url
            env |= {
                "SLACK_BOT_TOKEN": PLAYGROUND_BOT_TOKEN,
                "SLACK_APP_TOKEN": PLAYGROUND_APP_TOKEN,
                "SLACK_API_URL": f"{url}/api/",
            }
        # Only the bot gets Slack's tokens.
        quiet: dict[str, str | None] = dict.fromkeys(SLACK_NAMES)
        base: dict[str, str | None] = {**env}
        bot = Part("bot", python("bot"), environment(**base), settings.home / "logs" / "bot.log")
        worker = Part(
            "worker", python("worker"), environment(**{**base, **quiet}), settings.home / "logs" / "worker.log"
        )
        reaper = Part(
            "reaper", python("worker.reaper"), environment(**{**base, **quiet}), settings.home / "logs" / "reaper.log"
        )
        # First, or the worker would start one of its own. One that is there already goes on; ours then stands by.
        await reaper.start()
        started.append(reaper)
        await asyncio.gather(bot.start(), worker.start())
        started += [bot, worker]
        write_run_file = partial(_write_run_file, settings, redis_url, port, started)
        write_run_file()
        print(f"Banksman is ready: {where}", flush=True)
        async with asyncio.TaskGroup() as group:
            for part in started:
                group.create_task(part.keep(stop, write_run_file))
    finally:
        if listener is not None:
            listener.close()
        # The reaper last: until the worker has ended, a stop may have to be proved.
        await asyncio.gather(*(part.stop() for part in started if part.name != "reaper"))
        await asyncio.gather(*(part.stop() for part in started))


async def _playground(settings: Settings, listener: socket.socket) -> Part:
    part = Part(
        "playground",
        python("bot.playground", *playground_arguments(settings, listener.fileno())),
        environment(**dict.fromkeys(SLACK_NAMES)),
        settings.home / "logs" / "playground.log",
        keep_fds=(listener.fileno(),),
        sign="Playground is ready:",
    )
    await part.start()
    return part


async def _migrate(settings: Settings) -> None:
    database = Database(settings.database_url)
    try:
        with reaching():
            await schema.upgrade(database, keep_copy=True)
    finally:
        await database.close()


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """One `up` per home: two would share a database and a Redis directory."""
    descriptor = os.open(home / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"Banksman is already up in {home}. Stop it first, or set BANKSMAN_HOME to another directory."
            ) from None
        yield
    finally:
        os.close(descriptor)


def _write_run_file(settings: Settings, redis_url: str, port: int | None, parts: list[Part]) -> None:
    body = {
        "pid": os.getpid(),
        "port": port,
        "redis_url": redis_url,
        "database_url": settings.database_url if settings.database_url.startswith("sqlite") else None,
        "parts": {part.name: part.ready for part in parts},
        "metrics": {part.name: part.metrics for part in parts if part.metrics},
    }
    path = settings.home / RUN_FILE
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(body, indent=2))
    with contextlib.suppress(OSError):
        temporary.chmod(0o600)
    temporary.replace(path)
