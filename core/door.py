"""HTTP as far as nobody's meaning is concerned: the socket, what a connection may take, constant answers.

Both doors of ours stand on it: the one Slack posts to and the one operators' tools ask. One request per connection,
heads are bounded in size and time, and nothing of what came is ever said back.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable

from aiohttp import hdrs, web

from core.errors import ConfigError

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
"""All that anybody is ever told who asked wrongly or at the wrong moment."""


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

    def __init__(
        self,
        server: web.Server,
        note: Callable[[str], None],
        *,
        head_within_s: float,
        cut_after_s: float | None = None,
    ) -> None:
        """
        Args:
            note: Told in a word why something was no request.
            head_within_s: From the connection to the end of the headers; then it is cut.
            cut_after_s: Cut it after that long whatever it is doing, such as taking an answer byte by byte.
        """
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # documented: none is written
            keepalive_timeout=head_within_s,  # it also ends a connection that never finished its first head
            max_line_size=4_096,
            max_field_size=4_096,
            max_headers=64,
            lingering_time=1.0,
            auto_decompress=False,
        )
        self._note = note
        self._cut_after_s = cut_after_s
        self._cut: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._cut_after_s is not None and isinstance(transport, asyncio.WriteTransport):
            self._cut = asyncio.get_running_loop().call_later(self._cut_after_s, transport.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._cut is not None:
            self._cut.cancel()
        super().connection_lost(exc)

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


def listening(host: str, port: int, *, who: str, remedy: str) -> socket.socket:
    """Open the socket to serve on; what cannot listen says so before anything has started.

    Args:
        host: An IP address, or `localhost`.
        port: 0 = any free one.
        who: Begins the sentence that says why not.
        remedy: The sentence that says what to do when the address cannot be had.

    Raises:
        ConfigError: The address cannot be had.
    """
    address = "127.0.0.1" if host == "localhost" else host
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        problem = f"{who} cannot listen on {host}, port {port}: {error.strerror}."
        raise ConfigError(f"{problem} {remedy}") from error
    return listener
