"""How Slack reaches a bot over HTTP: the address, and what its requests may take."""

import logging
import socket
from dataclasses import dataclass, field

from core import door
from core.door import is_loopback

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bounds:
    """What a request may take. Slack itself waits 3 s for an answer."""

    head_within_s: float = 5.0
    """From the connection to the end of the headers; then it is cut."""
    body_within_s: float = 3.0
    answer_within_s: float = 10.0
    """For a listener; what takes longer goes on, and is 503."""
    drain_s: float = 3.0
    """For requests under way at shutdown."""
    body_bytes: int = 1_000_000
    connections: int = 200
    """Each is one request; more get 503 at once."""
    handled: int = 64
    """Signed requests with a listener at work."""


@dataclass(frozen=True)
class HttpMode:
    """How Slack reaches this bot over HTTP."""

    host: str
    """An IP address, or `localhost`."""
    port: int
    signing_secret: str = field(repr=False)
    bounds: Bounds = Bounds()


def listening(mode: HttpMode) -> socket.socket:
    """Open the socket to serve on; what cannot listen says so before anything has started.

    Raises:
        ConfigError: The address cannot be had.
    """
    remedy = "Stop what uses that port, or set another BANKSMAN_HTTP_PORT or BANKSMAN_HTTP_HOST."
    listener = door.listening(mode.host, mode.port, who="The bot", remedy=remedy)
    if not is_loopback(mode.host):
        log.warning(
            "listening on %s without TLS: let nothing but a reverse proxy reach it",
            mode.host,
            extra={"action": "http_exposed"},
        )
    return listener
