"""A server that speaks git over https on this machine: git's own, behind TLS, with the faults a test asks for."""

import base64
import os
import ssl
import subprocess
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

Fault = Literal["", "redirect", "error", "cut-before", "cut-after"]


@dataclass
class GitServer:
    """Serves the repositories below a directory."""

    root: Path
    certificate: tuple[Path, Path]
    password: str = ""
    """What readers and writers have to give; empty for nothing."""
    fault: Fault = ""
    """What happens to a push: an answer of 403, a connection that is cut before or after it is done. Or a redirect of
    everything."""
    seen: list[str] = field(default_factory=list)
    """Every request line."""

    def __post_init__(self) -> None:
        outer = self

        class Handler(_Handler):
            server_of = outer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*self.certificate)
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_of: GitServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def log_message(self, format: str, *args: Any) -> None:
        self.server_of.seen.append(self.requestline)

    def _answer(self, body: bytes) -> None:
        server = self.server_of
        pushing = self.path.endswith("/git-receive-pack")
        if server.password and not self._let_in():
            return self._say(401, b"", ("WWW-Authenticate", 'Basic realm="git"'))
        if server.fault == "redirect":
            return self._say(302, b"", ("Location", f"https://127.0.0.1:{server.port}/elsewhere{self.path}"))
        if pushing and server.fault == "error":
            return self._say(403, b"")
        if pushing and server.fault == "cut-before":
            return self._cut()
        status, headers, content = self._backend(body)
        if pushing and server.fault == "cut-after":
            return self._cut()
        return self._say(status, content, *headers)

    def _let_in(self) -> bool:
        expected = base64.b64encode(f"bot:{self.server_of.password}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {expected}"

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _say(self, status: int, content: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _backend(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        parts = urlsplit(self.path)
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server_of.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "HOME": "/nonexistent",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "bot",
        }
        done = subprocess.run(["git", "http-backend"], env=environment, input=body, capture_output=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().splitlines()]
        status = next((int(value[:3]) for name, value in headers if name == "Status"), 200)
        return status, [(name, value) for name, value in headers if name != "Status"], content
