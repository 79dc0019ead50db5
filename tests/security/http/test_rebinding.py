"""Threat 15: a name that means something else the next time it is asked for, and answers that lead inside."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.tools.http.conftest import Send, Serve
from tests.integration.tools.http.server import answer
from tests.network import NetworkClosed, NetworkGuard


class Resolver:
    """A name server of somebody else's: each question gets the next answer."""

    def __init__(self, *answers: list[str]) -> None:
        self.questions: list[str] = []
        self._answers: Iterator[list[str]] = iter(answers)

    def __call__(self, host: str, port: int, *_args: Any, **_more: Any) -> list[Any]:
        self.questions.append(host)
        return [(0, socket.SOCK_STREAM, 6, "", (address, port)) for address in next(self._answers)]


def test_a_name_is_asked_for_once_and_the_answer_is_kept_to(
    serve: Serve, send: Send, monkeypatch: pytest.MonkeyPatch, closed_network: NetworkGuard
) -> None:
    """First public, then this machine: the connection goes to the public one, where the tests end it."""
    inside = serve(answer("200 OK", b"the keys"))
    resolver = Resolver(["8.8.8.8"], ["127.0.0.1"], ["127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", resolver)

    with closed_network.attempts_expected(), pytest.raises(NetworkClosed, match=r"8\.8\.8\.8"):
        send("GET", f"http://rebind.example:{inside.port}/", reach=["*"])

    assert ["rebind.example"] == resolver.questions
    assert [] == inside.requests


def test_a_name_that_leads_inside_is_not_connected_to(
    serve: Serve, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = serve(answer("200 OK", b"the keys"))
    monkeypatch.setattr(socket, "getaddrinfo", Resolver(["8.8.8.8", "127.0.0.1"]))

    found = send("GET", f"http://rebind.example:{inside.port}/", reach=["*"])

    assert ("failed", []) == (found["status"], inside.requests)
    assert "rebind.example leads to the private address 127.0.0.1" in found["error"]


def test_each_redirect_is_looked_up_anew(serve: Serve, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator meant one server on this machine; the name it sends on to leads there by another way."""
    server = serve(answer("302 Found", Location="http://next.example/"), answer("200 OK", b"the keys"))
    resolver = Resolver(["127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", resolver)

    found = send("GET", server.url, reach=["*", server.place])

    assert ("failed", ["next.example"]) == (found["status"], resolver.questions)
    assert 1 == len(server.requests)


def test_a_redirect_back_to_the_same_name_is_looked_up_anew(
    serve: Serve, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(answer("302 Found", Location="/again"), answer("200 OK"))
    place = f"service.example:{server.port}"
    resolver = Resolver(["127.0.0.1"], ["127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", resolver)

    found = send("GET", f"http://{place}/", reach=[place])

    assert ("succeeded", ["service.example"] * 2) == (found["status"], resolver.questions)
    assert [place, place] == [each.headers["host"] for each in server.requests]


def test_tls_is_checked_for_the_name_not_for_the_address(
    serve: Serve, send: Send, trusted: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate is good for 127.0.0.1, which is where the name leads, but not for the name."""
    server = serve(answer("200 OK"), certificate=trusted)
    place = f"bank.example:{server.port}"
    monkeypatch.setattr(socket, "getaddrinfo", Resolver(["127.0.0.1"]))

    found = send("POST", f"https://{place}/", reach=[place], body="x", ca=trusted[0])

    assert ("failed-safe", []) == (found["status"], server.requests)
    assert "Hostname mismatch" in found["error"]


def test_a_look_up_that_never_ends_is_ended(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: release.wait(8) and [])

    found = send("POST", "http://slow.example/", reach=["*"], timeout_s=0.2)
    release.set()

    assert "failed-safe" == found["status"]
    assert "The name slow.example could not be looked up in time." == found["error"]
