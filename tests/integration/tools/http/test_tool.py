"""The `http` tool as the engine uses it: prepared, sent by a child of its own, and its answer made readable."""

import asyncio
import base64
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.tools.base import Preparing, ToolContext, ToolResult
from core.tools.http import Http
from core.tools.registry import Registry
from tests.integration.tools.http.conftest import Allowed, Serve
from tests.integration.tools.http.server import answer, silent
from tests.patience import PATIENCE_S

REGISTRY = Registry([Http()])
SECRET = "s3cret-value-of-a-token"


async def call(context: ToolContext, **args: Any) -> ToolResult:
    tool = Http()
    assert isinstance(tool, Preparing)
    prepared = await tool.prepare(REGISTRY.validate("http", args), context)
    return await tool.perform(REGISTRY.validate("http", prepared.args), context)


async def test_a_request_is_sent_and_its_answer_comes_back(serve: Serve, allowed: Allowed) -> None:
    server = serve(
        answer("201 Created", b'{"id": 7, "share": 0.5}', Content_Type="application/json", Set_Cookie="sid=1")
    )

    result = await call(
        allowed(server.place),
        method="POST",
        url=f"{server.url}/v1/things",
        json={"b": 1, "a": ["ü"]},
        headers={"X-A": "1"},
    )

    assert ("succeeded", None, ()) == (result.status, result.error, result.produced)
    assert {
        "status": 201,
        "url": f"{server.url}/v1/things",
        "headers": {"content-length": "23", "content-type": "application/json"},
        "text": '{"id": 7, "share": 0.5}',
        "json": {"id": 7, "share": "0.5"},
        "bytes": 23,
        "truncated": False,
    } == result.out
    [request] = server.requests
    assert ("POST /v1/things HTTP/1.1", '{"a":["ü"],"b":1}'.encode()) == (request.line, request.body)
    assert ("application/json", "v1.key", "1") == tuple(
        request.headers[name] for name in ("content-type", "idempotency-key", "x-a")
    )


@pytest.mark.parametrize(
    ("credential", "header", "expected"),
    [
        ({}, "authorization", f"Bearer {SECRET}"),
        ({"header": "X-Api-Key", "scheme": ""}, "x-api-key", SECRET),
        ({"scheme": "token"}, "authorization", f"token {SECRET}"),
        (
            {"scheme": "Basic", "user": "ann"},
            "authorization",
            f"Basic {base64.b64encode(f'ann:{SECRET}'.encode()).decode()}",
        ),
    ],
    ids=["bearer", "header of its own", "scheme of its own", "user and password"],
)
async def test_the_operators_secret_goes_with_it(
    serve: Serve, allowed: Allowed, credential: dict[str, str], header: str, expected: str
) -> None:
    server = serve(answer("200 OK"))

    await call(allowed(server.place, secrets={"127.0.0.1": SECRET}, **credential), method="GET", url=server.url)

    assert expected == server.requests[0].headers[header]


async def test_a_certificate_of_the_operators_own_is_trusted(
    serve: Serve, allowed: Allowed, trusted: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(answer("200 OK", b"hi"), certificate=trusted)
    untrusted = await call(allowed(server.place), method="GET", url=server.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted[0]))

    result = await call(allowed(server.place), method="GET", url=server.url)

    assert ("failed-safe", "succeeded") == (untrusted.status, result.status)
    assert "its certificate is not trusted" in (untrusted.error or "")


async def test_a_run_that_was_stopped_sends_nothing(serve: Serve, allowed: Allowed, run_row: Path) -> None:
    server = serve(answer("200 OK"))
    with closing(sqlite3.connect(run_row)) as database, database:
        database.execute("UPDATE runs SET killed_at = 1")

    result = await call(allowed(server.place), method="POST", url=server.url, body="x")

    assert ("failed-safe", []) == (result.status, server.requests)


@pytest.mark.parametrize(("method", "expected"), [("POST", "unknown"), ("GET", "failed-safe")])
async def test_a_call_that_is_killed_while_it_waits_is_not_known(
    serve: Serve, allowed: Allowed, method: str, expected: str
) -> None:
    server = serve(silent)
    context = allowed(server.place)
    calling = asyncio.create_task(call(context, method=method, url=server.url))
    async with asyncio.timeout(PATIENCE_S):
        while not server.requests:  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.02)
    context.kill.set()

    result = await calling

    assert expected == result.status


async def test_a_long_text_is_shortened_and_left_as_a_file(serve: Serve, allowed: Allowed) -> None:
    body = "".join(f"line {number:05}\n" for number in range(20_000)).encode()
    server = serve(answer("200 OK", body, Content_Type="text/plain"))

    result = await call(allowed(server.place), method="GET", url=server.url)

    assert (220_000, False) == (result.out["bytes"], result.out["truncated"])
    assert "characters left out" in result.out["text"]
    [file] = result.produced
    assert ("response.txt", "text/plain", body) == (file.name, file.media_type, file.path.read_bytes())


async def test_what_is_no_text_is_left_as_a_file(serve: Serve, allowed: Allowed) -> None:
    body = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    server = serve(answer("200 OK", body, Content_Type="image/png"))

    result = await call(allowed(server.place), method="GET", url=server.url)

    assert ("", None, 264) == (result.out["text"], result.out["json"], result.out["bytes"])
    [file] = result.produced
    assert ("response.bin", "application/octet-stream") == (file.name, file.media_type)
    assert body == file.path.read_bytes()


async def test_what_is_too_big_is_cut_and_says_so(serve: Serve, allowed: Allowed) -> None:
    server = serve(answer("200 OK", b"[" + b"1," * 600_000 + b"1]", Content_Type="application/json"))

    result = await call(allowed(server.place), method="GET", url=server.url)

    assert ("succeeded", True, 1_000_000) == (result.status, result.out["truncated"], result.out["bytes"])
    assert result.out["json"] is None
    assert 1_000_000 == result.produced[0].path.stat().st_size


async def test_a_refusal_says_what_the_other_side_said(serve: Serve, allowed: Allowed) -> None:
    server = serve(
        answer("422 Unprocessable Entity", b'{"error":\n "name is missing"}', Content_Type="application/json")
    )

    result = await call(allowed(server.place), method="POST", url=server.url)

    assert "failed" == result.status
    assert f'{server.place} answered 422 Unprocessable Entity. It said: {{"error": "name is missing"}}' == result.error


async def test_a_page_for_browsers_is_not_repeated_in_the_thread(serve: Serve, allowed: Allowed) -> None:
    server = serve(answer("404 Not Found", b"<html><body>no", Content_Type="text/html"))

    result = await call(allowed(server.place), method="GET", url=server.url)

    assert f"{server.place} answered 404 Not Found." == result.error


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/plain", b"caf\xc3\xa9", "café"),
        ("text/plain; charset=ISO-8859-1", b"caf\xe9", "café"),
        ('text/csv; charset="utf-16"', "café".encode("utf-16"), "café"),
        ("text/plain; charset=rot13", b"caf\xc3\xa9", "café"),
        ("text/plain; charset=zlib", b"x\x9c", "x\ufffd"),
        ("text/plain", b"\xef\xbb\xbfa\r\nb", "a\nb"),
        ("application/problem+json", b"{}", "{}"),
        ("", b"plain enough", "plain enough"),
        ("", b"\xff\xfe\x00", ""),
        ("text/plain", b"a\0b", ""),
        ("application/octet-stream", b"abc", ""),
        ("text/plain", b"\x1b[31mred\x1b[0m\x07", "red\ufffd"),
    ],
)
async def test_text_is_read_as_it_says_it_is_written(
    serve: Serve, allowed: Allowed, content_type: str, body: bytes, text: str
) -> None:
    server = serve(answer("200 OK", body, **({"Content_Type": content_type} if content_type else {})))

    result = await call(allowed(server.place), method="GET", url=server.url)

    assert ("succeeded", text) == (result.status, result.out["text"])


async def test_an_answer_that_was_packed_all_the_same_is_left_as_it_came(serve: Serve, allowed: Allowed) -> None:
    server = serve(answer("200 OK", b"\x1f\x8b\x08", Content_Type="text/plain", Content_Encoding="gzip"))

    result = await call(allowed(server.place), method="GET", url=server.url)

    assert ("", "response.bin") == (result.out["text"], result.produced[0].name)


async def test_a_short_time_is_kept_to(serve: Serve, allowed: Allowed) -> None:
    server = serve(silent)

    result = await call(replace(allowed(server.place), timeout_s=1.0), method="POST", url=server.url)

    assert "unknown" == result.status
    assert f"{server.place} did not answer in time." in (result.error or "")
