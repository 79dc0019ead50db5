"""`python -m tests.servers_from_npm`: every tool of two servers from npm, called by runs of a whole installation.

The suite needs nothing but Python, so this is run by hand: it prints a line per call, and ends with 1 if one of them
did not become what it should. It needs Node below /usr, and the servers in the tools' environment, which is where
`npm install --global --prefix .venv-tools` puts `@modelcontextprotocol/server-everything` and `…/server-filesystem`.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from core.config.accepted import tool_name
from tests.acceptance.house import ROOT, House, banksman, homes, is_listening, until
from tests.ports import free_port

PROGRAMS = ROOT / ".venv-tools" / "bin"
EVERYTHING, FILES = (PROGRAMS / f"mcp-server-{name}" for name in ("everything", "filesystem"))

WITHIN_S = 240.0
"""How long a run may take on a machine that is busy."""

TASK = "simulate-research-query"
NEVER_OFFERED = (
    "get-roots-list",
    "trigger-sampling-request",
    "trigger-sampling-request-async",
    "trigger-elicitation-request",
    "trigger-elicitation-request-async",
    "trigger-url-elicitation",
)
"""Offered only to clients that let servers ask them for something."""


@dataclass(frozen=True)
class Case:
    """One call, and what should come of it."""

    server: str
    tool: str
    args: Mapping[str, Any]
    says: str
    """Part of how the run ends."""
    files: tuple[str, ...] = ()
    """Names of what it leaves in the thread."""
    state: str = "completed"
    first: Mapping[str, str] = field(default_factory=dict)
    """Files that the run writes before, by path."""


_TEXT = {"a.txt": "one\ntwo\nthree\n"}
_EDIT = [{"oldText": "two", "newText": "2"}]


def everything(server: str) -> list[Case]:
    """Calls of the server that has every feature of the protocol."""
    page = "data:text/plain,hello"
    return [
        Case(server, "echo", {"message": "hello"}, "Echo: hello"),
        Case(
            server,
            "get-annotated-message",
            {"messageType": "error", "includeImage": True},
            "Error: Operation failed",
            ("answer-1.png",),
        ),
        Case(server, "get-env", {}, "PATH"),
        Case(server, "get-resource-links", {"count": 2}, "demo://resource/dynamic/text/2"),
        Case(
            server, "get-resource-reference", {"resourceType": "Text", "resourceId": 1}, "This is a plaintext resource"
        ),
        Case(
            server, "get-resource-reference", {"resourceType": "Blob", "resourceId": 2}, "Resource 2", ("answer-1.txt",)
        ),
        Case(server, "get-structured-content", {"location": "Chicago"}, "humidity"),
        Case(server, "get-sum", {"a": 1, "b": 2}, "The sum of 1 and 2 is 3."),
        Case(server, "get-tiny-image", {}, "MCP logo", ("answer-1.png",)),
        Case(
            server,
            "gzip-file-as-resource",
            {"name": "a.gz", "data": page, "outputType": "resource"},
            "",
            ("answer-1.gz",),
        ),
        Case(server, "gzip-file-as-resource", {"name": "a.gz", "data": page}, "a.gz: demo://resource/session/a.gz"),
        Case(server, "toggle-simulated-logging", {}, "Started simulated"),
        Case(server, "toggle-subscriber-updates", {}, "Started simulated"),
        Case(server, "trigger-long-running-operation", {"duration": 3, "steps": 6}, "Duration: 3 seconds"),
    ]


def files() -> list[Case]:
    """Calls of the server that works on files, here on those of the workspace."""
    here = {"first": _TEXT}
    return [
        Case("files", "list_allowed_directories", {}, "Allowed directories"),
        Case("files", "read_file", {"path": "a.txt"}, "two", **here),
        Case("files", "read_text_file", {"path": "a.txt", "head": 1}, "one", **here),
        Case("files", "read_media_file", {"path": "a.png"}, "", ("answer-1.png",), first={"a.png": "x"}),
        Case("files", "read_multiple_files", {"paths": ["a.txt", "b.txt"]}, "b.txt: Error", **here),
        Case("files", "write_file", {"path": "b.txt", "content": "b"}, "Successfully wrote"),
        Case("files", "edit_file", {"path": "a.txt", "edits": _EDIT}, "+2", **here),
        Case("files", "create_directory", {"path": "d/e"}, "Successfully created"),
        Case("files", "list_directory", {"path": "."}, "[FILE] a.txt", **here),
        Case("files", "list_directory_with_sizes", {"path": "."}, "14 B", **here),
        Case("files", "directory_tree", {"path": "."}, '"a.txt"', **here),
        Case("files", "move_file", {"source": "a.txt", "destination": "b.txt"}, "Successfully moved", **here),
        Case("files", "search_files", {"path": ".", "pattern": "*.txt"}, "a.txt", **here),
        Case("files", "get_file_info", {"path": "a.txt"}, "size: 14", **here),
        Case("files", "read_text_file", {"path": "/etc/passwd"}, "Access denied", state="failed"),
        Case("files", "read_text_file", {"path": "none.txt"}, "no such file", state="failed"),
        Case(
            "everything",
            "gzip-file-as-resource",
            {"name": "a", "data": "https://example.com/"},
            "fetch failed (`everything` runs without a network)",
            state="failed",
        ),
    ]


def config(cases: list[Case], port: int) -> str:
    """An operator's file: the servers, every tool as one that only reads the workspace, a playbook for each case."""
    servers = {
        "everything": {"command": [EVERYTHING.name]},
        "files": {"command": [FILES.name, "."]},
        "distant": {"url": f"http://127.0.0.1:{port}/mcp"},
    }
    word = {"tier": "workspace", "recovery": "idempotent", "timeout": "90s"}
    named = {tool_name(each.server, each.tool) for each in cases} | {"mcp.files.write_file"}
    whole = {
        "principals": {"requester": {"cli": "any"}},
        "mcp": {"servers": servers},
        "tools": {name: {**word, "tier": "read"} if ".distant." in name else word for name in sorted(named)},
        "playbooks": [_playbook(number, each) for number, each in enumerate(cases)],
    }
    return json.dumps(whole, indent=1)


def _playbook(number: int, case: Case) -> dict[str, Any]:
    steps = [
        {
            "id": f"before{place}",
            "title": f"Write {path}",
            "tool": "mcp.files.write_file",
            "with": {"path": path, "content": content},
        }
        for place, (path, content) in enumerate(case.first.items())
    ]
    last = {"id": "it", "title": "Call it", "tool": tool_name(case.server, case.tool), "with": dict(case.args)}
    summary = "${{ steps.it.out.text }} ."  # an answer that is nothing but files has no text
    return {"name": f"case-{number}", "title": case.tool, "steps": [*steps, last], "summary": summary}


@contextmanager
def distant(port: int) -> Iterator[None]:
    """The server that has everything, at an address."""
    environment = {"PATH": os.environ["PATH"], "PORT": str(port)}
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([EVERYTHING, "streamableHttp"], env=environment, stdout=quiet, stderr=quiet)
    try:
        until(lambda: is_listening(port), "the server at an address")
        yield
    finally:
        process.kill()
        process.wait()


def judged(case: Case, shown: Mapping[str, Any]) -> str | None:
    """What is wrong with how a run ended, if anything is."""
    state, outcome = shown["run"]["state"], shown["run"]["outcome"] or ""
    found = tuple(sorted(each["name"] for each in shown["artifacts"] if each["name"].startswith("answer-")))
    if (state, found) != (case.state, case.files):
        return f"is {state} with the files {found}"
    return None if case.says in outcome else "says something else"


def offered(listed: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the list of tools."""
    tools = {(each["server"], each["own_name"]): each for each in listed["tools"]}
    for server in ("everything", "distant"):
        if not tools.get((server, TASK), {}).get("task"):
            yield f"{server}: {TASK} is not said to run only as a task"
        yield from (f"{server}: {name} is offered" for name in NEVER_OFFERED if (server, name) in tools)
    yield from (f"{name}: {why}" for name, why in listed["errors"].items())


def main() -> int:
    """Call everything, print a line for each call; 1 if one of them went wrong."""
    if missing := [path.name for path in (EVERYTHING, FILES) if not path.exists()]:
        print(f"not there: {', '.join(missing)}\n\n{__doc__}", file=sys.stderr)
        return 2
    cases, port, home = [*everything("everything"), *everything("distant"), *files()], free_port(), homes("npm")
    path = home / "banksman.yml"
    wrong: list[str] = []
    with distant(port):
        # First without playbooks: those that use a tool nobody has accepted are refused.
        path.write_text(config([], port))
        for server in ("everything", "files", "distant"):
            done = banksman(home, "mcp", "accept", server, "--yes", BANKSMAN_CONFIG=str(path))
            assert done.code == 0, done
        path.write_text(config(cases, port))
        listed = banksman(home, "mcp", "list", "--json", BANKSMAN_CONFIG=str(path)).json
        wrong += offered(listed)
        house = House.start(home, BANKSMAN_CONFIG=str(path))
        try:
            asked = [house.ask(f"case-{number}", "--as", "requester") for number in range(len(cases))]
            for case, run in zip(cases, asked, strict=True):
                shown = house.reaches(run, "completed", "failed", "blocked", within_s=WITHIN_S)
                why = judged(case, shown)
                outcome = " ".join((shown["run"]["outcome"] or "").split())[:70]
                mark, state = "ok" if why is None else "NO", shown["run"]["state"]
                print(f"{mark}  {case.server:10} {case.tool:32} {state:9}  {outcome}")
                wrong += [] if why is None else [f"{case.server}: {case.tool} {why}"]
        finally:
            house.stop()
    shutil.rmtree(home, ignore_errors=True)
    print("\n".join([*wrong, f"{len(cases)} calls, {len(wrong)} mistakes"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
