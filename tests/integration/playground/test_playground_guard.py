"""Who may drive the playground, and what a browser is given."""

import asyncio
import json

import pytest

from tests.patience import PATIENCE_S

SAY = {"user": "U0REQUESTER", "channel": "C0DATA", "text": "hello"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/playground/state", "/playground/events", "/playground/messages", "/"])
async def test_foreign_pages_are_kept_out(playground, people, session, headers, path):
    method = "POST" if path.endswith("messages") else "GET"

    async with session.request(
        method, playground.base_url + path, headers=headers, json=SAY if method == "POST" else None
    ) as response:
        answer = await response.json()
    assert (403, False) == (response.status, answer["ok"])
    assert answer["sentence"].endswith((".", "script."))
    assert [] == (await people.state())["messages"]


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
async def test_a_foreign_page_cannot_play_the_app_with_the_known_tokens(playground, people, session, headers):
    form = {"token": "xoxb-playground", "channel": "C0OPS", "text": "x"}
    async with session.post(f"{playground.api_url}chat.postMessage", data=form, headers=headers) as response:
        assert 403 == response.status
    form = {"token": "xapp-playground"}
    async with session.post(f"{playground.api_url}apps.connections.open", data=form, headers=headers) as response:
        assert "url" not in await response.json()
    assert [] == (await people.state())["messages"]


async def test_its_own_page_is_let_in_by_either_name(playground, session):
    port = playground.base_url.rpartition(":")[2]
    for name in ("127.0.0.1", "localhost"):
        headers = {"Host": f"{name}:{port}", "Origin": f"http://{name}:{port}", "Sec-Fetch-Site": "same-origin"}
        async with session.post(f"{playground.base_url}/playground/messages", json=SAY, headers=headers) as response:
            assert 200 == response.status


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
async def test_changes_come_as_json_only(playground, people, session, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    async with session.post(
        f"{playground.base_url}/playground/messages", data=json.dumps(SAY).encode(), headers=headers
    ) as response:
        answer = await response.json()

    assert 415 == response.status
    assert "application/json" in answer["sentence"]
    assert [] == (await people.state())["messages"]


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '"text"', "[" * 9000, '{"text": "\\ud800"}'])
async def test_a_body_that_is_no_json_object_is_refused(playground, session, body):
    headers = {"Content-Type": "application/json"}
    async with session.post(f"{playground.base_url}/playground/messages", data=body, headers=headers) as response:
        assert (400, False) == (response.status, (await response.json())["ok"])


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"user": "U1"}, 404),
        ({"user": 5}, 400),
        ({"user": "U0BANKSMAN"}, 409),
        ({"channel": "C1"}, 404),
        ({"channel": None}, 400),
        ({"text": "  "}, 400),
        ({"text": "x" * 40_001}, 400),
        ({"text": ["x"]}, 400),
        ({"thread_ts": "1.2"}, 409),
        ({"files": "a.txt"}, 400),
    ],
)
async def test_a_message_that_cannot_be_written_is_refused_with_a_sentence(people, more, status):
    got, answer = await people.try_to("messages", **{**SAY, **more})

    assert (status, True) == (got, answer["sentence"].endswith("."))


async def test_unknown_addresses_are_answered_in_json(playground, session):
    for method, path, status in (("GET", "nothing", 404), ("GET", "messages", 405), ("POST", "nothing", 404)):
        async with session.request(method, f"{playground.base_url}/playground/{path}", json={}) as response:
            assert (status, False) == (response.status, (await response.json())["ok"])


async def test_people_cannot_touch_what_is_not_theirs(people, client):
    mine = await people.say("mine")
    theirs = (await client.chat_postMessage(channel="C0DATA", text="bot's"))["ts"]
    spot = {"user": "U0MEMBER", "channel": "C0DATA"}

    for ts in (mine, theirs, "1.2"):
        assert 409 == (await people.try_to("edits", **spot, ts=ts, text="x"))[0]
        assert 409 == (await people.try_to("deletes", **spot, ts=ts))[0]
    other = (await people.do("dm", user="U0OPERATOR"))["channel"]
    assert 404 == (await people.try_to("messages", user="U0MEMBER", channel=other, text="x"))[0]


async def test_the_page_is_served_without_inline_script(start, session, tmp_path):
    page = tmp_path / "page"
    (page / "style").mkdir(parents=True)
    (page / "index.html").write_text("<!DOCTYPE html>")
    (page / "app.js").write_text("export {};")
    (page / "style" / "app.css").write_text("a{}")
    (page / "notes.py").write_text("secret")
    (tmp_path / "outside.js").write_text("secret")
    (page / "link.js").symlink_to(tmp_path / "outside.js")
    playground = await start(page_dir=page)

    async def get(path):
        async with session.get(f"{playground.base_url}{path}") as response:
            return response.status, response.headers, await response.text()

    status, headers, _ = await get("/")
    assert (200, "text/html; charset=utf-8") == (status, headers["Content-Type"])
    assert "script-src 'self';" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "text/javascript; charset=utf-8" == (await get("/playground/page/app.js"))[1]["Content-Type"]
    assert "text/css; charset=utf-8" == (await get("/playground/page/style/app.css"))[1]["Content-Type"]
    for path in ("notes.py", "missing.js", "link.js", "..%2Foutside.js", "%2e%2e/outside.js", "style", "a%00.js"):
        status, _, text = await get(f"/playground/page/{path}")
        assert 404 == status, path
        assert "secret" not in text


async def test_without_a_page_there_is_a_sentence(start, session, tmp_path):
    playground = await start(page_dir=tmp_path / "none")

    async with session.get(playground.base_url) as response:
        assert (404, "The playground's page has no such file.") == (response.status, await response.text())


async def watch(session, playground, count):
    """The first events of the feed, parsed."""
    seen = []
    async with session.get(f"{playground.base_url}/playground/events") as response:
        assert "text/event-stream" == response.content_type
        yield seen
        block = {}
        async for line in response.content:
            text = line.decode().rstrip("\n")
            if text.startswith("id: "):
                block["id"] = int(text[4:])
            elif text.startswith("data: "):
                block["data"] = json.loads(text[6:])
            elif not text and block:
                seen.append(block)
                block = {}
                if len(seen) == count:
                    break
    yield seen


async def test_a_page_that_was_closed_is_forgotten_without_an_error(playground, people, session, caplog):
    response = await session.get(f"{playground.base_url}/playground/events")
    await response.content.readline()
    response.close()

    for number in range(5):
        await people.say(f"hello {number}")

    assert [] == [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


async def test_changes_are_told_as_they_happen(playground, people, client, session):
    feed = watch(session, playground, 7)
    await anext(feed)
    ts = await people.say("hello")
    await client.reactions_add(channel="C0DATA", timestamp=ts, name="eyes")
    await client.views_publish(user_id="U0MEMBER", view={"type": "home", "blocks": []})
    posted = await client.chat_postMessage(channel="C0DATA", text="x")
    await client.chat_delete(channel="C0DATA", ts=posted["ts"])
    seen = await anext(feed)
    await feed.aclose()

    changes = [one["data"] for one in seen]
    assert ["hello", "message", "message", "reaction", "home", "message", "message_deleted"] == [
        one["type"] for one in changes
    ]
    first = changes[0]["seq"]
    assert list(range(first, first + 7)) == [one["seq"] for one in changes] == [one["id"] for one in seen]
    assert changes[2] == {**await people.message(ts), "type": "message", "seq": changes[2]["seq"]}
    assert (posted["ts"], "C0DATA") == (changes[6]["ts"], changes[6]["channel"])
    assert (await people.state())["seq"] == changes[-1]["seq"]


async def test_views_and_notices_are_told_too(start, people_of, client_of, connect_of, session):
    playground = await start(ack_deadline_s=0.1)
    people, app = people_of(playground), await connect_of(playground)
    feed = watch(session, playground, 4)
    await anext(feed)
    await people.do("commands", user="U0MEMBER", channel="C0OPS", command="/banksman", text="")
    view = {"type": "modal", "title": {"type": "plain_text", "text": "x"}, "blocks": []}
    trigger = app.payloads("slash_commands")[0]["trigger_id"]
    opened = (await client_of(playground).views_open(trigger_id=trigger, view=view))["view"]
    await people.do("views", user="U0MEMBER", view_id=opened["id"], close=True)
    app.acks = False
    await people.do("commands", user="U0MEMBER", channel="C0OPS", command="/banksman", text="")
    changes = [one["data"] for one in await anext(feed)]
    await feed.aclose()

    assert ["hello", "view", "view_closed", "notice"] == [one["type"] for one in changes]
    assert (opened["id"], "U0MEMBER", opened["id"]) == tuple(changes[1][key] for key in ("id", "user", "root_id"))
    assert '/banksman failed with the error "operation_timeout"' == changes[3]["text"]


async def test_a_stopping_playground_lets_its_watchers_go(start, session):
    playground = await start(data="other")
    feed = watch(session, playground, 99)
    await anext(feed)

    await asyncio.wait_for(playground.stop(), PATIENCE_S)

    assert 1 == len(await anext(feed))
    await feed.aclose()
