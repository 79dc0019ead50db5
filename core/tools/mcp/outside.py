"""MCP servers that act beyond the sandbox, as the child that acts outside speaks to them (`core.tools.effects`).

The server is ready, and its tool compared with its pin, before the child looks a last time; only the call itself comes
after that.
"""

import time
from collections.abc import Mapping
from typing import Any

from core.tools.mcp.client import Talk

_waiting: list[Talk] = []
"""The server that waits for its call: one child makes one call."""


def ready(args: Mapping[str, Any], secrets: Mapping[str, str], idempotency_key: str, timeout_s: float) -> Any:
    """Start or reach the server and compare the tool; it then waits."""
    talk = Talk(args, secrets, time.monotonic() + timeout_s)
    answer = talk.ready()
    _waiting.append(talk)
    return answer


def perform(args: Mapping[str, Any], secrets: Mapping[str, str], idempotency_key: str, timeout_s: float) -> Any:
    """Make the call."""
    return _waiting.pop().call()


def look(args: Mapping[str, Any], secrets: Mapping[str, str], idempotency_key: str, timeout_s: float) -> Any:
    """List the server's tools; calls none."""
    return Talk({"server": args["server"]}, secrets, time.monotonic() + timeout_s).ready()
