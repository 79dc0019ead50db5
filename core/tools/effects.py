"""The child that acts outside: it looks a last time whether the run is still its own, and then does one thing.

A worker may be paused between the commit that starts a call and the sending of it. So whatever leaves this machine is
sent by a process of its own, labelled with the fence it belongs to: it reads fence and stop right before it sends, and
whoever takes the run over ends it by its label. Secrets come to it on its input, never as arguments, environment or
files. What an effect does is in the modules of `EFFECTS`; they block, and know neither database nor run.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.tools.base import ToolContext, ToolResult

EFFECTS: Mapping[str, str] = {
    "http": "core.tools.http_send:perform",
    "git_mirror": "core.tools.git.send:mirror",
    "git_look": "core.tools.git.send:look",
    "git_push": "core.tools.git.send:push",
    "git_delete": "core.tools.git.send:delete",
}
"""Every effect, and the function that performs it: `(args, secrets, idempotency_key, timeout_s) -> answer`."""

LOOKED = "looked\n"
"""What the child says once it has looked and before it sends: after this word, silence means that nobody knows."""

_ROOT = str(Path(__file__).resolve().parents[2])
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from core.tools.effects import main; main()"
_MARGIN_S = 2.0


async def run_effect(
    context: ToolContext,
    effect: str,
    args: Mapping[str, Any],
    *,
    secrets: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
) -> ToolResult:
    """Perform an effect in a child of its own, and say how it ended."""
    from core.execution.base import ExecutionError, Limits, ProcessSpec
    from core.tools.base import ToolResult

    timeout_s = timeout_s or context.timeout_s
    label = context.label
    request = {
        "effect": effect,
        "args": dict(args),
        "secrets": dict(secrets or {}),
        "idempotency_key": context.idempotency_key,
        "timeout_s": timeout_s,
        "look": {
            "database_url": context.outside.database_url,
            "tenant": label.tenant,
            "run_id": label.run_id,
            "fence": label.fence,
        },
    }
    spec = ProcessSpec(
        argv=(sys.executable, "-I", "-c", _BOOT, _ROOT),
        workspace=context.scratch,
        label=label,
        stdin=json.dumps(request).encode(),
        limits=Limits(
            wall_s=timeout_s + _MARGIN_S,
            cpu_s=max(60, int(timeout_s)),
            memory_bytes=2 << 30,
            disk_bytes=2 << 30,
            file_bytes=1 << 30,
            processes=256,
            keep_output_bytes=4 << 20,
        ),
    )
    try:
        result = await context.outside.environment.run(spec, kill=context.kill)
    except ExecutionError as error:
        return ToolResult("unknown", error=error.user_text)
    said = result.stdout.decode(errors="replace")
    answer = _answer(said)
    if answer is not None:
        answered = ToolResult(**answer)
        return ToolResult(
            answered.status,
            answered.out,
            error=answered.error,
            retry_after_s=answered.retry_after_s,
            processes_ended=result.processes_ended,
        )
    if result.ended == "not-started" or not said.startswith(LOOKED):
        why = "it was stopped before it began" if result.ended == "killed" else "it could not begin"
        return ToolResult("failed-safe", error=why, processes_ended=result.processes_ended)
    ends = {"killed": "it was stopped while it was under way", "timed-out": f"it took longer than {timeout_s:.0f} s"}
    lost = ends.get(result.ended, "it ended without saying how")
    return ToolResult("unknown", error=lost, processes_ended=result.processes_ended)


def _answer(said: str) -> dict[str, Any] | None:
    lines = said.splitlines()
    if not lines or not lines[-1].startswith("{"):
        return None
    try:
        found: dict[str, Any] = json.loads(lines[-1])
    except ValueError:
        return None
    return found if "status" in found else None


def main() -> None:
    """In the child: look, then perform what the request on the input says; the answer is the last line of output."""
    from core.store.last_look import still_ours

    request = json.loads(sys.stdin.buffer.read())
    module, _, name = EFFECTS[request["effect"]].partition(":")
    perform = getattr(importlib.import_module(module), name)
    look = request["look"]
    try:
        ours = still_ours(look["database_url"], look["tenant"], look["run_id"], look["fence"])
    except Exception as error:
        _say({"status": "failed-safe", "error": f"the last look before it was not possible ({type(error).__name__})"})
        return
    if not ours:
        _say({"status": "failed-safe", "error": "the run was stopped or taken over before it began"})
        return
    sys.stdout.write(LOOKED)
    sys.stdout.flush()
    _say(perform(request["args"], request["secrets"], request["idempotency_key"], request["timeout_s"]))


def _say(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
