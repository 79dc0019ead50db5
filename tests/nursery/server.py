"""`python -m tests.nursery.server SOCKET`: imports what our programs import, then forks one for each request.

It has one thread and no event loop, so that a fork takes nothing along that would be shared. It ends with its own
stdin, and so does everything it has forked.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
from dataclasses import dataclass, field
from typing import Any

IMPORTED = (
    "bot.app",
    "bot.cli.main",
    "bot.playground.server",
    "bot.wiring",
    "core.store.schema",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "worker.deaths",
    "worker.main",
    "worker.wiring",
)
"""Not the entries themselves: those run as `__main__`."""


@dataclass
class Asked:
    """What one process is to be."""

    arguments: list[str]
    environment: dict[str, str]
    directory: str
    umask: int
    streams: list[int] = field(default_factory=list)


@dataclass(eq=False)
class Child:
    """A process that was forked, and who waits for its end."""

    pid: int
    link: socket.socket
    watched: int
    """A descriptor that can be read once it has ended."""


def serve(path: str) -> Asked | None:
    """Fork until stdin ends. Returns in each forked process what it is to be, and `None` in the end."""
    children: set[Child] = set()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, selectors.DefaultSelector() as selector:
        listener.bind(path)
        listener.listen(64)
        selector.register(listener, selectors.EVENT_READ, "asks")
        selector.register(sys.stdin, selectors.EVENT_READ, "over")
        print("ready", flush=True)
        while True:
            for key, _ in selector.select():
                match key.data:
                    case "over":
                        for child in children:
                            os.kill(child.pid, signal.SIGKILL)
                        return None
                    case "asks":
                        link, _ = listener.accept()
                        asked = _read(link)
                        if asked is None:
                            link.close()
                            continue
                        pid = os.fork()
                        if pid == 0:
                            for child in children:
                                child.link.close()
                                os.close(child.watched)
                            link.close()
                            return asked
                        for stream in asked.streams:
                            os.close(stream)
                        _say(link, pid)
                        child = Child(pid, link, os.pidfd_open(pid))
                        children.add(child)
                        selector.register(child.watched, selectors.EVENT_READ, child)
                        selector.register(link, selectors.EVENT_READ, child)
                    case Child() as child if child in children and key.fd != child.watched:
                        # Who asked for it is dead, and it lives no longer.
                        os.kill(child.pid, signal.SIGKILL)
                    case Child() as child if child in children:
                        children.remove(child)
                        _, status = os.waitpid(child.pid, 0)
                        _say(child.link, os.waitstatus_to_exitcode(status))
                        selector.unregister(child.watched)
                        selector.unregister(child.link)
                        os.close(child.watched)
                        child.link.close()


def _read(link: socket.socket) -> Asked | None:
    """A request; `None` if whoever asks is gone already."""
    with contextlib.suppress(OSError, ValueError):
        head, streams, _, _ = socket.recv_fds(link, 4096, 3)
        size, _, body = head.partition(b"\n")
        while len(body) < int(size):
            more = link.recv(1 << 16)
            if not more:
                return None
            body += more
        return Asked(**json.loads(body.decode("utf-8", "surrogateescape")), streams=streams)
    return None


def _say(link: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):
        link.sendall(f"{number}\n".encode())


def become(asked: Asked) -> Any:
    """Be the process that was asked for, to its end."""
    os.setsid()
    for number, stream in enumerate(asked.streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(asked.environment)
    os.chdir(asked.directory)
    os.umask(asked.umask)
    if asked.arguments[0] == "-m":
        module, *rest = asked.arguments[1:]
        sys.argv = [module, *rest]
        return runpy.run_module(module, run_name="__main__", alter_sys=True)
    from bot.cli.main import main

    sys.argv = ["banksman", *asked.arguments]
    return sys.exit(main())


if __name__ == "__main__":
    for name in IMPORTED:
        importlib.import_module(name)
    assert 1 == threading.active_count(), threading.enumerate()
    gc.collect()
    gc.freeze()
    if (mine := serve(sys.argv[1])) is not None:
        become(mine)
