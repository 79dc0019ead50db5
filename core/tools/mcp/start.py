"""Where an MCP server is started, with what, and how its answer comes back.

A program without a network runs in the sandbox with the client that speaks to it: all it can change is the run's
workspace. A server that reaches further is spoken to by the child that acts outside, which looks a last time before it
calls. Either way it stays, labelled, until the run is given out of hand (`core.tools.residents`); one that is asked on
behalf of no run ends with its answer.
"""

import asyncio
import hashlib
import json
import os
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from core.config.servers import ServerWord
from core.errors import TerminalError
from core.execution.base import (
    CHANNEL,
    CallLabel,
    Environment,
    ExecutionError,
    Limits,
    ProcessResult,
    ProcessSpec,
    discard_files,
)
from core.execution.refusing import RefusingEnvironment
from core.secrets import MissingSecret, SecretRef, SecretSource
from core.tools.base import ToolContext, ToolResult
from core.tools.effects import run_effect
from core.tools.program import readable_text, run_program
from core.tools.reach import check_bounds, check_unbounded
from core.tools.residents import STAYS_S, CannotBegin

PROGRAM = ("begin.py", "client.py")
"""What speaks to a server in the sandbox; the first is run, the other lies beside it."""
SENT = "sent\n"

_ANSWER_BYTES = 8 << 20
_LIMITS = Limits(keep_output_bytes=_ANSWER_BYTES, max_output_bytes=_ANSWER_BYTES)
_SPARE_S = 2.5
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
_SAID_CHARACTERS = 300


async def asked(
    word: ServerWord, request: Mapping[str, Any], context: ToolContext, secrets: Mapping[str, str]
) -> ToolResult:
    """Ask a server one thing: `tool`, `pin` and `args` of a call, or nothing for the list of its tools.

    Returns:
        How it ended, with what the client answered (`client.Talk`) as `out`.

    Raises:
        OutOfReach: What bounds the run does not let it go where the server is, or where it may go.
    """
    if (place := place_of(word)) is not None:
        check_bounds(context.outside.reach, place)
    elif word.outside:
        check_unbounded(context.outside.reach, "A server with `network: host`")
    if context.kill.is_set():
        return ToolResult("failed-safe", error="it was stopped")
    server, began_s = server_of(word, context.tool_environment), time.monotonic()
    who, residents = f"mcp.{_pin(server, secrets)}", context.residents
    result = await _asked(word, server, who, request, context, secrets, context.timeout_s)
    lost = residents is not None and residents.has_lost(who) and not context.kill.is_set()
    if lost and result.status == "failed-safe":
        # It had gone since the last call, and nothing was sent: that is no reason to fail.
        left_s = max(1.0, context.timeout_s - (time.monotonic() - began_s))
        return await _asked(word, server, who, request, context, secrets, left_s)
    return result


async def _asked(
    word: ServerWord,
    server: Mapping[str, Any],
    who: str,
    request: Mapping[str, Any],
    context: ToolContext,
    secrets: Mapping[str, str],
    timeout_s: float,
) -> ToolResult:
    if word.outside:
        effect, args = "mcp" if "tool" in request else "mcp_look", {"server": server, **request}
        return await run_effect(context, effect, args, secrets=secrets, timeout_s=timeout_s, stays=who)
    ends_s = _ends_s(timeout_s)
    if context.residents is not None and not isinstance(context.environment, RefusingEnvironment):
        try:
            head, line = _head(server, secrets, channel=CHANNEL), _line(request, ends_s)
            return await _asked_again(context, who, head, line, timeout_s)
        except CannotBegin as error:
            return ToolResult("failed-safe", error=str(error))
        except ExecutionError as error:
            return ToolResult("unknown", error=error.user_text)
    program = await asyncio.to_thread(_copied, context.scratch / "mcp")
    stdin = _head(server, secrets) + _line(request, ends_s)
    result = await run_program(
        context, ("python", "-I", str(program)), stdin=stdin, readable=(program.parent,), limits=_LIMITS
    )
    if isinstance(result, ToolResult):
        return result
    discard_files(result)
    return read_answer(result)


async def _asked_again(context: ToolContext, who: str, head: bytes, line: bytes, timeout_s: float) -> ToolResult:
    """Ask a server that stays with the run."""

    async def start(directory: Path, channel: socket.socket, stop: asyncio.Event) -> ProcessResult:
        try:
            program = await asyncio.to_thread(_copied, directory / "mcp")
        except OSError as error:
            raise CannotBegin.of(error) from error
        spec = ProcessSpec(
            argv=("python", "-I", str(program)),
            workspace=context.workspace,
            label=context.label,
            stdin=head,
            readable=(program.parent,),
            # Of the whole stay; what other calls of the run write meanwhile is counted as well.
            limits=replace(_LIMITS, wall_s=STAYS_S, cpu_s=int(STAYS_S), disk_bytes=4 * _LIMITS.disk_bytes),
            channel=channel,
        )
        return await context.environment.run(spec, kill=stop)

    assert context.residents is not None
    call_id = context.label.call_id
    heard = await context.residents.ask(who, start, line, call_id=call_id, timeout_s=timeout_s, kill=context.kill)
    return _read(heard.said, heard.result)


async def listed(
    word: ServerWord,
    label: CallLabel,
    *,
    sandbox: Environment,
    outside: Environment,
    tool_environment: Path,
    directory: Path,
    secrets: Mapping[str, str],
) -> ToolResult:
    """Ask a server for its tools on behalf of no run.

    Args:
        directory: An empty one, which serves as the workspace.
    """
    timeout_s = word.start_ms / 1000
    stdin = _head(server_of(word, tool_environment), secrets) + _line({}, _ends_s(timeout_s))
    program = await asyncio.to_thread(_copied, directory / "mcp")
    spec = ProcessSpec(
        argv=(
            sys.executable if word.outside else "python",
            "-I",
            str(program) if word.outside else f"mcp/{program.name}",
        ),
        workspace=directory,
        label=label,
        stdin=stdin,
        limits=replace(_LIMITS, wall_s=timeout_s, processes=256, memory_bytes=2 << 30),
    )
    result = await (outside if word.outside else sandbox).run(spec)
    discard_files(result)
    return read_answer(result)


def server_of(word: ServerWord, tool_environment: Path) -> dict[str, Any]:
    """A server as the client is told about it."""
    if word.url is not None:
        scheme = "" if word.login is None else word.login.scheme
        return {"url": word.url, "scheme": scheme, "ca": os.environ.get("SSL_CERT_FILE")}
    path = {"PATH": f"{tool_environment / 'bin'}:{_SYSTEM_PATH}"} if word.outside else {}
    return {"argv": list(word.command), "env": {**path, **word.env}}


def _head(server: Mapping[str, Any], secrets: Mapping[str, str], **more: int) -> bytes:
    """What the client reads first."""
    return json.dumps({"server": server, "secrets": dict(secrets), **more}).encode() + b"\n"


def _line(request: Mapping[str, Any], ends_s: float) -> bytes:
    """What it reads for each call."""
    return json.dumps({**request, "ends_s": ends_s}).encode()


def _ends_s(timeout_s: float) -> float:
    """When the client's own time ends: a little before the call's, so that it can say so."""
    return time.monotonic() + max(timeout_s / 2, timeout_s - _SPARE_S)


def _pin(server: Mapping[str, Any], secrets: Mapping[str, str]) -> str:
    """What tells one server, with what it was given, from any other."""
    return hashlib.sha256(json.dumps([server, dict(secrets)], sort_keys=True).encode()).hexdigest()


def secrets_of(word: ServerWord, source: SecretSource, refs: Mapping[str, SecretRef]) -> dict[str, str]:
    """The secrets of a server by variable or header; blocks.

    Raises:
        MissingSecret: One is not there.
        TerminalError: One cannot be passed on.
    """
    found = {}
    for variable, secret in named_secrets(word).items():
        where = refs.get(secret)
        if where is None:
            raise MissingSecret(f"There is no secret `{secret}`; the operator adds it to `secrets`.")
        value = source.resolve(where).get_secret_value()
        if "\0" in value or (word.login is not None and not (value.isascii() and value.isprintable())):
            raise TerminalError(f"The secret `{secret}` holds a character that cannot be passed on.")
        found[variable] = value
    return found


def named_secrets(word: ServerWord) -> Mapping[str, str]:
    """Which secret each variable or header of a server holds."""
    return word.secrets if word.login is None else {word.login.header: word.login.secret}


def place_of(word: ServerWord) -> str | None:
    """`host:port` of a server at an address."""
    if word.url is None:
        return None
    parts = urlsplit(word.url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def read_answer(result: ProcessResult) -> ToolResult:
    """What the client said on its output, or how it ended without a word."""
    return _read(result.stdout.decode(errors="replace"), result)


def _read(words: str, result: ProcessResult | None) -> ToolResult:
    """What the client's words mean, and its end; `None` = it stays, as only one that has answered does."""
    lines = words.splitlines()
    sent = SENT.strip() in lines[:1]
    answer = _document(lines[-1]) if lines and (result is None or result.ended == "exited") else None
    ended = 0 if result is None else result.processes_ended
    if answer is not None:
        # Whoever shares the sandbox with the client may have written this.
        out = answer.get("out") if isinstance(answer.get("out"), dict) else {}
        status, error = answer["status"], None if answer.get("error") is None else str(answer["error"])
        if status != "succeeded" and not sent and result is not None and (said := last_words(result.stderr)):
            error = f"{error} (its last words: {said})"
        return ToolResult(status, out or {}, error=error, processes_ended=ended)
    why = None
    if result is not None:
        why = {"killed": "it was stopped", "not-started": result.detail}.get(result.ended) or result.limit
    why = why or "it ended without saying how"
    return ToolResult("unknown" if sent else "failed-safe", error=why, processes_ended=ended)


def last_words(stderr: bytes) -> str:
    """The last line a server left on its error output."""
    lines = [line.strip() for line in readable_text(stderr[-20_000:]).splitlines() if line.strip()]
    return lines[-1][:_SAID_CHARACTERS] if lines else ""


def _document(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    known = ("succeeded", "failed", "failed-safe", "unknown")
    return found if isinstance(found, dict) and found.get("status") in known else None


def _copied(directory: Path) -> Path:
    directory.mkdir()
    for name in PROGRAM:
        (directory / name).write_bytes(Path(__file__).with_name(name).read_bytes())
    return directory / PROGRAM[0]
