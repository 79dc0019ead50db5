"""What people are asked about is exactly what is sent, and deriving it again gives the same."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import TerminalError
from core.secrets import MissingSecret
from core.tools.base import Prepared, ToolContext
from core.tools.http import Http
from core.tools.reach import OutOfReach
from core.tools.registry import InvalidArguments, Registry
from tests.integration.tools.http.conftest import Allowed

REGISTRY = Registry([Http()])


async def prepared(context: ToolContext, **args: Any) -> Prepared:
    return await Http().prepare(REGISTRY.validate("http", args), context)


async def test_a_request_gets_its_one_form(allowed: Allowed) -> None:
    found = await prepared(
        allowed(),
        method="POST",
        url="HTTPS://API.example.com:443/v1/../v1/deploys#top",
        headers={"X-Trace": "7", "Accept": "text/csv"},
        json={"b": [1, True, None], "a": "ü"},
    )

    assert {
        "method": "POST",
        "url": "https://api.example.com/v1/deploys",
        "headers": {"accept": "text/csv", "content-type": "application/json", "x-trace": "7"},
        "json": {"b": [1, True, None], "a": "ü"},
    } == found.args
    assert "POST to https://api.example.com/v1/deploys (28 bytes)" == found.sentence
    assert ("api.example.com:443",) == found.network
    assert ((), ()) == (found.creds, found.inputs)


async def test_text_is_sent_as_text(allowed: Allowed) -> None:
    found = await prepared(allowed(), method="PUT", url="https://h.example/", body="päng")

    assert {"content-type": "text/plain; charset=utf-8"} == found.args["headers"]
    assert "PUT to https://h.example/ (5 bytes)" == found.sentence


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_reads_has_the_shortest_form(allowed: Allowed, method: str) -> None:
    found = await prepared(allowed(), method=method, url="https://h.example")

    assert {"method": method, "url": "https://h.example/"} == found.args
    assert f"{method} https://h.example/" == found.sentence


async def test_a_secret_is_named_and_never_shown(allowed: Allowed) -> None:
    found = await prepared(
        allowed(secrets={"api.example.com": "s3cret-value-of-a-token"}),
        method="DELETE",
        url="https://api.example.com/x",
    )

    assert ({"ref": "of-api.example.com", "host": "api.example.com"},) == found.creds
    assert "s3cret" not in repr(found)


async def test_a_missing_secret_is_named(allowed: Allowed) -> None:
    with pytest.raises(MissingSecret, match=r"`of-api.example.com` has no value: set the environment variable"):
        await prepared(allowed(secrets={"api.example.com": ""}), method="GET", url="https://api.example.com/")


async def test_nobody_is_asked_for_a_name_before_the_decision(allowed: Allowed) -> None:
    """The closed network of the tests would refuse a look-up, and say so."""
    await prepared(allowed(), method="POST", url="https://the-data.evil.example/")


@pytest.mark.parametrize(
    ("network", "url", "sentence"),
    [
        (("api.example.com",), "https://evil.example/", "evil.example is not among the places this tool may reach"),
        ((), "http://127.0.0.1:9/", "the operator adds exactly `127.0.0.1:9` to the tool's `network`"),
        ((), "http://[::1]:9/", r"the operator adds exactly `\[::1\]:9` to the tool's `network`"),
    ],
)
async def test_nobody_is_asked_about_what_is_out_of_reach(
    allowed: Allowed, network: tuple[str, ...], url: str, sentence: str
) -> None:
    with pytest.raises(OutOfReach, match=sentence):
        await prepared(allowed(*network), method="POST", url=url)


async def test_a_secret_goes_over_https_unless_the_operator_names_the_port(allowed: Allowed) -> None:
    secrets = {"127.0.0.1": "s3cret-value-of-a-token", "api.example.com": "s3cret-value-of-a-token"}

    with pytest.raises(
        TerminalError, match=r"The secret `of-api.example.com` for api.example.com is sent by https only"
    ):
        await prepared(allowed("*", secrets=secrets), method="GET", url="http://api.example.com/")
    await prepared(allowed("127.0.0.1:80", secrets=secrets), method="GET", url="http://127.0.0.1/")


async def test_the_header_of_a_secret_is_the_operators(allowed: Allowed) -> None:
    context = allowed(secrets={"api.example.com": "s3cret-value-of-a-token"}, header="X-Api-Key", scheme="")

    with pytest.raises(TerminalError, match=r"`X-Api-Key` is the operator's to give for api.example.com"):
        await prepared(context, method="GET", url="https://api.example.com/", headers={"x-api-key": "mine"})
    await prepared(context, method="GET", url="https://other.example.com/", headers={"x-api-key": "mine"})


async def test_a_secret_that_no_header_can_carry_is_said(allowed: Allowed) -> None:
    context = allowed(secrets={"api.example.com": "two\r\nlines: of it"})

    with pytest.raises(
        TerminalError, match=r"The secret `of-api.example.com` holds a character that no header"
    ) as caught:
        await prepared(context, method="GET", url="https://api.example.com/")
    assert "lines" not in str(caught.value)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"method": "get"}, "`method` of `http` is `get`: input should be 'GET'"),
        ({"method": "TRACE"}, "`method` of `http`"),
        ({"timeout": 5}, "`http` has no argument `timeout`"),
        ({"body": "x"}, "a GET has no body"),
        ({"method": "HEAD", "json": 1}, "a HEAD has no body"),
        ({"method": "POST", "body": "x", "json": 1}, "`body` or `json`, not both"),
        ({"method": "POST", "body": "x" * 61_441}, "the body has 61,441 bytes, and at most 61,440 are sent"),
        ({"method": "POST", "body": "ü" * 30_721}, "the body has 61,442 bytes"),
        ({"method": "POST", "json": 1.5}, "a floating-point number; write it as a string"),
        ({"method": "POST", "body": "a\0b"}, "NUL"),
        ({"method": "POST", "body": "\ud800"}, "surrogate"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "one of them is there twice"),
        ({"headers": {f"x-{n}": "1" for n in range(41)}}, "`headers` of `http`"),
        ({"headers": {"x-a": 1}}, "must be text"),
        ({"url": ""}, "`url` of `http`"),
        ({"url": "https://h/" + "x" * 4_000}, "`url` of `http`"),
    ],
)
def test_what_does_not_fit_is_a_sentence(args: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        REGISTRY.validate("http", {"method": "GET", "url": "https://h/", **args})

    assert sentence in caught.value.user_text


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(codec="utf-8"), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcXYZ-_", max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    path=st.text(st.characters(codec="utf-8"), max_size=20),
    headers=st.dictionaries(st.text("abAB-", min_size=1, max_size=4), st.text("abc ;=", max_size=5), max_size=3),
    value=VALUES,
)
async def test_preparing_what_was_prepared_changes_nothing(
    allowed: Allowed, method: str, path: str, headers: dict[str, str], value: Any
) -> None:
    args = {"method": method, "url": f"https://h.example/{path}", "headers": headers}
    if method != "GET":
        args["json"] = value
    context = allowed()
    try:
        once = await prepared(context, **args)
    except TerminalError:
        return

    again = await prepared(context, **json.loads(json.dumps(dict(once.args))))

    assert once == again
