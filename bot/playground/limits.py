"""Slack's rate limits. https://docs.slack.dev/apis/web-api/rate-limits

One app in one team: a bucket per method, filled at its tier, and one more per channel for `chat.postMessage`. Slack
says "N+ per minute"; a full bucket here holds a minute's worth, which is what the plus amounts to in practice.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

TIERS_PER_MINUTE = {1: 1, 2: 20, 3: 50, 4: 100}
POST_PER_SECOND = 1.0
POST_BURST = 4
"""How many messages a channel takes at once before the one per second holds."""
SPECIAL_PER_MINUTE = {"auth.test": 600, "api.test": 600, "chat.postMessage": 300, "chat.getPermalink": 600}
"""Methods whose limit is none of the tiers."""


@dataclass
class _Bucket:
    size: float
    per_second: float
    tokens: float
    at: float


class RateLimits:
    """Counts calls; `scale` multiplies every limit, `None` lets everything through."""

    def __init__(self, scale: float | None, now: Callable[[], float] = time.monotonic) -> None:
        self._scale = scale
        self._now = now
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def take(self, method: str, tier: int, channel: str | None = None) -> int | None:
        """Count one call.

        Returns:
            `None` when it may pass, else the whole seconds to wait (`Retry-After`); a refused call costs nothing.
        """
        if self._scale is None:
            return None
        per_minute = SPECIAL_PER_MINUTE.get(method, TIERS_PER_MINUTE[tier]) * self._scale
        buckets = [self._bucket(method, "", per_minute, per_minute / 60)]
        if method == "chat.postMessage" and channel:
            buckets.append(self._bucket(method, channel, POST_BURST * self._scale, POST_PER_SECOND * self._scale))
        wait_s = max((1 - one.tokens) / one.per_second for one in buckets)
        if wait_s > 0:
            return max(1, math.ceil(wait_s))
        for one in buckets:
            one.tokens -= 1
        return None

    def _bucket(self, method: str, channel: str, size: float, per_second: float) -> _Bucket:
        now = self._now()
        size = max(1.0, size)
        bucket = self._buckets.setdefault((method, channel), _Bucket(size, per_second, size, now))
        bucket.tokens = min(bucket.size, bucket.tokens + (now - bucket.at) * bucket.per_second)
        bucket.at = now
        return bucket
