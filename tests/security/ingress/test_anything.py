"""Any bytes and any headers: an answer as designed, never a 500, and no row without a signature."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.bot_http.house import NOTHING, HttpHouse, encoded, exchange, form, mention, request, signature
from tests.integration.bot_runtime.office import Running

DESIGNED = {200, 400, 401, 404, 405, 408, 413, 415, 503}
every_time = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])

values = st.binary(max_size=80).filter(lambda value: not set(value) & set(b"\r\n"))
known = st.sampled_from(
    ["X-Slack-Signature", "X-Slack-Request-Timestamp", "Content-Type", "Content-Length", "Transfer-Encoding", "Expect"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
FIELDS = (
    "type",
    "event",
    "user",
    "team",
    "channel",
    "enterprise",
    "authorizations",
    "actions",
    "view",
    "message",
    "container",
    "command",
    "text",
    "trigger_id",
    "response_url",
    "response_urls",
    "api_app_id",
    "team_id",
    "event_id",
    "user_id",
    "channel_id",
    "callback_id",
    "state",
    "files",
    "item",
)
fields = st.sampled_from(FIELDS)
payloads = st.dictionaries(fields, json_values, max_size=8)


@every_time
@given(raw=st.binary(max_size=400))
async def test_any_bytes(house: HttpHouse, bot: Running, raw: bytes) -> None:
    reply = await exchange(house.port, raw, half_close=True)

    assert reply.status in DESIGNED - {200} | {0}


@every_time
@given(body=st.binary(max_size=300), headers=st.dictionaries(known, values, max_size=4))
async def test_any_unsigned_body_under_any_headers(
    house: HttpHouse, bot: Running, body: bytes, headers: dict[str, Any]
) -> None:
    reply = await exchange(house.port, request(body, headers=headers), half_close=True)

    assert reply.status in DESIGNED - {200} | {0}
    assert NOTHING == await house.rows()


@every_time
@given(body=st.binary(max_size=300) | json_values.map(encoded), as_form=st.booleans())
async def test_any_signed_body(house: HttpHouse, bot: Running, body: bytes, as_form: bool) -> None:
    kind = "application/x-www-form-urlencoded" if as_form else "application/json"

    reply = await exchange(house.port, request(body, headers=signature(body) | {"Content-Type": kind}))

    assert reply.status in DESIGNED


@every_time
@given(odd=payloads, kind=st.sampled_from(["event_callback", "block_actions", "view_submission", "shortcut", "other"]))
async def test_any_signed_payload_of_ours(house: HttpHouse, bot: Running, odd: dict[str, Any], kind: str) -> None:
    payload = mention() | odd | {"type": kind, "api_app_id": "A0BANKSMAN", "team_id": "T0PLAYGRND"}
    posts = [
        (encoded(payload), "application/json"),
        (form(payload=encoded(payload).decode()), "application/x-www-form-urlencoded"),
    ]

    for body, media_type in posts:
        reply = await exchange(house.port, request(body, headers=signature(body) | {"Content-Type": media_type}))
        assert reply.status in DESIGNED


@every_time
@given(given_fields=st.dictionaries(fields, st.text(max_size=30), max_size=12))
async def test_any_signed_command(house: HttpHouse, bot: Running, given_fields: dict[str, str]) -> None:
    ours = {"command": "/banksman", "api_app_id": "A0BANKSMAN", "team_id": "T0PLAYGRND"}
    body = form(**(given_fields | ours))

    reply = await house.post(body, headers={"Content-Type": "application/x-www-form-urlencoded"})

    assert reply.status in DESIGNED
