"""A real worker tells the truth: ready only while it would take up work, alive only while its loops come round."""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import make_url

from bot.cli.embedded import EmbeddedRedis
from tests.databases import sqlite_url
from tests.integration.ops.part import running
from tests.servers import PostgresServer


@pytest.fixture
def file(home: Path, sqlite_template: Path) -> Path:
    """A SQLite database."""
    return Path(shutil.copy(sqlite_template, home / "banksman.db"))


@pytest.fixture
def own_postgres(postgres_server: PostgresServer, migrated_postgres: str) -> Iterator[tuple[PostgresServer, str, str]]:
    """A migrated database that may be shut: the server, its name and its address."""
    template = str(make_url(migrated_postgres).database)
    name = f"ops_{os.getpid()}_{template}"
    postgres_server.drop(name)
    url = postgres_server.create_database(name, template)
    yield postgres_server, name, url
    postgres_server.drop(name)


async def test_it_is_ready_alive_and_counts(home: Path, database_url: str) -> None:
    async with running("worker", home, BANKSMAN_DATABASE_URL=database_url) as worker:
        body = await worker.ready()
        alive = await worker.ask("/healthz")
        found = await worker.metrics()

    assert {"lease", "database", "polling", "serving", "redis"} == set(body["checks"])
    assert {"ok", "degraded"} == {check["state"] for check in body["checks"].values()}
    assert "degraded" == body["checks"]["redis"]["state"], "none is configured"
    assert body["sandbox"] in ("bwrap", "landlock", "none")
    assert (200, {"alive": True, "part": "worker", "stuck": []}) == alive
    assert 1 == found["part_info{part=worker}"]
    assert found["loop_passes_total{loop=poll,result=ok}"] >= 1
    assert "runs_open{state=planning}" not in found, "gauges of the database are the bot's"


async def test_a_file_that_was_moved_away_and_back(home: Path, file: Path) -> None:
    async with running("worker", home, BANKSMAN_DATABASE_URL=sqlite_url(file)) as worker:
        await worker.ready()

        file.rename(file.with_suffix(".away"))
        body = await worker.unready("database")
        alive, _ = await worker.ask("/healthz")
        file.with_suffix(".away").rename(file)
        await worker.ready()

    assert "the SQLite file is gone, or another one" == body["checks"]["database"]["why"]
    assert 200 == alive, "a restart would not help"


async def test_a_database_nobody_can_write_to_costs_it_the_lease(home: Path, file: Path) -> None:
    async with running("worker", home, BANKSMAN_DATABASE_URL=sqlite_url(file)) as worker:
        await worker.ready()

        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            body = await worker.unready("lease")
            other.execute("ROLLBACK")
        await worker.ready()

    assert "ok" == body["checks"]["database"]["state"], "it can be read"


async def test_postgres_that_refuses_everybody(home: Path, own_postgres: tuple[PostgresServer, str, str]) -> None:
    server, name, url = own_postgres
    async with running("worker", home, BANKSMAN_DATABASE_URL=url) as worker:
        await worker.ready()

        await asyncio.to_thread(server.execute, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        gone = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'"
        await asyncio.to_thread(server.execute, gone)
        body = await worker.unready("database")
        alive, _ = await worker.ask("/healthz")
        await asyncio.to_thread(server.execute, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await worker.ready()

    assert body["checks"]["database"]["why"].startswith("it failed (")
    assert name not in json.dumps(body)
    assert 200 == alive


async def test_postgres_that_hangs_is_an_answer_in_time(
    home: Path, own_postgres: tuple[PostgresServer, str, str]
) -> None:
    url = own_postgres[2]
    async with running("worker", home, BANKSMAN_DATABASE_URL=url) as worker:
        await worker.ready()

        other = await asyncpg.connect(make_url(url).set(drivername="postgresql").render_as_string())
        await other.execute("BEGIN; LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
        body = await worker.unready("database")  # each question had its answer within what a probe waits
        await other.close()
        await worker.ready()

    assert body["checks"]["database"]["why"]


async def test_redis_that_goes_away_degrades_it(home: Path, file: Path, tmp_path: Path) -> None:
    redis = await asyncio.to_thread(EmbeddedRedis.start, tmp_path / "redis")
    settings = {"BANKSMAN_DATABASE_URL": sqlite_url(file), "BANKSMAN_REDIS_URL": redis.url}
    try:
        async with running("worker", home, **settings) as worker:
            await worker.ready()
            assert "ok" == (await worker.checks())["redis"]

            await asyncio.to_thread(redis.stop)
            body = await worker.becomes(lambda _, body: body["checks"]["redis"]["state"] == "degraded")
    finally:
        await asyncio.to_thread(redis.stop)

    assert body["ready"]


async def test_a_worker_that_is_stopped_does_not_answer_and_then_does(home: Path, file: Path) -> None:
    async with running("worker", home, BANKSMAN_DATABASE_URL=sqlite_url(file)) as worker:
        await worker.ready()

        worker.process.send_signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            await worker.ask("/healthz")
        worker.process.send_signal(signal.SIGCONT)
        await worker.ready()
        assert 200 == (await worker.ask("/healthz"))[0]


async def test_it_ends_on_sigterm_with_its_door(home: Path, file: Path) -> None:
    async with running("worker", home, BANKSMAN_DATABASE_URL=sqlite_url(file)) as worker:
        await worker.ready()
        worker.process.terminate()

        assert 0 == await worker.process.wait()


async def test_a_reaper_that_stands_by_is_ready_and_says_so(home: Path, file: Path) -> None:
    url = sqlite_url(file)
    async with running("worker.reaper", home, BANKSMAN_DATABASE_URL=url) as first:
        body = await first.ready()
        async with running("worker.reaper", home, BANKSMAN_DATABASE_URL=url) as second:
            other = await second.ready()
        found = await first.metrics()

    assert ("reaper", "yes", "no, another reaper is") == (body["part"], body["at_work"], other["at_work"])
    assert found["loop_passes_total{loop=reaping,result=ok}"] >= 1


async def test_a_reaper_that_cannot_read_is_not_ready_and_alive(home: Path, file: Path) -> None:
    async with running("worker.reaper", home, BANKSMAN_DATABASE_URL=sqlite_url(file)) as reaper:
        await reaper.ready()

        file.rename(file.with_suffix(".away"))
        await reaper.unready("database")

        assert 200 == (await reaper.ask("/healthz"))[0]
