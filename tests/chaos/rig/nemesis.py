"""The nemesis: breaks one thing after another, by a seed, and mends what does not mend itself.

Every fault is something that happens to people: processes die, stand still or are told to go, Redis forgets, is gone or
full, the database restarts, loses replies or is locked, Slack and the other side answer wrongly, late or not at all.
"""

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from tests.acceptance.team import Team
from tests.chaos.rig.configuration import CLASSES
from tests.chaos.rig.installation import WORKERS, Installation
from tests.chaos.rig.people import People
from tests.chaos.rig.trials import POINTS, Field

LEASE_S = 10.0
_CLI = "import sys; from bot.cli.main import main; sys.exit(main())"
_WORKER_POINTS = ("CP06", "CP07", "CP08", "CP09", "CP13", "CP14", "CP15", "CP17", "CP19")

Fault = Callable[[], Awaitable[None]]


@dataclass
class Nemesis:
    """Everything that can go wrong with one installation."""

    field_: Field
    rng: random.Random
    shifts: bool = False
    """Whether the wall clock jumps here; what is judged by it is left out then."""
    struck: Counter[str] = field(default_factory=Counter)
    """Faults by kind."""
    _mending: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def house(self) -> Installation:
        return self.field_.house

    @property
    def team(self) -> Team:
        return self.field_.team

    @property
    def people(self) -> People:
        return self.field_.people

    async def live(self) -> None:
        """Break things until canceled; some of them at the same time."""
        while True:
            await self.strike(self.rng.choice(self.kinds()))
            await asyncio.sleep(self.rng.uniform(0.2, 3.0))

    def kinds(self) -> Sequence[str]:
        """What can be struck here."""
        database = ("sqlite-locked",) if self.house.postgres is None else (
            "postgres-crash", "postgres-terminate", "postgres-40001", "postgres-lost-reply"
        )  # fmt: skip
        return (
            "kill", "kill", "kill-at", "kill-at", "suspend", "suspend-at", "terminate", "redis-flush", "redis-kill",
            "redis-gone", "redis-pause", "redis-full", "slack-api", "slack-delivery", "slack-socket", "outside",
            "outside", "model", "model", "stop-a-run", "freeze", *database, *(("clock",) if self.shifts else ()),
        )  # fmt: skip

    async def strike(self, kind: str) -> None:
        """Break one thing; what has to be mended is mended by itself a little later."""
        self.struck[kind] += 1
        await getattr(self, f"_{kind.replace('-', '_')}")()

    async def mend(self) -> None:
        """Mend everything that is still broken, and take back every order."""
        for task in list(self._mending):
            task.cancel()
        await asyncio.gather(*self._mending, return_exceptions=True)
        self.house.shift.unlink(missing_ok=True)
        for order in (self.house.chaos / "orders").iterdir():
            order.unlink(missing_ok=True)
        for name in (*WORKERS, "bot", "reaper"):
            self.house.send(name, signal.SIGCONT)
        if not self.house.redis.is_running():
            await asyncio.to_thread(self.house.restart_redis)
        await asyncio.to_thread(self._redis_room)
        await self.team.act("faults", kind="clear")
        await self.field_.witness(kind="*", fault="clear")
        self.house.mind.troubles.clear()
        if self.house.postgres is not None:
            await asyncio.to_thread(self._no_40001)
            assert self.house.wire is not None
            self.house.wire.cuts.clear()
        await self._cli("thaw", "everything")

    def _later(self, after_s: float, mend: Callable[[], object]) -> None:
        """Mend something after a while, or when everything is mended."""

        async def wait() -> None:
            try:
                await asyncio.sleep(after_s)
            finally:
                await asyncio.to_thread(mend)

        task = asyncio.create_task(wait())
        self._mending.add(task)
        task.add_done_callback(self._mending.discard)

    def _victim(self) -> str:
        return self.rng.choice((*WORKERS, *WORKERS, "bot", "reaper"))

    async def _kill(self) -> None:
        self.house.send(self._victim(), signal.SIGKILL)

    async def _kill_at(self) -> None:
        self.house.order(f"{self.rng.choice(POINTS)}.kill.{self.rng.randrange(1 << 30)}")

    async def _terminate(self) -> None:
        self.house.send(self.rng.choice(WORKERS), signal.SIGTERM)

    async def _suspend(self) -> None:
        name = self.rng.choice((*WORKERS, "bot"))
        pid = self.house.pid(name)
        if pid is not None and self.house.send(name, signal.SIGSTOP):
            self._later(self.rng.uniform(0.5, 3) * LEASE_S, lambda: self._go_on(pid))

    async def _suspend_at(self) -> None:
        self.house.order(f"{self.rng.choice(_WORKER_POINTS)}.stop.{self.rng.randrange(1 << 30)}")
        self._later(self.rng.uniform(1, 3) * LEASE_S, self._wake_all)

    def _wake_all(self) -> None:
        for name in WORKERS:
            self.house.send(name, signal.SIGCONT)
        for path in (self.house.chaos / "fired").iterdir():
            for line in path.read_text().splitlines():
                if line.endswith("SIGSTOP"):
                    self._go_on(int(line.split()[0]))

    def _go_on(self, pid: int) -> None:
        """Let a process go on, if it is still one of this installation."""
        with contextlib.suppress(OSError):
            if str(self.house.home).encode() in Path(f"/proc/{pid}/environ").read_bytes():
                os.kill(pid, signal.SIGCONT)

    def _redis(self) -> "redis.Redis":
        return redis.Redis.from_url(self.house.redis.url, socket_timeout=2)

    async def _redis_flush(self) -> None:
        await asyncio.to_thread(self._redis_do, "FLUSHALL")

    async def _redis_pause(self) -> None:
        await asyncio.to_thread(self._redis_do, "CLIENT", "PAUSE", str(self.rng.randrange(500, 5000)))

    async def _redis_full(self) -> None:
        await asyncio.to_thread(self._redis_do, "CONFIG", "SET", "maxmemory", "100kb")
        self._later(self.rng.uniform(2, 15), self._redis_room)

    def _redis_room(self) -> None:
        self._redis_do("CONFIG", "SET", "maxmemory", "0")

    def _redis_do(self, *words: str) -> None:
        with contextlib.suppress(redis.RedisError), self._redis() as client:
            client.execute_command(*words)

    async def _redis_kill(self) -> None:
        await self._redis_down(0.2)

    async def _redis_gone(self) -> None:
        await self._redis_down(self.rng.uniform(5, 40))

    async def _redis_down(self, for_s: float) -> None:
        server = self.house.redis
        if server.is_running():
            await asyncio.to_thread(server.stop)
            self._later(for_s, lambda: None if self.house.redis.is_running() else self.house.restart_redis())

    async def _postgres_crash(self) -> None:
        """One backend is killed: the server ends all others and recovers from its log, as after a crash."""
        await asyncio.to_thread(self._postgres_crashed)

    def _postgres_crashed(self) -> None:
        pids = self._postgres("SELECT pid FROM pg_stat_activity WHERE application_name = 'banksman'").split()
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(self.rng.choice(pids)), signal.SIGKILL)

    async def _postgres_terminate(self) -> None:
        everybody = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'banksman'"
        await asyncio.to_thread(self._postgres, everybody)

    async def _postgres_lost_reply(self) -> None:
        assert self.house.wire is not None
        marker = self.rng.choice(("COMMIT", "WITH "))
        self.house.wire.cut(
            marker, self.rng.choice(("after-sending", "before-the-reply")), times=self.rng.randint(1, 3)
        )

    async def _postgres_40001(self) -> None:
        await asyncio.to_thread(self._postgres, _SERIALIZATION)
        self._later(self.rng.uniform(1, 6), self._no_40001)

    def _no_40001(self) -> None:
        self._postgres("DROP TRIGGER IF EXISTS chaos_40001 ON events")

    def _postgres(self, sql: str) -> str:
        assert self.house.postgres is not None
        with contextlib.suppress(RuntimeError):  # it recovers just now
            return self.house.postgres.execute(sql, database="chaos")
        return ""

    async def _sqlite_locked(self) -> None:
        await asyncio.to_thread(self._sqlite_held, self.rng.uniform(0.5, 8))

    def _sqlite_held(self, for_s: float) -> None:
        connection = sqlite3.connect(self.house.home / "banksman.db", timeout=10, isolation_level=None)
        with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(connection):
            connection.execute("BEGIN EXCLUSIVE")
            time.sleep(for_s)
            connection.execute("ROLLBACK")

    async def _clock(self) -> None:
        jump_ms = self.rng.choice((-600_000, -30_000, 30_000, 600_000))
        self.house.shift.write_text(str(jump_ms))
        self._later(self.rng.uniform(1, 20), lambda: self.house.shift.unlink(missing_ok=True))

    async def _slack_api(self) -> None:
        kind = self.rng.choice(("429", "500", "hang", "lose_reply"))
        more = {"hang": {"seconds": 12.0}, "429": {"retry_after": self.rng.choice((1, 3))}}.get(kind, {})
        method = self.rng.choice(("chat.postMessage", "chat.update", "chat.postMessage", "users.info"))
        await self.team.act("faults", kind=kind, method=method, count=self.rng.randint(1, 3), **more)

    async def _slack_delivery(self) -> None:
        kind = self.rng.choice(("duplicate", "delay", "lose_ack", "reverse_mention"))
        more = {"delay": {"seconds": 2.0}, "duplicate": {"copies": 3}}.get(kind, {})
        await self.team.act("faults", kind=kind, **more)

    async def _slack_socket(self) -> None:
        with contextlib.suppress(AssertionError):  # there may be no socket just now
            await self.team.act("faults", kind="drop_socket")

    async def _outside(self) -> None:
        fault = self.rng.choice(("reset-before", "reset-after", "hang-after", "hang-before", "500", "429"))
        seconds = self.rng.choice((0.5, 2.0, 6.0))
        await self.field_.witness(kind=self.rng.choice(CLASSES), fault=fault, seconds=seconds)

    async def _model(self) -> None:
        how: dict[str, Any] = self.rng.choice(
            ({"status": 429}, {"status": 500}, {"cut": True}, {"stops": True}, {"drops": True}, {"fails": True},
             {"hang_s": self.rng.uniform(1, 15)})
        )  # fmt: skip
        self.house.mind.goes_wrong(self.rng.randint(1, 2), **how)

    async def _stop_a_run(self) -> None:
        open_ = [trial.root for trial in self.field_.trials if not trial.ended]
        if open_:
            await self.people.kill(self.rng.choice(open_), by=self.rng.choice(("requester", "operator", "approver")))

    async def _freeze(self) -> None:
        scope = self.rng.choice(
            ("everything", "agent:opaque", "tool:outside.idempotent", "agent:pure", "agent:thinks-opaque")
        )
        if await self._cli("freeze", scope, "--reason", "chaos"):
            await asyncio.sleep(self.rng.uniform(0, 2))
            while not await self._cli("thaw", scope):
                self.struck["thaw, again"] += 1

    async def _cli(self, *arguments: str) -> bool:
        """Run a command as the operator; whether it did, or had done, what it says."""
        environment = {**self.house.environment, "CHAOS": ""}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", _CLI, *arguments, "--as", "operator"),
            env=environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return await process.wait() in (0, 3)


_SERIALIZATION = """
CREATE OR REPLACE FUNCTION chaos_40001() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF random() < 0.3 THEN RAISE EXCEPTION 'chaos' USING ERRCODE = '40001'; END IF;
  RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER chaos_40001 BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION chaos_40001();
"""
