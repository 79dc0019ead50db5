"""Identifiers: sortable by creation time, unguessable, safe in file names, Slack values and URLs.

26 characters of Crockford's base 32 (48 bits of milliseconds, 80 random bits) behind a prefix that says what the id
names. The clock and the randomness are given, so a simulation can own both.

Source: the ULID layout (github.com/ulid/spec).
"""

import os
from collections.abc import Callable
from typing import NewType

from core.clock import Clock

RunId = NewType("RunId", str)
CallId = NewType("CallId", str)
ApprovalId = NewType("ApprovalId", str)
ArtifactId = NewType("ArtifactId", str)
WorkerId = NewType("WorkerId", str)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class Ids:
    """Makes ids; one per process."""

    def __init__(self, clock: Clock, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._clock = clock
        self._entropy = entropy

    def new(self, prefix: str) -> str:
        """Return e.g. `run_01kb2x…`: prefix, underscore, 26 characters."""
        number = (self._clock.wall_ms() << 80) | int.from_bytes(self._entropy(10), "big")
        return f"{prefix}_{''.join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))}"

    def run(self) -> RunId:
        return RunId(self.new("run"))

    def call(self) -> CallId:
        return CallId(self.new("call"))

    def approval(self) -> ApprovalId:
        return ApprovalId(self.new("apr"))

    def artifact(self) -> ArtifactId:
        return ArtifactId(self.new("art"))

    def salt(self) -> str:
        """128 random bits, hex: keeps digests of a run's texts from being guessed."""
        return self._entropy(16).hex()


def short(identifier: str) -> str:
    """The tail people read and type: the last 6 characters."""
    return identifier[-6:]


TENANT = "main"
"""The tenant of an installation that serves one team; every key carries it, so that more can come."""
