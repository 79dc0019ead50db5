"""HTTP as far as it is not Slack's: the socket, what a connection may take, constant answers."""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import hdrs, web

from core.errors import ConfigError

log = logging.getLogger(__name__)

BACKLOG = 128

_TEXTS = {
    200: "",
    400: "This cannot be read.\n",
    401: "Not authorized.\n",
    404: "There is nothing here.\n",
    405: "Not that method.\n",
    408: "Too slow.\n",
    413: "Too large.\n",
    415: "Not that content type.\n",
    503: "Not now; try again.\n",
}
"""All that anybody is ever told."""


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


def plain(status: int, text: str | None = None) -> web.Response:
    response = web.Response(status=status, text=_TEXTS.get(status, "") if text is None else text)
    if status == 503:
        response.headers[hdrs.RETRY_AFTER] = "1"
    return closing(response)


def closing(response: web.Response) -> web.Response:
    response.headers[hdrs.SERVER] = "banksman"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.force_close()  # one request per connection: nothing can hide behind it
    return response


class Connection(web.RequestHandler):
    """One connection, which says nothing about what it could not parse."""

    def __init__(self, server: web.Server, note: Callable[[str], None], bounds: Bounds) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # documented: none is written
            keepalive_timeout=bounds.head_within_s,  # it also ends a connection that never finished its first head
            max_line_size=4_096,
            max_field_size=4_096,
            max_headers=64,
            lingering_time=1.0,
            auto_decompress=False,
        )
        self._note = note

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or what failed below the handler."""
        self._note("not-http" if status == 400 else "failed")
        return plain(400 if status == 400 else 503)


class TurnedAway(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        text = _TEXTS[503]
        head = f"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: {len(text)}\r\n"
        transport.write(f"{head}Connection: close\r\n\r\n{text}".encode())
        transport.close()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def listening(mode: HttpMode) -> socket.socket:
    """Open the socket to serve on; what cannot listen says so before anything has started.

    Raises:
        ConfigError: The address cannot be had.
    """
    address = "127.0.0.1" if mode.host == "localhost" else mode.host
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, mode.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"The bot cannot listen on {mode.host}, port {mode.port}: {error.strerror}. "
            "Stop what uses that port, or set another BANKSMAN_HTTP_PORT or BANKSMAN_HTTP_HOST."
        ) from error
    if not is_loopback(mode.host):
        log.warning(
            "listening on %s without TLS: let nothing but a reverse proxy reach it",
            mode.host,
            extra={"action": "http_exposed"},
        )
    return listener
