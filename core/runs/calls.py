"""Drive one attempt of one tool call: the stored envelope in, a verified end out.

The stored bytes are parsed and nothing else is executed. Files a tool leaves behind are durable and verified before the
end says so; every text on its way into the database passes the redactor. Nothing here writes a row.
"""

import asyncio
import json
import logging
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.artifacts import ObjectStore
from core.crashpoints import crashpoint
from core.errors import BanksmanError, RetryableError
from core.execution.base import CallLabel, Environment, SandboxLevel
from core.execution.refusing import RefusingEnvironment
from core.ids import Ids
from core.record.rows import CallRow, Snapshot
from core.record.states import BlockedReason
from core.runs import contracts
from core.runs.retries import Retries
from core.runs.rulebook import Rulebook
from core.runs.steps import CallEnd
from core.runs.stored import Stored
from core.runs.toolbox import DeclaredTool, Toolbox
from core.secrets import Redactor, SecretRef, SecretSource
from core.tools.base import Keeping, Outside, ProbeAnswer, Probing, Produced, Tool, ToolContext, ToolResult
from core.tools.reach import OutOfReach, Reach, check_unbounded
from core.tools.residents import Residents

log = logging.getLogger(__name__)

GRACE_S = 15.0
"""How long past its timeout a tool may take to report before its outcome counts as unknown."""

_CHUNK_BYTES = 1 << 20
_OPAQUE = ("image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf")
"""Kinds whose bytes hold no readable text; changing any of them would break the file."""


@dataclass(frozen=True)
class Caps:
    """What a run may keep."""

    artifact_bytes: int = 50_000_000
    run_bytes: int = 200_000_000
    run_files: int = 200


@dataclass(frozen=True)
class Outdoors:
    """What calls that act beyond the workspace need of this installation."""

    environment: Environment
    database_url: str
    secrets: SecretSource
    secret_refs: Callable[[], Mapping[str, SecretRef]]
    private: tuple[Path, ...]


@dataclass(frozen=True)
class Bench:
    """Everything an attempt works with; the same for every call of a worker."""

    rules: Callable[[], Rulebook]
    """What holds now."""
    outdoors: Outdoors
    environment: Environment
    tool_environment: Path
    objects: ObjectStore
    redactor: Redactor
    scratch: Path
    caps: Caps
    ids: Ids
    retries: Retries
    attempts: int = 4
    """Attempts of one call, the first included."""
    most_open_asks: int = 20
    """Questions that may wait for the same approvers at once: more than that nobody reads."""
    residents: Residents | None = None
    """What stays between the calls of the run that is driven; `None` = no run is."""

    @property
    def toolbox(self) -> Toolbox:
        return self.rules().toolbox


@dataclass(frozen=True)
class Attempted:
    """How an attempt ended, before anybody decided whether to repeat it."""

    end: CallEnd
    retry_after_s: float | None = None
    """What the other side asked for."""
    processes_ended: int = 0
    """Processes that were still alive at the end and had to be ended."""


async def perform(snapshot: Snapshot, call: CallRow, workspace: Path, kill: asyncio.Event, bench: Bench) -> Attempted:
    """Run the attempt and return how it ended; raises only `asyncio.CancelledError`."""
    declared = bench.toolbox.find(call.tool)
    if declared is None or declared.digest != call.tool_digest:
        changed = f"The tool `{call.tool}` changed after this step was planned."
        return Attempted(not_started(call, changed))
    context = context_of(
        snapshot,
        declared,
        call_id=call.id,
        key=call.idem_key,
        workspace=workspace,
        timeout_s=call.timeout_ms / 1000,
        kill=kill,
        bench=bench,
        attempt=call.attempts,
    )
    try:
        crashpoint("CP13", call.recovery)
        result = await _attempt(call, declared, context, bench)
        crashpoint("CP15", call.recovery)
        end = await _end(snapshot, result, bench)
        return Attempted(end, result.retry_after_s, result.processes_ended)
    finally:
        await removed(context.scratch_path)


async def removed(path: Path) -> None:
    """Remove an attempt's scratch directory, if it made one."""
    await asyncio.to_thread(_remove, path)


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path, ignore_errors=True)


def context_of(
    snapshot: Snapshot,
    declared: DeclaredTool,
    *,
    call_id: str,
    key: str,
    workspace: Path,
    timeout_s: float,
    kill: asyncio.Event,
    bench: Bench,
    attempt: int = 0,
) -> ToolContext:
    """What one attempt of a call may use; attempt 0 is a look before it starts."""
    run, outdoors = snapshot.run, bench.outdoors
    reach = contracts.reach(snapshot, declared, bench.rules())
    return ToolContext(
        label=CallLabel(run.tenant, run.id, call_id, run.fence),
        idempotency_key=key,
        workspace=workspace,
        environment=_confined(bench.environment, reach),
        tool_environment=bench.tool_environment,
        scratch_path=bench.scratch / f"{call_id}-{attempt}-{run.fence}",
        timeout_s=timeout_s,
        kill=kill,
        residents=bench.residents,
        outside=Outside(
            environment=outdoors.environment,
            database_url=outdoors.database_url,
            reach=reach,
            secrets=outdoors.secrets,
            secret_refs=outdoors.secret_refs(),
            private=outdoors.private,
        ),
    )


def _confined(environment: Environment, reach: Reach) -> Environment:
    """The environment, unless its programs could go where the run may not."""
    if environment.level is SandboxLevel.NONE and not isinstance(environment, RefusingEnvironment):
        try:
            check_unbounded(reach, "A program without a sandbox")
        except OutOfReach as error:
            return RefusingEnvironment(error.user_text)
    return environment


async def looked_for(
    snapshot: Snapshot, call: CallRow, workspace: Path, kill: asyncio.Event, bench: Bench, *, after_stop: bool = False
) -> ProbeAnswer:
    """Ask a reconcilable call's probe whether it happened; what cannot be asked right now is `in-progress`.

    Args:
        after_stop: The run was stopped, and that is proved: only what changes nothing may still be done for it.
    """
    declared = bench.toolbox.find(call.tool)
    if declared is None or not isinstance(declared.tool, Probing):
        return ProbeAnswer("cannot-tell", detail=f"`{call.tool}` has no way to find out")
    timeout_s = call.timeout_ms / 1000
    context = context_of(
        snapshot, declared, call_id=call.id, key=call.idem_key, workspace=workspace, timeout_s=timeout_s, kill=kill,
        bench=bench,
    )  # fmt: skip
    if after_stop:
        # A run's name on a process would say that something of the run is still alive.
        label = replace(context.label, run_id=f"look_{call.id}")
        context = replace(context, label=label, looks_after=call.run_id, residents=None)
    try:
        args = bench.toolbox.validate(declared.tool, json.loads(call.envelope)["args"])
        async with asyncio.timeout(timeout_s + GRACE_S):
            found = await declared.tool.probe(args, context)
    except TimeoutError:
        found = ProbeAnswer("in-progress", detail="it does not answer in time")
    except RetryableError as error:
        found = ProbeAnswer("in-progress", detail=error.user_text)
    except BanksmanError as error:
        found = ProbeAnswer("cannot-tell", detail=error.user_text)
    finally:
        await removed(context.scratch_path)
    redactor = bench.redactor
    return ProbeAnswer(
        found.found, redactor.redact_json(_clean(dict(found.out))), redactor.redact_text(_clean(found.detail))
    )


def settle_ms(call: CallRow, bench: Bench) -> int:
    """How long after its start a request of this call may still arrive."""
    declared = bench.toolbox.find(call.tool)
    settle_s = declared.tool.settle_s if declared is not None and isinstance(declared.tool, Probing) else 0.0
    return int(call.timeout_ms + settle_s * 1000)


def not_started(call: CallRow, why: str) -> CallEnd:
    """This attempt cannot begin. Whether the call failed depends on what earlier attempts may have done."""
    return CallEnd("failed" if call.attempts <= 1 or call.recovery == "pure" else "unknown", {}, error=why)


def with_retry(call: CallRow, attempted: Attempted, *, bench: Bench, now_ms: int, boot_ms: int) -> CallEnd:
    """Decide whether this end may be repeated, and when.

    Args:
        now_ms: Wall clock, for the lifetime of the idempotency key.
        boot_ms: A clock that never jumps, for the retry budget and the breaker.
    """
    end = attempted.end
    bench.retries.record(call.tool, ok=end.status == "succeeded", now_ms=boot_ms)
    if call.wait_json is not None:
        return end  # when it looks again is the wait's to say
    repeatable = call.recovery in ("pure", "idempotent")
    if call.idem_valid_until is not None and now_ms >= call.idem_valid_until:
        repeatable = False
    safe = end.status == "failed-safe" or (end.status == "unknown" and repeatable)
    delay = None
    if safe and call.attempts < bench.attempts:
        asked = attempted.retry_after_s
        delay = bench.retries.delay_ms(call.tool, attempt=call.attempts, retry_after_s=asked, now_ms=boot_ms)
    if end.status == "unknown" and end.parked is not None and not repeatable:
        end = replace(end, parked=None)  # nobody may make it again without knowing
    if delay is None and end.status == "unknown" and end.parked is None and call.recovery == "pure":
        # It has no effect anybody could look for, so not knowing how it ended is having failed.
        return replace(end, status="failed")
    return replace(end, retry_in_ms=delay)


async def _attempt(call: CallRow, declared: DeclaredTool, context: ToolContext, bench: Bench) -> ToolResult:
    timeout_s = context.timeout_s
    try:
        args = bench.toolbox.validate(declared.tool, json.loads(call.envelope)["args"])
    except BanksmanError as error:
        return ToolResult("failed", error=error.user_text)
    try:
        async with asyncio.timeout(timeout_s + GRACE_S):
            return _whole(declared.tool, await declared.tool.perform(args, context))
    except TimeoutError:
        return ToolResult("unknown", error=f"it did not answer within {timeout_s + GRACE_S:.0f} s")
    except RetryableError as error:
        return ToolResult("failed-safe", error=error.user_text, retry_after_s=error.retry_after_s)
    except BanksmanError as error:
        return ToolResult("failed", error=error.user_text)
    except Exception as error:
        # A tool that raises has told us nothing about what it did.
        log.exception("a tool raised", extra={"action": "tool_raised", "tool": call.tool, "call": call.id})
        return ToolResult("unknown", error=f"it stopped with an internal error ({type(error).__name__})")


def _whole(tool: Tool, result: ToolResult) -> ToolResult:
    """The answer, unless it says that it succeeded and the files are not there: then nobody knows what happened."""
    least = tool.keeps if isinstance(tool, Keeping) else 0
    if result.status != "succeeded" or len(result.produced) >= least:
        return result
    error = f"it said that it had succeeded, with {len(result.produced)} of the {least} files it leaves then"
    return replace(result, status="unknown", produced=(), error=error)


async def _end(snapshot: Snapshot, result: ToolResult, bench: Bench) -> CallEnd:
    try:
        out = bench.redactor.redact_json(_clean(dict(result.out)))
        error = None if result.error is None else bench.redactor.redact_text(_clean(result.error))
        stored = await _store(snapshot, result.produced, bench)
    except RetryableError as failure:
        # The effect may be there while its file is not: success without its artifacts is impossible.
        # What has no effect may be made again, as soon as the disk has been seen to.
        return CallEnd("unknown", {}, error=failure.user_text, parked=BlockedReason.DEPENDENCY_DOWN)
    except BanksmanError as failure:
        return CallEnd("failed", {}, error=failure.user_text)
    return CallEnd(result.status, out, stored, error)


async def _store(snapshot: Snapshot, produced: tuple[Produced, ...], bench: Bench) -> tuple[Stored, ...]:
    kept = [artifact for artifact in snapshot.artifacts if artifact.role == "output"]
    room = bench.caps.run_bytes - sum(artifact.size for artifact in kept)
    if len(kept) + len(produced) > bench.caps.run_files:
        raise BanksmanError(f"A run may keep {bench.caps.run_files} files. Put them into one archive or keep fewer.")
    stored = []
    for item in produced:
        cap = min(bench.caps.artifact_bytes, room)
        source = item.path if item.media_type.startswith(_OPAQUE) else _redacted(item.path, bench.redactor)
        done = await bench.objects.put(source, cap_bytes=cap)
        room -= done.size
        name = bench.redactor.redact_text(item.name)
        stored.append(Stored(bench.ids.artifact(), name, done.sha256, done.size, item.media_type))
    return tuple(stored)


async def _redacted(path: Path, redactor: Redactor) -> AsyncIterator[bytes]:
    stream = redactor.stream()
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield await asyncio.to_thread(stream.feed, chunk)
    yield await asyncio.to_thread(stream.finish)


def _clean(value: Any) -> Any:
    """Make a tool's answer storable: NUL and half characters become the replacement character."""
    match value:
        case str():
            return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
        case Mapping():
            return {str(key): _clean(item) for key, item in value.items()}
        case list() | tuple():
            return [_clean(item) for item in value]
        case _:
            return value
