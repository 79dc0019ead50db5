"""Processes of ours that are there in a moment: forked from one that has imported everything already.

A start of Python with all that a bot, a worker or a command imports takes it one to two seconds of a core, and the
suite makes many hundreds of them. What `command` builds is a small program that has the process forked (`server.py`),
with its own environment, directory and standard streams, passes signals on to it and ends as it ended (`client.py`).
The forked process runs the same entry as `python -m …` or `banksman …` and is a process of its own in all else; only
its command line in the process table is the parent's. Whatever tests how programs start, how they are supervised or a
clean interpreter starts the real program instead.
"""

import atexit
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]


def command(*arguments: str) -> list[str]:
    """The argv for `python -m module …` (`"-m", "worker"`) or, without `-m`, for `banksman …`."""
    return [sys.executable, "-I", "-S", str(_HERE / "client.py"), _address(), *arguments]


@cache
def _address() -> str:
    """Where the one parent of this test process listens; started with the first command."""
    folder = tempfile.TemporaryDirectory(prefix="nursery-")
    path = str(Path(folder.name, "socket"))
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.nursery.server", path],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert server.stdin is not None and server.stdout is not None
    assert b"ready\n" == server.stdout.readline()

    def end() -> None:
        # Its end of this pipe closes when this process dies, too.
        server.communicate()
        folder.cleanup()

    atexit.register(end)
    return path
