"""A site: an installation made for one measurement, with a database, a home and processes of its own."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from bench.servers import Servers
from bot.cli.parts import Part, python
from core.config.settings import Settings
from core.queue import ArqDoorbell
from core.store import schema
from core.store.session import Database

ROOT = Path(__file__).resolve().parent.parent
CONFIG = Path(__file__).resolve().parent / "bench.yml"


@dataclass(frozen=True)
class Site:
    """An empty, migrated installation, and this process's own connection to it."""

    variant: str
    home: Path
    database_url: str
    redis_url: str
    database: Database
    doorbell: ArqDoorbell
    server_pids: tuple[int, ...]
    """Processes of the database server; none for SQLite."""

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of this site's processes: ours without settings of another installation."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("BANKSMAN_", "SLACK_"))}
        return clean | {
            "BANKSMAN_HOME": str(self.home),
            "BANKSMAN_CONFIG": str(CONFIG),
            "BANKSMAN_DATABASE_URL": self.database_url,
            "BANKSMAN_REDIS_URL": self.redis_url,
            **more,
        }

    @property
    def settings(self) -> Settings:
        """The same as a value, for an engine in this process."""
        return Settings.from_env(self.environment(), cwd=ROOT)

    @asynccontextmanager
    async def part(self, name: str, module: str, *arguments: str, env: Mapping[str, str] | None = None,
                   keep_fds: tuple[int, ...] = ()) -> AsyncIterator[Part]:  # fmt: skip
        """A process of the product, up and ready; ended afterwards."""
        log = self.home / "logs" / f"{name}.log"
        part = Part(name, python(module, *arguments), self.environment(**(env or {})), log, keep_fds)
        try:
            await part.start()
            yield part
        finally:
            await part.stop()

    @asynccontextmanager
    async def worker(self, name: str = "worker", **env: str) -> AsyncIterator[Part]:
        """A worker process with the bench's tools; `part.ready` is its pid."""
        async with self.part(name, "bench.worker", env=env) as part:
            yield part


@asynccontextmanager
async def site(servers: Servers, variant: str, work: Path) -> AsyncIterator[Site]:
    """Make an installation on SQLite or PostgreSQL, and remove it afterwards."""
    home = Path(tempfile.mkdtemp(prefix=f"{variant}-", dir=work))
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        pids: list[int] = []
        if variant == "sqlite":
            url = f"sqlite+aiosqlite:///{home / 'banksman.db'}"
        else:
            assert servers.postgres is not None
            name = f"banksman_bench_{os.getpid()}"
            url = await servers.postgres.create(name)
            stack.push_async_callback(servers.postgres.drop, name)
            pids = servers.postgres.pids()
        servers.empty_redis()
        database = Database(url)
        stack.push_async_callback(database.close)
        await schema.upgrade(database)
        doorbell = ArqDoorbell(servers.redis_url)
        stack.push_async_callback(doorbell.close)
        yield Site(variant, home, url, servers.redis_url, database, doorbell, tuple(pids))


def pss_mb(*roots: int) -> float:
    """Proportional set size of process trees in MB: shared pages count once."""
    total = 0
    for pid in roots:
        try:
            tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
        for process in tree:
            try:
                total += process.memory_full_info().pss
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
    return total / 2**20
