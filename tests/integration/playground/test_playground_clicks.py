"""Clicks and views: what can be pressed, what the app may answer, what a person then sees."""

import asyncio

import pytest


def text(words):
    return {"type": "plain_text", "text": words}


def modal(*blocks, **more):
    return {
        "type": "modal",
        "callback_id": "form",
        "title": text("Form"),
        "submit": text("Send"),
        "blocks": list(blocks),
        **more,
    }


def field(block_id="why", *, element=None, **more):
    inner = element or {"type": "plain_text_input", "action_id": "text"}
    return {"type": "input", "block_id": block_id, "label": text("Why"), "element": inner, **more}


def card(*elements):
    return [{"type": "actions", "block_id": "controls", "elements": list(elements)}]


def button(action_id, **more):
    return {"type": "button", "action_id": action_id, "text": text("Press"), **more}


@pytest.fixture
async def posted(client):
    answer = await client.chat_postMessage(channel="C0OPS", text="x", blocks=card(button("go", value="1")))
    return answer["ts"]


@pytest.fixture
def click(people, posted):
    def click(user="U0APPROVER", **more):
        return people.try_to("actions", **{"user": user, "channel": "C0OPS", "ts": posted, "action_id": "go", **more})

    return click


@pytest.fixture
def open_view(app, click, client):
    """Clicks, and opens a view with the click's trigger."""

    async def open_view(view, method="views.open", **more):
        await click()
        trigger = app.payloads()[-1]["trigger_id"]
        answer = await client.api_call(method, json={"trigger_id": trigger, "view": view, **more})
        return answer["view"]

    return open_view


async def test_a_click_on_what_is_not_there_is_refused(app, click, client, posted):
    status, answer = await click(action_id="gone")
    assert (409, "There is no 'gone' to click there now; what can be clicked: 'go'.") == (status, answer["sentence"])
    assert 409 == (await click(value="2"))[0]
    assert 409 == (await click(block_id="elsewhere"))[0]
    await client.chat_update(channel="C0OPS", ts=posted, text="decided", blocks=[])
    assert 409 == (await click())[0]
    assert [] == app.payloads()


async def test_a_forged_click_is_sent_as_told(app, click, client, posted):
    await client.chat_update(channel="C0OPS", ts=posted, text="decided", blocks=[])

    status, _ = await click(action_id="approve", value="old", forge=True)

    action = app.payloads()[0]["actions"][0]
    assert (200, "approve", "old") == (status, action["action_id"], action["value"])


async def test_only_the_reader_of_a_private_message_can_click_in_it(app, people, client):
    private = await client.chat_postEphemeral(channel="C0OPS", user="U0MEMBER", text="x", blocks=card(button("go")))
    click = {"channel": "C0OPS", "ts": private["message_ts"], "action_id": "go"}

    assert 409 == (await people.try_to("actions", user="U0GUEST", **click))[0]
    await people.do("actions", user="U0MEMBER", **click)

    payload = app.payloads()[0]
    assert payload["container"]["is_ephemeral"] is True
    assert "message" not in payload


async def test_the_same_action_in_two_blocks_needs_more_words(app, people, client):
    blocks = [*card(button("go", value="1")), {**card(button("go", value="2"))[0], "block_id": "second"}]
    ts = (await client.chat_postMessage(channel="C0OPS", text="x", blocks=blocks))["ts"]
    spot = {"user": "U0MEMBER", "channel": "C0OPS", "ts": ts, "action_id": "go"}

    assert 409 == (await people.try_to("actions", **spot))[0]
    await people.do("actions", **spot, value="2")
    await people.do("actions", **spot, block_id="controls")
    assert ["second", "controls"] == [one["actions"][0]["block_id"] for one in app.payloads()]


async def test_people_act_only_where_they_are(people, click, posted):
    assert 404 == (await click(user="U1"))[0]
    assert 409 == (await click(user="U0BANKSMAN"))[0]
    await people.do("members", user="guest", channel="ops", leave=True)
    assert 409 == (await click(user="U0GUEST"))[0]


async def test_a_trigger_opens_one_view_within_its_time(app, click, client, refused):
    await click()
    trigger = app.payloads()[0]["trigger_id"]

    await client.views_open(trigger_id=trigger, view=modal(field()))

    await refused("exchanged_trigger_id", client.views_open(trigger_id=trigger, view=modal(field())))
    await refused("invalid_trigger_id", client.views_open(trigger_id="1.2.3", view=modal(field())))
    await refused("invalid_arguments", client.api_call("views.open", json={"view": modal(field())}))


async def test_a_late_trigger_is_expired(start, connect_of, people_of, client_of, refused):
    playground = await start(trigger_ttl_s=0.02)
    app = await connect_of(playground)
    await people_of(playground).do("commands", user="U0MEMBER", channel="C0OPS", command="/banksman", text="")
    await asyncio.sleep(0.05)

    trigger = app.payloads("slash_commands")[0]["trigger_id"]
    await refused("expired_trigger_id", client_of(playground).views_open(trigger_id=trigger, view=modal(field())))


async def test_an_open_view_is_shown_to_the_person_who_clicked(open_view, people):
    view = await open_view(modal(field(), private_metadata="secret"))

    shown = (await people.state())["views"][0]
    assert ("U0APPROVER", view["id"], view["id"]) == (shown["user"], shown["id"], shown["root_id"])
    assert "Form" == shown["view"]["title"]["text"]
    assert ("secret", None) == (view["private_metadata"], view["previous_view_id"])


async def test_a_submission_carries_every_value_and_closes_the_view(open_view, app, people):
    options = [{"text": text(one), "value": one} for one in ("red", "green")]
    select = {"type": "static_select", "action_id": "colour", "options": options, "initial_option": options[1]}
    view = await open_view(modal(field(), field("colour", element=select), field("note", optional=True)))

    answer = await people.do("views", user="U0APPROVER", view_id=view["id"], values={"why": {"text": "because"}})

    payload = app.payloads()[-1]
    values = payload["view"]["state"]["values"]
    assert "view_submission" == payload["type"]
    assert ("because", options[1], None) == (
        values["why"]["text"]["value"],
        values["colour"]["colour"]["selected_option"],
        values["note"]["text"]["value"],
    )
    assert answer["acked"] is True
    assert [] == (await people.state())["views"]


@pytest.mark.parametrize(
    "values", [{"why": {"text": "x"}}, {"text": "x"}, {"why": "x"}, {"why": {"text": {"value": "x"}}}]
)
async def test_values_may_be_given_in_several_shapes(open_view, app, people, values):
    view = await open_view(modal(field()))

    await people.do("views", user="U0APPROVER", view_id=view["id"], values=values)

    assert "x" == app.payloads()[-1]["view"]["state"]["values"]["why"]["text"]["value"]


async def test_what_a_client_would_not_send_is_refused_here_too(open_view, app, people):
    short = {"type": "plain_text_input", "action_id": "text", "max_length": 3}
    view = await open_view(modal(field(element=short)))
    sent = len(app.payloads())
    spot = {"user": "U0APPROVER", "view_id": view["id"]}

    status, answer = await people.try_to("views", **spot, values={})
    assert (409, {"why": "This is a required field"}) == (status, answer["errors"])
    assert 409 == (await people.try_to("views", **spot, values={"why": "long"}))[0]
    assert 409 == (await people.try_to("views", **spot, values={"unknown": "x"}))[0]
    assert 409 == (await people.try_to("views", **{**spot, "user": "U0MEMBER"}, values={"why": "x"}))[0]
    assert sent == len(app.payloads())


async def test_errors_keep_the_view_open_and_are_shown(open_view, app, people):
    view = await open_view(modal(field()))
    app.answer = lambda envelope: {"response_action": "errors", "errors": {"why": "Say more."}}

    answer = await people.do("views", user="U0APPROVER", view_id=view["id"], values={"why": "x"})

    assert {"why": "Say more."} == answer["errors"] == (await people.state())["views"][0]["errors"]


async def test_an_update_replaces_and_a_push_covers_the_view(open_view, app, people):
    view = await open_view(modal(field()))
    spot = {"user": "U0APPROVER", "values": {"why": "x"}}
    app.answer = lambda envelope: {"response_action": "update", "view": modal(field(), title=text("Second"))}
    updated = await people.do("views", **spot, view_id=view["id"])
    assert (view["id"], "Second") == (updated["view"]["id"], updated["view"]["view"]["title"]["text"])

    app.answer = lambda envelope: {"response_action": "push", "view": modal(field(), title=text("Third"))}
    pushed = (await people.do("views", **spot, view_id=view["id"]))["view"]
    assert (view["id"], view["id"]) == (pushed["root_id"], pushed["previous_id"])
    assert 409 == (await people.try_to("views", **spot, view_id=view["id"]))[0]

    app.answer = lambda envelope: {"response_action": "clear"}
    await people.do("views", **spot, view_id=pushed["id"])
    assert [] == (await people.state())["views"]


@pytest.mark.parametrize(
    "answer",
    [
        {"response_action": "errors", "errors": {"nowhere": "x"}},
        {"response_action": "errors", "errors": {}},
        {"response_action": "update", "view": {"type": "modal"}},
        {"response_action": "shout"},
    ],
)
async def test_an_answer_slack_would_not_take_is_trouble(open_view, app, people, answer):
    view = await open_view(modal(field()))
    app.answer = lambda envelope: answer

    shown = await people.do("views", user="U0APPROVER", view_id=view["id"], values={"why": "x"})

    assert shown["acked"] is False
    assert "We had some trouble connecting. Try again?" == shown["notice"]["text"]
    assert view["id"] == (await people.state())["views"][0]["id"]


async def test_clicks_inside_a_view_carry_the_view_and_push_onto_it(open_view, app, people, client, refused):
    view = await open_view(modal(*card(button("more", value="2")), field(optional=True)))
    spot = {"user": "U0APPROVER", "view_id": view["id"]}

    await people.do("views", **spot, values={"why": "draft"}, action={"action_id": "more"})

    payload = app.payloads()[-1]
    assert ({"type": "view", "view_id": view["id"]}, "2") == (payload["container"], payload["actions"][0]["value"])
    assert "draft" == payload["view"]["state"]["values"]["why"]["text"]["value"]
    assert "response_url" not in payload
    second = await client.views_push(trigger_id=payload["trigger_id"], view=modal(*card(button("more"))))
    await people.do("views", user="U0APPROVER", view_id=second["view"]["id"], action={"action_id": "more"})
    third = await client.views_push(trigger_id=app.payloads()[-1]["trigger_id"], view=modal(*card(button("more"))))
    await people.do("views", user="U0APPROVER", view_id=third["view"]["id"], action={"action_id": "more"})
    trigger = app.payloads()[-1]["trigger_id"]
    await refused("push_limit_reached", client.views_push(trigger_id=trigger, view=modal(field())))


async def test_a_view_is_updated_only_with_the_hash_it_has(open_view, client, refused):
    view = await open_view(modal(field(), external_id="mine"))

    updated = await client.views_update(view_id=view["id"], hash=view["hash"], view=modal(field(), title=text("New")))

    assert view["hash"] != updated["view"]["hash"]
    await refused("hash_conflict", client.views_update(view_id=view["id"], hash=view["hash"], view=modal(field())))
    by_name = await client.views_update(external_id="mine", view=modal(field()))
    assert view["id"] == by_name["view"]["id"]
    await refused("not_found", client.views_update(view_id="V1", view=modal(field())))


async def test_an_external_id_is_used_once(open_view, app, click, client, refused):
    await open_view(modal(field(), external_id="mine"))
    await click(user="U0MEMBER")

    trigger = app.payloads()[-1]["trigger_id"]
    await refused(
        "duplicate_external_id", client.views_open(trigger_id=trigger, view=modal(field(), external_id="mine"))
    )


async def test_closing_is_told_to_those_who_asked(open_view, app, people):
    view = await open_view(modal(field(), notify_on_close=True))
    await people.do("views", user="U0APPROVER", view_id=view["id"], close=True, clear=True)

    payload = app.payloads()[-1]
    assert ("view_closed", False, view["id"]) == (payload["type"], payload["is_cleared"], payload["view"]["id"])
    quiet = await open_view(modal(field()))
    sent = len(app.payloads())
    await people.do("views", user="U0APPROVER", view_id=quiet["id"], close=True)
    assert sent == len(app.payloads())


async def test_a_home_is_published_clicked_and_never_submitted(app, people, client, refused):
    home = {"type": "home", "blocks": card(button("open", value="run-1"))}
    view = (await client.views_publish(user_id="U0MEMBER", view=home))["view"]

    await people.do("actions", user="U0MEMBER", view_id=view["id"], action_id="open")

    assert "run-1" == app.payloads()[0]["actions"][0]["value"]
    assert view["id"] == (await people.state())["homes"]["U0MEMBER"]["id"]
    assert 409 == (await people.try_to("views", user="U0MEMBER", view_id=view["id"], values={}))[0]
    again = (await client.views_publish(user_id="U0MEMBER", view=home, hash=view["hash"]))["view"]
    assert view["id"] == again["id"]
    await refused("hash_conflict", client.views_publish(user_id="U0MEMBER", view=home, hash=view["hash"]))
    await refused("invalid_arguments", client.views_publish(user_id="U0MEMBER", view=modal(field())))
    await refused("user_not_found", client.views_publish(user_id="U1", view=home))


async def test_bolt_handles_a_whole_form(bolt, people, client, eventually):
    heard = []

    @bolt.action("go")
    async def go(ack, body):
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=modal(field()))

    @bolt.view("form")
    async def form(ack, view):
        words = view["state"]["values"]["why"]["text"]["value"]
        if len(words) < 5:
            await ack(response_action="errors", errors={"why": "Say more."})
        else:
            await ack()
            heard.append(words)

    await bolt.connect()
    ts = (await client.chat_postMessage(channel="C0OPS", text="x", blocks=card(button("go"))))["ts"]
    await people.do("actions", user="U0APPROVER", channel="C0OPS", ts=ts, action_id="go")

    async def opened():
        return (await people.state())["views"]

    view = (await eventually(opened))[0]
    refused = await people.do("views", user="U0APPROVER", view_id=view["id"], values={"why": "no"})
    assert {"why": "Say more."} == refused["errors"]
    await people.do("views", user="U0APPROVER", view_id=view["id"], values={"why": "because"})
    await eventually(lambda: heard == ["because"])


async def test_options_of_an_external_select_come_from_the_app(app, people, client):
    select = {"type": "external_select", "action_id": "run", "min_query_length": 0}
    ts = (await client.chat_postMessage(channel="C0OPS", text="x", blocks=card(select)))["ts"]
    offer = {"text": text("Run 1"), "value": "r1"}
    app.answer = lambda envelope: {"options": [offer]}

    answer = await people.do(
        "options", user="U0MEMBER", channel="C0OPS", ts=ts, action_id="run", block_id="controls", value="ru"
    )

    payload = app.payloads()[0]
    assert ("block_suggestion", "run", "ru") == (payload["type"], payload["action_id"], payload["value"])
    assert [offer] == answer["options"]
