"""A server that answers with exactly the bytes a test wants, over a real socket and, if asked, TLS."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

Script = bytes | Callable[[socket.socket], None]


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes


class Server:
    """Answers the first connection with the first script, and so on; the last one answers all that follow."""

    def __init__(self, *scripts: Script, certificate: tuple[Path, Path] | None = None, reads: bool = True) -> None:
        self.scripts = list(scripts)
        self.requests: list[Received] = []
        self._reads = reads
        self.tls: ssl.SSLContext | None = None
        if certificate is not None:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://{self.place}"

    def close(self) -> None:
        """End it and everything that it still talks to."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._threads[0].join()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(connection)
            script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
            thread = threading.Thread(target=self._serve, args=(connection, script))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, script: Script) -> None:
        # A client that hangs up is what some of the tests are about.
        with connection, suppress(OSError):
            self._talk(connection, script)

    def _talk(self, plain: socket.socket, script: Script) -> None:
        connection: socket.socket = plain
        if self.tls is not None:
            connection = self.tls.wrap_socket(plain, server_side=True)
            self._open.append(connection)
        with connection:
            if self._reads:
                self.requests.append(_received(connection))
            if callable(script):
                script(connection)
                return
            connection.sendall(script)
            connection.shutdown(socket.SHUT_WR)


def _received(connection: socket.socket) -> Received:
    with connection.makefile("rb") as file:
        line = file.readline().decode().strip()
        headers: dict[str, str] = {}
        while text := file.readline().decode().strip():
            name, _, value = text.partition(":")
            assert name not in headers, f"{name} was sent twice"
            headers[name] = value.strip()
        return Received(line, headers, file.read(int(headers.get("content-length", 0))))


def answer(status: str, body: bytes = b"", **headers: str) -> bytes:
    """A whole answer; `content_type="…"` becomes a header."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def reset(connection: socket.socket) -> None:
    """Hang up with a reset, as a process that dies does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


def reset_once_greeted(connection: socket.socket) -> None:
    """The same, once something came."""
    connection.recv(1)
    reset(connection)


def silent(connection: socket.socket) -> None:
    """Say nothing until the other side has had enough."""
    connection.recv(1)
