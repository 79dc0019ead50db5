"""The environment of a host without a sandbox: programs are refused with a sentence, everything else goes on."""

import asyncio
from dataclasses import dataclass

from core.execution.base import ProcessResult, ProcessSpec, SandboxLevel, SandboxReport


@dataclass(frozen=True)
class RefusingEnvironment:
    """Starts nothing."""

    why: str
    """A sentence with the remedy."""
    level: SandboxLevel = SandboxLevel.NONE

    def describe(self) -> SandboxReport:
        return SandboxReport(
            level=self.level, summary="programs are refused on this host", lacks=(), remedies=(self.why,), enforced=()
        )

    async def run(self, spec: ProcessSpec, *, kill: asyncio.Event | None = None) -> ProcessResult:
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
            enforced=(),
            detail=self.why,
        )
