"""Which port the playground gets: the rule behind `BANKSMAN_PORT`.

Unset: the usual port, or the next free one after it. Set: that port or nothing, because whoever names a port has
something that connects to it. The answer is a socket that already listens, so no other program can take the port in
between.
"""

import errno
import socket

from core.errors import ConfigError

SEARCH_WIDTH = 100
"""How many ports from the usual one on are tried before the system picks any."""
HOST = "127.0.0.1"
_BACKLOG = 128


def claim_port(port: int, *, is_set: bool) -> socket.socket:
    """Open the listening socket of the playground; its port is `getsockname()[1]`.

    Args:
        port: As read from the settings: the one named by `BANKSMAN_PORT`, or the usual one.
        is_set: Whether somebody named it.

    Raises:
        ConfigError: A named port cannot be had (exit code 2).
    """
    if is_set:
        try:
            return _listen(port)
        except OSError as error:
            raise ConfigError(_why_not(port, error)) from error
    for candidate in range(port, min(port + SEARCH_WIDTH, 65_536)):
        try:
            return _listen(candidate)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
    return _listen(0)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # not refused for a predecessor's old connections
        listener.bind((HOST, port))
        listener.listen(_BACKLOG)  # at once: two sockets may share a bound port until one of them listens
    except BaseException:
        listener.close()
        raise
    return listener


def _why_not(port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"BANKSMAN_PORT is {port}, and another program is using that port. Stop that program, set another "
            "BANKSMAN_PORT, or unset it to take the next free port."
        )
    if error.errno == errno.EACCES:
        return f"BANKSMAN_PORT is {port}, which this user may not open. Set BANKSMAN_PORT to 1024 or above."
    return f"BANKSMAN_PORT is {port}, which cannot be opened: {error.strerror}. Set another BANKSMAN_PORT or unset it."
