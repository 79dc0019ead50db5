"""What is not Slack's, whole and readable is refused at the door, leaves no row, and the door stays open.

`PROTOCOL.md` 2.17: the SDK's verifier raises on odd headers and bodies, and Bolt on JSON that is no object.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping

import pytest

from bot.signature import sign
from tests.integration.bot_http.house import (
    FORM,
    NOTHING,
    SECRET,
    HttpHouse,
    encoded,
    exchange,
    form,
    mention,
    parsed,
    request,
    signature,
)
from tests.integration.bot_runtime.office import Running

BODY = encoded(mention())
Headers = Mapping[str, str | bytes | None]


def signed(
    body: bytes = BODY, headers: Headers | None = None, *, more: bytes = b"", path: str = "/slack/events"
) -> bytes:
    return request(body, path=path, headers=signature(body) | dict(headers or {}), more=more)


def stamped(stamp: str) -> bytes:
    """Signed with our secret over this timestamp, whatever it is."""
    return request(
        BODY,
        headers={
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": sign(SECRET, stamp, BODY),
        },
    )


def ago(seconds: float) -> bytes:
    return request(BODY, headers=signature(BODY, at_s=time.time() - seconds))


NOT_SLACK: dict[str, Callable[[], bytes]] = {
    "no headers": lambda: request(BODY),
    "no signature": lambda: signed(headers={"X-Slack-Signature": None}),
    "no timestamp": lambda: signed(headers={"X-Slack-Request-Timestamp": None}),
    "another secret": lambda: request(BODY, headers=signature(BODY, secret="another-signing-secret")),
    "an empty secret": lambda: request(BODY, headers=signature(BODY, secret="")),
    "another body": lambda: request(BODY + b" ", headers=signature(BODY)),
    "another timestamp": lambda: signed(headers={"X-Slack-Request-Timestamp": str(int(time.time()) - 1)}),
    "six minutes old": lambda: ago(360),
    "six minutes ahead": lambda: ago(-360),
    "a year old": lambda: ago(365 * 86_400),
    "a timestamp that is a word": lambda: stamped("now"),
    "a timestamp that is empty": lambda: stamped(""),
    "a timestamp that is a fraction": lambda: stamped(f"{time.time():.2f}"),
    "a timestamp that is negative": lambda: stamped(f"-{int(time.time())}"),
    "a timestamp with an underscore": lambda: stamped("1_795_000_000"),
    "a timestamp in other digits": lambda: stamped("".join(chr(0x0660 + int(d)) for d in str(int(time.time())))),
    "a timestamp of 4,000 digits": lambda: stamped("1" * 4_000),
    "a timestamp that is infinite": lambda: stamped("inf"),
    "two timestamps": lambda: signed(more=b"X-Slack-Request-Timestamp: 1795000000\r\n"),
    "two signatures": lambda: signed(more=b"X-Slack-Signature: v0=" + b"0" * 64 + b"\r\n"),
    "a signature that is empty": lambda: signed(headers={"X-Slack-Signature": ""}),
    "a signature that is no UTF-8": lambda: signed(headers={"X-Slack-Signature": b"v0=\xff\xfe" + b"0" * 62}),
    "a signature that is not ASCII": lambda: signed(headers={"X-Slack-Signature": "v0=" + "é" * 64}),
    "a signature of another version": lambda: signed(
        headers={"X-Slack-Signature": str(signature(BODY)["X-Slack-Signature"]).replace("v0", "v1")}
    ),
    "a signature in capitals": lambda: signed(
        headers={"X-Slack-Signature": "v0=" + str(signature(BODY)["X-Slack-Signature"])[3:].upper()}
    ),
    "a signature cut short": lambda: signed(
        headers={"X-Slack-Signature": str(signature(BODY)["X-Slack-Signature"])[:-1]}
    ),
    "a signed body that is no UTF-8": lambda: signed(b'{"type": "\xff"}'),
    "an upgrade": lambda: request(BODY, headers={"Connection": "Upgrade", "Upgrade": "websocket"}),
    "a challenge without a signature": lambda: request(encoded({"type": "url_verification", "challenge": "x"})),
    "a check of the certificate without a signature": lambda: request(b"ssl_check=1", headers=FORM),
    "Bolt's own switches": lambda: request(BODY, headers={"X-Slack-Bolt-Lazy-Only": "1", "X-Slack-Retry-Num": "1"}),
}


@pytest.mark.parametrize("make", NOT_SLACK.values(), ids=NOT_SLACK)
async def test_what_is_not_surely_slacks_is_401(house: HttpHouse, bot: Running, make: Callable[[], bytes]) -> None:
    reply = await exchange(house.port, make())

    assert (401, "Not authorized.\n") == (reply.status, reply.text)
    assert NOTHING == await house.rows()
    assert await house.is_well()


NESTED = b'{"a":' * 5_000 + b"1" + b"}" * 5_000
UNREADABLE = {
    "an empty list": b"[]",
    "a list of events": b"[" + BODY + b"]",
    "nothing": b"",
    "null": b"null",
    "a number": b"3",
    "a text": b'"event_callback"',
    "true": b"true",
    "half of it": BODY[: len(BODY) // 2],
    "twice of it": BODY + BODY,
    "a key twice": BODY[:-1] + b', "type": "event_callback"}',
    "a key twice, inside": b'{"event": {"type": "message", "type": "app_mention"}}',
    "5,000 levels": NESTED,
    "100,000 levels of lists": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "65 levels": b'{"a":' * 65 + b"1" + b"}" * 65,
    "a number that is none": b'{"a": NaN}',
    "an infinite number": b'{"a": 1e999}',
    "a number of 5,000 digits": b'{"a": ' + b"9" * 5_000 + b"}",
    "half a character": b'{"a": "\\ud83d"}',
    "a NUL": b'{"a": "\\u0000"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "an event that is a list": encoded(mention(event=[1])),
    "an event that is a text": encoded(mention(event="app_mention")),
    "a team that is a number": encoded(mention(team=5)),
    "a user that is a list": encoded(mention(event={"type": "app_mention", "user": ["U0REQUESTER"]})),
    "authorizations that are a number": encoded(mention(authorizations=7)),
    "authorizations that hold a number": encoded(mention(authorizations=[7])),
    "a challenge that is a number": encoded({"type": "url_verification", "challenge": 7}),
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
async def test_a_signed_body_that_is_no_payload_is_400(house: HttpHouse, bot: Running, body: bytes) -> None:
    reply = await house.post(body)

    assert (400, "This cannot be read.\n") == (reply.status, reply.text)
    assert NOTHING == await house.rows()
    assert await house.is_well()


UNREADABLE_FORMS = {
    "a payload that is a list": form(payload="[]"),
    "a payload that is null": form(payload="null"),
    "a payload that is empty": form(payload=""),
    "a payload and more": form(payload="{}", command="/banksman"),
    "a field twice": b"command=%2Fbanksman&command=%2Fbanksman",
    "no form": b"command",
    "no UTF-8": b"command=%ff",
    "more fields than anybody has": "&".join(f"a{number}=1" for number in range(1_000)).encode(),
}


@pytest.mark.parametrize("body", UNREADABLE_FORMS.values(), ids=UNREADABLE_FORMS)
async def test_a_signed_form_that_is_none_is_400(house: HttpHouse, bot: Running, body: bytes) -> None:
    reply = await house.post(body, path="/slack/interactions", headers=FORM)

    assert 400 == reply.status
    assert NOTHING == await house.rows()
    assert await house.is_well()


@pytest.mark.parametrize("body", [b"{}", encoded({"type": "event_callback"}), encoded(mention(event={}))])
async def test_a_signed_object_that_says_nothing_is_acknowledged_and_forgotten(
    house: HttpHouse, bot: Running, body: bytes
) -> None:
    assert 200 == (await house.post(body)).status
    assert NOTHING == await house.rows()


CHUNKS = {"Content-Length": None, "Transfer-Encoding": "chunked"}
BROKEN: dict[str, tuple[int, Callable[[], bytes]]] = {
    "plain text": (415, lambda: signed(headers={"Content-Type": "text/plain"})),
    "no content type": (415, lambda: signed(headers={"Content-Type": None})),
    "two content types": (400, lambda: signed(more=b"Content-Type: text/plain\r\n")),
    "a form with files": (415, lambda: signed(headers={"Content-Type": "multipart/form-data; boundary=x"})),
    "compressed": (415, lambda: signed(headers={"Content-Encoding": "gzip"})),
    "a length beyond the cap": (413, lambda: request(b"", headers={"Content-Length": "1000001"})),
    "a length beyond anything": (413, lambda: request(b"", headers={"Content-Length": "9" * 18})),
    "chunks beyond the cap": (413, lambda: request(_chunked(b"x" * 50_000, 21), headers=CHUNKS)),
    "a chunk that lies": (400, lambda: request(b"zz\r\nabc\r\n0\r\n\r\n", headers=CHUNKS)),
    "a length and chunks": (400, lambda: request(b"0\r\n\r\n", headers=CHUNKS | {"Content-Length": "5"})),
    "two lengths": (400, lambda: signed(more=b"Content-Length: 3\r\n")),
    "a negative length": (400, lambda: request(b"", headers={"Content-Length": "-1"})),
    "a length in words": (400, lambda: request(b"", headers={"Content-Length": "five"})),
    "a flood of headers": (400, lambda: signed(more=b"".join(b"X-A%d: b\r\n" % number for number in range(5_000)))),
    "one endless header": (400, lambda: signed(more=b"X-A: " + b"b" * 2_000_000 + b"\r\n")),
    "an endless path": (400, lambda: request(BODY, path="/" + "a" * 100_000)),
    "a header with a NUL": (400, lambda: signed(more=b"X-A: a\0b\r\n")),
    "a header without a name": (400, lambda: signed(more=b": b\r\n")),
    "a hello in TLS": (400, lambda: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 512),
    "noise": (400, lambda: b"\r\n\r\n".join(bytes(range(256)) for _ in range(8))),
    "another path": (404, lambda: signed(path="/")),
    "a path with a slash more": (404, lambda: signed(path="/slack/events/")),
    "a path with a slash twice": (404, lambda: signed(path="/slack//events")),
    "a path in other letters": (404, lambda: signed(path="/slack/%65vents")),
    "a path that climbs": (404, lambda: signed(path="/slack/../../etc/passwd")),
    "a tunnel": (404, lambda: request(b"", method="CONNECT", path="example.com:443")),
    "another method": (405, lambda: request(BODY, method="PUT", headers=signature(BODY))),
    "a look": (405, lambda: request(b"", method="GET", headers={"Content-Length": None})),
}


def _chunked(part: bytes, times: int) -> bytes:
    return (b"%x\r\n%s\r\n" % (len(part), part)) * times + b"0\r\n\r\n"


@pytest.mark.parametrize(("status", "make"), BROKEN.values(), ids=BROKEN)
async def test_what_breaks_the_rules_of_the_road_is_told_so_in_one_sentence(
    house: HttpHouse, bot: Running, status: int, make: Callable[[], bytes]
) -> None:
    reply = await exchange(house.port, make())

    assert status == reply.status
    assert reply.text.count("\n") == 1 and len(reply.text) < 40, reply.text
    assert NOTHING == await house.rows()
    assert await house.is_well()


async def test_an_oversized_body_is_refused_before_it_is_sent(house: HttpHouse, bot: Running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(request(b"", headers={"Content-Length": "2000000"}))

    head = await reader.readuntil(b"\r\n\r\n")

    writer.close()
    assert 413 == parsed(head).status


async def test_a_body_of_just_the_cap_is_read(house: HttpHouse, bot: Running) -> None:
    body = encoded(mention("idle", padding=""))
    body = body[:-2] + b"x" * (1_000_000 - len(body)) + body[-2:]
    assert json.loads(body)

    assert 200 == (await house.post(body)).status
    await house.run(None)


async def test_a_body_that_ends_early_is_cut(house: HttpHouse, bot: Running) -> None:
    whole = signed()

    held = await exchange(house.port, whole[:-20])
    gone = await exchange(house.port, whole[:-20], half_close=True)

    assert (408, 0) == (held.status, gone.status)
    assert NOTHING == await house.rows()
    assert await house.is_well()


async def test_a_body_that_drips_is_cut(house: HttpHouse, bot: Running) -> None:
    whole = signed()
    head = whole[: -len(BODY)]

    reply = await exchange(house.port, head, *(BODY[at : at + 1] for at in range(100)), pause_s=0.02)

    assert 408 == reply.status
    assert NOTHING == await house.rows()
    assert await house.is_well()


async def test_a_head_that_drips_is_cut(house: HttpHouse, bot: Running) -> None:
    reply = await exchange(
        house.port, *(b"X" if at else b"POST /slack/events HTTP/1.1\r\nX-A: " for at in range(200)), pause_s=0.02
    )

    assert 0 == reply.status
    assert NOTHING == await house.rows()
    assert await house.is_well()


async def test_a_connection_that_says_nothing_is_cut(house: HttpHouse, bot: Running) -> None:
    assert 0 == (await exchange(house.port)).status
    assert await house.is_well()


async def test_nothing_hides_behind_another_request(house: HttpHouse, bot: Running) -> None:
    refused, good = request(b"", headers={"Content-Length": "0"}), signed()

    reply = await exchange(house.port, refused + good)

    assert 401 == reply.status
    assert "HTTP/1.1" not in reply.text
    assert NOTHING == await house.rows()


async def test_a_stale_request_stays_refused_however_often_it_comes(house: HttpHouse, bot: Running) -> None:
    posted = ago(301)

    replies = await asyncio.gather(*(exchange(house.port, posted) for _ in range(10)))

    assert {401} == {reply.status for reply in replies}
    assert NOTHING == await house.rows()


async def test_the_log_says_once_why_and_repeats_nothing_of_the_request(
    house: HttpHouse, bot: Running, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5):
        await exchange(house.port, request(b'{"hunter": %d}' % number, headers={"X-Slack-Signature": "hunter"}))

    lines = [each for each in caplog.records if getattr(each, "action", "") == "request_refused"]
    assert ["a request was refused: no-timestamp"] == [each.getMessage() for each in lines]
    assert "hunter" not in caplog.text
    assert SECRET not in caplog.text + repr(bot.bot)
