"""Time as something one is given.

`wall_ms` is for people and for rows; it may jump. `boot_ms` never goes back on one boot of one host and keeps counting
through suspend, which is what leases need. Tests and the simulation pass their own clock.
"""

import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from core.crashpoints import wall_shift_ms


class Clock(Protocol):
    """Where the time comes from."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970, UTC."""
        ...

    def boot_ms(self) -> int:
        """Milliseconds since this host booted, suspend included."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000 + wall_shift_ms()

    def boot_ms(self) -> int:
        # macOS has no CLOCK_BOOTTIME; its CLOCK_MONOTONIC counts through suspend.
        clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        return time.clock_gettime_ns(clock) // 1_000_000


def rfc3339(at_ms: int | None) -> str | None:
    """Render `at_ms` as the outside contract writes times: RFC 3339, UTC, milliseconds."""
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def boot_id() -> str:
    """Name this boot of this host; a lease measured by `boot_ms` means nothing after another boot."""
    linux = Path("/proc/sys/kernel/random/boot_id")
    if linux.exists():
        return linux.read_text().strip()
    # Elsewhere the boot instant, rounded so that clock adjustments of a few seconds do not rename the boot.
    clock = SystemClock()
    return f"boot-{(clock.wall_ms() - clock.boot_ms()) // 60_000}"


def host_name() -> str:
    """Name this host as far as processes can see each other: two containers with one name are two hosts."""
    name = socket.gethostname()
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return name
    return f"{name}/{namespace.strip('pid:[]')}"
