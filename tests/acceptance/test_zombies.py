"""Workers that stand still at the worst moment and wake up when another one has finished their run: an outside server
counts what reached it.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from core.execution.labels import is_supervisor, labelled
from core.execution.processes import Process
from tests.acceptance.crew import Crew, crew, is_suspended, lives, suspend
from tests.acceptance.house import until

__all__ = ["crew"]

SENDING = """\
tools:
  http: {{tier: compensable, recovery: idempotent, network: ["127.0.0.1:{port}"]}}

playbooks:
  - name: sending
    title: One request to the outside
    steps:
      - id: send
        title: Send it
        tool: http
        with: {{method: POST, url: "http://127.0.0.1:{port}/orders", json: {{item: 1}}}}
    summary: "${{{{ steps.send.out.status }}}}"

policy:
  rules:
    - {{name: ours, tools: [http], decision: allow}}
"""


@dataclass
class Outside:
    """A server that is not ours, and what it was asked."""

    port: int
    keys: list[str] = field(default_factory=list)
    """The idempotency key of each request."""
    watched: list[Process] = field(default_factory=list)
    alive: list[Process] = field(default_factory=list)
    """Which of these were alive when a request came."""


@pytest.fixture
def outside() -> Iterator[Outside]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            found.keys.append(self.headers["Idempotency-Key"])
            found.alive += [process for process in found.watched if lives(process)]
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Outside(server.server_port)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def sender(crew: Crew, outside: Outside) -> Crew:
    """The installation, with a playbook that sends one request to the outside."""
    path = crew.home / "sending.yml"
    path.write_text(SENDING.format(port=outside.port))
    crew.settings["BANKSMAN_CONFIG"] = str(path)
    return crew


@pytest.fixture
def home(sender: Crew) -> Path:
    """Where the other worker is. In a home of its own it knows nothing of the first one's host fence."""
    if sender.database_url.startswith("sqlite"):
        return sender.home
    path = sender.home / "other"
    path.mkdir()
    return path


def told(crew: Crew, run_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The run and its log without what came too late: that is kept, and never applied."""
    shown = crew.show(run_id)
    del shown["run"]["updated_at"]
    for action in shown["actions"]:
        del action["late_results"]
    return shown, [event for event in crew.log(run_id) if event["type"] != "late-result"]


def woken(crew: Crew, late: int, other: "subprocess.Popen[bytes]", outside: Outside) -> None:
    """Wake the late one up, and have it be the only one: what it does then it does by itself."""
    os.kill(late, signal.SIGCONT)
    until(lambda: "lease_lost" in crew.actions("first"), "it to notice")
    other.terminate()
    other.wait()
    before = len(outside.keys)
    crew.reaches(crew.ask("sending"), "completed")
    assert before + 1 == len(outside.keys)


def test_one_that_stood_still_between_the_commit_and_the_effect_has_no_effect(
    sender: Crew, home: Path, outside: Outside
) -> None:
    late = sender.worker("first", CHAOS=sender.order("CP13.stop"))
    run_id = sender.ask("sending")
    until(lambda: is_suspended(late.pid), "it to stand still")
    assert ["started"] == [call["status"] for call in sender.show(run_id)["actions"]]
    assert [] == outside.keys
    other = sender.worker("second", home=home)
    sender.reaches(run_id, "completed")
    before = told(sender, run_id)
    assert [] == sender.deaths(), "it holds its lock, and is not dead"

    woken(sender, late.pid, other, outside)

    assert before == told(sender, run_id)
    assert 1 == outside.keys.count(outside.keys[0])
    assert [("succeeded", 2)] == [(call["status"], call["attempts"]) for call in before[0]["actions"]]


def test_an_effect_that_stood_still_after_its_look_is_ended_before_anybody_repeats_it(
    sender: Crew, home: Path, outside: Outside
) -> None:
    late = sender.worker("first", CHAOS=sender.order("CP14.stop"))
    run_id = sender.ask("sending")

    def standing() -> Process | None:
        found = [process for process in labelled(run_id=run_id) if not is_supervisor(process)]
        return found[0] if found and is_suspended(found[0].pid) else None

    effect = until(standing, "the effect to stand still after its look")
    outside.watched.append(effect)
    suspend(late.pid)
    assert [] == outside.keys
    other = sender.worker("second", home=home)
    sender.reaches(run_id, "completed")
    assert not lives(effect)
    assert [] == outside.alive, "it was alive when the request was repeated"
    before = told(sender, run_id)

    woken(sender, late.pid, other, outside)

    assert before == told(sender, run_id)
    assert 1 == outside.keys.count(outside.keys[0])
