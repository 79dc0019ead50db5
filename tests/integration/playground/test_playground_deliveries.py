"""Socket Mode: connections, acknowledgements, retries."""

import asyncio

import pytest

from tests.patience import PATIENCE_S


async def test_a_connection_is_greeted_as_slack_does(app):
    hello = app.frames[0]

    assert ("hello", 1, "A0BANKSMAN") == (hello["type"], hello["num_connections"], hello["connection_info"]["app_id"])
    assert hello["debug_info"]["approximate_connection_time"] > 0


async def test_the_state_says_how_many_connections_there_are(people, socket_app):
    assert 0 == (await people.state())["connections"]
    await socket_app()
    assert 1 == (await people.state())["connections"]


async def test_a_url_is_good_for_one_connection(raw, session):
    url = (await raw("apps.connections.open", token="xapp-playground"))["url"]
    async with session.ws_connect(url):
        pass

    async with session.get(url.replace("ws", "http", 1)) as response:
        assert 403 == response.status


async def test_each_payload_goes_to_one_of_the_connections(socket_app, people, eventually):
    apps = [await socket_app() for _ in range(3)]
    assert 3 == apps[-1].frames[0]["num_connections"]

    for number in range(6):
        await people.say(f"message {number}")

    await eventually(lambda: sum(len(app.events("message")) for app in apps) == 6)
    assert [2, 2, 2] == [len(app.events("message")) for app in apps]


async def test_the_eleventh_connection_is_sent_away(socket_app):
    for _ in range(10):
        await socket_app()
    eleventh = await socket_app()

    assert ("disconnect", "too_many_websockets") == (eleventh.frames[0]["type"], eleventh.frames[0]["reason"])
    await eleventh.closed.wait()


async def test_an_event_without_an_acknowledgement_is_tried_three_more_times(start, connect_of, people_of, eventually):
    playground = await start(retry_delays_s=(0.0, 0.02, 0.02), ack_deadline_s=0.05)
    app = await connect_of(playground)
    app.acks = False

    await people_of(playground).say("hello")

    await eventually(lambda: len(app.envelopes()) == 4)
    seen = app.envelopes()
    assert [(0, ""), *((number, "timeout") for number in (1, 2, 3))] == [
        (one["retry_attempt"], one["retry_reason"]) for one in seen
    ]
    assert 1 == len({one["payload"]["event_id"] for one in seen})
    assert 4 == len({one["envelope_id"] for one in seen})


async def test_an_acknowledged_event_is_not_repeated(app, people, eventually):
    await people.say("one")
    await people.say("two")

    await eventually(lambda: len(app.events("message")) == 2)
    assert ["one", "two"] == [one["text"] for one in app.events("message")]


async def test_an_event_waits_for_an_app_that_is_away(people, socket_app, start, people_of, connect_of):
    playground = await start(data="other", retry_delays_s=(0.0, 1.5, 1.5))
    await people_of(playground).say("hello")

    app = await connect_of(playground)

    assert "hello" == (await app.event("message"))["text"]


async def test_an_event_given_to_a_connection_that_breaks_goes_to_another(playground, socket_app, people, eventually):
    first = await socket_app()
    first.acks = False
    await people.say("hello")
    await eventually(lambda: first.events("message"))
    second = await socket_app()

    await first.close()

    await second.event("message")
    assert 1 == second.envelopes()[0]["retry_attempt"]


async def test_events_the_app_did_not_subscribe_to_stay_away(start, connect_of, people_of, eventually):
    playground = await start(events=("app_mention",))
    app = await connect_of(playground)

    ts = await people_of(playground).say("plain")
    await people_of(playground).do("reactions", user="U0MEMBER", channel="C0DATA", ts=ts, name="eyes")
    await people_of(playground).say("@banksman hello")

    await app.event("app_mention")
    assert ["app_mention"] == [one["type"] for one in app.events()]


async def test_events_whose_scope_is_missing_stay_away(start, connect_of, people_of):
    playground = await start(scopes=("app_mentions:read",))
    app = await connect_of(playground)

    await people_of(playground).say("@banksman hello")

    await app.event("app_mention")
    assert ["app_mention"] == [one["type"] for one in app.events()]


async def test_bolt_answers_a_mention_over_socket_mode(bolt, people, eventually):
    @bolt.event("app_mention")
    async def mention(event, say):
        await say(text=f"hello <@{event['user']}>", thread_ts=event["ts"])

    await bolt.connect()
    ts = await people.say("@banksman hello")

    answer = (await eventually(people.bot_messages))[0]
    assert (ts, "hello <@U0REQUESTER>") == (answer["thread_ts"], answer["text"])


async def test_bolt_reconnects_after_a_disconnect_and_after_a_cut(bolt, people, playground, eventually):
    heard = []

    @bolt.event("message")
    async def message(event):
        heard.append(event["text"])

    await bolt.connect()
    first = bolt.handler.client.current_session
    await people.fault("disconnect", reason="refresh_requested", seconds=0.2)
    await eventually(lambda: bolt.handler.client.current_session is not first)
    await people.say("after a refresh")
    await eventually(lambda: "after a refresh" in heard)

    second = bolt.handler.client.current_session
    await people.fault("drop_socket")
    await eventually(lambda: bolt.handler.client.current_session is not second)
    await people.say("after a cut")
    await eventually(lambda: "after a cut" in heard)


async def test_a_warning_leaves_the_connection_open_for_a_while(app, people, eventually):
    await people.fault("disconnect", reason="warning", seconds=30)

    await eventually(lambda: app.frames[-1].get("reason") == "warning")
    await people.say("still here")
    await app.event("message")


async def test_an_unacknowledged_click_warns_the_person_and_is_not_repeated(start, connect_of, people_of, client_of):
    playground = await start(ack_deadline_s=0.1, retry_delays_s=(0.0, 0.0, 0.0))
    app = await connect_of(playground)
    people = people_of(playground)
    button = {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}
    posted = await client_of(playground).chat_postMessage(
        channel="C0OPS", text="x", blocks=[{"type": "actions", "elements": [button]}]
    )
    app.acks = False

    answer = await people.do("actions", user="U0MEMBER", channel="C0OPS", ts=posted["ts"], action_id="go")

    assert (False, "timeout") == (answer["acked"], answer["reason"])
    notice = (await people.state())["notices"][0]
    assert ("U0MEMBER", posted["ts"]) == (notice["user"], notice["ts"])
    assert 1 == len(app.payloads())


@pytest.mark.parametrize("frame", ["nonsense", "[]", "{}", '{"envelope_id": "unknown"}'])
async def test_frames_that_mean_nothing_are_ignored(app, people, frame):
    await app.socket.send_str(frame)

    await people.say("hello")
    await app.event("message")


async def test_stopping_ends_deliveries_and_connections(start, connect_of, people_of):
    playground = await start(data="other", retry_delays_s=(0.0, 60.0, 300.0))
    app = await connect_of(playground)
    app.acks = False
    await people_of(playground).say("hello")
    await app.event("message")

    await playground.stop()

    await asyncio.wait_for(app.closed.wait(), PATIENCE_S)
