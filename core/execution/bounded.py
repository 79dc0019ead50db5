"""An environment with the operator's limits: what one call may use, whatever the tool asked for."""

import asyncio
from dataclasses import dataclass, replace

from core.execution.base import Environment, Limits, ProcessResult, ProcessSpec, SandboxLevel, SandboxReport


@dataclass(frozen=True)
class BoundedEnvironment:
    """Runs every program in another environment, under these limits; only time is the tool's to choose."""

    inner: Environment
    limits: Limits

    @property
    def level(self) -> SandboxLevel:
        return self.inner.level

    def describe(self) -> SandboxReport:
        return self.inner.describe()

    async def run(self, spec: ProcessSpec, *, kill: asyncio.Event | None = None) -> ProcessResult:
        bounded = replace(
            self.limits,
            wall_s=spec.limits.wall_s,
            keep_output_bytes=spec.limits.keep_output_bytes,
            max_output_bytes=spec.limits.max_output_bytes,
        )
        return await self.inner.run(replace(spec, limits=bounded), kill=kill)
