"""Running one program for a tool: the limits it gets, how much of its output is kept, and in what form it is read.

Confining and ending processes is the environment's work; what a program is for, the tool's.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from core.execution.base import ExecutionError, Limits, ProcessResult, ProcessSpec
from core.tools.base import ToolContext, ToolResult

_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class FromSandbox(BaseModel):
    """Data from the sandbox: only what is named in a subclass is used."""

    model_config = ConfigDict(extra="ignore", strict=True)


async def run_program(
    context: ToolContext,
    argv: tuple[str, ...],
    *,
    cwd: str = ".",
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    readable: tuple[Path, ...] = (),
    limits: Limits | None = None,
) -> ProcessResult | ToolResult:
    """Run a program in the context's environment.

    Returns:
        How it ended, or, if that cannot be known, the tool's result: `unknown`.
    """
    spec = ProcessSpec(
        argv=argv,
        workspace=context.workspace,
        label=context.label,
        env=env or {},
        stdin=stdin,
        readable=readable,
        limits=replace(limits or Limits(), wall_s=context.timeout_s, cpu_s=max(1, int(context.timeout_s) + 1)),
        cwd=cwd,
    )
    try:
        return await context.environment.run(spec, kill=context.kill)
    except ExecutionError as error:
        return ToolResult("unknown", error=error.user_text)


def readable_text(data: bytes) -> str:
    """Decode a program's output for people: no terminal codes, no control characters, no half characters."""
    return _CONTROL.sub(
        "\ufffd", _ANSI.sub("", data.decode(errors="replace")).replace("\r\n", "\n").replace("\r", "\n")
    )


def shortened(text: str, max_json_bytes: int) -> tuple[str, bool]:
    """Keep the beginning and, mostly, the end of a text, cut at line ends where there are some.

    Returns:
        Text whose JSON form has at most `max_json_bytes`, and whether something was left out.
    """
    if _json_bytes(text) <= max_json_bytes:
        return text, False
    room = max_json_bytes - 100
    head, tail = _fitting(text, room // 4), _fitting(text[::-1], room - room // 4)[::-1]
    if (end := head.rfind("\n")) > len(head) // 2:
        head = head[: end + 1]
    if 0 <= (start := tail.find("\n")) < len(tail) // 2:
        tail = tail[start + 1 :]
    gone = len(text) - len(head) - len(tail)
    return f"{head.rstrip()}\n… {gone} characters left out …\n{tail}", True


def _fitting(text: str, max_json_bytes: int) -> str:
    """The longest beginning of `text` whose JSON form fits, found by halving."""
    low, high = 0, min(len(text), max_json_bytes)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _json_bytes(text[:middle]) <= max_json_bytes else (low, middle - 1)
    return text[:low]


def _json_bytes(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode())
