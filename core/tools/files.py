"""The `files.*` tools: read, write, list and delete in the run's own workspace.

They run here and not in the sandbox, so everything goes through `core.tools.beneath`. A file becomes an artifact by the
`artifact` tool, not here.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, Field

from core.errors import RetryableError, TerminalError
from core.tools import beneath
from core.tools.base import ToolContext, ToolResult
from core.tools.program import readable_text, shortened
from core.tools.registry import Arguments

READ_BYTES = 10_000_000
"""The largest file `files.read` opens; what it returns is shortened to `READ_JSON_BYTES`."""
READ_JSON_BYTES = 56 * 1024
LIST_ENTRIES = 500
LIST_JSON_BYTES = 56 * 1024


class ReadArguments(Arguments):
    """A text file to read."""

    path: str = Field(max_length=1024, description="a text file in the workspace, e.g. `data/notes.txt`")


class WriteArguments(Arguments):
    """A text file to write."""

    path: str = Field(max_length=1024, description="where in the workspace; missing directories are made")
    content: str = Field(max_length=65_536, description="the whole new content")
    overwrite: bool = Field(default=True, description="whether an existing file is replaced")


class ListArguments(Arguments):
    """A directory to list."""

    path: str = Field(default=".", max_length=1024, description="a directory in the workspace")
    recursive: bool = Field(default=False, description="whether to go into directories below")


class DeleteArguments(Arguments):
    """A file to delete."""

    path: str = Field(max_length=1024, description="a file in the workspace")


class ReadFile:
    """Reads text; bytes that are no UTF-8 are replaced visibly."""

    name = "files.read"
    description = "Read a text file of the run's workspace."

    @property
    def arguments(self) -> type[BaseModel]:
        return ReadArguments

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        assert isinstance(args, ReadArguments)

        def read() -> dict[str, Any]:
            data = beneath.read_file(context.workspace, args.path, max_bytes=READ_BYTES)
            if b"\0" in data[:4096]:
                raise beneath.PathRefused(
                    f"{beneath.shown(args.path)} is not a text file; store it with `artifact` instead."
                )
            text, cut = shortened(readable_text(data), READ_JSON_BYTES)
            return {"text": text, "size": len(data), "truncated": cut}

        return await answered(read)


class WriteFile:
    """Writes text under a name, whole or not at all."""

    name = "files.write"
    description = "Write a text file in the run's workspace."

    @property
    def arguments(self) -> type[BaseModel]:
        return WriteArguments

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        assert isinstance(args, WriteArguments)

        def write() -> dict[str, Any]:
            data = args.content.encode()
            created = beneath.write_file(context.workspace, args.path, data, overwrite=args.overwrite)
            return {"path": "/".join(beneath.parts_of(args.path)), "size": len(data), "created": created}

        return await answered(write)


class ListFiles:
    """Lists names, kinds and sizes."""

    name = "files.list"
    description = "List the files of the run's workspace."

    @property
    def arguments(self) -> type[BaseModel]:
        return ListArguments

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        assert isinstance(args, ListArguments)

        def listing() -> dict[str, Any]:
            found, more = beneath.list_entries(
                context.workspace, args.path, recursive=args.recursive, max_entries=LIST_ENTRIES
            )
            entries: list[dict[str, Any]] = []
            room = LIST_JSON_BYTES
            for entry in found:
                room -= 2 * len(entry.path.encode()) + 64
                if room < 0:
                    break
                entries.append({"path": readable_text(entry.path.encode()), "kind": entry.kind, "size": entry.size})
            return {"entries": entries, "truncated": more or len(entries) < len(found)}

        return await answered(listing)


class DeleteFile:
    """Deletes one file; directories stay."""

    name = "files.delete"
    description = "Delete one file of the run's workspace."

    @property
    def arguments(self) -> type[BaseModel]:
        return DeleteArguments

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        assert isinstance(args, DeleteArguments)

        def delete() -> dict[str, Any]:
            beneath.delete_file(context.workspace, args.path)
            return {"path": "/".join(beneath.parts_of(args.path))}

        return await answered(delete)


async def answered(work: Callable[[], Mapping[str, Any]]) -> ToolResult:
    """Run blocking file work in a thread; a refusal becomes the sentence of a failed call."""
    try:
        return ToolResult("succeeded", await asyncio.to_thread(work))
    except TerminalError as error:
        return ToolResult("failed", error=error.user_text)
    except RetryableError as error:
        return ToolResult("failed-safe", error=error.user_text)
