"""The processes of `banksman up`: each on a lifeline, its log in the home, restarted when it dies without being asked
to.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.cli import lifeline
from core.config.settings import Settings
from core.errors import ConfigError

log = logging.getLogger(__name__)

READY_WITHIN_S = 60.0
GRACE_S = 25.0
"""The worker drains for 20 s; then it is killed."""

METRICS_SIGN = "metrics "

_RESTART_S = (0.2, 1.0, 5.0)
_STEADY_S = 30.0
"""A part that lived this long starts afresh with the shortest pause."""


@dataclass
class Part:
    """One kind of process."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log_file: Path
    keep_fds: tuple[int, ...] = ()
    process: asyncio.subprocess.Process | None = None
    sign: str = "ready"
    """How the line begins that says it is ready."""
    ready: str = ""
    """What it printed when it was ready, after the word."""
    metrics: str = ""
    """Where it serves metrics and health, as it printed before that."""

    async def start(self) -> None:
        """Start it and wait until it says that it is ready.

        Raises:
            ConfigError: it ended before that; carries the end of its log.
        """
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as output:
            command = lifeline.command(self.argv, grace_s=GRACE_S, keep_fds=self.keep_fds)
            self.process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=output,
                env=dict(self.env),
                start_new_session=True,
                pass_fds=self.keep_fds,
            )
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                while line := await self.process.stdout.readline():
                    text = line.decode(errors="replace").strip()
                    if text.startswith(METRICS_SIGN):
                        self.metrics = text.removeprefix(METRICS_SIGN).strip()
                    if text.startswith(self.sign):
                        self.ready = text.removeprefix(self.sign).strip()
                        return
        except TimeoutError:
            pass
        await self.stop()
        raise ConfigError(f"The {self.name} did not start. The end of {self.log_file}:\n{_tail(self.log_file)}")

    async def keep(self, stop: asyncio.Event, on_restart: Callable[[], None]) -> None:
        """Start it again whenever it ends, until `stop`; `on_restart` is called each time it is ready again."""
        failures = 0
        while True:
            assert self.process is not None
            began = asyncio.get_running_loop().time()
            ended = asyncio.create_task(self.process.wait())
            asked = asyncio.create_task(stop.wait())
            await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            if stop.is_set():
                ended.cancel()
                return
            failures = 0 if asyncio.get_running_loop().time() - began > _STEADY_S else failures + 1
            pause = _RESTART_S[min(failures, len(_RESTART_S)) - 1] if failures else _RESTART_S[0]
            print(f"The {self.name} ended; starting it again. Its log: {self.log_file}", file=sys.stderr, flush=True)
            await asyncio.sleep(pause)
            try:
                await self.start()
                on_restart()
            except ConfigError as error:
                print(error.user_text, file=sys.stderr, flush=True)

    async def stop(self) -> None:
        """Ask it to end, wait, and make sure."""
        if self.process is None or self.process.returncode is not None:
            return
        if self.process.stdin is not None:
            self.process.stdin.close()
        await self.process.wait()


def python(module: str, *arguments: str) -> list[str]:
    """The command line of one of our modules."""
    return [sys.executable, "-m", module, *arguments]


def playground_arguments(settings: Settings, fd: int) -> list[str]:
    """What the playground is told, its shop included.

    Args:
        fd: A socket that listens already.
    """
    arguments = ["--data", str(settings.home / "playground"), "--fd", str(fd)]
    if settings.shop_port:
        # Not in the home: tools never reach into that.
        beside = settings.home.with_name(f"{settings.home.name}-shop")
        arguments += ["--shop-port", str(settings.shop_port), "--shop-data", str(beside)]
    return arguments


def environment(**changes: str | None) -> dict[str, str]:
    """Our environment with changes; `None` removes a variable."""
    env = dict(os.environ)
    for name, value in changes.items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = value
    return env


def _tail(path: Path, size: int = 2_000) -> str:
    try:
        return path.read_bytes()[-size:].decode(errors="replace")
    except OSError:
        return ""
