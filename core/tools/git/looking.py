"""Looking at another repository: where a branch is, and what the child that looked has answered."""

from typing import Any

from core.errors import RetryableError, TerminalError
from core.tools.base import ToolContext, ToolResult
from core.tools.effects import run_effect
from core.tools.git.routes import Route


async def branch_at(way: Route, branch: str, context: ToolContext) -> str | None:
    """The commit a branch is at over there; `None` if it is not there. Raises as `answered` does."""
    request = {"route": dict(way.given), "branch": branch}
    found = answered(await run_effect(context, "git_look", request, secrets=way.secrets))
    at: str | None = found["taken"]
    return at


def answered(found: ToolResult) -> dict[str, Any]:
    """What a look answered; it changes nothing, so whatever else happened to it can be tried again.

    Raises:
        TerminalError: it cannot be looked at.
        RetryableError: it does not answer right now.
    """
    match found.status:
        case "succeeded":
            return dict(found.out)
        case "failed":
            raise TerminalError(found.error or "the repository cannot be looked at")
        case _:
            raise RetryableError(found.error or "the repository does not answer")
