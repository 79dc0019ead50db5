"""Closes the network to the test process: only this machine's own addresses can be reached.

An audit hook sees every connect, datagram and name look-up of the process, whichever library makes it. A refused
attempt raises at once and is also remembered, so that code which swallows the error cannot hide it: the test fails at
its end. Other processes that a test starts are not covered.
"""

import ipaddress
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_LOCAL_NAMES = frozenset({"", "localhost", "localhost.localdomain", "ip6-localhost", socket.gethostname()})


class NetworkClosed(RuntimeError):
    """A test tried to leave this machine. Talk to a server on 127.0.0.1 instead."""


class NetworkGuard:
    """The process's one hook; audit hooks cannot be removed, so it has a switch."""

    def __init__(self) -> None:
        self.attempts: list[str] = []
        """What was refused since the current test began."""
        sys.addaudithook(self._audit)

    @contextmanager
    def attempts_expected(self) -> Iterator[None]:
        """Within this block refused attempts still raise, but do not fail the test."""
        before = list(self.attempts)
        try:
            yield
        finally:
            self.attempts[:] = before

    def _audit(self, event: str, args: tuple[object, ...]) -> None:
        if not event.startswith("socket."):
            return
        match event, args:
            case "socket.connect" | "socket.sendto" | "socket.sendmsg", (_, (str() as host, *_)):
                allowed = _is_local_address(host)
            case "socket.getaddrinfo", (host, *_):
                allowed = host is None or _is_local_name(host)
            case "socket.gethostbyname", (host, *_):
                allowed = _is_local_name(host)
            case _:  # unix sockets, sendmsg on a connected socket, sockets being made or bound
                return
        if not allowed:
            self.attempts.append(f"{event} {host!r}")
            raise NetworkClosed(f"{event} to {host!r}: tests reach this machine only")


def _is_local_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host in _LOCAL_NAMES  # a name: looked up inside connect()


def _is_local_name(host: object) -> bool:
    name = host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host)
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name in _LOCAL_NAMES
    return True  # a numeric address needs no look-up; connecting to it is checked on its own
