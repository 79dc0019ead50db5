"""Posting and drawing: what arrives, what is certain about it, and what each failure means."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from bot.blocks.elements import Message, line, message, rich, word
from bot.delivery.limits import Limits, LimitsBusy, Priority
from bot.playground import Playground
from bot.slack import Me, SlackClient
from bot.slack_errors import (
    SlackAmbiguous,
    SlackGone,
    SlackMessageGone,
    SlackRateLimited,
    SlackRefused,
    SlackRevoked,
    SlackTooLate,
    SlackUnavailable,
)
from core.secrets import Redactor
from tests.integration.bot.slacks import OddSlack, People

HELLO = message("hello", rich(line(word("hello"))))
Connect = Callable[..., Awaitable[SlackClient]]


def saying(text: str) -> Message:
    return message(text, rich(line(word(text))))


async def test_we_know_who_we_are(slack: SlackClient, playground: Playground) -> None:
    assert await slack.me() == Me(
        "A0BANKSMAN", "T0PLAYGRND", None, "U0BANKSMAN", "B0BANKSMAN", f"{playground.base_url}/"
    )


async def test_a_post_arrives_in_its_thread_with_its_key(slack: SlackClient, people: People) -> None:
    root = (await people.say("do something"))["ts"]

    posted = await slack.post("C0DATA", HELLO, thread_ts=root, dedupe_key="run_1:card")

    [seen] = await people.messages()
    assert (posted.channel, posted.ts) == (seen["channel"], seen["ts"])
    assert root == seen["thread_ts"]
    assert "hello" == seen["text"]
    assert posted.ts == await slack.find_by_key("C0DATA", "run_1:card", thread_ts=root)


async def test_a_post_outside_a_thread_is_found_too(slack: SlackClient) -> None:
    posted = await slack.post("C0OPS", HELLO, dedupe_key="run_1:card")

    assert posted.ts == await slack.find_by_key("C0OPS", "run_1:card", thread_ts=None)
    assert await slack.find_by_key("C0OPS", "run_1:card", thread_ts=None, oldest=posted.ts) is None
    assert await slack.find_by_key("C0OPS", "run_2:card", thread_ts=None) is None


async def test_a_key_is_found_behind_hundreds_of_messages(slack: SlackClient, people: People) -> None:
    root = (await people.say("do something"))["ts"]
    for at in range(230):
        await slack.post("C0DATA", HELLO, thread_ts=root, dedupe_key=f"other {at}")
    posted = await slack.post("C0DATA", HELLO, thread_ts=root, dedupe_key="mine")

    assert posted.ts == await slack.find_by_key("C0DATA", "mine", thread_ts=root)


async def test_somebody_elses_message_with_our_key_is_not_ours(odd: OddSlack, connect: Connect) -> None:
    forged = {
        "ts": "1.1",
        "bot_id": "B0OTHER",
        "app_id": "A0OTHER",
        "metadata": {"event_type": "banksman_run", "event_payload": {"key": "mine"}},
    }
    answers: dict[str, dict[str, object]] = {
        "auth.test": {"team_id": "T1", "user_id": "U1", "bot_id": "B1"},
        "bots.info": {"bot": {"app_id": "A1"}},
        "conversations.replies": {"messages": [forged, {"ts": "1.2", "bot_id": "B1"}, {"ts": "1.3"}]},
    }

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"ok": True, **answers[request.path.removeprefix("/api/")]})

    odd.answer = answer
    slack = await connect(odd.api_url)

    assert await slack.find_by_key("C1", "mine", thread_ts="1.0") is None


async def test_a_lost_answer_is_ambiguous_and_the_key_settles_it(slack: SlackClient, people: People) -> None:
    await people.fault("lose_reply", method="chat.postMessage")

    with pytest.raises(SlackAmbiguous):
        await slack.post("C0DATA", HELLO, dedupe_key="run_1:card")

    [seen] = await people.messages()
    assert seen["ts"] == await slack.find_by_key("C0DATA", "run_1:card", thread_ts=None)


async def test_a_server_error_leaves_a_post_in_doubt_but_not_a_question(slack: SlackClient, people: People) -> None:
    await people.fault("500", method="chat.postMessage")
    await people.fault("500", method="users.info")

    with pytest.raises(SlackAmbiguous):
        await slack.post("C0DATA", HELLO, dedupe_key="k")
    with pytest.raises(SlackUnavailable):
        await slack.user("U0REQUESTER")


async def test_silence_leaves_a_post_in_doubt(playground: Playground, people: People, connect: Connect) -> None:
    slack = await connect(playground.api_url, timeout_s=0.2)
    await people.fault("hang", method="chat.postMessage", seconds=1)

    with pytest.raises(SlackAmbiguous):
        await slack.post("C0DATA", HELLO, dedupe_key="k")


async def test_where_nobody_listens_nothing_was_done(
    connect: Connect, start: Callable[..., Awaitable[Playground]]
) -> None:
    playground = await start()
    api_url = playground.api_url
    await playground.stop()
    slack = await connect(api_url)

    with pytest.raises(SlackUnavailable):
        await slack.post("C0DATA", HELLO, dedupe_key="k")


@pytest.mark.parametrize(
    ("status", "content_type", "text", "expected"),
    [
        (200, "text/html", "<html>proxy</html>", SlackAmbiguous),
        (200, "text/plain", "ok", SlackAmbiguous),
        (200, "application/json", "[]", SlackAmbiguous),
        (200, "application/json", "[1]", SlackAmbiguous),
        (200, "application/json", "{not json", SlackAmbiguous),
        (200, "application/json", "{}", SlackAmbiguous),
        (502, "text/plain", "bad gateway", SlackAmbiguous),
        (403, "text/html", "no", SlackRevoked),
        (404, "text/html", "no", SlackRefused),
        (429, "text/html", "slow", SlackRateLimited),
    ],
)
async def test_an_answer_that_is_not_slacks_is_understood(
    odd: OddSlack, connect: Connect, status: int, content_type: str, text: str, expected: type[Exception]
) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, content_type=content_type, text=text)

    odd.answer = answer
    slack = await connect(odd.api_url)

    with pytest.raises(expected):
        await slack.post("C1", HELLO, dedupe_key="k")
    assert 1 == len(odd.requests), "nothing is sent twice"


async def test_retry_after_is_kept_for_the_next_caller(
    playground: Playground, people: People, connect: Connect
) -> None:
    limits = Limits()
    slack = await connect(playground.api_url, limits=limits)
    await people.fault("429", method="chat.postMessage", retry_after=30)

    with pytest.raises(SlackRateLimited) as told:
        await slack.post("C0DATA", HELLO, dedupe_key="k")

    assert 30 == told.value.wait_s
    with pytest.raises(LimitsBusy):
        await limits.acquire("chat.postMessage", "C0DATA", Priority.STOP, within_s=5)
    await limits.acquire("chat.postMessage", "C0OPS", Priority.STOP, within_s=0)


@pytest.mark.parametrize("fault", ["archive_channel", "remove_bot"])
async def test_a_channel_we_cannot_reach_is_gone(slack: SlackClient, people: People, fault: str) -> None:
    await people.fault(fault, channel="C0DATA")

    with pytest.raises(SlackGone):
        await slack.post("C0DATA", HELLO, dedupe_key="k")


async def test_a_channel_that_never_was_is_gone(slack: SlackClient) -> None:
    with pytest.raises(SlackGone):
        await slack.post("C0NOWHERE", HELLO, dedupe_key="k")


async def test_a_revoked_token_is_told_apart(slack: SlackClient, people: People) -> None:
    await people.fault("revoke_token")

    with pytest.raises(SlackRevoked):
        await slack.post("C0DATA", HELLO, dedupe_key="k")


async def test_a_missing_scope_is_named(start: Callable[..., Awaitable[Playground]], connect: Connect) -> None:
    slack = await connect((await start(scopes=("users:read",))).api_url)

    with pytest.raises(SlackRefused) as refused:
        await slack.post("C0DATA", HELLO, dedupe_key="k")

    assert "missing_scope" == refused.value.code
    assert "needed=chat:write" in refused.value.detail


async def test_drawing_anew_replaces_and_keeps_the_key(slack: SlackClient, people: People) -> None:
    posted = await slack.post("C0DATA", HELLO, dedupe_key="k")
    changed = replace(saying("changed"), metadata={"event_type": "banksman_run", "event_payload": {"run": "run_1"}})

    await slack.update("C0DATA", posted.ts, changed)
    await slack.update("C0DATA", posted.ts, changed)

    [seen] = await people.messages()
    assert "changed" == seen["text"]
    assert posted.ts == await slack.find_by_key("C0DATA", "k", thread_ts=None)


async def test_a_message_that_was_deleted_cannot_be_drawn(slack: SlackClient) -> None:
    with pytest.raises(SlackMessageGone):
        await slack.update("C0DATA", "1700000000.000100", HELLO)


async def test_a_private_sentence_reaches_one_person(slack: SlackClient, people: People) -> None:
    await slack.ephemeral("C0DATA", "U0MEMBER", saying("only you"))

    assert ["U0MEMBER"] == [
        seen["ephemeral_to"] for seen in (await people.state())["messages"] if seen["text"] == "only you"
    ]


async def test_a_reaction_may_be_there_already(slack: SlackClient, people: People) -> None:
    ts = (await people.say("hi"))["ts"]

    await slack.react("C0DATA", ts, "eyes")
    await slack.react("C0DATA", ts, "eyes")

    with pytest.raises(SlackMessageGone):
        await slack.react("C0DATA", "1700000000.000100", "eyes")


async def test_a_direct_conversation_is_opened_once(slack: SlackClient) -> None:
    channel = await slack.dm_open("U0REQUESTER")

    assert channel.startswith("D")
    assert channel == await slack.dm_open("U0REQUESTER")
    await slack.post(channel, HELLO, dedupe_key="k")


async def test_an_old_trigger_is_too_late(slack: SlackClient) -> None:
    view = {
        "type": "modal",
        "title": {"type": "plain_text", "text": "t", "emoji": False},
        "blocks": [rich(line(word("a")))],
    }
    with pytest.raises(SlackTooLate):
        await slack.open_view("1.2.nonsense", view)


async def test_people_are_described_as_slack_knows_them(slack: SlackClient) -> None:
    member, guest, bot = [await slack.user(user) for user in ("U0MEMBER", "U0GUEST", "U0BANKSMAN")]

    assert (False, False, False) == (member.is_bot, member.is_guest, member.is_stranger)
    assert guest.is_guest
    assert bot.is_bot
    with pytest.raises(SlackGone):
        await slack.user("U0NOBODY")


async def test_nothing_with_a_secret_in_it_leaves(odd: OddSlack, connect: Connect) -> None:
    secret = "hunter2-correct-horse"

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.json_response(
            {"ok": True, "channel": "C1", "ts": "1.1", "upload_url": odd.base_url, "file_id": "F1"}
        )

    odd.answer = answer
    slack = await connect(odd.api_url, redact=Redactor({"VAULT": secret}).redact_json)
    telling = Message(
        secret, (rich(line(word(secret))),), {"event_type": "banksman_run", "event_payload": {"x": secret}}
    )
    view: dict[str, Any] = {"type": "home", "blocks": [rich(line(word(secret)))]}

    await slack.post("C1", telling, dedupe_key="k")
    await slack.update("C1", "1.1", telling)
    await slack.ephemeral("C1", "U1", telling)
    await slack.respond(f"{odd.base_url}/respond", telling)
    await slack.publish_home("U1", view)

    assert 5 == len(odd.bodies)
    for body in odd.bodies:
        assert secret.encode() not in body
        assert b"[redacted:VAULT]" in body


async def test_what_slack_would_refuse_is_not_sent(odd: OddSlack, connect: Connect) -> None:
    slack = await connect(odd.api_url)
    too_much = Message("x", tuple(rich(line(word("x" * 2900))) for _ in range(10)))

    with pytest.raises(SlackRefused, match="unsendable_message"):
        await slack.post("C1", too_much, dedupe_key="k")
    with pytest.raises(SlackRefused, match="unsendable_message"):
        await slack.post("C1", Message("x", ({"type": "image", "image_url": "https://a.example"},)), dedupe_key="k")
    with pytest.raises(SlackRefused, match="unsendable_view"):
        await slack.publish_home("U1", {"type": "home", "blocks": []})
    assert [] == odd.requests


async def test_a_response_url_is_answered_until_it_is_used_up(odd: OddSlack, connect: Connect) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        if len(odd.requests) > 1:
            return web.json_response({"ok": False, "error": "used_url"}, status=404)
        return web.Response(text="ok")

    odd.answer = answer
    slack = await connect(odd.api_url)

    await slack.respond(f"{odd.base_url}/commands/1", HELLO)
    with pytest.raises(SlackTooLate):
        await slack.respond(f"{odd.base_url}/commands/1", HELLO)


async def test_a_response_url_elsewhere_is_not_answered(odd: OddSlack, elsewhere: OddSlack, connect: Connect) -> None:
    slack = await connect(odd.api_url)

    with pytest.raises(SlackRefused):
        await slack.respond(f"{elsewhere.base_url}/commands/1", HELLO)
    assert [] == elsewhere.requests
