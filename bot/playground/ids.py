"""Identifiers and timestamps shaped like Slack's.

Slack's ids are a letter that says what the thing is, then capital letters and digits. Message timestamps are Unix
seconds with six digits behind the point, unique within the team here, so that they order everything that happened.
"""

import secrets
import string
import time
from collections.abc import Callable

_ALPHABET = string.ascii_uppercase + string.digits
_LOWER = string.ascii_letters + string.digits


def new_id(prefix: str, length: int = 10) -> str:
    """A fresh id, for example `new_id("F")` -> `F07Q2ZK41XC`."""
    return prefix + "0" + "".join(secrets.choice(_ALPHABET) for _ in range(length - 1))


def short_id(length: int = 5) -> str:
    """What Slack gives to a block or an element that brought no id of its own."""
    return "".join(secrets.choice(_LOWER) for _ in range(length))


class Timestamps:
    """Hands out message timestamps that only grow."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._last_us = 0

    def next(self) -> str:
        self._last_us = max(int(self._now() * 1_000_000), self._last_us + 1)
        return f"{self._last_us // 1_000_000}.{self._last_us % 1_000_000:06d}"

    def seen(self, ts: str) -> None:
        """Never hand out `ts` or anything before it; used when a stored team is loaded."""
        seconds, _, micros = ts.partition(".")
        self._last_us = max(self._last_us, int(seconds) * 1_000_000 + int(micros or 0))


def is_ts(value: object) -> bool:
    """Whether this is written as Slack writes timestamps."""
    if not isinstance(value, str):
        return False
    seconds, point, micros = value.partition(".")
    return seconds.isascii() and seconds.isdigit() and (not point or (micros.isascii() and micros.isdigit()))
