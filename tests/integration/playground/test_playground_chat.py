"""chat.*: what a message may be, and what happens to it afterwards."""

import pytest

SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "hello"}}


async def test_a_posted_message_is_seen_by_people_and_in_the_history(client, people):
    posted = await client.chat_postMessage(channel="C0OPS", text="hello", blocks=[SECTION])

    seen = await people.message(posted["ts"])
    history = await client.conversations_history(channel="C0OPS")
    assert ("hello", "U0BANKSMAN") == (seen["text"], seen["user"])
    assert posted["message"]["blocks"][0]["block_id"] == history["messages"][0]["blocks"][0]["block_id"]
    assert "A0BANKSMAN" == history["messages"][0]["app_id"]


async def test_a_channel_may_be_named_and_a_user_means_their_direct_message(client, people):
    named = await client.chat_postMessage(channel="#ops", text="a")
    direct = await client.chat_postMessage(channel="U0MEMBER", text="b")

    assert "C0OPS" == named["channel"]
    assert direct["channel"].startswith("D")
    assert direct["channel"] == (await people.do("dm", user="U0MEMBER"))["channel"]


async def test_what_cannot_be_posted_is_refused_by_name(client, people, refused):
    await refused("channel_not_found", client.chat_postMessage(channel="C0NOWHERE", text="x"))
    await refused("no_text", client.api_call("chat.postMessage", json={"channel": "C0OPS", "text": ""}))
    await refused("no_text", client.api_call("chat.postMessage", json={"channel": "C0OPS", "blocks": []}))
    await refused("invalid_blocks_format", client.chat_postMessage(channel="C0OPS", text="x", blocks="{"))
    await refused("invalid_blocks_format", client.chat_postMessage(channel="C0OPS", text="x", blocks='{"a": 1}'))
    await refused("cannot_dm_bot", client.chat_postMessage(channel="U0BANKSMAN", text="x"))
    await people.do("members", user="banksman", channel="ops", leave=True)
    await refused("not_in_channel", client.chat_postMessage(channel="C0OPS", text="x"))
    await people.fault("archive_channel", channel="C0DATA")
    await refused("is_archived", client.chat_postMessage(channel="C0DATA", text="x"))


async def test_a_private_channel_without_the_bot_does_not_exist_for_it(start, client_of, refused):
    from bot.playground import DEMO_TEAM

    secret = {"id": "C0SECRET", "name": "secret", "is_private": True, "members": ["U0OPERATOR"]}
    playground = await start(seed={**DEMO_TEAM, "channels": [*DEMO_TEAM["channels"], secret]})
    client = client_of(playground)

    await refused("channel_not_found", client.chat_postMessage(channel="C0SECRET", text="x"))
    await refused("channel_not_found", client.conversations_info(channel="C0SECRET"))


async def test_a_very_long_text_is_cut_when_posted_and_refused_when_updated(client, refused):
    posted = await client.chat_postMessage(channel="C0OPS", text="x" * 40_001)

    assert 40_000 == len(posted["message"]["text"])
    await client.chat_update(channel="C0OPS", ts=posted["ts"], text="é" * 2_000)
    await refused("msg_too_long", client.chat_update(channel="C0OPS", ts=posted["ts"], text="é" * 2_001))
    # Slack counts what it stores: an ampersand is five bytes there.
    await refused("msg_too_long", client.chat_update(channel="C0OPS", ts=posted["ts"], text="&" * 801))


async def test_replies_form_a_thread_under_their_root(client):
    root = await client.chat_postMessage(channel="C0OPS", text="root")
    reply = await client.chat_postMessage(channel="C0OPS", text="reply", thread_ts=root["ts"])
    wide = await client.chat_postMessage(channel="C0OPS", text="wide", thread_ts=root["ts"], reply_broadcast=True)

    thread = (await client.conversations_replies(channel="C0OPS", ts=root["ts"]))["messages"]
    timeline = (await client.conversations_history(channel="C0OPS"))["messages"]
    assert [root["ts"], reply["ts"], wide["ts"]] == [one["ts"] for one in thread]
    assert [wide["ts"], root["ts"]] == [one["ts"] for one in timeline]
    assert "thread_broadcast" == timeline[0]["subtype"]
    assert (2, wide["ts"]) == (timeline[1]["reply_count"], timeline[1]["latest_reply"])


async def test_a_reply_to_a_root_that_is_gone_leaves_the_thread_without_a_word(client):
    """As Slack does: ok, but no `thread_ts` in the answer."""
    posted = await client.chat_postMessage(channel="C0OPS", text="late", thread_ts="1700000000.000100")

    assert "thread_ts" not in posted["message"]


async def test_a_reply_is_not_a_root(client, refused):
    root = await client.chat_postMessage(channel="C0OPS", text="root")
    reply = await client.chat_postMessage(channel="C0OPS", text="reply", thread_ts=root["ts"])

    await refused("cannot_reply_to_message", client.chat_postMessage(channel="C0OPS", text="x", thread_ts=reply["ts"]))
    await refused("invalid_thread_ts", client.chat_postMessage(channel="C0OPS", text="x", thread_ts="yesterday"))


async def test_an_update_without_blocks_keeps_the_old_ones_and_an_empty_list_drops_them(client):
    posted = await client.chat_postMessage(channel="C0OPS", text="a", blocks=[SECTION])

    kept = await client.chat_update(channel="C0OPS", ts=posted["ts"], text="b")
    dropped = await client.chat_update(channel="C0OPS", ts=posted["ts"], text="c", blocks=[])

    assert posted["message"]["blocks"] == kept["message"]["blocks"]
    assert "blocks" not in dropped["message"]
    assert "c" == dropped["text"]


async def test_what_cannot_be_updated_is_refused_by_name(client, people, refused):
    posted = await client.chat_postMessage(channel="C0OPS", text="a")
    theirs = await people.say("mine", channel="C0OPS")

    await refused("cant_update_message", client.chat_update(channel="C0OPS", ts=theirs, text="b"))
    await refused("message_not_found", client.chat_update(channel="C0OPS", ts="1700000000.000100", text="b"))
    await refused("message_not_found", client.chat_update(channel="C0DATA", ts=posted["ts"], text="b"))
    await refused("no_text", client.api_call("chat.update", params={"channel": "C0OPS", "ts": posted["ts"]}))
    await people.fault("archive_channel", channel="C0OPS")
    await refused("is_inactive", client.chat_update(channel="C0OPS", ts=posted["ts"], text="b"))


async def test_metadata_is_kept_and_shown_to_those_who_ask(client, people, refused):
    metadata = {"event_type": "banksman_card", "event_payload": {"key": "k1"}}
    posted = await client.chat_postMessage(channel="C0OPS", text="a", metadata=metadata)
    await client.chat_update(channel="C0OPS", ts=posted["ts"], text="b")

    asked = await client.conversations_history(channel="C0OPS", include_all_metadata=True)
    silent = await client.conversations_history(channel="C0OPS")
    assert metadata == asked["messages"][0]["metadata"]
    assert "metadata" not in silent["messages"][0]
    assert "metadata" not in await people.message(posted["ts"])
    await client.chat_update(channel="C0OPS", ts=posted["ts"], text="b", metadata={})
    gone = await client.conversations_history(channel="C0OPS", include_all_metadata=True)
    assert "metadata" not in gone["messages"][0]
    await refused("invalid_metadata_format", client.chat_postMessage(channel="C0OPS", text="a", metadata={"a": 1}))
    broken = {"event_type": "x", "event_payload": "text"}
    await refused("invalid_metadata_schema", client.chat_postMessage(channel="C0OPS", text="a", metadata=broken))


async def test_only_the_author_deletes_and_a_root_with_replies_leaves_a_tombstone(client, people, refused):
    alone = await client.chat_postMessage(channel="C0OPS", text="alone")
    root = await client.chat_postMessage(channel="C0OPS", text="root")
    await client.chat_postMessage(channel="C0OPS", text="reply", thread_ts=root["ts"])
    theirs = await people.say("mine", channel="C0OPS")

    await client.chat_delete(channel="C0OPS", ts=alone["ts"])
    await client.chat_delete(channel="C0OPS", ts=root["ts"])

    assert await people.message(alone["ts"]) is None
    assert "tombstone" == (await people.message(root["ts"]))["subtype"]
    await refused("message_not_found", client.chat_update(channel="C0OPS", ts=root["ts"], text="x"))
    await refused("message_not_found", client.chat_delete(channel="C0OPS", ts=alone["ts"]))
    await refused("cant_delete_message", client.chat_delete(channel="C0OPS", ts=theirs))
    follow_up = await client.chat_postMessage(channel="C0OPS", text="more", thread_ts=root["ts"])
    assert root["ts"] == follow_up["message"]["thread_ts"]


async def test_a_private_message_is_seen_by_one_person_and_by_no_method(client, people, refused):
    posted = await client.chat_postEphemeral(channel="C0OPS", user="U0MEMBER", text="psst")

    seen = await people.message(posted["message_ts"])
    assert "U0MEMBER" == seen["ephemeral_to"]
    assert [] == (await client.conversations_history(channel="C0OPS"))["messages"]
    await refused("message_not_found", client.chat_update(channel="C0OPS", ts=posted["message_ts"], text="x"))
    await people.do("members", user="guest", channel="ops", leave=True)
    await refused("user_not_in_channel", client.chat_postEphemeral(channel="C0OPS", user="U0GUEST", text="x"))
    await refused("user_not_in_channel", client.chat_postEphemeral(channel="C0OPS", user="U1", text="x"))


async def test_a_permalink_leads_to_the_page(client, session, refused):
    root = await client.chat_postMessage(channel="C0OPS", text="root")
    reply = await client.chat_postMessage(channel="C0OPS", text="reply", thread_ts=root["ts"])

    link = (await client.chat_getPermalink(channel="C0OPS", message_ts=reply["ts"]))["permalink"]

    async with session.get(link, allow_redirects=False) as response:
        assert f"/?channel=C0OPS&ts={reply['ts']}&thread_ts={root['ts']}" == response.headers["Location"]
    await refused("message_not_found", client.chat_getPermalink(channel="C0OPS", message_ts="1.2"))


async def test_markdown_text_stands_alone(client, refused):
    posted = await client.chat_postMessage(channel="C0OPS", markdown_text="**bold**")

    assert "markdown" == posted["message"]["blocks"][0]["type"]
    await refused("markdown_text_conflict", client.chat_postMessage(channel="C0OPS", markdown_text="a", text="b"))
    await refused("msg_too_long", client.chat_postMessage(channel="C0OPS", markdown_text="a" * 12_001))


async def test_a_stream_grows_and_ends(client, people, refused):
    root = await people.say("hello")
    whom = {"recipient_user_id": "U0REQUESTER", "recipient_team_id": "T0PLAYGRND"}
    streamer = await client.chat_stream(channel="C0DATA", thread_ts=root, buffer_size=1, **whom)
    await streamer.append(markdown_text="one ")
    await streamer.append(markdown_text="two")
    state = await people.state()
    ts = state["streams"][0]["ts"]

    await refused("streaming_state_conflict", client.chat_update(channel="C0DATA", ts=ts, text="x"))
    await streamer.stop(blocks=[SECTION])

    message = await people.message(ts)
    assert ("one two", "section") == (message["text"], message["blocks"][0]["type"])
    assert [] == (await people.state())["streams"]
    await refused(
        "message_not_in_streaming_state", client.chat_appendStream(channel="C0DATA", ts=ts, markdown_text="x")
    )
    await refused("missing_recipient_user_id", client.chat_startStream(channel="C0DATA", thread_ts=root))


async def test_a_stream_expires_and_can_then_be_updated(start, client_of, people_of, refused, eventually):
    playground = await start(limits=False, stream_ttl_s=0.05)
    client, people = client_of(playground), people_of(playground)
    whom = {"recipient_user_id": "U0REQUESTER", "recipient_team_id": "T0PLAYGRND"}
    started = await client.chat_startStream(
        channel="C0DATA", thread_ts=await people.say("hello"), markdown_text="one", **whom
    )
    ts = started["ts"]
    await eventually(lambda: not playground.services.team.streams, "the stream to expire")

    for call in (client.chat_appendStream, client.chat_stopStream):
        await refused("message_not_in_streaming_state", call(channel="C0DATA", ts=ts, markdown_text="two"))
    before = await people.message(ts)
    await client.chat_update(channel="C0DATA", ts=ts, markdown_text="one two")
    after = await people.message(ts)
    assert [("one", True), ("one two", False)] == [(one["text"], one["streamed"]) for one in (before, after)]


async def test_every_stream_can_be_ended_at_once_and_calls_be_refused(client, people, refused):
    root = await people.say("hello")
    whom = {"recipient_user_id": "U0REQUESTER", "recipient_team_id": "T0PLAYGRND"}
    await client.chat_startStream(channel="C0DATA", thread_ts=root, **whom)
    await people.fault("expire_streams")
    assert [] == (await people.state())["streams"]

    await people.fault("refuse", method="chat.startStream", error="not_allowed_token_type")
    await refused("not_allowed_token_type", client.chat_startStream(channel="C0DATA", thread_ts=root, **whom))
    await client.chat_startStream(channel="C0DATA", thread_ts=root, **whom)


async def test_a_stream_carries_plans_and_tasks(client, people):
    root = await people.say("hello")
    whom = {"recipient_user_id": "U0REQUESTER", "recipient_team_id": "T0PLAYGRND"}
    started = await client.chat_startStream(channel="C0DATA", thread_ts=root, **whom)
    chunks = [
        {"type": "plan_update", "title": "Report"},
        {"type": "task_update", "id": "1", "title": "Read", "status": "in_progress"},
        {"type": "task_update", "id": "1", "title": "Read", "status": "complete", "output": "done"},
    ]
    await client.chat_appendStream(channel="C0DATA", ts=started["ts"], chunks=chunks)

    plan = (await people.message(started["ts"]))["blocks"][0]
    assert ("Report", ["complete"]) == (plan["title"], [task["status"] for task in plan["tasks"]])


@pytest.mark.parametrize("status", ["processing", "suspended"])
async def test_an_agent_session_shows_its_status(client, people, status):
    root = await people.say("hello")

    await client.api_call(
        "agents.sessions.setStatus", json={"channel_id": "C0DATA", "thread_ts": root, "status": status}
    )

    assert status == (await people.state())["sessions"][0]["status"]


async def test_only_an_agent_that_is_in_the_channel_has_sessions(start, client_of, people_of, refused):
    """Slack has one word for both; https://docs.slack.dev/ai/agent-sessions"""
    agent, other = await start(), await start(data="other", scopes=("chat:write",))
    session = {"channel_id": "C0DATA", "status": "processing"}
    for playground in (agent, other):
        session["thread_ts"] = await people_of(playground).say("hello")
        await people_of(playground).fault("remove_bot" if playground is agent else "clear", channel="C0DATA")

        await refused("not_authorized", client_of(playground).api_call("agents.sessions.setStatus", json=session))


async def test_an_agent_without_the_stop_event_is_warned(start, client_of, people_of):
    playground = await start(events=("app_mention",))
    root = await people_of(playground).say("hello")

    answer = await client_of(playground).agents_sessions_setStatus(
        channel_id="C0DATA", thread_ts=root, status="processing"
    )

    assert "missing_agent_session_stopped_event_subscription" == answer["warning"]
