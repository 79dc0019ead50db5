"""Health of a process: is it alive, would it do its work now, and why not.

*Alive* is about the process alone: its event loop answers and every loop of it came round lately. A database that is
away does not make it dead, for a restart would not help. *Ready* asks the things it works with, each within two
seconds; one that does not answer in time is a reason like any other. Reasons are sentences of ours: no address, no id,
nothing anybody sent.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from core.periodic import Pulse

log = logging.getLogger(__name__)

CHECK_WITHIN_S = 2.0
_FRESH_S = 1.0
"""However often somebody asks, a check is made once a second."""


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    state: Literal["ok", "degraded", "failed"]
    """`degraded`: worth knowing, but the work goes on."""
    why: str = ""

    def as_json(self) -> dict[str, str]:
        return {"state": self.state, **({"why": self.why} if self.why else {})}


OK = Finding("ok")
Check = Callable[[], Awaitable[Finding]]


@dataclass
class Health:
    """What a process says about itself.

    Attributes:
        part: `bot`, `worker` or another part's name.
        checks: By name; all of them are made at once.
        pulses: The loops it cannot do without.
        facts: Beside the checks, such as the sandbox level.
    """

    part: str
    checks: Mapping[str, Check]
    pulses: Sequence[Pulse] = ()
    facts: Callable[[], Mapping[str, str]] = dict
    _asked: dict[str, asyncio.Task[Finding]] = field(default_factory=dict)
    _found: dict[str, tuple[float, Finding]] = field(default_factory=dict)

    def stuck(self) -> list[str]:
        """Names of the loops that have not come round in time; safe from any thread."""
        return [pulse.name for pulse in self.pulses if pulse.is_stuck]

    async def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether it would do its work now, and what every check found."""
        found = await asyncio.gather(*(self._look(name, check) for name, check in self.checks.items()))
        checks = dict(zip(self.checks, found, strict=True))
        good = all(finding.state != "failed" for finding in found)
        body = {name: finding.as_json() for name, finding in checks.items()}
        return good, {"ready": good, "part": self.part, **self.facts(), "checks": body}

    async def _look(self, name: str, check: Check) -> Finding:
        made = self._found.get(name)
        if made is not None and time.monotonic() - made[0] < _FRESH_S:
            return made[1]
        asked = self._asked.get(name)
        if asked is None or asked.done():
            # A check that hangs is not made a second time beside itself, and not cut off: it may be in a driver.
            asked = self._asked[name] = asyncio.create_task(self._make(name, check), name=f"check-{name}")
        await asyncio.wait({asked}, timeout=CHECK_WITHIN_S)
        return asked.result() if asked.done() else Finding("failed", f"no answer within {CHECK_WITHIN_S:.0f} s")

    async def _make(self, name: str, check: Check) -> Finding:
        try:
            finding = await check()
        except Exception as error:
            log.warning("the check %s failed: %r", name, error, extra={"action": "not_ready"})
            finding = Finding("failed", f"it failed ({type(error).__name__})")
        self._found[name] = time.monotonic(), finding
        return finding

    async def close(self) -> None:
        """Give up checks that still hang."""
        left = {task for task in self._asked.values() if not task.done()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=CHECK_WITHIN_S)


def works(condition: Callable[[], bool], why_not: str) -> Check:
    """A check of something that is known at once."""

    async def check() -> Finding:
        return OK if condition() else Finding("failed", why_not)

    return check
