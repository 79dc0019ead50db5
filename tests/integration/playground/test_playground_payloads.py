"""The shape of what the app is told: events, clicks, commands, shortcuts."""

import re

import pytest


def button(action_id="go", **more):
    return {"type": "button", "action_id": action_id, "text": {"type": "plain_text", "text": "Go"}, **more}


def actions(*elements, block_id="controls"):
    return {"type": "actions", "block_id": block_id, "elements": list(elements)}


async def test_an_event_is_wrapped_as_slack_wraps_it(app, people):
    ts = await people.say("hello")
    await app.event("message")
    payload = app.envelopes()[0]["payload"]

    assert re.fullmatch(r"Ev0[A-Z0-9]{10}", payload["event_id"])
    assert int(ts.partition(".")[0]) == payload["event_time"]
    assert ("T0PLAYGRND", "A0BANKSMAN", "event_callback") == tuple(
        payload[key] for key in ("team_id", "api_app_id", "type")
    )
    assert [("U0BANKSMAN", True)] == [(one["user_id"], one["is_bot"]) for one in payload["authorizations"]]
    assert payload["is_ext_shared_channel"] is False
    assert payload["event_context"].startswith("4-")


async def test_a_mention_comes_as_two_events_about_one_message(app, people):
    ts = await people.say("@banksman report")
    mention, message = await app.event("app_mention"), await app.event("message")

    assert {ts} == {mention["ts"], message["ts"]}
    assert "<@U0BANKSMAN> report" == mention["text"] == message["text"]
    assert {"type": "user", "user_id": "U0BANKSMAN"} == mention["blocks"][0]["elements"][0]["elements"][0]
    assert ["app_mention", "message"] == [one["type"] for one in app.events()]
    assert 2 == len({one["payload"]["event_id"] for one in app.envelopes()})
    assert ("channel", "U0REQUESTER") == (message["channel_type"], message["user"])


async def test_the_two_events_of_a_mention_may_come_the_other_way_round(app, people):
    await people.fault("reverse_mention")
    await people.say("@banksman report")
    await app.event("app_mention")

    assert ["message", "app_mention"] == [one["type"] for one in app.events()]


async def test_a_direct_message_is_no_mention(app, people, eventually):
    channel = (await people.do("dm", user="U0MEMBER"))["channel"]
    await people.say("<@U0BANKSMAN> hello", user="U0MEMBER", channel=channel)

    message = await app.event("message")
    assert ("im", channel) == (message["channel_type"], message["channel"])
    assert [] == app.events("app_mention")


async def test_a_reply_names_its_thread(app, people):
    root = await people.say("root")
    await people.say("reply", thread_ts=root, user="U0MEMBER")

    reply = await app.event("message", 2)
    assert (root, "U0REQUESTER") == (reply["thread_ts"], reply["parent_user_id"])


async def test_edits_and_deletions_are_told_with_what_was_before(app, people):
    ts = await people.say("first")
    await people.do("edits", user="U0REQUESTER", channel="C0DATA", ts=ts, text="second")
    await people.do("deletes", user="U0REQUESTER", channel="C0DATA", ts=ts)

    changed, deleted = await app.event("message", 2), await app.event("message", 3)
    assert ("message_changed", "first", "second") == (
        changed["subtype"],
        changed["previous_message"]["text"],
        changed["message"]["text"],
    )
    assert "U0REQUESTER" == changed["message"]["edited"]["user"]
    assert ("message_deleted", ts, "second") == (
        deleted["subtype"],
        deleted["deleted_ts"],
        deleted["previous_message"]["text"],
    )


async def test_an_edit_that_mentions_the_bot_mentions_it_again(app, people):
    """As Slack does: the same `ts`, and `edited` in the event."""
    ts = await people.say("report")
    await people.do("edits", user="U0REQUESTER", channel="C0DATA", ts=ts, text="@banksman report")

    mention = await app.event("app_mention")
    assert (ts, "U0REQUESTER") == (mention["ts"], mention["edited"]["user"])


async def test_the_app_hears_its_own_messages(app, client):
    await client.chat_postMessage(channel="C0DATA", text="mine")

    message = await app.event("message")
    assert ("B0BANKSMAN", "A0BANKSMAN") == (message["bot_id"], message["app_id"])


async def test_reactions_come_and_go(app, people):
    ts = await people.say("hello")
    spot = {"user": "U0MEMBER", "channel": "C0DATA", "ts": ts, "name": "x"}
    await people.do("reactions", **spot)
    await people.do("reactions", **spot, remove=True)

    added, removed = await app.event("reaction_added"), await app.event("reaction_removed")
    assert ("U0MEMBER", "x", "U0REQUESTER") == (added["user"], added["reaction"], added["item_user"])
    assert {"type": "message", "channel": "C0DATA", "ts": ts} == added["item"] == removed["item"]


async def test_opening_the_home_is_told_with_its_tab(app, people, client):
    await people.do("home", user="U0MEMBER")
    first = await app.event("app_home_opened")
    await client.views_publish(user_id="U0MEMBER", view={"type": "home", "blocks": [{"type": "divider"}]})
    answer = await people.do("home", user="U0MEMBER")
    second = await app.event("app_home_opened", 2)

    assert ("home", "U0MEMBER") == (first["tab"], first["user"])
    assert "view" not in first
    assert answer["view"]["id"] == second["view"]["id"]


async def test_joining_and_leaving_are_told(app, people):
    await people.do("members", user="guest", channel="ops", leave=True)
    await people.do("members", user="guest", channel="ops", by="U0OPERATOR")

    joined = await app.event("member_joined_channel")
    assert ("U0GUEST", "C0OPS", "C", "U0OPERATOR") == tuple(
        joined[key] for key in ("user", "channel", "channel_type", "inviter")
    )


async def test_the_bot_hears_nothing_where_it_is_not(app, people):
    await people.do("members", user="banksman", channel="ops", leave=True)
    await people.say("@banksman hello", channel="C0OPS")
    await people.say("elsewhere")

    assert "elsewhere" == (await app.event("message"))["text"]
    assert [] == app.events("app_mention")


async def test_a_click_carries_all_that_slack_sends(app, people, client):
    root = await people.say("root")
    blocks = [
        actions(button("other"), button("go", value="run-1", style="danger")),
        {
            "type": "input",
            "block_id": "why",
            "label": {"type": "plain_text", "text": "Why"},
            "element": {"type": "plain_text_input", "action_id": "reason"},
        },
    ]
    posted = await client.chat_postMessage(channel="C0DATA", text="card", blocks=blocks, thread_ts=root)
    state = {"why": {"reason": {"type": "plain_text_input", "value": "because"}}}
    await people.do(
        "actions", user="U0APPROVER", channel="C0DATA", ts=posted["ts"], action_id="go", state={"values": state}
    )

    payload = app.payloads()[0]
    assert "block_actions" == payload["type"]
    assert {"id": "U0APPROVER", "username": "approver", "name": "approver", "team_id": "T0PLAYGRND"} == payload["user"]
    assert {"id": "T0PLAYGRND", "domain": "playground"} == payload["team"]
    assert (None, False, "A0BANKSMAN") == tuple(
        payload[key] for key in ("enterprise", "is_enterprise_install", "api_app_id")
    )
    assert {
        "type": "message",
        "message_ts": posted["ts"],
        "channel_id": "C0DATA",
        "is_ephemeral": False,
        "thread_ts": root,
    } == payload["container"]
    assert {"id": "C0DATA", "name": "data"} == payload["channel"]
    assert posted["ts"] == payload["message"]["ts"]
    assert state == payload["state"]["values"]
    assert re.fullmatch(r"\d+\.\d+\.[0-9a-f]{32}", payload["trigger_id"])
    assert payload["response_url"].startswith("http://127.0.0.1:")
    action = payload["actions"][0]
    assert ("go", "controls", "run-1", "danger", "button") == tuple(
        action[key] for key in ("action_id", "block_id", "value", "style", "type")
    )
    assert re.fullmatch(r"\d+\.\d{6}", action["action_ts"])
    assert 1 == len(payload["actions"])


def option(value):
    return {"text": {"type": "plain_text", "text": value.title()}, "value": value}


OPTIONS = [option("red"), option("green")]


@pytest.mark.parametrize(
    ("element", "value", "field", "expected"),
    [
        ({"type": "static_select", "options": OPTIONS}, "red", "selected_option", OPTIONS[0]),
        ({"type": "overflow", "options": OPTIONS}, "green", "selected_option", OPTIONS[1]),
        ({"type": "radio_buttons", "options": OPTIONS}, "red", "selected_option", OPTIONS[0]),
        ({"type": "checkboxes", "options": OPTIONS}, ["red", "green"], "selected_options", OPTIONS),
        ({"type": "checkboxes", "options": OPTIONS, "initial_options": OPTIONS[:1]}, [], "selected_options", []),
        ({"type": "users_select"}, "U0MEMBER", "selected_user", "U0MEMBER"),
        ({"type": "channels_select"}, "C0OPS", "selected_channel", "C0OPS"),
        ({"type": "conversations_select"}, "C0OPS", "selected_conversation", "C0OPS"),
        ({"type": "datepicker"}, "2026-11-28", "selected_date", "2026-11-28"),
        ({"type": "timepicker"}, "12:30", "selected_time", "12:30"),
        ({"type": "datetimepicker"}, 1_800_000_000, "selected_date_time", 1_800_000_000),
    ],
)
async def test_each_kind_of_choice_is_reported_in_its_own_field(app, people, client, element, value, field, expected):
    blocks = [actions({**element, "action_id": "choice"})]
    posted = await client.chat_postMessage(channel="C0DATA", text="x", blocks=blocks)

    await people.do("actions", user="U0MEMBER", channel="C0DATA", ts=posted["ts"], action_id="choice", value=value)

    payload = app.payloads()[0]
    assert expected == payload["actions"][0][field]
    if element["type"] != "overflow":
        assert expected == payload["state"]["values"]["controls"]["choice"][field]


async def test_a_command_is_a_flat_form(app, people):
    await people.do("commands", user="U0OPERATOR", channel="C0OPS", command="/banksman", text=" kill  r1 ")

    payload = app.payloads("slash_commands")[0]
    assert ("/banksman", "kill  r1", "U0OPERATOR", "operator", "C0OPS", "ops", "false") == tuple(
        payload[key]
        for key in ("command", "text", "user_id", "user_name", "channel_id", "channel_name", "is_enterprise_install")
    )
    assert all(isinstance(value, str) for value in payload.values())


async def test_commands_do_not_work_in_threads_or_when_unknown(people):
    ts = await people.say("root")

    status, answer = await people.try_to(
        "commands", user="U0MEMBER", channel="C0DATA", command="/banksman", text="", thread_ts=ts
    )
    assert (409, "/banksman is not supported in threads. Sorry!") == (status, answer["sentence"])
    status, answer = await people.try_to("commands", user="U0MEMBER", channel="C0DATA", command="/nope", text="")
    assert (409, "/nope is not a valid command here.") == (status, answer["sentence"])


async def test_shortcuts_carry_what_they_were_used_on(start, connect_of, people_of):
    from bot.playground import DEMO_TEAM

    shortcuts = [
        {"type": "message", "callback_id": "run_on", "name": "Run on this"},
        {"type": "global", "callback_id": "new_run", "name": "New run"},
    ]
    playground = await start(seed={**DEMO_TEAM, "app": {**DEMO_TEAM["app"], "shortcuts": shortcuts}})
    app, people = await connect_of(playground), people_of(playground)
    ts = await people.say("hello")

    await people.do("shortcuts", user="U0MEMBER", callback_id="run_on", channel="C0DATA", ts=ts)
    await people.do("shortcuts", user="U0MEMBER", callback_id="new_run")

    on_message, general = app.payloads()
    assert ("message_action", "run_on", ts, "hello") == (
        on_message["type"],
        on_message["callback_id"],
        on_message["message_ts"],
        on_message["message"]["text"],
    )
    assert ("shortcut", "new_run") == (general["type"], general["callback_id"])
    assert "channel" not in general
    status, _ = await people.try_to("shortcuts", user="U0MEMBER", callback_id="new_run", channel="C0DATA", ts=ts)
    assert 409 == status


async def test_a_command_that_escapes_names_people_by_id(start, connect_of, people_of):
    from bot.playground import DEMO_TEAM

    commands = [{"command": "/ask", "should_escape": True}]
    playground = await start(seed={**DEMO_TEAM, "app": {**DEMO_TEAM["app"], "commands": commands}})
    app = await connect_of(playground)

    await people_of(playground).do(
        "commands", user="U0MEMBER", channel="C0OPS", command="/ask", text="@operator in #data"
    )

    assert "<@U0OPERATOR|operator> in <#C0DATA|data>" == app.payloads("slash_commands")[0]["text"]


async def test_the_stop_button_of_an_agent_session_is_told(app, people, client):
    root = await people.say("root")
    session = {"channel": "C0DATA", "thread_ts": root}
    status = {"channel_id": "C0DATA", "thread_ts": root, "status": "processing"}
    assert 409 == (await people.try_to("stop", user="U0MEMBER", **session))[0]
    await client.api_call("agents.sessions.setStatus", json=status)

    await people.do("stop", user="U0MEMBER", **session)

    event = await app.event("agent_session_stopped")
    assert ("U0MEMBER", root, []) == (event["user"], event["thread_ts"], event["streaming_message_ts"])
