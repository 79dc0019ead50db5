"""One HTTP/1.1 request and its answer on a connection of its own: to checked addresses, bounded in bytes and time.

It connects to the addresses that `reach` has checked and no others. Its errors say what can be known: `NotSent` that
nothing has left this machine, `BrokenOff` that something has. What an answer means is decided in `http_send`.
"""

import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.tools.http_url import Address
from core.tools.reach import Reach, check_host

MAX_BODY_BYTES = 1_000_000
SPARE_BYTES = 8_192
"""Read beyond that, so that a secret at the cut is seen whole by what takes it out."""
MAX_HEAD_BYTES = 65_536
MAX_WIRE_BYTES = 8 * MAX_BODY_BYTES
"""Framing included: an answer in pieces of one byte is that much longer than what it carries."""

_CONNECT_S = 10.0
_LOOK_UP_S = 10.0
_CHUNK_BYTES = 65_536


class NotSent(Exception):
    """Nothing has left this machine; the message is a sentence."""


class BrokenOff(Exception):
    """Something was sent, and what came back is not a whole answer; the message is a sentence."""

    def __init__(self, message: str, *, again: bool = True) -> None:
        super().__init__(message)
        self.again = again
        """Whether the same request may well be answered the next time."""


class _Late(Exception):
    """The time is over."""


@dataclass(frozen=True)
class Deadline:
    """When all of it has to be over."""

    at_s: float
    """As `time.monotonic` counts."""

    def left_s(self, most_s: float = 3600.0) -> float:
        """What is left of it, but at most so much."""
        left = self.at_s - time.monotonic()
        if left <= 0:
            raise _Late
        return min(left, most_s)


@dataclass(frozen=True)
class Request:
    """What is sent; every part of it was checked before."""

    method: str
    address: Address
    headers: Mapping[str, str]
    """Names in small letters; those that frame the request are added here."""
    body: bytes | None

    def to_bytes(self) -> bytes:
        """The whole request."""
        lines = [f"{self.method} {self.address.target} HTTP/1.1", f"host: {self.address.authority}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body is not None or self.method in ("POST", "PUT", "PATCH"):
            lines.append(f"content-length: {len(self.body or b'')}")
        lines += ["accept-encoding: identity", "connection: close", "", ""]
        return "\r\n".join(lines).encode("ascii") + (self.body or b"")


@dataclass
class Response:
    """An answer as far as it came."""

    status: int
    headers: list[tuple[str, str]]
    body: bytearray = field(default_factory=bytearray)
    truncated: bool = False

    def header(self, name: str) -> str | None:
        return next((value for known, value in self.headers if known.lower() == name), None)


def exchanged(request: Request, reach: Reach, ca: str | None, deadline: Deadline) -> Response:
    """Look up, check, connect, send one request and read one answer; blocks.

    Raises:
        NotSent: Nothing can have happened.
        BrokenOff: There is no whole answer.
        OutOfReach: The operator has not let it go there.
        RetryableError: The name cannot be looked up right now.
    """
    address = request.address
    try:
        connection = _connected(address, _looked_up(address, reach, deadline), ca, deadline)
    except _Late:
        raise NotSent(f"{address.place} did not accept a connection in time.") from None
    with connection:
        whole = _whole_request(request, connection, deadline)
        reader = _Reader(connection, deadline)
        try:
            return _answered(request, reader)
        except _Late:
            raise BrokenOff(f"{address.place} did not answer in time.{reader.so_far}") from None
        except _TooMuch:
            raise BrokenOff(f"What {address.place} answers is no HTTP anybody would send.", again=False) from None
        except http.client.IncompleteRead:
            raise BrokenOff(f"The answer of {address.place} broke off.{reader.so_far}") from None
        except http.client.RemoteDisconnected:
            raise BrokenOff(f"{address.place} hung up without an answer.") from None
        except (http.client.HTTPException, ValueError):
            raise BrokenOff(f"What {address.place} answers is no HTTP.", again=False) from None
        except OSError as error:
            cut = "while the request was being sent" if not whole else "before the answer was there"
            raise BrokenOff(
                f"The connection to {address.place} broke {cut} ({_reason(error)}).{reader.so_far}"
            ) from None


def _looked_up(address: Address, reach: Reach, deadline: Deadline) -> tuple[str, ...]:
    """Check and look up in a thread, because looking up has no time limit of its own."""
    found: list[tuple[str, ...] | BaseException] = []

    def look() -> None:
        try:
            found.append(check_host(reach, address.host, address.port))
        except BaseException as error:  # handed to the caller, who raises it
            found.append(error)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(deadline.left_s(_LOOK_UP_S))
    if not found:
        raise NotSent(f"The name {address.host} could not be looked up in time.")
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def _connected(address: Address, places: tuple[str, ...], ca: str | None, deadline: Deadline) -> socket.socket:
    """Connect to the first of the checked addresses that answers."""
    why = "there is no address"
    for place in places:
        connection = socket.socket(socket.AF_INET6 if ":" in place else socket.AF_INET, socket.SOCK_STREAM)
        try:
            connection.settimeout(deadline.left_s(_CONNECT_S))
            connection.connect((place, address.port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if address.scheme == "http":
                return connection
            return _secured(connection, address, ca, deadline)
        except ssl.SSLCertVerificationError as error:
            why = f"its certificate is not trusted: {error.verify_message}"
        except TimeoutError:
            why = "no answer in time"
        except OSError as error:
            why = _reason(error)
        except BaseException:
            connection.close()
            raise
        connection.close()
    raise NotSent(f"{address.place} cannot be reached ({why}).")


def _secured(connection: socket.socket, address: Address, ca: str | None, deadline: Deadline) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=ca)
    connection.settimeout(deadline.left_s(_CONNECT_S))
    secured = context.wrap_socket(connection, server_hostname=address.host, do_handshake_on_connect=False)
    try:
        # Asked for by name: a connection that has just ended would otherwise be handed back without TLS.
        secured.do_handshake()
    except BaseException:
        secured.close()
        raise
    return secured


def _whole_request(request: Request, connection: socket.socket, deadline: Deadline) -> bool:
    """Send the request; `False` if the other side closed before all of it was sent. It may have answered already."""
    left = memoryview(request.to_bytes())
    try:
        while left:
            connection.settimeout(deadline.left_s())
            left = left[connection.send(left) :]
    except (_Late, TimeoutError):
        raise BrokenOff(f"{request.address.place} did not take the request in time.") from None
    except OSError:
        return False
    return True


class _TooMuch(Exception):
    """More bytes than any answer needs."""


class _Reader(io.RawIOBase):
    """What comes in, under the deadline and a cap on all of it; one read is at most one wait."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline
        self._allowed_bytes = MAX_HEAD_BYTES
        self.ended = False
        """Whether the other side has hung up."""
        self.so_far = ""
        """What is known of the answer, as a sentence after another one."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # Any: typeshed's writable buffer
        if self._allowed_bytes <= 0:
            raise _TooMuch
        self._connection.settimeout(self._deadline.left_s())
        try:
            count = self._connection.recv_into(buffer, min(len(buffer), self._allowed_bytes))
        except TimeoutError:
            raise _Late from None
        self._allowed_bytes -= count
        self.ended = count == 0
        return count

    def begin_body(self, status: int) -> None:
        """From here on more may come."""
        self._allowed_bytes = MAX_WIRE_BYTES
        self.so_far = f" It had begun with {status}."


class _Kept(io.BufferedReader):
    """Stays open when one head of several has been read from it."""

    def close(self) -> None:
        pass


class _Wire:
    """As much of a socket as `http.client` needs to read an answer."""

    def __init__(self, reader: _Reader) -> None:
        self._file = _Kept(reader)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return self._file


def _answered(request: Request, reader: _Reader) -> Response:
    wire: Any = _Wire(reader)  # Any: not a socket, but all of it that is used
    while True:
        answer = http.client.HTTPResponse(wire, method=request.method)
        answer.begin()
        if reader.ended:  # which `http.client` takes for the end of the headers
            raise http.client.IncompleteRead(b"")
        if answer.status == 101:
            raise ValueError("nobody asked for another protocol")
        if answer.status >= 200:
            break
    reader.begin_body(answer.status)
    response = Response(answer.status, answer.getheaders())
    while chunk := answer.read1(_CHUNK_BYTES):
        response.body += chunk
        if len(response.body) >= MAX_BODY_BYTES + SPARE_BYTES:
            response.truncated = True
            return response
    if request.method != "HEAD" and not answer.chunked and answer.length:
        raise http.client.IncompleteRead(b"")
    response.truncated = len(response.body) > MAX_BODY_BYTES
    return response


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or 'failed').lower().replace('_', ' ')}"
    return error.strerror or type(error).__name__
