"""What an answer, or none, says about whether something happened (PROTOCOL 2.5)."""

import email.utils
import socket
import ssl
import time
from pathlib import Path

import pytest

from core.tools.http_send import BODY_FILE
from tests.integration.tools.http import certificate
from tests.integration.tools.http.conftest import Send, Serve
from tests.integration.tools.http.server import answer, reset, reset_once_greeted, silent


@pytest.mark.parametrize(
    ("status", "writing", "reading"),
    [
        ("200 OK", "succeeded", "succeeded"),
        ("201 Created", "succeeded", "succeeded"),
        ("204 No Content", "succeeded", "succeeded"),
        ("301 Moved Permanently", "failed", "failed"),  # and without a Location nobody could follow
        ("400 Bad Request", "failed", "failed"),
        ("401 Unauthorized", "failed", "failed"),
        ("404 Not Found", "failed", "failed"),
        ("408 Request Timeout", "unknown", "failed-safe"),
        ("409 Conflict", "unknown", "failed"),
        ("422 Unprocessable Entity", "failed", "failed"),
        ("425 Too Early", "unknown", "failed-safe"),
        ("429 Too Many Requests", "failed-safe", "failed-safe"),
        ("500 Internal Server Error", "unknown", "failed-safe"),
        ("501 Not Implemented", "unknown", "failed"),
        ("502 Bad Gateway", "unknown", "failed-safe"),
        ("503 Service Unavailable", "unknown", "failed-safe"),
        ("504 Gateway Timeout", "unknown", "failed-safe"),
        ("599 Whatever", "unknown", "failed"),
    ],
)
def test_a_status_says_what_became_of_it(serve: Serve, send: Send, status: str, writing: str, reading: str) -> None:
    server = serve(answer(status))

    found = {
        method: send(method, f"{server.url}/x", reach=[server.place])
        for method in ("POST", "PUT", "PATCH", "DELETE", "GET", "HEAD")
    }

    expected = dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), writing) | dict.fromkeys(("GET", "HEAD"), reading)
    assert expected == {method: each["status"] for method, each in found.items()}
    assert {int(status[:3])} == {each["out"]["status"] for each in found.values()}
    assert all((each["error"] is None) == (each["status"] == "succeeded") for each in found.values())


def test_nobody_listening_is_safe_to_try_again(send: Send) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    found = send("POST", f"http://127.0.0.1:{port}/", reach=[f"127.0.0.1:{port}"], body="x")

    assert "failed-safe" == found["status"]
    assert f"127.0.0.1:{port} cannot be reached (Connection refused)." == found["error"]


def test_a_name_that_cannot_be_looked_up_is_safe_to_try_again(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_name(*_args: object, **_more: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)

    found = send("POST", "https://api.example.com/", reach=[])

    assert "failed-safe" == found["status"]
    assert "The name api.example.com cannot be looked up right now." in found["error"]


@pytest.mark.parametrize(("name", "complaint"), [("localhost", "IP address mismatch"), ("127.0.0.1", "self-signed")])
def test_a_certificate_that_is_not_trusted_gets_no_request(
    serve: Serve, send: Send, tmp_path: Path, name: str, complaint: str
) -> None:
    """The first is trusted but for another name, the second for this one but by nobody."""
    files = certificate.write(tmp_path, name)
    server = serve(answer("200 OK"), certificate=files)

    found = send("POST", server.url, reach=[server.place], body="x", ca=files[0] if name == "localhost" else None)

    assert "failed-safe" == found["status"]
    assert complaint in found["error"].replace("self signed", "self-signed")
    assert [] == server.requests


def test_an_expired_certificate_gets_no_request(serve: Serve, send: Send, tmp_path: Path) -> None:
    files = certificate.write(tmp_path, "127.0.0.1", not_after="20210101000000Z")
    server = serve(answer("200 OK"), certificate=files)

    found = send("GET", server.url, reach=[server.place], ca=files[0])

    assert ("failed-safe", []) == (found["status"], server.requests)
    assert "expired" in found["error"]


def test_a_server_without_tls_gets_no_request(serve: Serve, send: Send) -> None:
    server = serve(answer("200 OK"), reads=False)

    found = send("POST", f"https://{server.place}/", reach=[server.place], body="secret plans")

    assert "failed-safe" == found["status"]
    assert "cannot be reached (TLS:" in found["error"]


def test_tls_with_a_trusted_certificate_works(serve: Serve, send: Send, trusted: tuple[Path, Path]) -> None:
    server = serve(answer("200 OK", b"hello"), certificate=trusted)

    found = send("POST", f"{server.url}/x?y=1", reach=[server.place], body="hi", ca=trusted[0])

    assert ("succeeded", 200) == (found["status"], found["out"]["status"])
    assert [("POST /x?y=1 HTTP/1.1", b"hi")] == [(each.line, each.body) for each in server.requests]


def test_a_server_that_ends_tls_at_once_gets_no_request(serve: Serve, send: Send) -> None:
    server = serve(reset_once_greeted, reads=False)

    found = send("POST", f"https://{server.place}/", reach=[server.place], body="x")

    assert "failed-safe" == found["status"]


@pytest.mark.parametrize(
    "broken",
    [
        reset,
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    ],
    ids=["reset", "nothing", "half a body", "half a head", "half a chunk"],
)
def test_what_breaks_off_after_it_was_sent_is_not_known(serve: Serve, send: Send, broken: bytes) -> None:
    server = serve(broken)

    writing = send("POST", server.url, reach=[server.place], body="x")
    reading = send("GET", server.url, reach=[server.place])

    assert ("unknown", "failed-safe") == (writing["status"], reading["status"])
    assert writing["error"].endswith("Whether it was carried out is not known.")
    assert 2 == len(server.requests)


def test_what_is_known_of_an_answer_is_said(serve: Serve, send: Send) -> None:
    server = serve(b"HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\nhalf")

    found = send("POST", server.url, reach=[server.place], body="x")

    assert (
        f"The answer of {server.place} broke off. It had begun with 201. Whether it was carried out is not known."
        == found["error"]
    )


def test_silence_after_it_was_sent_is_not_known(serve: Serve, send: Send) -> None:
    server = serve(silent)

    writing = send("POST", server.url, reach=[server.place], body="x", timeout_s=0.3)
    reading = send("GET", server.url, reach=[server.place], timeout_s=0.3)

    assert ("unknown", "failed-safe") == (writing["status"], reading["status"])
    assert f"{server.place} did not answer in time." in writing["error"]


def test_silence_before_it_was_sent_is_safe(serve: Serve, send: Send) -> None:
    server = serve(silent, reads=False)

    found = send("POST", f"https://{server.place}/", reach=[server.place], body="x", timeout_s=0.3)

    assert "failed-safe" == found["status"]


def test_an_answer_before_the_whole_request_was_sent_counts(serve: Serve, send: Send) -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(answer("413 Content Too Large"))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass

    server = serve(refuse, reads=False)

    found = send("POST", server.url, reach=[server.place], body="x" * 60_000)

    assert ("failed", 413) == (found["status"], found["out"]["status"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("7", 7.0), (" 120 ", 120.0), ("99999999999", 86_400.0), ("soon", None), ("-5", None), ("1.5", None)],
)
def test_how_long_to_wait_is_passed_on(serve: Serve, send: Send, text: str, expected: float | None) -> None:
    server = serve(answer("429 Too Many Requests", Retry_After=text))

    found = send("POST", server.url, reach=[server.place])

    assert ("failed-safe", expected) == (found["status"], found["retry_after_s"])


def test_a_date_to_wait_for_is_a_time_to_wait(serve: Serve, send: Send) -> None:
    server = serve(
        answer("503 Service Unavailable", Retry_After=email.utils.formatdate(time.time() + 600, usegmt=True))
    )

    found = send("POST", server.url, reach=[server.place])

    assert "unknown" == found["status"]
    assert 500 < found["retry_after_s"] <= 600


def test_the_key_is_the_same_in_every_attempt_and_on_everything_that_writes(serve: Serve, send: Send) -> None:
    server = serve(answer("500 Internal Server Error"))

    for method in ("POST", "POST", "PUT", "PATCH", "DELETE", "GET", "HEAD"):
        send(method, server.url, reach=[server.place], key="v1.abc")

    keys = [each.headers.get("idempotency-key") for each in server.requests]
    assert ["v1.abc"] * 5 + [None] * 2 == keys


def test_a_request_is_framed_by_us(serve: Serve, send: Send) -> None:
    server = serve(answer("200 OK"))

    send("POST", f"{server.url}/p?q", reach=[server.place], headers={"x-a": "1", "accept": "text/csv"}, body="päng")
    send("POST", server.url, reach=[server.place])
    send("DELETE", server.url, reach=[server.place])
    send("GET", server.url, reach=[server.place])

    first = server.requests[0]
    assert ("POST /p?q HTTP/1.1", "päng".encode()) == (first.line, first.body)
    assert {
        "host": server.place,
        "user-agent": "Banksman",
        "accept": "text/csv",
        "x-a": "1",
        "idempotency-key": "v1.key",
        "content-length": "5",
        "accept-encoding": "identity",
        "connection": "close",
    } == first.headers
    assert ["0", None, None] == [each.headers.get("content-length") for each in server.requests[1:]]


def test_interim_answers_are_passed_over(serve: Serve, send: Send) -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    server = serve(early + answer("201 Created", b"done"))

    found = send("POST", server.url, reach=[server.place])

    assert ("succeeded", 201, 4) == (found["status"], found["out"]["status"], found["out"]["bytes"])


def test_the_body_is_left_as_a_file(serve: Serve, send: Send, tmp_path: Path) -> None:
    server = serve(answer("200 OK", b"\x00\x01hello", Content_Type="application/x-thing"))

    found = send("GET", server.url, reach=[server.place])

    assert str(tmp_path / BODY_FILE) == found["out"]["file"]
    assert b"\x00\x01hello" == (tmp_path / BODY_FILE).read_bytes()


def test_old_and_unencrypted_kinds_of_tls_are_not_spoken(
    serve: Serve, send: Send, trusted: tuple[Path, Path], recwarn: pytest.WarningsRecorder
) -> None:
    server = serve(answer("200 OK"), certificate=trusted)
    assert server.tls is not None
    server.tls.maximum_version = ssl.TLSVersion.TLSv1_1

    found = send("GET", server.url, reach=[server.place], ca=trusted[0])

    assert ("failed-safe", []) == (found["status"], server.requests)
