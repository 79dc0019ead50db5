"""The `shell` tool: one program with its arguments, in the sandbox, never through a shell.

What a person reads of its output is here; what ends it is the environment's. The whole output is left as a file when
it is longer than the result holds.
"""

import asyncio
import shutil
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, field_validator

from core.execution.base import ProcessResult, discard_files
from core.tools import beneath
from core.tools.base import Produced, ToolContext, ToolResult
from core.tools.program import readable_text, run_program, shortened
from core.tools.registry import Arguments

STDOUT_JSON_BYTES = 40 * 1024
STDERR_JSON_BYTES = 16 * 1024
"""Both together stay below the 64 KiB that a result may have."""

_LAST_LINE_CHARACTERS = 200


class ShellArguments(Arguments):
    """One program."""

    argv: list[Annotated[str, Field(max_length=32_768)]] = Field(
        min_length=1,
        max_length=256,
        description="the program and its arguments, one list item each; no shell reads them",
    )
    cwd: str = Field(default=".", max_length=1024, description="directory in the workspace to run in")
    ok_exit_codes: list[Annotated[int, Field(ge=0, le=255)]] = Field(
        default=[0], min_length=1, max_length=16, description="exit codes that count as success"
    )

    @field_validator("argv")
    @classmethod
    def _has_a_program(cls, argv: list[str]) -> list[str]:
        if not argv[0].strip():
            raise ValueError("the first item must name a program, e.g. `python`")
        return argv

    @field_validator("cwd")
    @classmethod
    def _stays_inside(cls, cwd: str) -> str:
        try:
            beneath.parts_of(cwd)
        except beneath.PathRefused as error:
            raise ValueError(str(error)) from None
        return cwd


class Shell:
    """Runs a program. `python` is the tool environment's interpreter, as the sandbox's PATH begins with it."""

    name = "shell"
    description = "Run a program in the run's workspace, without a network and without a shell."

    @property
    def arguments(self) -> type[BaseModel]:
        return ShellArguments

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        assert isinstance(args, ShellArguments)
        result = await run_program(context, tuple(args.argv), cwd=args.cwd)
        if isinstance(result, ToolResult):
            return result
        try:
            return await asyncio.to_thread(self._answer, args, context, result)
        finally:
            discard_files(result)

    def _answer(self, args: ShellArguments, context: ToolContext, result: ProcessResult) -> ToolResult:
        out: dict[str, Any] = {"exit_code": result.exit_code}
        produced = []
        for name, data, file, limit in (
            ("stdout", result.stdout, result.stdout_file, STDOUT_JSON_BYTES),
            ("stderr", result.stderr, result.stderr_file, STDERR_JSON_BYTES),
        ):
            out[name], cut = shortened(readable_text(data), limit)
            out[f"{name}_truncated"] = cut or file is not None
            out[f"{name}_bytes"] = getattr(result, f"{name}_bytes")
            if out[f"{name}_truncated"]:
                produced.append(_whole(name, data, file, context.scratch))
        error = _complaint(args, result)
        return ToolResult(
            "failed" if error else "succeeded", out, tuple(produced), error, processes_ended=result.processes_ended
        )


def _whole(name: str, data: bytes, file: Path | None, scratch: Path) -> Produced:
    path = scratch / f"{name}.txt"
    if file is not None:
        shutil.move(file, path)
    else:
        path.write_bytes(data)
    return Produced(f"{name}.txt", path, "text/plain")


def _complaint(args: ShellArguments, result: ProcessResult) -> str | None:
    """The sentence for the thread, or `None` if it ended as it should."""
    program = beneath.shown(args.argv[0])
    if result.ended == "exited" and result.exit_code in args.ok_exit_codes:
        return None
    if result.ended == "killed":
        return f"{program} was stopped."
    if result.ended == "not-started":
        return result.detail
    if result.ended in ("timed-out", "limit"):
        return f"{program}: {result.limit or result.detail}"
    last = next((line.strip() for line in reversed(readable_text(result.stderr).splitlines()) if line.strip()), "")
    said = f" It said last: {last[:_LAST_LINE_CHARACTERS]}" if last else ""
    return f"{program}: {result.detail}{said}"
