"""Threats 15, 22 and 23: the secret goes to its host and nowhere else, whatever that host answers."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from core.tools.base import ToolContext, ToolResult
from core.tools.http import Http
from core.tools.http_send import perform as send_once
from core.tools.http_wire import MAX_BODY_BYTES
from core.tools.registry import Registry
from tests.integration.tools.http.conftest import Allowed, Send, Serve
from tests.integration.tools.http.server import answer, reset, silent

SECRET = "s3cret-value-of-a-token"
CREDENTIAL = {"host": "127.0.0.1", "header": "Authorization", "scheme": "Bearer", "user": None}
REGISTRY = Registry([Http()])


async def call(context: ToolContext, **args: Any) -> ToolResult:
    tool = Http()
    prepared = await tool.prepare(REGISTRY.validate("http", args), context)
    assert SECRET not in repr(prepared)
    return await tool.perform(REGISTRY.validate("http", prepared.args), context)


@pytest.mark.parametrize(
    "script",
    [
        answer("200 OK", b"fine"), answer("401 Unauthorized", b"no"), answer("500 Internal Server Error"), reset,
        silent, b"", b"nonsense\r\n", answer("302 Found", Location="/x"), answer("302 Found", Location="http://10.0.0.1/"),
    ],
    ids=["ok", "refused", "error", "reset", "silent", "nothing", "nonsense", "redirect", "redirect inside"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_end_of_a_request_says_the_secret(
    serve: Serve, send: Send, capfd: pytest.CaptureFixture[str], tmp_path: Path, script: Any, method: str
) -> None:
    server = serve(script)

    found = send(method, server.url, reach=[server.place], credential=CREDENTIAL, secret=SECRET, timeout_s=0.5)

    assert SECRET == server.requests[0].headers["authorization"].removeprefix("Bearer ")
    said = capfd.readouterr()
    assert SECRET not in json.dumps(found) + said.out + said.err
    assert not any(SECRET.encode() in path.read_bytes() for path in tmp_path.iterdir())


def test_a_secret_that_would_add_a_header_is_not_sent(serve: Serve, send: Send) -> None:
    server = serve(answer("200 OK"))

    for value in ("a\r\nX-Evil: 1", "a\nb", "a\0b", "ä", "a\x7f"):
        found = send("GET", server.url, reach=[server.place], credential=CREDENTIAL, secret=value)
        assert "failed" == found["status"]
        assert value not in found["error"]

    assert [] == server.requests


@pytest.mark.parametrize(
    "written",
    [SECRET, SECRET[::-1], base64.b64encode(SECRET.encode()).decode(), SECRET.encode().hex(), f"Bearer {SECRET}"],
    ids=["plain", "reversed", "base64", "hex", "with its scheme"],
)
@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden"])
async def test_a_server_that_repeats_the_secret_does_not_get_it_into_the_record(
    serve: Serve, allowed: Allowed, written: str, status: str
) -> None:
    server = serve(answer(status, f"you said {written}!".encode(), Content_Type="text/plain", X_Echo=written))

    result = await call(allowed(server.place, secrets={"127.0.0.1": SECRET}), method="GET", url=server.url)

    assert written not in repr(result)
    assert "[redacted:of-127.0.0.1]" in result.out["text"]
    assert "[redacted:of-127.0.0.1]" in result.out["headers"]["x-echo"]


@pytest.mark.parametrize("before", range(10, 24, 4))
async def test_half_a_secret_is_not_left_where_a_text_is_cut(serve: Serve, allowed: Allowed, before: int) -> None:
    """The end of what is read, the two ends of the piece that is left out, and the end of a header's value."""
    filled = bytearray(b"x" * (MAX_BODY_BYTES + 100))
    for at in (8_100, 24_470, MAX_BODY_BYTES):
        for step in range(0, 200, 40):
            filled[at - before - step : at - before - step + len(SECRET)] = SECRET.encode()
    header = "y" * (1_000 - before) + SECRET
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Echo: {header}\r\nTransfer-Encoding: chunked\r\n\r\n"
    parts = [bytes(filled[:MAX_BODY_BYTES]), bytes(filled[MAX_BODY_BYTES:]), b""]
    server = serve(head.encode() + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts))

    result = await call(allowed(server.place, secrets={"127.0.0.1": SECRET}), method="GET", url=server.url)

    [file] = result.produced
    for said in (result.out["text"], result.out["headers"]["x-echo"], file.path.read_text()):
        assert SECRET[:8] not in said
        assert SECRET[-8:] not in said


async def test_where_it_was_sent_on_to_does_not_say_the_secret(serve: Serve, allowed: Allowed) -> None:
    server = serve(answer("302 Found", Location=f"/x?token={SECRET}"), answer("200 OK"))

    reading = await call(allowed(server.place, secrets={"127.0.0.1": SECRET}), method="GET", url=server.url)
    server.scripts[:0] = [answer("302 Found", Location=f"/x?token={SECRET}")]
    writing = await call(allowed(server.place, secrets={"127.0.0.1": SECRET}), method="POST", url=server.url)

    assert f"{server.url}/x?token=[redacted:of-127.0.0.1]" == reading.out["url"]
    assert SECRET not in repr(reading) + repr(writing)


async def test_the_secret_is_in_no_argument_and_no_environment_of_a_process(serve: Serve, allowed: Allowed) -> None:
    """Looked up while the child waits for its answer: by everybody who may read /proc."""
    seen: list[bytes] = []

    def look(connection: Any) -> None:
        for process in Path("/proc").glob("[0-9]*"):
            for name in ("cmdline", "environ"):
                try:
                    seen.append((process / name).read_bytes())
                except OSError:
                    continue
        connection.sendall(answer("200 OK"))

    server = serve(look)

    result = await call(allowed(server.place, secrets={"127.0.0.1": SECRET}), method="GET", url=server.url)

    assert "succeeded" == result.status
    own = f"/proc/{os.getpid()}/cmdline"
    assert Path(own).read_bytes() in seen
    assert not any(SECRET.encode() in each for each in seen)


def test_nothing_of_the_environment_chooses_the_way(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy in the environment would get the request, and decide where it goes."""
    proxy, server = serve(answer("200 OK", b"proxy")), serve(answer("200 OK", b"server"))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    (tmp_path / ".netrc").write_text("default login evil password evil\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    request: dict[str, Any] = {"method": "GET", "url": server.url, "headers": {}, "body": None}
    args = {
        "request": request,
        "reach": [server.place],
        "bounds": [],
        "credential": None,
        "into": str(tmp_path),
        "ca": None,
    }

    found = send_once(args, {}, "v1.key", 5)

    assert ("succeeded", 6) == (found["status"], found["out"]["bytes"])
    assert [] == proxy.requests
    assert "authorization" not in server.requests[0].headers
