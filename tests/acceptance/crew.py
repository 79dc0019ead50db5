"""Workers beside each other in one installation, without a bot and without Redis; a test says who dies and when."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from core.execution.processes import Process, read
from tests.acceptance.house import ROOT, STOP_WITHIN_S, Installation, clean_environment, homes, until
from tests.servers import PostgresServer
from tests.trees import found_below
from worker.neighbours import Lock, reaper_lock


@dataclass
class Crew(Installation):
    """One database and, unless said otherwise, one home."""

    begun: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def worker(self, name: str, *, home: Path | None = None, **environment: str) -> "subprocess.Popen[bytes]":
        """Start a worker and wait until it is ready.

        Args:
            name: Of its log.
            home: One of its own.
        """
        settings = {
            "BANKSMAN_DATABASE_URL": self.database_url,
            "BANKSMAN_ARTIFACTS_URL": f"file://{self.home / 'artifacts'}",
            **self.settings,
            **environment,
        }
        with (self.home / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "worker"],
                env=clean_environment(home or self.home, **settings),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self.begun.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"ready"), (self.home / f"{name}.log").read_text()
        return process

    def order(self, *orders: str) -> str:
        """Have whoever comes to a crash point first carry out an order, e.g. `CP13.stop`; what `CHAOS` must be."""
        directory = self.home / "chaos"
        for name in ("orders", "passed", "fired"):
            (directory / name).mkdir(parents=True)
        for name in orders:
            (directory / "orders" / name).touch()
        return str(directory)

    def actions(self, name: str) -> list[str]:
        """The stable names of what a worker logged."""
        path = self.home / f"{name}.log"
        return [entry.get("action", "") for entry in _entries(path)]

    def deaths(self) -> list[dict[str, Any]]:
        """What anybody said about workers that died, reapers included."""
        return [
            entry
            for path in found_below(self.home, "*.log")
            for entry in _entries(path)
            if entry.get("action") == "worker_died"
        ]

    def end(self) -> None:
        """End every worker, and wait for the reapers they started."""
        for process in self.begun:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        try:
            for process in self.begun:
                process.wait(STOP_WITHIN_S)
        finally:
            for process in self.begun:
                process.kill()
                process.wait()
                assert process.stdout is not None
                process.stdout.close()
            for lock in found_below(self.home, reaper_lock(self.home).name):
                until(Lock(lock).is_free, "a reaper to end")


def _entries(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.startswith("{")]


def lives(process: Process) -> bool:
    """Whether this very process can still run."""
    now = read(process.pid)
    return now == process and now.alive


def is_suspended(pid: int) -> bool:
    """Whether a process stands still, told to."""
    process = read(pid)
    return process is not None and process.state in "Tt"


def suspend(pid: int) -> None:
    """Let a process stand still."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: is_suspended(pid), "it to stand still")


@pytest.fixture(params=["sqlite", "postgres"])
def crew(request: pytest.FixtureRequest, postgres_server: PostgresServer) -> Iterator[Crew]:
    """An installation nobody works in yet, once on each database."""
    home, settings = homes("crew"), {}
    if request.param == "postgres":
        settings["BANKSMAN_DATABASE_URL"] = postgres_server.create_database("crew")
    crew = Crew(home, settings)
    try:
        crew.cli("db", "upgrade")
        yield crew
        crew.end()
    finally:
        for process in crew.begun:
            process.kill()
        shutil.rmtree(home, ignore_errors=True)
        if request.param == "postgres":
            postgres_server.drop("crew")
