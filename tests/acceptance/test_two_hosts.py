"""Two hosts on one PostgreSQL, and one of them is cut off: its run goes on elsewhere, what it writes late is refused,
and what runs there is unconfirmed until it is back.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from core.execution.base import SandboxLevel
from core.execution.labels import labelled
from core.execution.processes import descendants, read
from core.ids import TENANT
from tests import skips
from tests.acceptance.house import ROOT, Installation, clean_environment, homes, until
from tests.servers import PostgresServer

WAITING = """\
tools:
  shell: {tier: workspace, recovery: idempotent}

sandbox: {level: auto, unsandboxed: refused}

playbooks:
  - name: waiting
    title: A call that waits for a file to appear
    steps:
      - id: gate
        title: Wait at the gate
        tool: shell
        with: {argv: [sh, -c, "while [ ! -e go ]; do sleep 0.05; done; cat go"]}
    summary: "${{ steps.gate.out.stdout }}"
"""


@dataclass
class OtherHost:
    """A worker and its reaper on another host, as far as they can tell."""

    name: str
    home: Path
    process: "subprocess.Popen[bytes]"

    def pid_of(self, *words: str) -> int:
        """Our pid of the process with these words on its command line."""

        def look() -> int | None:
            for process in descendants(self.process.pid):
                try:
                    argv = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if process.alive and argv[2 : 2 + len(words)] == [word.encode() for word in words]:
                    return process.pid
            return None

        return until(look, f"{words} on the other host")

    def wire(self) -> int:
        """The process that carries its only connection to the world."""
        return self.pid_of("tests.acceptance.other_host", "--wire")

    def log(self, part: str) -> str:
        path = self.home / ("worker.log" if part == "worker" else f"logs/{part}.log")
        return path.read_text() if path.exists() else ""


@pytest.fixture
def place(tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Installation]:
    """Where people ask and stop: neither of the hosts, on their database."""
    (tmp_path / "waiting.yml").write_text(WAITING)
    home = homes("place")
    database = postgres_server.create_database("two_hosts")
    found = Installation(home, {"BANKSMAN_CONFIG": str(tmp_path / "waiting.yml"), "BANKSMAN_DATABASE_URL": database})
    found.cli("db", "upgrade")
    yield found
    shutil.rmtree(home, ignore_errors=True)
    postgres_server.drop("two_hosts")


@pytest.fixture
def hosts(place: Installation) -> Iterator[tuple[OtherHost, OtherHost]]:
    """Two hosts, up, with one database and one place for files."""
    with a_host(place, "host-a") as first, a_host(place, "host-b") as second:
        for host in (first, second):
            stdout = host.process.stdout
            assert stdout is not None and stdout.readline().startswith(b"ready"), host.log("worker")
            until(lambda host=host: "reaper_ready" in host.log("reaper"), f"the reaper of {host.name}")  # type: ignore[misc]
        yield first, second


@contextmanager
def a_host(place: Installation, name: str) -> Iterator[OtherHost]:
    """Have a host start; it is up once it says so."""
    own = ["unshare", "--net", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if os.geteuid() != 0:
        own += ["--user", "--map-root-user"]
    possible = shutil.which("unshare") and 0 == subprocess.run([*own, "true"], capture_output=True).returncode
    # What bwrap needs of a host is what this needs.
    skips.skip_without_sandbox(SandboxLevel.BWRAP, available=bool(possible))
    there = make_url(place.database_url)
    socket = Path(str(there.query["host"])) / ".s.PGSQL.5432"
    home = homes(name)
    settings = {
        "BANKSMAN_CONFIG": place.settings["BANKSMAN_CONFIG"],
        "BANKSMAN_ARTIFACTS_URL": f"file://{place.home / 'artifacts'}",
        "DATABASE_USER": str(there.username),
    }
    with (home / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [*own, sys.executable, "-m", "tests.acceptance.other_host", name, str(socket), str(there.database)],
            cwd=ROOT,
            env=clean_environment(home, **settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    found = OtherHost(name, home, process)
    assert process.stdout is not None and process.stdin is not None
    try:
        yield found
    finally:
        everything = descendants(process.pid)
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
        until(lambda: not any(read(each.pid) == each for each in everything), f"the end of {name}")
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def asleep(*pids: int) -> Iterator[None]:
    """Let processes do nothing for a while."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


def fences(run_id: str) -> set[int]:
    """Without what outlives its supervisor for a moment: it carries marks alone, which have no fence to tell."""
    return {label.fence for label in labelled(run_id=run_id).values()} - {0}


def begun_on(place: Installation, host: OtherHost, other: OtherHost) -> tuple[str, int]:
    """A run whose call is under way on the first of these hosts, and its fence."""
    with asleep(other.pid_of("worker")):  # so that it does not take the run
        run_id = place.ask("waiting")
        place.working(run_id)
        return run_id, until(lambda: fences(run_id), "its call").pop()


def taken_over(run_id: str, fence: int) -> None:
    until(lambda: fences(run_id) - {fence}, "the run to be taken over")


def open_gate(host: OtherHost, run_id: str, words: str) -> None:
    (host.home / "workspaces" / TENANT / run_id / "go").write_text(words)


def test_a_host_that_is_cut_off_loses_its_run_and_what_it_writes_late_is_refused(
    place: Installation, hosts: tuple[OtherHost, OtherHost]
) -> None:
    here, away = hosts
    run_id, fence = begun_on(place, away, here)
    worker = away.pid_of("worker")
    with asleep(worker):  # so that it cannot end its call by itself
        with asleep(away.wire()):
            taken_over(run_id, fence)
            open_gate(away, run_id, "from the host that was cut off")
            until(lambda: fence not in fences(run_id), "its call to end there")
            open_gate(here, run_id, "from the host that took over")
            shown = place.reaches(run_id, "completed")
        assert "from the host that took over" == shown["run"]["outcome"]

    # It is awake and connected again: what it has to say is kept, and changes nothing.
    until(lambda: "late-result" in [event["type"] for event in place.log(run_id)], "its late result")
    after = place.show(run_id)
    assert shown["run"] | {"updated_at": ""} == after["run"] | {"updated_at": ""}
    for action in (*shown["actions"], *after["actions"]):
        del action["late_results"]
    assert shown["actions"] == after["actions"]
    assert [("succeeded", 2)] == [(call["status"], call["attempts"]) for call in after["actions"]]
    assert {} == labelled(run_id=run_id)


def test_a_worker_that_is_killed_is_replaced_on_the_other_host_when_its_own_has_said_that_nothing_is_left(
    place: Installation, hosts: tuple[OtherHost, OtherHost]
) -> None:
    here, away = hosts
    run_id, fence = begun_on(place, away, here)

    os.kill(away.pid_of("worker"), signal.SIGKILL)

    taken_over(run_id, fence)
    assert fence not in fences(run_id)
    # Said only by whoever ended its lease before it ran out, and only after that.
    until(lambda: "worker_died" in away.log("reaper"), "its host to have said that it died")
    assert "worker_died" not in here.log("worker") + here.log("reaper")
    open_gate(here, run_id, "from the other host")
    shown = place.reaches(run_id, "completed")
    assert "from the other host" == shown["run"]["outcome"]
    assert [("succeeded", 2)] == [(call["status"], call["attempts"]) for call in shown["actions"]]


def test_processes_of_a_host_that_is_cut_off_are_unconfirmed_until_it_is_back(
    place: Installation, hosts: tuple[OtherHost, OtherHost]
) -> None:
    here, away = hosts
    run_id, fence = begun_on(place, away, here)
    worker, wire = away.pid_of("worker"), away.wire()
    with asleep(worker):  # so that it cannot end its call by itself
        with asleep(wire):
            taken_over(run_id, fence)

            place.cli("kill", run_id, "--reason", "it is everywhere")

            until(lambda: fences(run_id) == {fence}, "everything on the other host to end")

            def one_missing() -> dict[str, Any] | None:
                found = place.show(run_id)["stop"]
                return dict(found) if len(found["unconfirmed_hosts"]) == 1 else None

            stop = until(one_missing, "the other host's word")
            (named,) = stop["unconfirmed_hosts"]
            assert named.startswith(f"{away.name}/")
            assert stop["confirmed_at"] is None
            assert {fence} == fences(run_id), "nobody else can end what runs there"

        # It is back, its worker still asleep: its reaper ends what runs there and says so.
        def proved() -> dict[str, Any] | None:
            found = place.show(run_id)
            return found if found["stop"]["confirmed_at"] else None

        shown = until(proved, "the proof")
        assert {} == labelled(run_id=run_id)
        assert [] == shown["stop"]["unconfirmed_hosts"]
        assert 2 <= shown["stop"]["processes_ended"]
        said = [event for event in place.log(run_id) if event["type"] == "stop-reported"]
        assert 2 == len({event["evidence"][0]["host"] for event in said})
        assert f"system:reaper:{named}" in {event["actor"] for event in said}

    until(lambda: "lease" in away.log("worker"), "its worker to notice")
    after = place.show(run_id)
    assert ("canceled", shown["stop"]["confirmed_at"]) == (after["run"]["state"], after["stop"]["confirmed_at"])
