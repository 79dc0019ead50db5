"""MCP servers that act beyond the sandbox, as the child that acts outside speaks to them (`core.tools.effects`).

The server is ready, and its tool compared with its pin, before the child looks a last time; only the call itself comes
after that.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.tools.mcp.begin import begun, not_begun

if TYPE_CHECKING:
    from core.tools.mcp.client import Talk

_waiting: list[Talk] = []
"""The server that waits for its call: one child makes one call."""


def ready(args: Mapping[str, Any], secrets: Mapping[str, str], idempotency_key: str, timeout_s: float) -> Any:
    """Start or reach the server and compare the tool; it then waits."""
    try:
        talk = _talk(args, secrets, timeout_s)
    except OSError as error:
        return not_begun(error)
    answer = talk.ready()
    _waiting.append(talk)
    return answer


def perform(args: Mapping[str, Any], secrets: Mapping[str, str], idempotency_key: str, timeout_s: float) -> Any:
    """Make the call."""
    return _waiting.pop().call()


def look(args: Mapping[str, Any], secrets: Mapping[str, str], idempotency_key: str, timeout_s: float) -> Any:
    """List the server's tools; calls none."""
    try:
        return _talk({"server": args["server"]}, secrets, timeout_s).ready()
    except OSError as error:
        return not_begun(error)


def _talk(request: Mapping[str, Any], secrets: Mapping[str, str], timeout_s: float) -> Talk:
    ends_s = time.monotonic() + timeout_s
    found = begun(request["server"], secrets)
    from core.tools.mcp.client import Talk  # takes a second, which the server uses to start

    return Talk(request, secrets, ends_s, found)
