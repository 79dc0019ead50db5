"""A worker that was started from a terminal lends it to no program."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
from pathlib import Path

from core.execution.base import CallLabel
from core.execution.local import LocalEnvironment

ROOT = Path(__file__).resolve().parents[3]

WORKER = """
import asyncio, fcntl, json, os, sys, termios
os.setsid()
fcntl.ioctl(int(sys.argv[3]), termios.TIOCSCTTY, 0)
open("/dev/tty").close()  # it is ours now
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from core.execution.base import CallLabel, ProcessSpec, SandboxLevel
from core.execution.sandbox import probe_environment
asked = json.loads(sys.argv[2])
environment = probe_environment(
    tool_environment=Path(asked["tools"]), allow_unsandboxed=False, prefer=SandboxLevel(asked["level"]),
    spool=Path(asked["spool"]),
)
spec = ProcessSpec(
    argv=("python", "-I", "-c", asked["source"]), workspace=Path(asked["workspace"]),
    label=CallLabel(*asked["label"]),
)
result = asyncio.run(environment.run(spec))
print(result.stdout.decode() + result.stderr.decode(), end="")
"""

ATTACK = """
import fcntl, os, termios
for name in ("/dev/tty", "/dev/console", "/dev/pts/0", "/dev/pts/1", "/dev/pts/2"):
    try:
        terminal = os.open(name, os.O_RDWR | os.O_NOCTTY)
        fcntl.ioctl(terminal, termios.TIOCSTI, b"x")
        print("typed into", name)
    except OSError:
        pass
print([os.isatty(number) for number in range(3)], os.getsid(0) == os.getpid() or os.getsid(0) != os.getppid())
"""


async def test_a_program_cannot_reach_the_workers_terminal(
    environment: LocalEnvironment, label: CallLabel, workspace: Path, tool_environment: Path
) -> None:
    master, slave = pty.openpty()
    asked = {
        "tools": str(tool_environment),
        "level": environment.level,
        "spool": str(environment.spool),
        "workspace": str(workspace),
        "label": [label.tenant, label.run_id, label.call_id, label.fence],
        "source": ATTACK,
    }
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WORKER, str(ROOT), json.dumps(asked), str(slave)),
        stdout=asyncio.subprocess.PIPE,
        pass_fds=(slave,),
    )
    said, _ = await worker.communicate()
    os.set_blocking(slave, False)
    try:
        typed = os.read(slave, 100)
    except BlockingIOError:
        typed = b""
    os.close(master)
    os.close(slave)

    assert b"[False, False, False] True\n" == said
    assert b"" == typed
