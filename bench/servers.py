"""The servers of a measurement: those the environment names, or ones of our own that end with us.

`BENCH_PG_PORT` (user `bench`, trusted) and `BENCH_REDIS_PORT` name servers on 127.0.0.1, so that peers and we use the
same ones; without them we start the PostgreSQL of the tests and the Redis of `banksman up`.
"""

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import asyncpg
import psutil  # type: ignore[import-untyped]
import redis

from bot.cli.embedded import EmbeddedRedis
from tests.servers import PostgresServer

_REDIS_NUMBER = 5
"""The numbered database we use, and empty, on a Redis that is not ours alone."""


class Postgres(Protocol):
    """Makes and drops databases; `pids` are its server's processes."""

    async def create(self, name: str) -> str: ...

    async def drop(self, name: str) -> None: ...

    def pids(self) -> list[int]: ...


class _Own:
    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    async def create(self, name: str) -> str:
        self._server.drop(name)
        return self._server.create_database(name)

    async def drop(self, name: str) -> None:
        self._server.drop(name)

    def pids(self) -> list[int]:
        first_line = (self._server.directory / "data" / "postmaster.pid").read_text().splitlines()[0]
        return [int(first_line)]


class _Given:
    def __init__(self, port: int) -> None:
        self._port = port

    async def create(self, name: str) -> str:
        await self.drop(name)
        async with self._connected() as connection:
            await connection.execute(f'CREATE DATABASE "{name}"')
        return f"postgresql+asyncpg://bench@127.0.0.1:{self._port}/{name}"

    async def drop(self, name: str) -> None:
        async with self._connected() as connection:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def pids(self) -> list[int]:
        return _listening(self._port)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        connection = await asyncpg.connect(host="127.0.0.1", port=self._port, user="bench", database="postgres")
        try:
            yield connection
        finally:
            await connection.close()


@dataclass(frozen=True)
class Servers:
    """What is there to measure on."""

    redis_url: str
    postgres: Postgres | None

    def empty_redis(self) -> None:
        """Forget every ring of the measurement before."""
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushdb()


@contextmanager
def servers(work: Path, variants: Sequence[str]) -> Iterator[Servers]:
    """Have the servers `variants` need, and end those that are ours."""
    with ExitStack() as stack:
        port = os.environ.get("BENCH_REDIS_PORT")
        if port:
            redis_url = f"redis://127.0.0.1:{int(port)}/{_REDIS_NUMBER}"
        else:
            redis_url = stack.enter_context(EmbeddedRedis.start(work / "redis")).url
        postgres: Postgres | None = None
        if "postgres" in variants:
            port = os.environ.get("BENCH_PG_PORT")
            if port:
                postgres = _Given(int(port))
            else:
                server = PostgresServer.start()
                stack.callback(server.stop)
                postgres = _Own(server)
        yield Servers(redis_url, postgres)


def _listening(port: int) -> list[int]:
    return sorted(
        {
            connection.pid
            for connection in psutil.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid is not None
        }
    )
