"""How long a call's process takes that does nothing: plainly started, and at each sandbox level.

From asking for it to knowing that nothing of it is left. All take turns, so that they are compared under the same load.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.report import Report
from bench.site import ROOT, Site
from bench.sizes import Sizes
from bench.stats import latencies
from core.execution.base import CallLabel, ProcessSpec, SandboxLevel
from core.execution.local import LocalEnvironment
from core.execution.sandbox import probe_environment

_WARM_UP = 3
_PROGRAM = "/bin/true"
_LEVELS = (SandboxLevel.NONE, SandboxLevel.LANDLOCK, SandboxLevel.BWRAP)


async def measure(site: Site, report: Report, sizes: Sizes) -> None:
    """A row for a plain process and for each level this machine can have."""
    with tempfile.TemporaryDirectory(dir=site.home) as directory:
        workspace, spool = _made(directory, "workspace"), _made(directory, "spool")
        ways: dict[str, Callable[[], Awaitable[None]]] = {"plain process": _plain}
        for level in _LEVELS:
            environment = await asyncio.to_thread(_environment, level, spool)
            if environment.level is level:
                ways[f"level {level}"] = _confined(environment, workspace)
            else:
                report.add(site.variant, "sandbox", f"level {level}", n=0)
        durations: dict[str, list[int]] = {name: [] for name in ways}
        for n in range(_WARM_UP + sizes.sandboxes):
            for name, start in ways.items():
                began_ns = time.perf_counter_ns()
                await start()
                if n >= _WARM_UP:
                    durations[name].append(time.perf_counter_ns() - began_ns)
        for name, taken in durations.items():
            report.add(site.variant, "sandbox", name, **latencies(taken))


def _made(directory: str, name: str) -> Path:
    path = Path(directory, name)
    path.mkdir()
    return path


def _environment(level: SandboxLevel, spool: Path) -> LocalEnvironment:
    tools = ROOT / ".venv-tools"
    return probe_environment(tool_environment=tools, allow_unsandboxed=True, prefer=level, spool=spool)


async def _plain() -> None:
    process = await asyncio.create_subprocess_exec(_PROGRAM)
    assert await process.wait() == 0


def _confined(environment: LocalEnvironment, workspace: Path) -> Callable[[], Awaitable[None]]:
    async def start() -> None:
        label = CallLabel("bench", "run-bench", f"call-{time.monotonic_ns()}", 1)
        result = await environment.run(ProcessSpec(argv=(_PROGRAM,), workspace=workspace, label=label))
        assert (result.ended, result.exit_code) == ("exited", 0), result

    return start
