"""What an address that knows calls by their key says about one that was cut off, and what that counts for."""

import socket
from dataclasses import replace

import pytest

from core.errors import RetryableError
from core.tools.base import Probing, ToolContext
from core.tools.http import HttpArguments
from core.tools.http_probe import ProbedHttp
from core.tools.reach import OutOfReach
from tests.integration.tools.http.conftest import Allowed, Serve
from tests.integration.tools.http.server import answer, reset

PAY = HttpArguments(method="POST", url="https://payments.example.com/", body="5")
KEY = "v1.a/b c"


def looking(url: str) -> ProbedHttp:
    return ProbedHttp("pay", url=url, settle_s=1.0)


def keyed(context: ToolContext) -> ToolContext:
    return replace(context, idempotency_key=KEY)


async def test_what_is_there_happened_and_its_answer_is_the_calls_result(serve: Serve, allowed: Allowed) -> None:
    server = serve(answer("200 OK", b'{"id": 7}', content_type="application/json"))
    tool = looking(f"{server.url}/by-key/{{key}}?again={{key}}")

    found = await tool.probe(PAY, keyed(allowed(server.place)))

    assert isinstance(tool, Probing)
    assert "happened" == found.found
    assert (200, {"id": 7}, '{"id": 7}') == (found.out["status"], found.out["json"], found.out["text"])
    (request,) = server.requests
    assert "GET /by-key/v1.a%2Fb%20c?again=v1.a%2Fb%20c HTTP/1.1" == request.line
    assert "idempotency-key" not in request.headers


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ("404 Not Found", "not-happened"),
        ("410 Gone", "not-happened"),
        ("202 Accepted", "in-progress"),
        ("408 Request Timeout", "in-progress"),
        ("409 Conflict", "in-progress"),
        ("425 Too Early", "in-progress"),
        ("429 Too Many Requests", "in-progress"),
        ("500 Internal Server Error", "in-progress"),
        ("503 Service Unavailable", "in-progress"),
        ("204 No Content", "cannot-tell"),
        ("400 Bad Request", "cannot-tell"),
        ("401 Unauthorized", "cannot-tell"),
        ("403 Forbidden", "cannot-tell"),
    ],
)
async def test_an_answer_counts_only_for_what_it_plainly_says(
    serve: Serve, allowed: Allowed, status: str, found: str
) -> None:
    server = serve(answer(status))

    said = await looking(f"{server.url}/{{key}}").probe(PAY, keyed(allowed(server.place)))

    assert (found, {}) == (said.found, said.out)
    assert status.split()[0] in said.detail


async def test_who_hangs_up_or_is_not_there_can_be_asked_again(serve: Serve, allowed: Allowed) -> None:
    server = serve(reset)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
    for place in (server.place, nobody):
        with pytest.raises(RetryableError, match=place):
            await looking(f"http://{place}/{{key}}").probe(PAY, keyed(allowed(place)))


async def test_a_probe_goes_no_further_than_its_tool(serve: Serve, allowed: Allowed) -> None:
    server = serve(answer("404 Not Found"))

    with pytest.raises(OutOfReach, match="not among the places"):
        await looking(f"{server.url}/{{key}}").probe(PAY, keyed(allowed("payments.example.com")))

    assert [] == server.requests


async def test_a_probe_shows_the_secret_of_its_host(serve: Serve, allowed: Allowed) -> None:
    server = serve(answer("200 OK", b"token of-the-bank came", content_type="text/plain"))
    context = allowed(server.place, secrets={"127.0.0.1": "of-the-bank"})

    found = await looking(f"{server.url}/{{key}}").probe(PAY, keyed(context))

    assert "Bearer of-the-bank" == server.requests[0].headers["authorization"]
    assert "of-the-bank" not in str(found.out)
