"""The only reasons for which a test may be skipped.

Any other skip is turned into a failure by `tests/conftest.py`: a test that quietly does not run proves nothing. Each
skipped test is printed by name with its reason at the end of the run.
"""

import shutil
import subprocess
import sys

import pytest

NO_CHROMIUM = "no Chromium on PATH"
NO_SANDBOX_LEVEL = "this host cannot have the sandbox level"
MACOS_ONLY = "macOS only"
NO_DISKS = "this user cannot mount disks of its own"
ALLOWED = (NO_CHROMIUM, NO_SANDBOX_LEVEL, MACOS_ONLY, NO_DISKS)

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str | None:
    """Path of the browser the page is tested in, if the machine has one."""
    return next((path for name in CHROMIUM_NAMES if (path := shutil.which(name)) is not None), None)


def _can_mount() -> bool:
    """Whether this user may have a mount namespace, and disks in it."""
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return shutil.which("unshare") is not None and subprocess.run(probe, capture_output=True).returncode == 0


needs_chromium = pytest.mark.skipif(find_chromium() is None, reason=NO_CHROMIUM)
"""For tests that drive the page."""
needs_disks = pytest.mark.skipif(not _can_mount(), reason=NO_DISKS)
"""For tests that fill and break disks."""
needs_macos = pytest.mark.skipif(sys.platform != "darwin", reason=MACOS_ONLY)


def skip_without_sandbox(level: str, available: bool) -> None:
    """Skip the running test unless this host can have a sandbox level.

    Args:
        level: `bwrap`, `landlock` or `seatbelt`.
        available: What running the whole recipe of that level answered.
    """
    if not available:
        pytest.skip(f"{NO_SANDBOX_LEVEL} {level!r}")


def is_allowed(reason: str) -> bool:
    """Whether a skip's reason is one of these."""
    return reason.removeprefix("Skipped: ").startswith(ALLOWED)
