"""One whole installation under fire: every part a process of its own, started again whenever it dies.

Bot, three workers, reaper and playground, a Redis, a database that is a file or a server, and the witness. Orders at
crash points go through one directory (`core.crashpoints`); pids are those of the parts themselves, for signals.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import text

from bot.cli.embedded import EmbeddedRedis
from bot.cli.parts import Part
from core.store import schema
from core.store.session import Database
from tests import nursery
from tests.chaos.rig.configuration import CANARY, configuration, team
from tests.chaos.rig.mind import Mind, thinking
from tests.integration.store.proxies import Wire
from tests.servers import PostgresServer

WORKERS = ("worker-1", "worker-2", "worker-3")
RETRY_AFTER = "0,1,2,4,4,5,7,9,6,8,5,7,9,6,8,5,7"
"""When the playground delivers an event again that nobody took, in seconds; Slack takes minutes."""
_AGAIN_S = 0.1
_BY_KEY = text("SELECT idem_key AS key, id AS call, run_id AS run FROM tool_calls")


@dataclass
class Installation:
    """Everything that runs; made by `installed`."""

    home: Path
    repository: Path
    """A bare repository that runs push to."""
    database_url: str
    """As the judge reaches it; the parts go through `wire` where there is one."""
    environment: dict[str, str]
    redis: EmbeddedRedis
    postgres: PostgresServer | None
    wire: Wire | None
    mind: Mind
    parts: dict[str, Part] = field(default_factory=dict)
    deaths: Counter[str] = field(default_factory=Counter)
    """How often each part ended."""
    url: str = ""
    """The playground's."""
    witness_url: str = ""
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _keepers: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def chaos(self) -> Path:
        """The directory of orders."""
        return self.home / "chaos"

    @property
    def shift(self) -> Path:
        """By how much the wall clock is wrong."""
        return self.chaos / "clock"

    @property
    def ledger(self) -> Path:
        """What the witness wrote."""
        return self.home / "effects.jsonl"

    async def effects(self) -> list[dict[str, Any]]:
        """Every effect there was, in order.

        One whose client was gone before the witness could ask whose it was is named by what it said itself: its key.
        """
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        effects: list[dict[str, Any]] = [json.loads(line) for line in lines]
        if all(effect["call"] for effect in effects):
            return effects
        database = Database(self.database_url)
        try:
            async with database.read() as connection:
                named = {row["key"]: dict(row) for row in (await connection.execute(_BY_KEY)).mappings()}
        finally:
            await database.close()
        return [effect if effect["call"] else {**effect, **named.get(effect["key"], {})} for effect in effects]

    async def happened(self, call: str, *, surely: bool) -> bool | None:
        """Whether there was an effect of a call.

        Args:
            surely: Somebody has looked for long: unless a request is under way, what is not there did not happen.

        Returns:
            `None` = not to be told yet.
        """
        under_way = await self._under_way()
        if call in {effect["call"] for effect in await self.effects()}:
            return True
        return False if surely and not under_way else None

    async def _under_way(self) -> int:
        """Requests that have reached the witness and may still lead to something."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.witness_url}/under-way") as answer:
            return int((await answer.json())["requests"])

    def pid(self, name: str) -> int | None:
        """Of a part's own process, while it lives."""
        part = self.parts[name]
        said = part.ready.split()
        if part.process is None or part.process.returncode is not None or not said or not said[0].isdecimal():
            return None
        pid = int(said[0])
        return pid if Path(f"/proc/{pid}").exists() else None

    def send(self, name: str, number: signal.Signals) -> bool:
        """Signal a part; `False` if it is just dead."""
        pid = self.pid(name)
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            return True
        return False

    def order(self, name: str) -> Path:
        """Have the first process that passes a crash point die or stand still there."""
        path = self.chaos / "orders" / name
        path.touch()
        return path

    def counted(self, what: str) -> Counter[str]:
        """How often each label was `passed`, or an order `fired` there."""
        return Counter({path.name: len(path.read_text().splitlines()) for path in (self.chaos / what).iterdir()})

    def restart_redis(self) -> None:
        """Start Redis again after it was killed; blocks."""
        self.redis = self.redis.again(self.home / "redis")

    def logs(self) -> str:
        """The end of what each part wrote."""
        files = sorted((self.home / "logs").glob("*.log"))
        return "\n".join(f"--- {file.name}\n{file.read_bytes()[-4000:].decode(errors='replace')}" for file in files)

    def _part(self, name: str, module: str, *arguments: str, sign: str = "ready", **more: str) -> Part:
        log = self.home / "logs" / f"{name}.log"
        return Part(name, nursery.command("-m", module, *arguments), {**self.environment, **more}, log, sign=sign)

    async def _start(self) -> None:
        witness = self._part("witness", "tests.chaos.rig.witness", str(self.ledger))
        await witness.start()
        self.parts["witness"] = witness
        port = int(witness.ready.split()[1])
        self.witness_url = f"http://127.0.0.1:{port}"
        (self.home / "banksman.yml").write_text(configuration(port, self.repository, self.mind.url))
        (self.home / "team.json").write_text(json.dumps(team()))
        place = ["--data", str(self.home / "playground"), "--port", "0", "--seed", str(self.home / "team.json")]
        playground = self._part(
            "playground", "bot.playground", *place, "--no-limits", "--retry-after", RETRY_AFTER,
            sign="Playground is ready:",
        )  # fmt: skip
        await playground.start()
        self.parts["playground"] = playground
        self.url = playground.ready
        slack = {
            "SLACK_BOT_TOKEN": "xoxb-playground",
            "SLACK_APP_TOKEN": "xapp-playground",
            "SLACK_API_URL": f"{self.url}/api/",
        }
        beside = {
            "reaper": self._part("reaper", "worker.reaper"),
            "bot": self._part("bot", "bot", **slack),
            **{name: self._part(name, "worker", CHAOS_CANARY=CANARY) for name in WORKERS},
        }
        await asyncio.gather(*(part.start() for part in beside.values()))
        self.parts |= beside
        self._keepers = [asyncio.create_task(self._keep(name), name=f"keep-{name}") for name in beside]

    async def _keep(self, name: str) -> None:
        """Start a part again whenever it has ended, as a supervisor does, without ever giving up."""
        part = self.parts[name]
        while not self._stop.is_set():
            assert part.process is not None
            await part.process.wait()
            if self._stop.is_set():
                return
            self.deaths[name] += 1
            with contextlib.suppress(Exception):  # a database that is away; the next try comes soon
                await part.start()
                continue
            await asyncio.sleep(_AGAIN_S)

    async def _end(self) -> None:
        self._stop.set()
        for name in self.parts:
            self.send(name, signal.SIGCONT)
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        order = sorted(self.parts.values(), key=lambda part: part.name in ("reaper", "witness"))
        await asyncio.gather(*(part.stop() for part in order if part.name not in ("reaper", "witness")))
        await asyncio.gather(*(part.stop() for part in order))


@asynccontextmanager
async def installed(database: str, *, keep: Path | None = None) -> AsyncIterator[Installation]:
    """Start everything on `sqlite` or `postgres`; all of it ends with the block.

    Args:
        keep: Where logs and ledger are copied when the body raises.
    """
    home = Path(tempfile.mkdtemp(prefix="chaos-")).resolve()
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        for name in ("orders", "passed", "fired"):
            (home / "chaos" / name).mkdir(parents=True)
        (home / "logs").mkdir()
        redis = await asyncio.to_thread(EmbeddedRedis.start, home / "redis")
        postgres = wire = None
        reached = url = f"sqlite+aiosqlite:///{home / 'banksman.db'}"
        if database == "postgres":
            postgres = await asyncio.to_thread(PostgresServer.start)
            stack.callback(postgres.stop)
            url = await asyncio.to_thread(postgres.create_database, "chaos")
            wire = await stack.enter_async_context(Wire.to(url))
            reached = wire.url
        opened = Database(url)
        await schema.upgrade(opened)
        await opened.close()
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        environment |= {
            "BANKSMAN_HOME": str(home),
            "BANKSMAN_CONFIG": str(home / "banksman.yml"),
            "BANKSMAN_DATABASE_URL": reached,
            "BANKSMAN_REDIS_URL": redis.url,
            "CHAOS": str(home / "chaos"),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path and Path(path, "core").is_dir()),
        }
        mind = await stack.enter_async_context(thinking())
        this = Installation(home, _repository(stack), url, environment, redis, postgres, wire, mind)
        stack.push_async_callback(this._end)
        stack.callback(lambda: this.redis.stop())
        try:
            await this._start()
            yield this
        except BaseException:
            if keep is not None:
                shutil.copytree(home, keep, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
            raise


def _repository(stack: contextlib.AsyncExitStack) -> Path:
    """Make a bare repository with one commit, apart from the home, which tools may not reach."""
    apart = Path(tempfile.mkdtemp(prefix="chaos-repo-")).resolve()
    stack.callback(shutil.rmtree, apart, ignore_errors=True)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]
    for command in (
        ["init", "-q", str(apart / "work")],
        ["-C", str(apart / "work"), "commit", "-q", "--allow-empty", "-m", "first"],
        ["clone", "-q", "--bare", str(apart / "work"), str(apart / "repo.git")],
    ):
        subprocess.run([*git, *command], check=True, timeout=60)
    return apart / "repo.git"
