"""The outside world: a web service that writes down every effect it performs before it answers.

`python -m tests.chaos.rig.witness LEDGER` prints its pid and port and serves until it is ended. What it has done is
in the ledger, one JSON object a line, synced to disk: nothing Banksman does can make it forget. It knows nothing of
Banksman but what any service could know, the idempotency key, and what the kernel tells it of its client: the label in
that process' environment, so that the fence under which an effect left is on record from outside.

- `POST /idempotent`: honours the key; a key that is known answers as it did the first time, and nothing is performed.
- `POST /reconcilable`, `/opaque`: perform whatever comes, each time.
- `GET /pure`: performs nothing.
- `GET /by-key/KEY`: what a key led to, or 404.
- `GET /under-way`: how many requests have come that are not answered yet, this one apart.
- `POST /faults`: `{"kind": …, "fault": reset-before | reset-after | hang-before | hang-after | 500 | 429, "count": n,
  "seconds": s}` for the next requests of a kind.
"""

import json
import os
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

KINDS = ("idempotent", "reconcilable", "opaque", "pure")
_KEYED = ("idempotent",)
_TENANT_RUN_CALL_FENCE = re.compile(rb"(?:^|\0)BANKSMAN_CALL=([^/\0]*)/([^/\0]*)/([^/\0]*)/(\d+)(?:\0|$)")


class World:
    """What has happened, in memory and on disk."""

    def __init__(self, ledger: Path) -> None:
        self._file = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lock = threading.Lock()
        self._answers: dict[str, dict[str, Any]] = {}
        self._faults: list[dict[str, Any]] = []
        self._count = 0

    def performed(self, kind: str, key: str, body: str, label: Mapping[str, Any], came_ms: int) -> dict[str, Any]:
        """Perform an effect, unless its key says that it was; the answer.

        Args:
            came_ms: When the request came.
        """
        with self._lock:
            if kind in _KEYED and key in self._answers:
                return self._answers[key]
            self._count += 1
            effect = {"n": self._count, "kind": kind, "key": key, "came": came_ms, "body": body, **label}
            self._write(effect)
            answer = {"effect": self._count}
            if kind != "pure":
                self._answers[key] = answer
            return answer

    def known(self, key: str) -> dict[str, Any] | None:
        """What a key led to."""
        with self._lock:
            return self._answers.get(key)

    def add_fault(self, fault: dict[str, Any]) -> None:
        """Something to go wrong with the next requests of a kind."""
        with self._lock:
            self._faults.append({"count": 1, "seconds": 1.0, **fault})

    def fault(self, kind: str) -> dict[str, Any] | None:
        """What goes wrong with this request, if anything."""
        with self._lock:
            for fault in self._faults:
                if fault["kind"] in (kind, "*"):
                    fault["count"] -= 1
                    if fault["count"] <= 0:
                        self._faults.remove(fault)
                    return fault
        return None

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._faults.clear()

    def _write(self, effect: Mapping[str, Any]) -> None:
        os.write(self._file, f"{json.dumps(effect, sort_keys=True)}\n".encode())
        os.fsync(self._file)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    world: World
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        kind, _, key = self.path.strip("/").partition("/")
        if kind == "by-key":
            found = self.world.known(key)
            self._answer(404 if found is None else 200, found or {"error": "no such key"})
        elif kind == "under-way":
            self._answer(200, {"requests": _Server.under_way - 1})
        else:
            self._perform(kind.partition("?")[0], "")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode(errors="replace")
        if self.path == "/faults":
            fault = json.loads(body)
            self.world.clear() if fault.get("fault") == "clear" else self.world.add_fault(fault)
            self._answer(200, {"ok": True})
        else:
            self._perform(self.path.strip("/").partition("/")[0], body)

    def _perform(self, kind: str, body: str) -> None:
        if kind not in KINDS:
            self._answer(404, {"error": "there is nothing here"})
            return
        came_ms = time.time_ns() // 1_000_000
        label = _client(self.client_address[1], self.server.server_address[1])
        fault = self.world.fault(kind) or {"fault": ""}
        match fault["fault"]:
            case "reset-before":
                self._reset()
                return
            case "hang-before":
                time.sleep(fault["seconds"])
            case "500":
                self._answer(500, {"error": "trouble"})
                return
            case "429":
                self._answer(429, {"error": "slow down"}, {"Retry-After": "1"})
                return
        answer = self.world.performed(kind, self.headers.get("idempotency-key") or "", body, label, came_ms)
        match fault["fault"]:
            case "reset-after":
                self._reset()
                return
            case "hang-after":
                time.sleep(fault["seconds"])
        self._answer(200, answer)

    def _reset(self) -> None:
        """Break the connection off so that the other side sees it at once."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def _answer(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        try:
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Type": "application/json"}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            self.close_connection = True  # whoever asked is gone; what was done stays done

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing; the ledger does."""


def _client(port: int, ours: int) -> dict[str, Any]:
    """Whose process is at the other end of a loopback connection, by what the kernel knows of it."""
    inode = _inode(port, ours)
    for pid in (entry.name for entry in Path("/proc").iterdir() if entry.name.isdecimal()):
        try:
            if any(str(fd.readlink()) == f"socket:[{inode}]" for fd in Path(f"/proc/{pid}/fd").iterdir()):
                found = _TENANT_RUN_CALL_FENCE.search(Path(f"/proc/{pid}/environ").read_bytes())
                if found is not None:
                    run, call, fence = (found[number].decode() for number in (2, 3, 4))
                    return {"run": run, "call": call, "fence": int(fence)}
        except OSError:
            continue
    return {"run": "", "call": "", "fence": -1}


def _inode(port: int, ours: int) -> str:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port and int(fields[2].rpartition(":")[2], 16) == ours:
            return fields[9]
    return ""


class _Server(ThreadingHTTPServer):
    """Answers each request on a thread."""

    daemon_threads = True
    request_queue_size = 128
    under_way = 0
    _counting = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        # Counted where connections are accepted, in their order: whoever asks hears of everything that came before.
        _count(1)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            _count(-1)


def _count(change: int) -> None:
    with _Server._counting:
        _Server.under_way += change


def main(ledger: Path) -> None:
    """Serve until a signal."""
    Handler.world = World(ledger)
    server = _Server(("127.0.0.1", 0), Handler)
    print(f"ready {os.getpid()} {server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
