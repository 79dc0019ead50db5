"""The environment that runs calls on this host, one supervisor each.

It starts the supervisor, keeps its lifeline, and turns its report into a result. It trusts the supervisor to leave
nothing behind; only when a supervisor ends without a report does it end by label what may be left.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from core.execution import limits
from core.execution.base import CallLabel, ExecutionError, ProcessResult, ProcessSpec, SandboxLevel, SandboxReport
from core.execution.callgroup import abandon
from core.execution.hostfence import fence_file
from core.execution.labels import VARIABLE, encode, end_call
from core.execution.recipe import Recipe, SpecRefused
from core.execution.request import Report, Request
from core.execution.trees import remove_tree

_ROOT = str(Path(__file__).resolve().parents[2])
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from core.execution.supervisor import main; main()"


class SupervisorLost(ExecutionError):
    """The supervisor ended without a report; what was left of its call has been ended."""

    user_text = "The process that watched over the tool was ended from outside. What the tool had done is not known."


@dataclass(frozen=True)
class LocalEnvironment:
    """Runs programs on this host, confined by one recipe.

    Args:
        recipe: As `sandbox.probe_environment` found it to hold.
        report: What it says of itself.
        spool: An existing directory for calls in progress and for long outputs; the system's temporary one by default.
        fences: Where this host keeps its fences (`hostfence.py`).
    """

    recipe: Recipe
    report: SandboxReport
    spool: Path | None = None
    fences: Path | None = None

    @property
    def level(self) -> SandboxLevel:
        """How programs are confined."""
        return self.recipe.level

    def describe(self) -> SandboxReport:
        """Say what confines the programs, what that lacks and how to get more."""
        return self.report

    async def run(self, spec: ProcessSpec, *, kill: asyncio.Event | None = None) -> ProcessResult:
        """See `Environment.run`.

        Raises:
            SupervisorLost: Somebody ended the supervisor.
        """
        request = self._request(spec)
        if isinstance(request, str):
            _give_away(spec)
            return self.not_started(spec, request)
        try:
            process = await asyncio.create_subprocess_exec(
                *command(spec),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={VARIABLE: encode(spec.label)},
                cwd="/",
                start_new_session=True,
                pass_fds=() if spec.channel is None else (spec.channel.fileno(),),
            )
        except BaseException:
            # No supervisor has read the request, so nobody else removes it. This is cancellation or a full host.
            remove_tree(request["directory"])
            raise
        finally:
            _give_away(spec)
        attending = asyncio.create_task(self._attend(process, spec, request, kill))
        canceled = False
        while not attending.done():
            try:
                await asyncio.shield(attending)
            except asyncio.CancelledError:
                if attending.cancelled():
                    raise
                canceled = True
                _say_kill(process)
            except ExecutionError:
                break
        if canceled:
            attending.exception()
            raise asyncio.CancelledError
        return attending.result()

    async def _attend(
        self, process: asyncio.subprocess.Process, spec: ProcessSpec, request: Request, kill: asyncio.Event | None
    ) -> ProcessResult:
        """Exchange request and report; returns when the supervisor has ended."""
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        killing = asyncio.create_task(_kill_when(kill, process)) if kill is not None else None
        try:
            process.stdin.write(_line(request) + spec.stdin)
            answer, complaint, code = await asyncio.gather(process.stdout.read(), process.stderr.read(), process.wait())
        finally:
            if killing is not None:
                killing.cancel()
            process.stdin.close()
        if not answer or code != 0:
            await asyncio.to_thread(_abandon, spec.label, request)
            raise SupervisorLost(f"the supervisor ended with code {code} and no report: {complaint.decode()!r}")
        return self.result(spec, answer)

    def run_blocking(self, spec: ProcessSpec) -> ProcessResult:
        """Run one program without an event loop; for probing at start-up, where there is nothing to kill it.

        Raises:
            SupervisorLost: Somebody ended the supervisor.
        """
        request = self._request(spec)
        if isinstance(request, str):
            return self.not_started(spec, request)
        pipe = subprocess.PIPE
        environment = {VARIABLE: encode(spec.label)}
        with subprocess.Popen(
            command(spec), stdin=pipe, stdout=pipe, stderr=pipe, env=environment, cwd="/", start_new_session=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdin.write(_line(request) + spec.stdin)
            process.stdin.flush()
            answer = process.stdout.read()
            complaint = process.stderr.read()
        if not answer or process.returncode != 0:
            _abandon(spec.label, request)
            raise SupervisorLost(f"the supervisor ended without a report: {complaint.decode()!r}")
        return self.result(spec, answer)

    def _request(self, spec: ProcessSpec) -> Request | str:
        """Build the request in a directory of the call's own, or say why not."""
        try:
            directory = Path(tempfile.mkdtemp(prefix="banksman-call-", dir=self.spool))
        except OSError as error:
            return f"there is no place for its temporary files: {error.strerror}"
        try:
            request = self.recipe.request(spec, directory)
        except SpecRefused as refusal:
            remove_tree(str(directory))
            return str(refusal)
        except OSError as error:
            remove_tree(str(directory))
            return f"its temporary files could not be prepared: {error.strerror}"
        if self.fences is not None:
            request["fence_file"] = fence_file(str(self.fences), spec.label.run_id)
        return request

    def result(self, spec: ProcessSpec, answer: bytes) -> ProcessResult:
        """Read a supervisor's answer: the report's line, then the kept output."""
        line, _, output = answer.partition(b"\n")
        report: Report = json.loads(line)
        ended = report["ended"]
        kept = report["stdout_kept"]
        return ProcessResult(
            ended=ended,
            exit_code=report["exit_code"],
            signal=report["signal"],
            stdout=output[:kept],
            stderr=output[kept : kept + report["stderr_kept"]],
            stdout_bytes=report["stdout_bytes"],
            stderr_bytes=report["stderr_bytes"],
            stdout_file=Path(report["stdout_file"]) if report["stdout_file"] else None,
            stderr_file=Path(report["stderr_file"]) if report["stderr_file"] else None,
            duration_s=report["duration_s"],
            limit=limits.limit_sentence(report["limit"], spec.limits) if report["limit"] else None,
            processes_ended=report["processes_ended"],
            level=self.level,
            enforced=self.report.enforced,
            detail=limits.detail(report, spec),
        )

    def not_started(self, spec: ProcessSpec, reason: str) -> ProcessResult:
        """The result of a call that did not get as far as a supervisor."""
        program = spec.argv[0] if spec.argv else "The program"
        return ProcessResult(
            ended="not-started",
            exit_code=None,
            signal=None,
            stdout=b"",
            stderr=b"",
            stdout_bytes=0,
            stderr_bytes=0,
            stdout_file=None,
            stderr_file=None,
            duration_s=0.0,
            limit=None,
            processes_ended=0,
            level=self.level,
            enforced=self.report.enforced,
            detail=f"{program} could not be started: {reason}.",
        )


def command(spec: ProcessSpec) -> list[str]:
    """The supervisor's command line; the label stands on it for those who look for it."""
    return [sys.executable, "-I", "-S", "-c", _BOOT, _ROOT, f"{VARIABLE}={encode(spec.label)}"]


def _give_away(spec: ProcessSpec) -> None:
    """Close what the supervisor has by now, or nobody will have."""
    if spec.channel is not None:
        spec.channel.close()


def _line(request: Request) -> bytes:
    return json.dumps(request).encode() + b"\n"


def _abandon(label: CallLabel, request: Request) -> None:
    """Do what a lost supervisor would have done: end its call, remove its groups and its directory."""
    end_call(label)
    for group in request["groups"]:
        abandon(group["path"])
    remove_tree(request["directory"])


async def _kill_when(kill: asyncio.Event, process: asyncio.subprocess.Process) -> None:
    await kill.wait()
    _say_kill(process)


def _say_kill(process: asyncio.subprocess.Process) -> None:
    """Tell a supervisor to end its call; closing the lifeline would tell it that nobody waits for a report."""
    if process.stdin is not None and not process.stdin.is_closing():
        process.stdin.write(b"kill\n")
