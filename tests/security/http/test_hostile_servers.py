"""What a server that means harm can send: too much, too slow, without end, or nothing that is HTTP."""

import socket
from collections.abc import Callable

import pytest

from core.tools import http_wire
from tests.integration.tools.http.conftest import Send, Serve
from tests.integration.tools.http.server import answer

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def endless(start: bytes, more: bytes) -> Callable[[socket.socket], None]:
    """Send a beginning, and then more until nobody listens."""

    def script(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(more)

    return script


def dripping(start: bytes, more: bytes) -> Callable[[socket.socket], None]:
    """The same, a byte at a time, just often enough to seem alive."""

    def script(connection: socket.socket) -> None:
        connection.sendall(start)
        connection.settimeout(0.02)
        while True:
            connection.sendall(more)
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                pass

    return script


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        (HEAD, b"X-A: 1\r\n" * 100),
        (HEAD + b"X-A: ", b"1" * 1000),
        (HEAD + b"X-A: 1\r\n", b" folded\r\n" * 100),
        (CHUNKED + b"1;", b"extension=" * 1000),
        (CHUNKED + b"0\r\n", b"X-Trailer: 1\r\n" * 100),
    ],
    ids=["status", "interim answers", "headers", "a header", "a folded header", "an extension", "trailers"],
)
def test_framing_without_end_is_ended(serve: Serve, send: Send, start: bytes, more: bytes) -> None:
    server = serve(endless(start, more))

    writing = send("POST", server.url, reach=[server.place], timeout_s=9)
    reading = send("GET", server.url, reach=[server.place], timeout_s=9)

    assert ("unknown", "failed") == (writing["status"], reading["status"])
    assert "no HTTP" in writing["error"]


@pytest.mark.parametrize("start", [HEAD + b"\r\n", HEAD + b"Content-Length: 99999999999\r\n\r\n"])
def test_a_body_without_end_is_cut(serve: Serve, send: Send, start: bytes) -> None:
    server = serve(endless(start, b"x" * 65_536))

    found = send("GET", server.url, reach=[server.place])

    assert ("succeeded", True) == (found["status"], found["out"]["truncated"])
    assert http_wire.MAX_BODY_BYTES == found["out"]["bytes"]


def test_a_chunked_body_without_end_is_cut(serve: Serve, send: Send) -> None:
    server = serve(endless(CHUNKED, b"8000\r\n" + b"x" * 0x8000 + b"\r\n"))

    found = send("GET", server.url, reach=[server.place])

    assert ("succeeded", True) == (found["status"], found["out"]["truncated"])


@pytest.mark.parametrize(
    ("start", "more"),
    [(b"", b"H"), (HEAD, b"x"), (HEAD + b"\r\n", b"x"), (CHUNKED, b"1\r\nx\r\n"), (b"", b"HTTP/1.1 100 \r\n\r\n")],
    ids=["status", "header", "body", "chunks", "interim answers"],
)
def test_what_comes_too_slowly_is_ended(serve: Serve, send: Send, start: bytes, more: bytes) -> None:
    server = serve(dripping(start, more))

    writing = send("POST", server.url, reach=[server.place], timeout_s=0.5)
    reading = send("GET", server.url, reach=[server.place], timeout_s=0.5)

    assert ("unknown", "failed-safe") == (writing["status"], reading["status"])
    assert "did not answer in time" in writing["error"]


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail.example ESMTP\r\n",
        b"<html>hello</html>\n",
        b"\0" * 100,
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        HEAD + b"".join(b"X-%d: 1\r\n" % number for number in range(200)) + b"\r\n",
        HEAD + b"X-A: " + b"1" * 70_000 + b"\r\n\r\n",
    ],
    ids=["ssh", "smtp", "page", "nul", "letters", "two digits", "five digits", "two", "switching", "headers", "header"],
)
def test_what_is_no_http_is_not_known(serve: Serve, send: Send, said: bytes) -> None:
    server = serve(said)

    writing = send("POST", server.url, reach=[server.place])
    reading = send("GET", server.url, reach=[server.place])

    assert ("unknown", "failed") == (writing["status"], reading["status"])


@pytest.mark.parametrize(
    "chunks",
    [
        b"zz\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhel",
        b"5\r\nhello",
        b"ffffffffffffffffffffff\r\nhello",
        b"\r\n\r\n",
        b"-5\r\nhello\r\n",
    ],
    ids=["no number", "half", "no end", "huge", "empty", "negative"],
)
def test_bad_chunks_are_no_answer(serve: Serve, send: Send, chunks: bytes) -> None:
    server = serve(CHUNKED + chunks)

    writing = send("POST", server.url, reach=[server.place])
    reading = send("GET", server.url, reach=[server.place])

    assert "unknown" == writing["status"]
    assert reading["status"] in ("failed", "failed-safe")


def test_strange_headers_come_through_as_data(serve: Serve, send: Send) -> None:
    server = serve(HEAD + b"X-A: a\0b\x1b[31m\xff\r\nX-A: c\r\nX-B:\r\n\r\nok")

    found = send("GET", server.url, reach=[server.place])

    assert "succeeded" == found["status"]
    assert [["X-A", "a\0b\x1b[31m\xff"], ["X-A", "c"], ["X-B", ""]] == found["out"]["headers"]


def test_several_lengths_are_read_one_way(serve: Serve, send: Send) -> None:
    """The connection serves one request, so what a second reader would make of it cannot matter."""
    server = serve(HEAD + b"Content-Length: 2\r\nContent-Length: 5\r\n\r\nhello")

    found = send("GET", server.url, reach=[server.place])

    assert ("succeeded", 2) == (found["status"], found["out"]["bytes"])


def test_an_answer_of_nothing_but_a_body_for_head_is_left_alone(serve: Serve, send: Send) -> None:
    server = serve(answer("200 OK", b"should not be here"))

    found = send("HEAD", server.url, reach=[server.place])

    assert ("succeeded", 0, None) == (found["status"], found["out"]["bytes"], found["out"]["file"])
