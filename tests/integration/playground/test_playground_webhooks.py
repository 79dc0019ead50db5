"""Signed HTTP deliveries: the signature, the deadline, the retries, the challenge."""

import asyncio
import json
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from slack_bolt.async_app import AsyncApp
from slack_sdk.signature import SignatureVerifier

SECRET = "s3cret"


class Receiver:
    """An app's request URL that writes everything down."""

    def __init__(self):
        self.requests = []
        self.answer = lambda body: web.Response()
        self.url = ""
        self.is_proven = True

    async def handle(self, request):
        body = await request.read()
        fields = parse_qs(body.decode()) if request.content_type.endswith("urlencoded") else json.loads(body)
        self.requests.append((dict(request.headers), body, fields))
        if isinstance(fields, dict) and fields.get("type") == "url_verification":
            return web.json_response({"challenge": fields["challenge"] if self.is_proven else "wrong"})
        answer = self.answer(fields)
        return await answer if asyncio.iscoroutine(answer) else answer

    def events(self):
        return [one for one in self.requests if isinstance(one[2], dict) and one[2].get("type") == "event_callback"]

    def forms(self):
        return [one for one in self.requests if "payload" in one[2] or "command" in one[2]]


@pytest.fixture
async def receiver():
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/slack/events", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    yield receiver
    await runner.cleanup()


@pytest.fixture
async def playground(start, receiver):
    return await start(
        http_url=receiver.url, signing_secret=SECRET, retry_delays_s=(0.0, 0.02, 0.02), ack_deadline_s=0.5, limits=False
    )


async def test_every_delivery_is_signed_over_its_raw_bytes(people, receiver, eventually):
    await people.say("héllo")
    await people.do("commands", user="U0MEMBER", channel="C0OPS", command="/banksman", text="runs & more")
    await eventually(lambda: len(receiver.events()) == 1)

    verifier = SignatureVerifier(SECRET)
    for headers, body, _ in receiver.requests:
        assert verifier.is_valid_request(body, headers)
        assert not verifier.is_valid_request(body + b" ", headers)


async def test_the_challenge_comes_before_the_first_event(people, receiver, eventually):
    await people.say("hello")

    await eventually(receiver.events)
    assert ["url_verification", "event_callback"] == [fields["type"] for _, _, fields in receiver.requests]


async def test_a_url_that_does_not_answer_the_challenge_gets_no_events(people, receiver, eventually):
    receiver.is_proven = False
    await people.say("hello")

    await eventually(lambda: len(receiver.requests) == 4)
    assert [] == receiver.events()


async def test_a_failing_app_is_tried_again_with_number_and_reason(people, receiver, eventually):
    receiver.answer = lambda fields: web.Response(status=500)

    await people.say("hello")

    await eventually(lambda: len(receiver.events()) == 4)
    retries = [
        (headers.get("X-Slack-Retry-Num"), headers.get("X-Slack-Retry-Reason")) for headers, _, _ in receiver.events()
    ]
    assert [(None, None), *((str(number), "http_error") for number in (1, 2, 3))] == retries
    assert 1 == len({fields["event_id"] for _, _, fields in receiver.events()})


async def test_a_slow_app_is_cut_off_at_the_deadline(people, receiver, eventually):
    slow = [True]

    async def sleep():
        if slow:
            slow.clear()
            await asyncio.sleep(5)
        return web.Response()

    receiver.answer = lambda fields: sleep()
    await people.say("hello")

    await eventually(lambda: len(receiver.events()) == 2)
    assert "http_timeout" == receiver.events()[1][0]["X-Slack-Retry-Reason"]


async def test_an_app_can_ask_for_no_further_try(people, receiver, eventually):
    receiver.answer = lambda fields: web.Response(status=500, headers={"X-Slack-No-Retry": "1"})

    await people.say("first")
    await people.say("second")

    await eventually(lambda: len(receiver.events()) == 2)
    assert {"first", "second"} == {fields["event"]["text"] for _, _, fields in receiver.events()}


async def test_commands_come_as_a_form_and_their_answer_is_shown(people, receiver, eventually):
    receiver.answer = lambda fields: web.json_response({"response_type": "in_channel", "text": "three runs"})

    answer = await people.do("commands", user="U0MEMBER", channel="C0OPS", command="/banksman", text="runs")

    assert answer["acked"] is True
    fields = receiver.forms()[0][2]
    assert (["/banksman"], ["runs"], ["U0MEMBER"], ["ops"]) == tuple(
        fields[key] for key in ("command", "text", "user_id", "channel_name")
    )
    assert ["three runs"] == [one["text"] for one in await people.bot_messages()]


async def test_a_plain_text_answer_to_a_command_is_private(people, receiver):
    receiver.answer = lambda fields: web.Response(text="only you")

    await people.do("commands", user="U0MEMBER", channel="C0OPS", command="/banksman", text="")

    assert [("only you", "U0MEMBER")] == [(one["text"], one["ephemeral_to"]) for one in await people.bot_messages()]


async def test_a_dead_url_fails_a_command_with_a_notice(people, receiver):
    receiver.answer = lambda fields: web.Response(status=503)

    answer = await people.do("commands", user="U0MEMBER", channel="C0OPS", command="/banksman", text="")

    assert '/banksman failed with the error "dispatch_failed"' == answer["notice"]["text"]


async def test_socket_mode_is_off_while_a_url_is_set(raw):
    assert "socket_mode_not_enabled" == (await raw("apps.connections.open", token="xapp-playground"))["error"]


async def test_bolt_takes_signed_requests(start, people_of, client_of, eventually):
    """The same Bolt app, over HTTP: events, a click and its view."""
    heard = []
    app = AsyncApp(signing_secret=SECRET, token="xoxb-playground")
    server = app.server(port=0, path="/slack/events", host="127.0.0.1").web_app
    runner = web.AppRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    playground = await start(data="bolt", http_url=url, signing_secret=SECRET)
    app.client.base_url = playground.api_url

    @app.event("app_mention")
    async def mention(event, say):
        button = {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}
        await say(text="x", blocks=[{"type": "actions", "elements": [button]}])

    @app.event("message")
    async def message():
        pass

    @app.action("go")
    async def go(ack, body):
        await ack()
        heard.append(body["user"]["id"])

    people = people_of(playground)
    await people.say("@banksman hello")
    card = (await eventually(people.bot_messages))[0]
    await people.do("actions", user="U0APPROVER", channel="C0DATA", ts=card["ts"], action_id="go")

    assert ["U0APPROVER"] == heard
    await runner.cleanup()
