"""A house on small disks of its own, to be filled, made read-only or broken.

Its processes live in a mount namespace, so nobody else sees these disks; the test reaches the same files through
`/proc/PID/root`, and commands are run inside.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.house import CLI_WITHIN_S, ROOT, Done, House, clean_environment

_CLONE_FS, _CLONE_NEWNS = 0x200, 0x20000
_MOUNT = """
while [ "$1" != -- ]; do
    mkdir -p "$1" && mount -t tmpfs -o "size=$2" banksman "$1" || exit 3
    shift 2
done
shift
exec "$@"
"""


@dataclass
class DiskHouse(House):
    """A house that has disks."""

    @classmethod
    def on(cls, home: Path, disks: Mapping[str, str], **settings: str) -> "DiskHouse":
        """Start it.

        Args:
            disks: Size of each by its name, such as `{"artifacts": "512k"}`; it is mounted there in the home.
        """
        mounted = [part for name, size in disks.items() for part in (str(home / name), size)]
        house = cls.start(home, inside=["unshare", "--mount", "sh", "-c", _MOUNT, "sh", *mounted, "--"], **settings)
        assert isinstance(house, DiskHouse)
        return house

    def there(self, path: Path) -> Path:
        """A path its processes see, from here."""
        return Path(f"/proc/{self.process.pid}/root") / path.relative_to("/")

    def enter(self, *command: str, environment: Mapping[str, str] | None = None) -> Done:
        """Run a program where its disks are."""
        entered = ["nsenter", "--target", str(self.process.pid), "--mount", f"--wd={ROOT}", *command]
        done = subprocess.run(
            entered, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CLI_WITHIN_S
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def cli(self, *arguments: str, code: int | None = 0, within_s: float = CLI_WITHIN_S) -> Done:
        settings = {name: value for name, value in self.settings.items() if name != "BANKSMAN_PORT"}
        done = self.enter(*self.program, *arguments, environment=clean_environment(self.home, **settings))
        assert code is None or code == done.code, f"banksman {' '.join(arguments)} gave {done}"
        return done

    def moved_in(self) -> None:
        """Let this thread, and those it starts, see its disks: SQLite resolves links, so `there` is no way for it."""
        libc = ctypes.CDLL(None, use_errno=True)
        namespace = os.open(f"/proc/{self.process.pid}/ns/mnt", os.O_RDONLY)
        try:
            done = libc.unshare(_CLONE_FS) or libc.setns(namespace, _CLONE_NEWNS)
            assert done == 0, os.strerror(ctypes.get_errno())
        finally:
            os.close(namespace)

    @contextmanager
    def full(self, name: str) -> Iterator[None]:
        """Fill a disk to its last byte, and make room again."""
        filler = self.there(self.home / name / "filler")
        with filler.open("wb", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while file.write(b"\0" * size) == size:
                        pass
                except OSError:
                    continue
        try:
            yield
        finally:
            filler.unlink(missing_ok=True)

    @contextmanager
    def broken(self, path: Path) -> Iterator[None]:
        """Let every read of a file fail with an input/output error: what a process may read at address 0 is nothing."""
        done = self.enter("mount", "--bind", f"/proc/{self.process.pid}/mem", str(path))
        assert done.code == 0, done
        try:
            yield
        finally:
            self.enter("umount", str(path))
