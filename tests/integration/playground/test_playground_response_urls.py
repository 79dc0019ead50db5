"""Response URLs: five uses, half an hour, and what they can do to the original."""

import json

import pytest
from slack_sdk.webhook.async_client import AsyncWebhookClient


def card():
    button = {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}
    return [{"type": "actions", "elements": [button]}]


@pytest.fixture
async def clicked(app, people, client):
    """A click on a card; the card's timestamp and the client of its response URL."""
    root = await people.say("root", channel="C0OPS")
    ts = (await client.chat_postMessage(channel="C0OPS", text="card", blocks=card(), thread_ts=root))["ts"]
    await people.do("actions", user="U0MEMBER", channel="C0OPS", ts=ts, action_id="go")
    return ts, AsyncWebhookClient(app.payloads()[0]["response_url"])


async def test_an_answer_is_private_unless_it_says_otherwise(clicked, people):
    ts, url = clicked
    await url.send(text="psst")
    await url.send(text="everybody", response_type="in_channel", replace_original=False)

    private, public = (await people.bot_messages())[-2:]
    assert ("psst", "U0MEMBER") == (private["text"], private["ephemeral_to"])
    assert ("everybody", None) == (public["text"], public["ephemeral_to"])
    assert (await people.message(ts))["thread_ts"] == private["thread_ts"]


async def test_the_original_is_replaced_or_deleted(clicked, people):
    ts, url = clicked
    await url.send(text="decided", replace_original=True)
    assert ("decided", []) == ((await people.message(ts))["text"], (await people.message(ts))["blocks"])

    await url.send(delete_original=True)
    assert await people.message(ts) is None
    answer = await url.send(text="x", replace_original=True)
    assert 400 == answer.status_code


async def test_a_private_original_is_replaced_too(app, people, client):
    ts = (await client.chat_postEphemeral(channel="C0OPS", user="U0MEMBER", text="x", blocks=card()))["message_ts"]
    await people.do("actions", user="U0MEMBER", channel="C0OPS", ts=ts, action_id="go")

    await AsyncWebhookClient(app.payloads()[0]["response_url"]).send(text="done", replace_original=True)

    assert "done" == (await people.message(ts))["text"]


async def test_the_sixth_use_is_refused(clicked):
    _, url = clicked
    codes = [(await url.send(text=str(number))).status_code for number in range(6)]

    assert [200] * 5 + [404] == codes


async def test_an_old_url_is_refused(start, connect_of, people_of):
    playground = await start(response_url_ttl_s=0.0)
    app = await connect_of(playground)
    await people_of(playground).do("commands", user="U0MEMBER", channel="C0OPS", command="/banksman", text="")

    answer = await AsyncWebhookClient(app.payloads("slash_commands")[0]["response_url"]).send(text="late")

    assert (404, "expired_url") == (answer.status_code, json.loads(answer.body)["error"])


async def test_a_command_answers_and_then_replaces_its_answer(app, people):
    await people.do("commands", user="U0MEMBER", channel="C0OPS", command="/banksman", text="")
    url = AsyncWebhookClient(app.payloads("slash_commands")[0]["response_url"])

    await url.send(text="working")
    await url.send(text="done", replace_original=True)

    assert ["done"] == [one["text"] for one in await people.bot_messages()]


async def test_bad_blocks_are_refused_here_too(clicked):
    _, url = clicked
    answer = await url.send(text="x", blocks=[{"type": "nonsense"}])

    assert (400, True) == (answer.status_code, "invalid_blocks" in answer.body)


async def test_a_url_nobody_gave_out_does_nothing(playground):
    answer = await AsyncWebhookClient(f"{playground.base_url}/actions/guess").send(text="x")

    assert 404 == answer.status_code
