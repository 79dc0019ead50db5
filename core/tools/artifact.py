"""The `artifact` tool: turns a file of the workspace into one that outlives the run.

The bytes are copied out of the sandbox's reach before anything is said about them. Storing, verifying and showing them
is the engine's and the bot's work.
"""

import asyncio
from typing import Any

from pydantic import BaseModel, Field

from core.artifacts import CAP_BYTES
from core.errors import RetryableError, TerminalError
from core.names import display_name, sniff_media_type
from core.tools import beneath
from core.tools.base import Produced, ToolContext, ToolResult
from core.tools.registry import Arguments


class ArtifactArguments(Arguments):
    """A file to keep."""

    path: str = Field(max_length=1024, description="a file in the workspace, e.g. `out/report.pdf`")
    name: str | None = Field(default=None, max_length=255, description="how people see it; by default its own name")


class Artifact:
    """Keeps a file.

    Args:
        cap_bytes: More than this is refused.
    """

    name = "artifact"
    description = "Keep a file of the run's workspace and show it in the thread."
    keeps = 1

    def __init__(self, *, cap_bytes: int = CAP_BYTES) -> None:
        self._cap_bytes = cap_bytes

    @property
    def arguments(self) -> type[BaseModel]:
        return ArtifactArguments

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        assert isinstance(args, ArtifactArguments)
        try:
            return await asyncio.to_thread(self._keep, args, context)
        except TerminalError as error:
            return ToolResult("failed", error=error.user_text)
        except RetryableError as error:
            return ToolResult("failed-safe", error=error.user_text)

    def _keep(self, args: ArtifactArguments, context: ToolContext) -> ToolResult:
        copy = context.scratch / "artifact"
        copied = beneath.copy_out(context.workspace, args.path, copy, max_bytes=self._cap_bytes)
        name = display_name(args.name or args.path)
        media_type = sniff_media_type(name, copied.head)
        out: dict[str, Any] = {
            "name": name,
            "size": copied.size,
            "sha256": copied.sha256,
            "media_type": media_type,
        }
        return ToolResult("succeeded", out, (Produced(name, copy, media_type),))
