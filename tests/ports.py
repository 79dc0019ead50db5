"""Ports for programs that have to be told theirs."""

import random
import socket

_BELOW_THE_KERNELS = range(20_000, 32_000)
_CHANCE = random.SystemRandom()
"""The seed of a test is that of the tests beside it, too."""


def free_port() -> int:
    """A port of this machine that nobody uses now.

    It is none of those the kernel hands out by itself: one of these may be somebody's own end of a connection by the
    time the program comes to it.
    """
    while True:
        port = _CHANCE.choice(_BELOW_THE_KERNELS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
