"""Trouble on request: each fault strikes what it is told to, as often as it is told to."""

import asyncio
import time

import aiohttp
import pytest

from tests.patience import PATIENCE_S


async def test_a_429_strikes_one_method_as_often_as_asked(client, people):
    await people.fault("429", method="chat.postMessage", retry_after=7, count=2)

    for _ in range(2):
        with pytest.raises(Exception, match="ratelimited") as caught:
            await client.chat_postMessage(channel="C0OPS", text="x")
        assert "7" == caught.value.response.headers["Retry-After"]
    await client.auth_test()
    await client.chat_postMessage(channel="C0OPS", text="x")


async def test_a_fault_may_strike_one_channel_only(client, people):
    await people.fault("429", channel="C0OPS")

    await client.chat_postMessage(channel="C0DATA", text="x")
    with pytest.raises(Exception, match="ratelimited"):
        await client.chat_postMessage(channel="C0OPS", text="x")


async def test_a_500_is_a_page_not_json(people, playground, session):
    await people.fault("500", method="auth.test")

    async with session.post(playground.api_url + "auth.test") as response:
        assert (500, "text/html") == (response.status, response.content_type)


async def test_a_hang_delays_the_answer(client, people):
    await people.fault("hang", method="auth.test", seconds=0.2)

    before = time.monotonic()
    await client.auth_test()
    assert time.monotonic() - before >= 0.2


async def test_a_lost_reply_has_done_the_work(playground, people, session):
    await people.fault("lose the reply", method="chat.postMessage")

    headers = {"Authorization": "Bearer xoxb-playground"}
    with pytest.raises(aiohttp.ClientError):
        async with session.post(
            playground.api_url + "chat.postMessage", json={"channel": "C0OPS", "text": "x"}, headers=headers
        ):
            pass
    assert ["x"] == [one["text"] for one in await people.bot_messages()]


async def test_a_lost_upload_says_ok_and_shows_nothing(client, people, refused):
    await people.fault("lose_upload")

    answer = await client.files_upload_v2(channel="C0OPS", filename="a.txt", content="x")

    await asyncio.sleep(0.1)
    assert [] == await people.bot_messages()
    await refused("file_not_found", client.files_info(file=answer["file"]["id"]))
    await client.files_upload_v2(channel="C0OPS", filename="a.txt", content="x")


async def test_an_upload_can_fail_while_its_bytes_travel(client, people, session):
    await people.fault("500", method="upload")
    ticket = await client.api_call("files.getUploadURLExternal", params={"filename": "a", "length": 1})

    async with session.post(ticket["upload_url"], data=b"a") as response:
        assert 500 == response.status


async def test_an_event_can_come_twice_with_one_event_id(app, people, eventually):
    await people.fault("duplicate", copies=2)
    await people.say("hello")

    await eventually(lambda: len(app.envelopes()) == 3)
    assert 1 == len({one["payload"]["event_id"] for one in app.envelopes()})


async def test_clicks_come_twice_only_on_demand(app, people, client, eventually):
    button = {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}
    blocks = [{"type": "actions", "elements": [button]}]
    ts = (await client.chat_postMessage(channel="C0OPS", text="x", blocks=blocks))["ts"]
    click = {"user": "U0MEMBER", "channel": "C0OPS", "ts": ts, "action_id": "go"}
    await people.fault("duplicate", count=None)
    await people.do("actions", **click)
    assert 1 == len(app.payloads())

    await people.fault("duplicate", delivery="interactive")
    await people.do("actions", **click)
    await eventually(lambda: len(app.payloads()) == 3)


async def test_a_delayed_event_is_overtaken(app, people):
    await people.fault("delay", seconds=0.3, event="app_mention")
    await people.say("@banksman hello")

    await app.event("app_mention")
    assert ["message", "app_mention"] == [one["type"] for one in app.events()]


async def test_a_lost_acknowledgement_makes_slack_repeat(app, people, eventually):
    await people.fault("lose_ack", delivery="events_api")
    await people.say("hello")

    await eventually(lambda: len(app.envelopes()) == 2)
    assert (1, "timeout") == (app.envelopes()[1]["retry_attempt"], app.envelopes()[1]["retry_reason"])


async def test_dropped_sockets_are_cut_without_a_word(app, people):
    await people.fault("drop_socket")

    await asyncio.wait_for(app.closed.wait(), PATIENCE_S)
    assert "disconnect" not in {one["type"] for one in app.frames}


async def test_a_revoked_token_ends_everything_until_it_is_restored(app, client, people, refused):
    await people.fault("revoke_token")
    await app.event("tokens_revoked")
    await refused("token_revoked", client.auth_test())
    await people.say("hello")

    await people.fault("clear")
    await client.auth_test()
    await people.say("again")
    assert "again" == (await app.event("message"))["text"]


async def test_a_channel_can_be_archived_and_the_bot_removed(client, people, refused, app):
    await people.fault("archive_channel", channel="C0OPS")
    await refused("is_archived", client.chat_postMessage(channel="C0OPS", text="x"))
    assert 409 == (await people.try_to("messages", user="U0MEMBER", channel="C0OPS", text="x"))[0]
    assert "C0OPS" == (await app.event("channel_archive"))["channel"]
    await people.fault("unarchive_channel", channel="C0OPS")
    await people.fault("remove_bot", channel="C0OPS")
    await refused("not_in_channel", client.chat_postMessage(channel="C0OPS", text="x"))
    await people.fault("invite_bot", channel="C0OPS")
    await client.chat_postMessage(channel="C0OPS", text="x")


async def test_standing_faults_are_listed_and_cleared(people, session, playground):
    await people.fault("429", method="chat.update", count=3)
    async with session.get(f"{playground.base_url}/playground/faults") as response:
        listed = await response.json()
    assert [("429", "chat.update", 3)] == [(one["kind"], one["method"], one["count"]) for one in listed["faults"]]
    assert {"429", "500", "hang", "drop_socket", "clear"} <= set(listed["kinds"])

    assert [] == (await people.fault("clear"))["faults"]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "earthquake"},
        {},
        {"kind": "hang"},
        {"kind": "429", "count": "many"},
        {"kind": "429", "colour": "red"},
        {"kind": "delay", "seconds": 1, "delivery": "pigeon"},
        {"kind": "archive_channel", "channel": "C1"},
        {"kind": "disconnect", "reason": "boredom"},
    ],
)
async def test_a_fault_that_is_none_is_refused_with_a_sentence(people, fault):
    status, answer = await people.try_to("faults", **fault)

    assert 400 == status
    assert answer["sentence"].endswith(".")
