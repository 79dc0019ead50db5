"""The child that acts outside: it looks a last time whether the run is still its own, and then does one thing.

A worker may be paused between the commit that starts a call and the sending of it. So whatever leaves this machine is
sent by a process of its own, labelled with the fence it belongs to: it reads fence and stop right before it sends, and
whoever takes the run over ends it by its label. Secrets come to it on its input, never as arguments, environment or
files. What an effect does is in the modules of `EFFECTS`; they block, and know neither database nor run.

What has to be made ready first, and changes nothing outside, is done before the look (`READY`), so that as little time
as possible passes between looking and sending.

A child that speaks to a server may stay with its run (`core.tools.residents`): it then serves one request after the
other, and looks before each of them.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    import socket

    from core.execution.base import ProcessResult
    from core.tools.base import ToolContext, ToolResult

EFFECTS: Mapping[str, str] = {
    "http": "core.tools.http_send:perform",
    "http_look": "core.tools.http_send:look",
    "mcp": "core.tools.mcp.outside:perform",
    "mcp_look": "core.tools.mcp.outside:look",
    "git_mirror": "core.tools.git.fetching:mirror",
    "git_look": "core.tools.git.fetching:look",
    "git_review": "core.tools.git.reviewing:review",
    "git_push": "core.tools.git.sending:push",
    "git_push_undo": "core.tools.git.sending:delete",
}
"""Every effect, and the function that performs it: `(args, secrets, idempotency_key, timeout_s) -> answer`."""

LOOKS = frozenset({"http_look", "git_look", "mcp_look"})
"""Effects that change nothing, whatever they are given: all that may still be done for a run that was stopped."""

READY: Mapping[str, str] = {
    "mcp": "core.tools.mcp.outside:ready",
    "git_push": "core.tools.git.sending:ready_to_push",
    "git_push_undo": "core.tools.git.sending:ready_to_delete",
}
"""What is called before the look, in the same way; unless it answers `succeeded`, its answer is the effect's."""

_SPEAKING = "core.tools.mcp.outside"
"""The module whose server has to be taken leave of at the end, if it was used."""

LOOKED = "looked\n"
"""What the child says once it has looked and before it sends: after this word, silence means that nobody knows."""

_ROOT = str(Path(__file__).resolve().parents[2])
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from core.tools.effects import main; main()"
_MARGIN_S = 2.0
_ANSWER_BYTES = 4 << 20

Perform = Callable[[Mapping[str, Any], Mapping[str, str], str, float], Mapping[str, Any]]


async def run_effect(
    context: ToolContext,
    effect: str,
    args: Mapping[str, Any],
    *,
    secrets: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    stays: str | None = None,
) -> ToolResult:
    """Perform an effect in a child of its own, and say how it ended.

    Args:
        timeout_s: For all of it; the call's own by default. Two seconds later the child is ended.
        stays: What the child is: one of that name that is there already is asked, and this one stays for others.

    Returns:
        What the effect answered. Without an answer: `unknown` if the child had looked and the effect can change
        something, else `failed-safe`.
    """
    from core.execution.base import CHANNEL, ExecutionError, Limits, ProcessSpec, discard_files
    from core.tools.base import ToolResult
    from core.tools.residents import STAYS_S, CannotBegin

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
            "run_id": context.looks_after or label.run_id,
            "fence": label.fence,
            "stopped": context.looks_after is not None,
            "environment": _database_environment(),
        },
        "chaos": os.environ.get("CHAOS", ""),
    }
    line = json.dumps(request).encode()
    spec = ProcessSpec(
        argv=(sys.executable, "-I", "-c", _BOOT, _ROOT),
        workspace=context.scratch,
        label=label,
        stdin=line,
        limits=Limits(
            wall_s=timeout_s + _MARGIN_S,
            cpu_s=max(60, int(timeout_s)),
            memory_bytes=2 << 30,
            disk_bytes=2 << 30,
            file_bytes=1 << 30,
            processes=256,
            keep_output_bytes=_ANSWER_BYTES,
            max_output_bytes=_ANSWER_BYTES,
        ),
    )
    try:
        if stays is not None and context.residents is not None:

            async def start(directory: Path, channel: socket.socket, stop: asyncio.Event) -> ProcessResult:
                limits = replace(spec.limits, wall_s=STAYS_S, cpu_s=int(STAYS_S))  # of the whole stay
                head = json.dumps({"channel": CHANNEL}).encode()
                staying = replace(spec, workspace=directory, stdin=head, limits=limits, channel=channel)
                return await context.outside.environment.run(staying, kill=stop)

            heard = await context.residents.ask(
                stays, start, line, call_id=label.call_id, timeout_s=timeout_s + _MARGIN_S, kill=context.kill
            )
            return _result(effect, heard.said, heard.result, timeout_s)
        result = await context.outside.environment.run(spec, kill=context.kill)
    except CannotBegin as error:
        return ToolResult("failed-safe", error=str(error))
    except ExecutionError as error:
        return ToolResult("unknown", error=error.user_text)
    discard_files(result)
    return _result(effect, result.stdout.decode(errors="replace"), result, timeout_s)


def _result(effect: str, said: str, result: ProcessResult | None, timeout_s: float) -> ToolResult:
    """What the child's words mean, and its end; `None` = it stays."""
    from core.tools.base import ToolResult

    if (answer := _answer(said)) is not None:
        return ToolResult(
            answer["status"],
            answer.get("out") or {},
            error=answer.get("error"),
            retry_after_s=answer.get("retry_after_s"),
            processes_ended=0 if result is None else result.processes_ended,
        )
    assert result is not None
    ends = {
        "killed": "it was stopped",
        "timed-out": f"it took longer than {timeout_s:.0f} s",
        "limit": result.limit or "it needed too much",
        "not-started": result.detail,
    }
    why = ends.get(result.ended, "it ended without saying how")
    looked = result.ended != "not-started" and said.startswith(LOOKED) and effect not in LOOKS
    when = "while it was under way" if looked else "before anything was sent"
    return ToolResult(
        "unknown" if looked else "failed-safe", error=f"{why} ({when})", processes_ended=result.processes_ended
    )


def _answer(said: str) -> dict[str, Any] | None:
    lines = said.splitlines()
    if not lines or not lines[-1].startswith("{"):
        return None
    try:
        found: dict[str, Any] = json.loads(lines[-1])
    except ValueError:
        return None
    return found if "status" in found else None


def _database_environment() -> dict[str, str]:
    """What a PostgreSQL client may read besides the address: passwords, certificates and where they are."""
    return {name: value for name, value in os.environ.items() if name.startswith("PG") or name == "HOME"}


def main() -> None:
    """In the child: make ready, look, then perform what the request on the input says.

    The last line of its output is the answer.
    """
    request = json.loads(sys.stdin.buffer.read())
    if "channel" not in request:
        _serve(request, sys.stdout)
    else:
        with open(request["channel"], closefd=False) as requests, open(request["channel"], "w") as said:  # noqa: PTH123
            for line in requests:
                if not _serve(json.loads(line), said):
                    break
    if (speaking := sys.modules.get(_SPEAKING)) is not None:
        speaking.leave()


def _serve(request: Mapping[str, Any], said: IO[str]) -> bool:
    """Serve one request; whether another one may follow.

    What was there before and is gone since goes without a word: whoever asked then starts another.
    """
    from core.crashpoints import arm, crashpoint

    began_s = time.monotonic()
    arm(request["chaos"])
    perform = _function(EFFECTS[request["effect"]])

    def answered(answer: Mapping[str, Any]) -> bool:
        said.write(json.dumps(answer) + "\n")
        said.flush()
        return not answer.get("over", False)

    def call(function: Perform) -> Mapping[str, Any]:
        left_s = max(1.0, request["timeout_s"] - (time.monotonic() - began_s))
        return function(request["args"], request["secrets"], request["idempotency_key"], left_s)

    if request["effect"] in READY:
        ready = call(_function(READY[request["effect"]]))
        if ready.get("gone"):
            return False
        if ready["status"] != "succeeded":
            return answered(ready)
    if (why_not := _looked(request["look"], request["effect"])) is not None:
        return answered({"over": True, "status": "failed-safe", "error": why_not})
    said.write(LOOKED)
    said.flush()
    crashpoint("CP14")
    answer = call(perform)
    return False if answer.get("gone") else answered(answer)


def _looked(look: Mapping[str, Any], effect: str) -> str | None:
    """Why nothing may be sent, if so."""
    from core.store.last_look import still_ours

    if look["stopped"] and effect not in LOOKS:
        return "the run was stopped, and this could change something"
    before = dict(os.environ)
    os.environ.update(look["environment"])
    try:
        ours = still_ours(look["database_url"], look["tenant"], look["run_id"], look["fence"], stopped=look["stopped"])
    except Exception as error:
        return f"the last look before it was not possible ({type(error).__name__})"
    finally:
        os.environ.clear()
        os.environ.update(before)
    return None if ours else "the run was stopped or taken over before it began"


def _function(name: str) -> Perform:
    module, _, function = name.partition(":")
    found: Perform = getattr(importlib.import_module(module), function)
    return found
