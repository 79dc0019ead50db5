"""The PostgreSQL the tests run on is a real one, and leaves nothing behind."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.patience import PATIENCE_S
from tests.servers import PostgresServer

OWNER = """
import time
from tests.servers import PostgresServer
server = PostgresServer.start()
print(server.directory, server.execute("SELECT pg_backend_pid()"), flush=True)
time.sleep(60)
"""


async def test_a_test_gets_a_database_of_its_own_through_sqlalchemy(postgres_url: str) -> None:
    engine = create_async_engine(postgres_url)
    async with engine.connect() as connection:
        name, fsync, version = (
            await connection.execute(
                text("SELECT current_database(), current_setting('fsync'), current_setting('server_version_num')")
            )
        ).one()
    await engine.dispose()

    assert name.startswith("test_")
    assert "on" == fsync
    assert 18 == int(version) // 10_000


async def test_a_copy_of_a_template_has_its_rows(postgres_server: PostgresServer) -> None:
    postgres_server.create_database("a_template")
    postgres_server.execute("CREATE TABLE t AS SELECT 7 AS n", database="a_template")
    url = postgres_server.create_database("a_copy", template="a_template")
    try:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        assert 7 == await connection.fetchval("SELECT n FROM t")
        await connection.close()
    finally:
        postgres_server.drop("a_copy")
        postgres_server.drop("a_template")


def test_the_server_ends_with_an_owner_killed_by_sigkill_and_its_files_go() -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        directory = Path(owner.stdout.readline().split()[0])
        postmaster = int((directory / "data" / "postmaster.pid").read_text().splitlines()[0])
        owner.send_signal(signal.SIGKILL)

    end = time.monotonic() + PATIENCE_S
    while directory.exists() or Path(f"/proc/{postmaster}").exists():
        assert time.monotonic() < end, "the server outlived its owner"
        time.sleep(0.02)
