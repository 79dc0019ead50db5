"""A service that pays once per idempotency key, says by key whether it did, and can lose its answers."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import pytest


class Payments:
    """Serves until `close`.

    Args:
        lost: How many requests to pay are hung up on without an answer.
        carried_out: Whether what is hung up on is paid nevertheless.
        silent: Whether whoever asks to pay waits for an answer until the end.
    """

    def __init__(self, *, lost: int = 0, carried_out: bool = False, silent: bool = False) -> None:
        self.lost = lost
        self.carried_out = carried_out
        self._answering = threading.Event()
        if not silent:
            self._answering.set()
        self.paid: list[tuple[str, Any]] = []
        """Every payment: its key, and what was asked."""
        self.asked: list[str] = []
        """The keys of all requests to pay."""
        self.asked_at_s: list[float] = []
        """When each of them came, by the monotonic clock."""
        self.looked: list[str] = []
        """The paths that were looked at."""
        self.looks: list[int] = []
        """What the next looks are answered with instead of the truth."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.place = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def hold(self) -> None:
        """Answer nobody who asks to pay from now on, until the end."""
        self._answering.clear()

    def close(self) -> None:
        self._answering.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                key = self.headers["Idempotency-Key"]
                order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.asked.append(key)
                service.asked_at_s.append(time.monotonic())
                lost = service.lost > 0
                service.lost -= lost
                if key not in dict(service.paid) and (not lost or service.carried_out):
                    service.paid.append((key, order))
                service._answering.wait()
                if lost:
                    self.close_connection = True
                    return
                self._answer(201, {"paid": order})

            def do_GET(self) -> None:
                service.looked.append(self.path)
                key = unquote(self.path.rpartition("/")[2])
                if service.looks:
                    self._answer(service.looks.pop(0), {"error": "another answer"})
                elif key in dict(service.paid):
                    self._answer(200, {"paid": dict(service.paid)[key]})
                else:
                    self._answer(404, {"error": "no such payment"})

            def _answer(self, status: int, value: Any) -> None:
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler


Service = Callable[..., Payments]
"""Starts a service; see `payments`."""


@pytest.fixture
def payments() -> Iterator[Service]:
    """Starts services that end with the test; the arguments are those of `Payments`."""
    services: list[Payments] = []

    def start(**how: Any) -> Payments:
        services.append(Payments(**how))
        return services[-1]

    yield start
    for service in services:
        service.close()
