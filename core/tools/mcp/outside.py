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

_talks: list[Talk] = []
"""The one server this child speaks to, from the first request on."""


def ready(args: Mapping[str, Any], secrets: Mapping[str, str], idempotency_key: str, timeout_s: float) -> Any:
    """Start or reach the server and compare the tool; it then waits."""
    return _asked(args, secrets, timeout_s)


def perform(args: Mapping[str, Any], secrets: Mapping[str, str], idempotency_key: str, timeout_s: float) -> Any:
    """Make the call."""
    return _with_word(_talks[0].call())


def look(args: Mapping[str, Any], secrets: Mapping[str, str], idempotency_key: str, timeout_s: float) -> Any:
    """List the server's tools; calls none."""
    return _asked({"server": args["server"]}, secrets, timeout_s)


def leave() -> None:
    """Take leave of the server, if there is one."""
    for talk in _talks:
        talk.leave()


def _asked(request: Mapping[str, Any], secrets: Mapping[str, str], timeout_s: float) -> Any:
    ends_s = time.monotonic() + timeout_s
    if not _talks:
        try:
            found = begun(request["server"], secrets)
        except OSError as error:
            return not_begun(error)
        from core.tools.mcp.client import Talk  # takes a second, which the server uses to start

        _talks.append(Talk(request["server"], secrets, found))
    return _with_word(_talks[0].ready(request, ends_s))


def _with_word(answer: Mapping[str, Any]) -> Any:
    """The answer, after the word that nothing more can be asked here, if so."""
    return {"over": True, **answer} if _talks[0].is_over else answer
