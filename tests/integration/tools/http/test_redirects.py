"""Where an answer sends on to: followed only by what reads, checked each time as if it were the first."""

from pathlib import Path

import pytest

from tests.integration.tools.http.conftest import Send, Serve
from tests.integration.tools.http.server import answer

CREDENTIAL = {"host": "127.0.0.1", "header": "Authorization", "scheme": "Bearer", "user": None}
SECRET = "s3cret-value-of-a-token"


def to(url: str, status: str = "302 Found") -> bytes:
    return answer(status, Location=url)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_reads_is_sent_on(serve: Serve, send: Send, method: str, status: str) -> None:
    server = serve(to("../b?c=1#d", status), answer("200 OK"))

    found = send(method, f"{server.url}/a/x", reach=[server.place], headers={"x-mine": "1"})

    assert ("succeeded", f"{server.url}/b?c=1") == (found["status"], found["out"]["url"])
    assert [f"{method} /a/x HTTP/1.1", f"{method} /b?c=1 HTTP/1.1"] == [each.line for each in server.requests]
    assert ["1", "1"] == [each.headers.get("x-mine") for each in server.requests]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_what_writes_is_not_sent_on(serve: Serve, send: Send, method: str, status: str) -> None:
    server = serve(to("/b", status), answer("200 OK"))

    found = send(method, f"{server.url}/a", reach=[server.place])

    assert ("failed", int(status[:3])) == (found["status"], found["out"]["status"])
    assert (
        f"It sends on to {server.url}/b, which is not followed for {method}; name the final address." in found["error"]
    )
    assert 1 == len(server.requests)


def test_five_times_and_no_more(serve: Serve, send: Send) -> None:
    five = serve(*[to("/again")] * 5, answer("200 OK"))
    loop = serve(to("/again"))

    assert "succeeded" == send("GET", five.url, reach=[five.place])["status"]
    endless = send("GET", loop.url, reach=[loop.place])

    assert "failed" == endless["status"]
    assert "more than 5 times" in endless["error"]
    assert 6 == len(loop.requests)


def test_a_private_address_is_refused(serve: Serve, send: Send) -> None:
    """The operator named one port of this machine, so the other one is as private as any."""
    inside = serve(answer("200 OK", b"the keys"))
    server = serve(to(f"{inside.url}/latest/meta-data"))

    found = send("GET", server.url, reach=["*", server.place])

    assert "failed" == found["status"]
    assert "127.0.0.1 is a private address, which tools do not reach." in found["error"]
    assert [] == inside.requests


@pytest.mark.parametrize("spelling", ["2130706433", "0x7f.1", "017700000001", "127.1", "[::ffff:7f00:1]", "localhost"])
def test_a_private_address_in_disguise_is_refused(serve: Serve, send: Send, spelling: str) -> None:
    inside = serve(answer("200 OK", b"the keys"))
    server = serve(to(f"http://{spelling}:{inside.port}/"))

    found = send("GET", server.url, reach=["*", server.place])

    assert ("failed", []) == (found["status"], inside.requests)


def test_a_host_that_is_not_listed_is_refused(serve: Serve, send: Send) -> None:
    server = serve(to("https://elsewhere.example.com/"))

    found = send("GET", server.url, reach=[server.place])

    assert "failed" == found["status"]
    assert "elsewhere.example.com is not among the places this tool may reach." in found["error"]


def test_a_host_that_the_contract_of_a_channel_does_not_name_is_refused(serve: Serve, send: Send) -> None:
    inside = serve(answer("200 OK", b"the keys"))
    server = serve(to(f"{inside.url}/a"))
    bounds = [["The contract of #ops", [server.place]]]

    found = send("GET", server.url, reach=[server.place, inside.place], bounds=bounds)

    barred = f"The contract of #ops does not let its runs reach {inside.place}; it names `{server.place}`."
    assert ("failed", barred, []) == (found["status"], found["error"], inside.requests)


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1/_x",
        "javascript:1",
        "http://u:p@127.0.0.1/",
        "https://",
    ],
)
def test_what_is_no_address_of_ours_is_refused(serve: Serve, send: Send, location: str) -> None:
    server = serve(to(location))

    found = send("GET", server.url, reach=["*", server.place])

    assert ("failed", 1) == (found["status"], len(server.requests))
    assert "sends on to an address that is not used" in found["error"]


def test_from_https_to_http_is_refused(serve: Serve, send: Send, trusted: tuple[Path, Path]) -> None:
    plain = serve(answer("200 OK"))
    server = serve(to(plain.url), certificate=trusted)

    found = send("GET", server.url, reach=[server.place, plain.place], ca=trusted[0])

    assert ("failed", []) == (found["status"], plain.requests)
    assert "sends on from https to http" in found["error"]


def test_another_host_gets_neither_the_secret_nor_headers_of_the_first(serve: Serve, send: Send) -> None:
    other = serve(answer("200 OK"))
    server = serve(to(f"http://localhost:{other.port}/"))

    found = send(
        "GET",
        server.url,
        reach=[server.place, f"localhost:{other.port}"],
        headers={"x-session": "mine", "accept": "text/csv"},
        credential=CREDENTIAL,
        secret=SECRET,
    )

    assert "succeeded" == found["status"]
    assert [f"Bearer {SECRET}"] == [each.headers.get("authorization") for each in server.requests]
    assert [{"host", "user-agent", "accept", "accept-encoding", "connection"}] == [
        set(r.headers) for r in other.requests
    ]
    assert "text/csv" == other.requests[0].headers["accept"]


def test_another_port_is_somebody_else(serve: Serve, send: Send) -> None:
    other = serve(answer("200 OK"))
    server = serve(to(other.url))

    send("GET", server.url, reach=[server.place, other.place], credential=CREDENTIAL, secret=SECRET)

    assert [None] == [each.headers.get("authorization") for each in other.requests]


def test_the_secret_does_not_come_back_by_way_of_another_host(serve: Serve, send: Send) -> None:
    server = serve(answer("200 OK"))
    other = serve(to(f"{server.url}/back"))
    server.scripts[:0] = [to(f"http://localhost:{other.port}/")]

    found = send(
        "GET", server.url, reach=[server.place, f"localhost:{other.port}"], credential=CREDENTIAL, secret=SECRET
    )

    assert ("succeeded", f"{server.url}/back") == (found["status"], found["out"]["url"])
    assert [f"Bearer {SECRET}", None] == [each.headers.get("authorization") for each in server.requests]


def test_the_same_host_gets_the_secret_again(serve: Serve, send: Send) -> None:
    server = serve(to("/b"), answer("200 OK"))

    send("GET", server.url, reach=[server.place], credential=CREDENTIAL, secret=SECRET)

    assert [f"Bearer {SECRET}"] * 2 == [each.headers.get("authorization") for each in server.requests]


def test_the_time_limit_is_of_the_whole_chain(serve: Serve, send: Send) -> None:
    server = serve(to("/b"), to("/c"), lambda connection: connection.recv(1) and None)

    found = send("GET", server.url, reach=[server.place], timeout_s=0.5)

    assert "failed-safe" == found["status"]
    assert "did not answer in time" in found["error"]
