"""How a conversation with an MCP server begins: its program is started before the library that speaks to it is loaded.

Each of the two takes a second or more where it is Python, so they take it at the same time. Only the standard library
is imported here; in the sandbox this is the program that runs, and `client` lies beside it.

Standard input brings a line about the server, with its `secrets`. Requests follow, as `client.Talk` takes them, with
`ends_s`: on the channel whose descriptor that line names, or on standard input. Answers go the same way back.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAX_LINE_BYTES = 8 << 20
"""The longest line that is read of a server: `client.MAX_MESSAGE_BYTES`."""

Begun = tuple[asyncio.AbstractEventLoop, asyncio.subprocess.Process]
"""A server of this machine, and the loop that its pipes belong to."""


def begun(server: Mapping[str, Any], secrets: Mapping[str, str]) -> Begun | None:
    """Start a server of this machine; `None` for one at an address.

    Raises:
        OSError: There is no such program, or it cannot be run.
    """
    if "url" in server:
        return None
    pipe, env = asyncio.subprocess.PIPE, {**os.environ, **server["env"], **secrets}
    loop = asyncio.new_event_loop()
    starting = asyncio.create_subprocess_exec(*server["argv"], stdin=pipe, stdout=pipe, env=env, limit=MAX_LINE_BYTES)
    return loop, loop.run_until_complete(starting)


def not_begun(error: OSError) -> dict[str, Any]:
    """What is answered when a server cannot be started: nothing happened."""
    where = "" if error.filename is None else f": {error.filename}"
    return {"over": True, "status": "failed-safe", "error": f"{error.strerror or error}{where}"}


def main() -> None:
    """Start the server of the request, then leave everything to the client."""
    head = json.loads(sys.stdin.readline())
    requests, said = sys.stdin, sys.stdout
    if "channel" in head:
        requests, said = open(head["channel"], closefd=False), open(head["channel"], "w")  # noqa: PTH123, SIM115
    try:
        found = begun(head["server"], head["secrets"])
    except OSError as error:
        said.write(json.dumps(not_begun(error)) + "\n")
        said.flush()
        return
    spec = importlib.util.spec_from_file_location("mcp_client", Path(__file__).with_name("client.py"))
    assert spec is not None
    assert spec.loader is not None
    client = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = client
    spec.loader.exec_module(client)
    client.serve(head["server"], head["secrets"], found, requests, said)


if __name__ == "__main__":
    main()
