"""Tokens, bodies, scopes and the answers every method shares."""

import json

import aiohttp
import pytest

BLOCK = {"type": "section", "text": {"type": "mrkdwn", "text": "hello"}}


async def test_auth_test_says_who_the_bot_is(client):
    answer = await client.auth_test()

    assert ("T0PLAYGRND", "U0BANKSMAN", "B0BANKSMAN") == (answer["team_id"], answer["user_id"], answer["bot_id"])


async def test_every_answer_carries_the_granted_scopes(client):
    answer = await client.auth_test()

    assert "chat:write" in answer.headers["x-oauth-scopes"].split(",")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_method_answers_both_verbs(raw, method):
    assert (await raw("conversations.info", method=method, params={"channel": "C0OPS"}))["channel"]["name"] == "ops"


async def test_structured_arguments_come_as_json_or_inside_a_form(raw):
    as_json = await raw("chat.postMessage", json={"channel": "C0OPS", "text": "a", "blocks": [BLOCK]})
    as_form = await raw("chat.postMessage", data={"channel": "C0OPS", "text": "a", "blocks": json.dumps([BLOCK])})

    texts = [one["message"]["blocks"][0]["text"] for one in (as_json, as_form)]
    assert [BLOCK["text"], BLOCK["text"]] == texts


async def test_a_form_may_carry_the_token(raw):
    assert (await raw("auth.test", token=None, data={"token": "xoxb-playground"}))["ok"] is True


@pytest.mark.parametrize(
    ("token", "options", "error"),
    [
        (None, {}, "not_authed"),
        ("xoxb-wrong", {}, "invalid_auth"),
        (None, {"json": {"token": "xoxb-playground"}}, "not_authed"),
        (None, {"params": {"token": "xoxb-playground"}}, "not_authed"),
    ],
)
async def test_a_token_that_does_not_count_is_refused(raw, token, options, error):
    assert error == (await raw("auth.test", token=token, **options))["error"]


async def test_the_app_token_opens_connections_and_nothing_else(raw):
    assert "not_allowed_token_type" == (await raw("team.info", token="xapp-playground"))["error"]
    assert "not_allowed_token_type" == (await raw("apps.connections.open"))["error"]
    assert (await raw("apps.connections.open", token="xapp-playground"))["url"].startswith("ws://127.0.0.1:")


async def test_an_unknown_method_is_named(raw):
    answer = await raw("chat.shout")

    assert ("unknown_method", "chat.shout") == (answer["error"], answer["req_method"])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"data": "{", "headers": {"Content-Type": "application/json"}}, "invalid_json"),
        ({"data": "[" * 9000, "headers": {"Content-Type": "application/json"}}, "invalid_json"),
        ({"data": '{"text": "\\ud800"}', "headers": {"Content-Type": "application/json"}}, "invalid_json"),
        ({"data": "[]", "headers": {"Content-Type": "application/json"}}, "json_not_object"),
        ({"data": "hello", "headers": {"Content-Type": "text/html"}}, "invalid_post_type"),
    ],
)
async def test_a_body_slack_cannot_read_is_refused(raw, options, error):
    assert error == (await raw("api.test", **options))["error"]


async def test_json_without_a_charset_is_warned_about(raw):
    answer = await raw("api.test", data="{}", headers={"Content-Type": "application/json"})

    assert "missing_charset" == answer["warning"]


async def test_a_missing_scope_is_named_with_what_was_granted(start, client_of, refused):
    playground = await start(scopes=("chat:write", "im:read"))

    answer = await refused(
        "missing_scope", client_of(playground).reactions_add(channel="C0OPS", timestamp="1.2", name="x")
    )

    assert ("reactions:write", "chat:write,im:read") == (answer["needed"], answer["provided"])


async def test_reading_a_channel_needs_the_scope_of_its_kind(start, client_of, refused):
    playground = await start(scopes=("im:history", "im:read"))

    answer = await refused("missing_scope", client_of(playground).conversations_history(channel="C0OPS"))

    assert "channels:history" == answer["needed"]


async def test_a_missing_argument_is_explained(client, refused):
    answer = await refused("invalid_arguments", client.api_call("conversations.info"))

    assert ["[ERROR] missing required field: channel"] == answer["response_metadata"]["messages"]


async def test_api_test_echoes_and_fails_on_request(client, refused):
    assert {"foo": "bar"} == (await client.api_test(foo="bar"))["args"]
    await refused("my_error", client.api_test(error="my_error"))


async def test_team_and_bot_describe_themselves(client, refused):
    assert "Playground" == (await client.team_info())["team"]["name"]
    assert "A0BANKSMAN" == (await client.bots_info(bot="B0BANKSMAN"))["bot"]["app_id"]
    await refused("bot_not_found", client.bots_info(bot="B1"))


async def test_the_playground_listens_on_the_loopback_interface_only(tmp_path):
    from bot.playground import Playground

    with pytest.raises(ValueError, match="loopback"):
        await Playground(tmp_path / "x").start(host="0.0.0.0")


async def test_a_taken_port_is_an_error_and_leaves_nothing_behind(start, playground, tmp_path):
    from bot.playground import Playground

    port = int(playground.base_url.rpartition(":")[2])
    other = Playground(tmp_path / "other")

    with pytest.raises(OSError):
        await other.start(port=port)

    address = await other.start()
    async with aiohttp.ClientSession() as session, session.get(address + "/playground/state") as response:
        assert response.status == 200
    await other.stop()
