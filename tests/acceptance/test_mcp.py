"""Tools over MCP in a whole installation: real servers answer runs, and one that changed is not called any more.

Whole processes, real servers, the real sandbox. The guide's own configuration and commands are what runs first.
"""

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from core.execution.labels import labelled
from core.ids import TENANT
from tests.acceptance.conftest import Builder
from tests.acceptance.house import ROOT, banksman, homes, until
from tests.docs.fences import Fence, fences

SERVER = ROOT / "tests" / "integration" / "tools" / "mcp" / "server.py"

PEOPLE = """\
principals:
  requester: {cli: any}
  approver: {roles: [approver], cli: any}
policy:
  approvers: {roles: [approver]}
"""
NOTES = """\
mcp: {servers: {notes: {command: [python, "PROGRAM"], network: host, env: {CALLED: "CALLED_FILE"}}}}
tools: {mcp.notes.do: {tier: irreversible, recovery: opaque, timeout: 60s}}
playbooks:
  - name: note
    title: Write a note
    inputs: {text: {type: string}}
    steps:
      - {id: write, title: Write it, tool: mcp.notes.do, with: {text: "${{ inputs.text }}"}}
    summary: "Wrote ${{ steps.write.out.text }}"
"""


def fence(key: str) -> Fence:
    return next(each for each in fences(ROOT) if each.key == key)


@pytest.mark.runs_fence("docs/guides/mcp.md > Let it > 1")
def test_a_server_from_the_registry_answers_a_run_as_the_guide_says(new_house: Builder) -> None:
    home = homes("house")
    config = home / "banksman.yml"
    config.write_text(PEOPLE + fence("docs/guides/mcp.md > Let it > 1").text)
    banksman(home, "mcp", "accept", "time/get_current_time", "--yes", BANKSMAN_CONFIG=str(config))
    house = new_house(home=home, BANKSMAN_CONFIG=str(config))

    run = house.cli("run", "clock", "--input", "place=Europe/Oslo", "--as", "requester").out.strip()

    shown = house.reaches(run, "completed")
    assert shown["run"]["outcome"].startswith("It is 2")
    [action] = shown["actions"]
    assert ("mcp.time.get_current_time", "read", "pure") == (action["tool"], action["tier"], action["recovery"])


class Pages(BaseHTTPRequestHandler):
    """A page, one that robots may not read, and one that leads there."""

    def do_GET(self) -> None:
        """Answer."""
        known = {
            "/robots.txt": ("text/plain", b"User-agent: *\nDisallow: /private\n"),
            "/page": ("text/html", b"<html><body><h1>Opening hours</h1><p>From nine to five.</p></body></html>"),
            "/private": ("text/plain", b"nobody reads this"),
        }
        kind, body = known.get(self.path, ("text/plain", b""))
        self.send_response(302 if self.path == "/moved" else 200 if self.path in known else 404)
        if self.path == "/moved":
            self.send_header("Location", "/private")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def pages() -> Iterator[str]:
    """The address of a server of pages."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.runs_fence("docs/guides/mcp.md > One that needs the network > 1")
def test_a_server_from_the_registry_reads_a_page_as_far_as_robots_may(new_house: Builder, pages: str) -> None:
    home = homes("house")
    config = home / "banksman.yml"
    # Pages of this machine are private, and with Node in sight the server would reach for a registry.
    here = f'[mcp-server-fetch, --allow-private-ips], env: {{PATH: "{ROOT / ".venv-tools" / "bin"}"}}'
    config.write_text(PEOPLE + fence("docs/guides/mcp.md > One that needs the network > 1").text)
    config.write_text(config.read_text().replace("[mcp-server-fetch]", here))
    banksman(home, "mcp", "accept", "fetch", "--yes", BANKSMAN_CONFIG=str(config))
    house = new_house(home=home, BANKSMAN_CONFIG=str(config))

    def read(path: str) -> str:
        return house.cli("run", "page", "--input", f"address={pages}{path}", "--as", "requester").out.strip()

    page, moved = read("/page"), read("/moved")

    shown = house.reaches(page, "completed")["run"]["outcome"]
    assert "# Opening hours" in shown
    assert "From nine to five." in shown
    assert "robots.txt" in house.reaches(moved, "failed")["run"]["outcome"]


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_tool_that_acts_outside_asks_and_a_changed_one_is_not_called(
    database: str, new_house: Builder, tmp_path: Path
) -> None:
    home = homes("house")
    config, program, called = home / "banksman.yml", tmp_path / "server.py", tmp_path / "called.txt"
    shutil.copy(SERVER, program)
    config.write_text(PEOPLE + NOTES.replace("PROGRAM", str(program)).replace("CALLED_FILE", str(called)))
    banksman(home, "mcp", "accept", "notes", "--yes", BANKSMAN_CONFIG=str(config))
    house = new_house(database, home=home, BANKSMAN_CONFIG=str(config))

    def asked(text: str) -> str:
        return house.cli("run", "note", "--input", f"text={text}", "--as", "requester").out.strip()

    first = asked("one")
    [approval] = house.reaches(first, "waiting-for-approval")["approvals"]
    assert not called.exists()
    house.cli("approve", approval["id"], "--as", "approver", "--yes")
    assert "Wrote one" == house.reaches(first, "completed")["run"]["outcome"]
    assert "one" == called.read_text()

    late = asked("two")
    [approval] = house.reaches(late, "waiting-for-approval")["approvals"]
    program.write_text(program.read_text().replace("Say it again", "Say it to me"))
    house.cli("approve", approval["id"], "--as", "approver", "--yes")
    assert "has changed since it was accepted" in house.reaches(late, "failed")["run"]["outcome"]
    third = asked("three")
    why = house.reaches(third, "failed")["run"]["outcome"]

    assert "has changed since it was accepted (description)" in why
    assert "one" == called.read_text()
    assert "Say it to me" in house.cli("mcp", "diff", "notes", code=1).out
    house.cli("mcp", "accept", "notes/do", "--yes")
    house.cli("mcp", "list", code=0)


COUNTER = """\
import json, sys
count = 0
for line in sys.stdin:
    asked = json.loads(line)
    if asked["method"] == "initialize":
        version = asked["params"]["protocolVersion"]
        answer = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": "c", "version": ""}}
    elif asked["method"] == "tools/list":
        answer = {"tools": [{"name": "next", "inputSchema": {"type": "object"}}]}
    elif asked["method"] == "tools/call":
        count += 1
        answer = {"content": [{"type": "text", "text": str(count)}]}
    elif "id" not in asked:
        continue
    else:
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32601, "message": "?"}}), flush=True)
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": answer}), flush=True)
"""
STAYING = f"""\
mcp:
  servers:
    counter: {{command: [python, -c, {json.dumps(COUNTER)}]}}
tools:
  mcp.counter.next: {{tier: workspace, recovery: idempotent}}
  shell: {{tier: workspace, recovery: idempotent}}
  files.delete: {{tier: compensable, recovery: idempotent}}
sandbox: {{level: auto, unsandboxed: refused}}
playbooks:
  - name: count
    title: Count, wait for a file, ask, and count again
    steps:
      - {{id: one, title: First, tool: mcp.counter.next}}
      - {{id: two, title: Second, tool: mcp.counter.next}}
      - id: gate
        title: Wait at the gate
        tool: shell
        with: {{argv: [sh, -c, "touch gone came; while [ ! -e go ]; do sleep 0.05; done"]}}
      - {{id: three, title: Third, tool: mcp.counter.next}}
      - {{id: ask, title: Ask, tool: files.delete, with: {{path: gone}}}}
      - {{id: four, title: Fourth, tool: mcp.counter.next}}
    summary: "{" ".join(f"${{{{ steps.{step}.out.text }}}}" for step in ("one", "two", "three", "four"))}"
"""


def test_a_server_stays_while_a_worker_has_the_run_in_hand_and_no_longer(new_house: Builder) -> None:
    home = homes("house")
    config = home / "banksman.yml"
    config.write_text(PEOPLE + STAYING)
    banksman(home, "mcp", "accept", "counter", "--yes", BANKSMAN_CONFIG=str(config))
    house = new_house(home=home, BANKSMAN_CONFIG=str(config))

    def at_the_gate() -> tuple[str, Path]:
        run = house.cli("run", "count", "--as", "requester").out.strip()
        place = home / "workspaces" / TENANT / run
        until(lambda: (place / "came").exists(), "the gate")
        return run, place

    def servers(run: str) -> list[int]:
        """Whatever has the server's program on its command line, and nothing before it but the interpreter."""
        return [each.pid for each in labelled(run_id=run) if words_of(each.pid)[2] == COUNTER.encode()]

    def ended(run: str) -> str:
        [approval] = house.reaches(run, "waiting-for-approval")["approvals"]
        assert {} == labelled(run_id=run), "nobody has it in hand"
        house.cli("approve", approval["id"], "--as", "approver", "--yes")
        outcome = str(house.reaches(run, "completed", "failed")["run"]["outcome"])
        assert {} == labelled(run_id=run)
        return outcome

    run, place = at_the_gate()
    assert 1 == len(servers(run))
    (place / "go").touch()
    assert "1 2 3 1" == ended(run)

    stopped, _ = at_the_gate()
    house.cli("kill", stopped, "--as", "requester")
    until(lambda: house.show(stopped)["stop"]["confirmed_at"], "the stop to be confirmed")
    assert {} == labelled(run_id=stopped)

    taken_over, place = at_the_gate()
    (before,) = servers(taken_over)
    os.kill(house.part("worker"), signal.SIGKILL)
    until(lambda: house.show(taken_over)["actions"][2]["attempts"] == 2, "another attempt of the gate")
    assert [] == [pid for pid in servers(taken_over) if pid == before]
    (place / "go").touch()
    assert "1 2 1 1" == ended(taken_over)


def words_of(pid: int) -> list[bytes]:
    """What stands on a command line; at least three, or nothing."""
    try:
        return [*Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"), b"", b"", b""]
    except OSError:
        return [b"", b"", b""]
