"""When a failed attempt is tried again: jitter, a budget per tool, and a breaker. One layer retries, and it is this
one.

Full jitter keeps many runs from returning at once; the budget keeps retries from becoming the load (at most a tenth of
a tool's calls per minute, never fewer than three); the breaker stops hammering what keeps failing. Kept per worker:
losing it costs nothing but a few early retries.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

BASE_MS = 500
CAP_MS = 30_000
MAX_RETRY_AFTER_MS = 600_000
"""Longer than this and a person should know."""

_WINDOW_MS = 60_000
_SHARE = 0.1
_FLOOR = 3
_BREAK_AFTER = 5
_HALF_OPEN_MS = 30_000


@dataclass
class _Tool:
    calls: deque[int] = field(default_factory=deque)
    retries: deque[int] = field(default_factory=deque)
    failures: int = 0
    opened_at: int | None = None


class Retries:
    """Decides delays; `random` returns a number in [0, 1)."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._tools: dict[str, _Tool] = {}

    def record(self, tool: str, *, ok: bool, now_ms: int) -> None:
        """Count a finished attempt."""
        state = self._tools.setdefault(tool, _Tool())
        state.calls.append(now_ms)
        _forget(state.calls, now_ms)
        state.failures = 0 if ok else state.failures + 1
        state.opened_at = now_ms if state.failures >= _BREAK_AFTER else None

    def delay_ms(self, tool: str, *, attempt: int, retry_after_s: float | None, now_ms: int) -> int | None:
        """How long to wait before attempt `attempt + 1`, or `None` if it should not be tried again now."""
        state = self._tools.setdefault(tool, _Tool())
        for times in (state.calls, state.retries):
            _forget(times, now_ms)
        if len(state.retries) >= max(_FLOOR, int(len(state.calls) * _SHARE)):
            return None
        asked = int((retry_after_s or 0) * 1000)
        if asked > MAX_RETRY_AFTER_MS:
            return None
        delay = int(self._random() * min(CAP_MS, BASE_MS * 2**attempt))
        if state.opened_at is not None:
            delay = max(delay, state.opened_at + _HALF_OPEN_MS - now_ms)
        state.retries.append(now_ms)
        return max(delay, asked)


def _forget(times: deque[int], now_ms: int) -> None:
    """Drop what is older than the window."""
    while times and times[0] < now_ms - _WINDOW_MS:
        times.popleft()
