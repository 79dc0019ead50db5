"""Threat 16: nothing in the arguments becomes another header, another request, another method or another user."""

from typing import Any

import pytest

from core.errors import TerminalError
from core.tools.base import ToolContext
from core.tools.http import Http
from core.tools.registry import InvalidArguments, Registry
from tests.integration.tools.http.conftest import Allowed, Serve
from tests.integration.tools.http.server import answer

REGISTRY = Registry([Http()])

ENDS = ["\r\n", "\n", "\r", "\0", "\x0b", "\x0c", "\x85", "\u2028", "\r\n\r\nGET /admin HTTP/1.1\r\n"]


async def sent(context: ToolContext, **args: Any) -> None:
    tool = Http()
    prepared = await tool.prepare(REGISTRY.validate("http", args), context)
    await tool.perform(REGISTRY.validate("http", prepared.args), context)


@pytest.mark.parametrize("end", [*ENDS, "\u010d\u010a"])
def test_a_header_is_one_line(end: str) -> None:
    for headers in ({"X-A": f"1{end}X-Evil: 1"}, {f"X-A{end}X-Evil": "1"}, {"X-A": end}, {f"X-A: 1{end}X-B": "2"}):
        with pytest.raises(InvalidArguments):
            REGISTRY.validate("http", {"method": "GET", "url": "https://h/", "headers": headers})


@pytest.mark.parametrize("end", ENDS)
async def test_an_address_is_one_line(allowed: Allowed, end: str) -> None:
    for url in (
        f"https://h.example/x{end}y",
        f"https://h.example{end}/",
        f"https://h.example/?q={end}",
        f"{end}https://h/",
    ):
        with pytest.raises((TerminalError, InvalidArguments)):
            await sent(allowed(), method="GET", url=url)


@pytest.mark.parametrize(
    "name",
    [
        "Host", "host", "HOST", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "TE", "Trailer",
        "Upgrade", "Expect", "Accept-Encoding", "Idempotency-Key", "Proxy-Connection", "Proxy-Anything",
        "Authorization", "authorization", "Proxy-Authorization", "Cookie",
        "X-HTTP-Method-Override", "X-Http-Method", "X-Method-Override",
        "", " ", "X A", " X-A", "X-A ", "X-A:", ":path", "X_Ä", "X\tA", "(X)", "X-A\u200b", "x" * 101,
    ],
)  # fmt: skip
def test_what_frames_logs_in_or_changes_the_method_is_not_the_planners(name: str) -> None:
    with pytest.raises(InvalidArguments):
        REGISTRY.validate("http", {"method": "GET", "url": "https://h/", "headers": {name: "1"}})


@pytest.mark.parametrize("value", [" 1", "1 ", "\t1", "ü", "1\t2", "\x7f", "x" * 4_003])
def test_a_value_has_one_reading(value: str) -> None:
    with pytest.raises(InvalidArguments):
        REGISTRY.validate("http", {"method": "GET", "url": "https://h/", "headers": {"X-A": value}})


async def test_what_looks_like_a_second_request_stays_a_body(serve: Serve, allowed: Allowed) -> None:
    server = serve(answer("200 OK"))
    body = "0\r\n\r\nPOST /admin HTTP/1.1\r\nHost: evil\r\nContent-Length: 0\r\n\r\n"

    await sent(allowed(server.place), method="POST", url=f"{server.url}/a", body=body)

    assert [("POST /a HTTP/1.1", body.encode())] == [(each.line, each.body) for each in server.requests]


async def test_what_looks_like_a_second_address_stays_a_path(serve: Serve, allowed: Allowed) -> None:
    server = serve(answer("200 OK"))

    await sent(
        allowed(server.place),
        method="GET",
        url=f"{server.url}//evil.example/@x:1/%0d%0aX-Evil:%201?a=%23%00&b=http://e/",
    )

    assert ["GET //evil.example/@x:1/%0D%0AX-Evil:%201?a=%23%00&b=http://e/ HTTP/1.1"] == [
        r.line for r in server.requests
    ]
    assert [server.place] == [each.headers["host"] for each in server.requests]


@pytest.mark.parametrize("path", ["/a/../admin", "/a/%2e%2e/admin", "/a/.%2E/admin", "/./a/..//../admin", "/%61dmin"])
async def test_a_pattern_of_a_policy_sees_where_it_really_goes(allowed: Allowed, path: str) -> None:
    tool = Http()

    found = await tool.prepare(REGISTRY.validate("http", {"method": "POST", "url": f"https://h{path}"}), allowed())

    assert "https://h/admin" == found.args["url"]
