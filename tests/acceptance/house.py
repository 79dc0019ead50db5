"""A whole Banksman as people start it: `banksman up` in a home of its own, and the command line beside it.

The process is the real one with the shipped configuration unless a test says otherwise. `stop` ends it as Ctrl-C does
and fails the test if anything of it is left. What people do in Slack is `team.py`.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from core.execution.labels import labelled
from core.execution.processes import Process, descendants, read, table
from core.ids import TENANT
from core.runs import reading
from core.store.session import Database
from tests import nursery
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
READY = "Banksman is ready: "

START_WITHIN_S = 180.0
STOP_WITHIN_S = 120.0
CLI_WITHIN_S = 120.0
SOON_S = 120.0
"""How long anything that should take a second or two may take on a machine that is busy with something else."""

_BANKSMAN = (str(Path(sys.executable).with_name("banksman")),)
_POLL_S = 0.1

T = TypeVar("T")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


def clean_environment(home: Path, **settings: str) -> dict[str, str]:
    """This process's environment with only the given settings of ours; the shop has one port, so it stays closed."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("BANKSMAN_", "SLACK_"))}
    return {**mine, "BANKSMAN_HOME": str(home), "BANKSMAN_SHOP_PORT": "0", **settings}


def banksman(home: Path, *arguments: str, cwd: Path = ROOT, within_s: float = CLI_WITHIN_S, **settings: str) -> Done:
    """Run a `banksman` command to its end."""
    done = subprocess.run(
        nursery.command(*arguments),
        env=clean_environment(home, **settings),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=within_s,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def until(look: Callable[[], T | None], what: str, *, within_s: float = SOON_S) -> T:
    """Look again and again until there is something to see.

    Raises:
        AssertionError: `what` did not come within the time.
    """
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {within_s:.0f} s in vain for {what}"
        time.sleep(_POLL_S)


def is_listening(port: int) -> bool:
    """Whether somebody answers on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Installation:
    """One home and its settings: what the command line and the database say."""

    home: Path
    settings: dict[str, str]
    program: ClassVar[Sequence[str]] = _BANKSMAN

    def cli(self, *arguments: str, code: int | None = 0, within_s: float = CLI_WITHIN_S) -> Done:
        """Run a command on this installation.

        Args:
            code: The exit code it must have; `None` = any.
        """
        settings = {name: value for name, value in self.settings.items() if name != "BANKSMAN_PORT"}
        done = banksman(self.home, *arguments, within_s=within_s, **settings)
        assert code is None or code == done.code, f"banksman {' '.join(arguments)} gave {done}"
        return done

    def show(self, run_id: str) -> dict[str, Any]:
        """What `banksman show RUN --json` prints, read without the second it takes a command to start."""
        view = self._read(lambda database: reading.view(database, TENANT, run_id))
        assert view is not None, run_id
        return view.full_json()

    def _read(self, ask: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        async def read() -> T:
            database = Database(self.database_url)
            try:
                return await ask(database)
            finally:
                await database.close()

        with ThreadPoolExecutor(1, initializer=self.moved_in) as pool:  # also under a test's own event loop
            return pool.submit(asyncio.run, read()).result()

    def moved_in(self) -> None:
        """What a thread does before it looks at the database."""

    def log(self, run_id: str) -> list[dict[str, Any]]:
        """What `banksman events RUN --json` prints."""
        return [event.as_json() for event in self._read(lambda database: reading.log(database, TENANT, run_id))]

    def runs(self) -> list[str]:
        """Ids of its newest runs, the newest first."""
        return [line.id for line in self._read(lambda database: reading.lines(database, TENANT, limit=200))]

    def csv(self) -> Path:
        """A small table as a file on disk."""
        path = self.home / "small.csv"
        path.write_text("day,visits\n2026-03-01,120\n2026-03-02,135\n2026-03-03,128\n")
        return path

    def ask(self, agent: str, *more: str) -> str:
        """Ask for a run on the command line; its id."""
        return self.cli("run", agent, *more).out.strip()

    def ask_many(self, agent: str, count: int) -> list[str]:
        """Ask for many runs, several at a time; their ids."""
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda _: self.ask(agent), range(count)))

    def reaches(self, run_id: str, *states: str, within_s: float = SOON_S) -> dict[str, Any]:
        """Wait until a run is in one of these states, and show it."""

        def look() -> dict[str, Any] | None:
            shown = self.show(run_id)
            return shown if shown["run"]["state"] in states else None

        return until(look, f"run {run_id} to be {' or '.join(states)}", within_s=within_s)

    def working(self, run_id: str) -> dict[Process, Any]:
        """Wait until a run has processes, and return them with their labels."""
        return until(lambda: labelled(run_id=run_id), f"a process of {run_id}")

    @property
    def database_url(self) -> str:
        """Where it keeps its runs."""
        return self.settings.get("BANKSMAN_DATABASE_URL", f"sqlite+aiosqlite:///{self.home / 'banksman.db'}")


@dataclass
class House(Installation):
    """One installation, up."""

    process: subprocess.Popen[bytes]
    output: Path
    """Where `up` itself writes."""
    url: str = ""
    others: list[subprocess.Popen[bytes]] = field(default_factory=list)
    seen: set[Process] = field(default_factory=set)
    """Everything that was ever seen to be part of it."""

    @classmethod
    def start(cls, home: Path, *, inside: Sequence[str] = (), **settings: str) -> "House":
        """Start it and wait until it says that it is ready.

        Args:
            inside: A program that becomes the one it is given, somewhere else.
        """
        home.mkdir(parents=True, exist_ok=True)
        settings = {"BANKSMAN_PORT": str(free_port()), **settings}
        output = home / "up.out"
        with output.open("ab") as out:
            process = subprocess.Popen(
                [*inside, *_BANKSMAN, "up"],
                env=clean_environment(home, **settings),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        house = cls(home, settings, process, output)
        try:
            house.url = until(house._announced, "the line that says it is ready", within_s=START_WITHIN_S)
        except BaseException:
            process.kill()
            process.wait()
            raise AssertionError(f"Banksman did not start:\n{house.logs()}") from None
        return house

    def _announced(self) -> str | None:
        assert self.process.poll() is None, "it ended"
        lines = self.output.read_text().splitlines()
        return next((line.removeprefix(READY) for line in reversed(lines) if line.startswith(READY)), None)

    @property
    def run_file(self) -> dict[str, Any]:
        """What `up` wrote about itself."""
        return dict(json.loads((self.home / "run.json").read_text()))

    @property
    def port(self) -> int:
        """The playground's port."""
        return int(self.url.rsplit(":", 1)[1])

    def part(self, module: str) -> int:
        """Pid of the part that runs a module, e.g. `worker`."""
        return until(lambda: self.part_now(module), f"the process of {module}")

    def part_now(self, module: str) -> int | None:
        """The same, `None` while there is none."""
        for process in descendants(self.process.pid):
            # A lifeline has the same words behind its own.
            if process.alive and _argv(process.pid)[1:3] == [b"-m", module.encode()]:
                return process.pid
        return None

    def redis(self) -> int:
        """Pid of the embedded Redis."""
        for process in descendants(self.process.pid):
            argv = _argv(process.pid)
            if process.alive and argv and b"lifeline" not in b" ".join(argv) and b"unixsocket:" in b" ".join(argv):
                return process.pid
        raise AssertionError("there is no Redis")

    def another_worker(self, *, code: Path = ROOT) -> subprocess.Popen[bytes]:
        """Start a second worker on the same home and wait until it is ready; it ends with the house.

        Args:
            code: Of which version.
        """
        settings = {name: value for name, value in self.settings.items() if name != "BANKSMAN_PORT"}
        settings["BANKSMAN_REDIS_URL"] = self.run_file["redis_url"]
        log = (self.home / "logs" / "worker-2.log").open("ab")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-m", "worker"],
                env={**clean_environment(self.home, **settings), "PYTHONPATH": str(code)},
                cwd=code,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self.others.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith(b"ready"), self.logs()
        return process

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Keep `up` itself from doing anything; its parts go on."""
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    def stop(self) -> int:
        """End it as Ctrl-C does; its exit code. Fails if anything of it is left."""
        for other in self.others:
            _end(other)
        self.others.clear()
        self.remember()
        port, sockets = self.port, self._sockets()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        try:
            code = self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"Banksman did not end within {STOP_WITHIN_S:.0f} s:\n{self.logs()}") from None
        assert [] == self.left(), "processes are left"
        assert not is_listening(port), "the playground's port still answers"
        assert [] == [path for path in sockets if path.exists()], "Redis' socket is left"
        assert code != 0 or not (self.home / "run.json").exists()
        return code

    def left(self) -> list[str]:
        """Command lines of what still lives of everything that was seen."""
        alive = [
            now for process in self.seen if (now := read(process.pid)) == process and now is not None and now.alive
        ]
        of_home = [process for process in table().values() if process.alive and self._is_ours(process.pid)]
        return sorted({f"{process.pid} {b' '.join(_argv(process.pid)).decode()}" for process in [*alive, *of_home]})

    def _is_ours(self, pid: int) -> bool:
        try:
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            return False
        return f"BANKSMAN_HOME={self.home}".encode() in variables

    def remember(self) -> None:
        """Note what belongs to it now, to be able to say later what is left."""
        self.seen |= set(descendants(self.process.pid))

    def _sockets(self) -> list[Path]:
        with contextlib.suppress(OSError):
            return [Path(self.run_file["redis_url"].removeprefix("unix://"))]
        return []

    def logs(self) -> str:
        """The end of everything it wrote."""
        files = [self.output, *sorted((self.home / "logs").glob("*.log"))]
        return "\n".join(f"--- {file.name}\n{_tail(file)}" for file in files if file.exists())


def homes(prefix: str) -> Path:
    """A new directory for a house, with a path short enough for sockets."""
    return Path(tempfile.mkdtemp(prefix=f"banksman-{prefix}-")).resolve()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.terminate()
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    finally:
        if process.stdout is not None:
            process.stdout.close()


def _argv(pid: int) -> Sequence[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return []


def _tail(path: Path, size: int = 6_000) -> str:
    return path.read_bytes()[-size:].decode(errors="replace")
