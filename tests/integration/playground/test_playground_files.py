"""Files: three-step uploads, downloads with a token, and what the page shows."""

import base64

import aiohttp
import pytest


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


async def attach(people, name: str, content: bytes, **more):
    file = {"name": name, "content_base64": encoded(content)}
    ts = await people.say("look", files=[file], **more)
    return (await people.message(ts))["files"][0]


async def test_an_upload_by_the_sdk_lands_in_the_thread(client, people, session, eventually):
    root = await people.say("hello")
    answer = await client.files_upload_v2(
        channel="C0DATA",
        thread_ts=root,
        filename="numbers.csv",
        title="Numbers",
        content="a,b\n",
        initial_comment="Here",
    )

    async def shared():
        return next((one for one in await people.bot_messages() if one["files"]), None)

    message = await eventually(shared)
    file = message["files"][0]
    assert (root, "Here", "file_share") == (message["thread_ts"], message["text"], message["subtype"])
    assert ("numbers.csv", "text/csv", 4, answer["file"]["id"]) == tuple(
        file[key] for key in ("name", "mimetype", "size", "id")
    )
    async with session.get(file["url"]) as response:
        assert b"a,b\n" == await response.read()
    info = (await client.files_info(file=file["id"]))["file"]
    assert message["ts"] == info["shares"]["public"]["C0DATA"][0]["ts"]


async def test_several_files_share_one_message_and_channels_are_a_list_too(client, people, eventually):
    parts = [{"filename": f"{name}.txt", "content": name} for name in ("one", "two")]
    await client.files_upload_v2(channels=["C0OPS", "C0DATA"], file_uploads=parts)

    async def carriers():
        found = [one for one in await people.bot_messages() if len(one["files"]) == 2]
        return len(found) == 2 and {one["channel"] for one in found}

    assert {"C0OPS", "C0DATA"} == await eventually(carriers)


async def start_upload(client, **more):
    body = {"filename": "a.txt", "length": 3, **more}
    return (await client.api_call("files.getUploadURLExternal", params=body)).data


async def test_the_bytes_have_to_be_as_many_as_announced(client, session, refused):
    ticket = await start_upload(client)

    for content in (b"ab", b"abcd"):
        async with session.post(ticket["upload_url"], data=content) as response:
            assert 400 == response.status
    await refused("file_not_found", client.files_completeUploadExternal(files=[{"id": ticket["file_id"]}]))
    async with session.post(ticket["upload_url"], data=b"abc") as response:
        assert "OK - 3" == await response.text()
    await client.files_completeUploadExternal(files=[{"id": ticket["file_id"]}])
    await refused("file_not_found", client.files_completeUploadExternal(files=[{"id": ticket["file_id"]}]))


async def test_bytes_may_come_as_a_form(client, session):
    ticket = await start_upload(client)
    form = aiohttp.FormData()
    form.add_field("filename", b"abc", filename="a.txt")

    async with session.post(ticket["upload_url"], data=form) as response:
        assert 200 == response.status


async def test_an_upload_that_cannot_be_shared_says_why(client, session, people, refused):
    ticket = await start_upload(client)
    async with session.post(ticket["upload_url"], data=b"abc"):
        pass
    files = [{"id": ticket["file_id"]}]

    await refused("invalid_channel", client.files_completeUploadExternal(files=files, channel_id="C1"))
    await people.do("members", user="banksman", channel="ops", leave=True)
    await refused("posting_to_channel_denied", client.files_completeUploadExternal(files=files, channel_id="C0OPS"))
    await refused("invalid_arguments", client.api_call("files.completeUploadExternal", json={}))
    await refused("invalid_arguments", client.api_call("files.getUploadURLExternal", params={"filename": "x"}))
    empty = await refused(
        "invalid_arguments", client.api_call("files.getUploadURLExternal", params={"filename": "x", "length": 0})
    )
    assert ["[ERROR] must be greater than 0 [json-pointer:/length]"] == empty["response_metadata"]["messages"]
    too_large = {"filename": "x", "length": 1_000_000_001}
    await refused("file_upload_size_restricted", client.api_call("files.getUploadURLExternal", params=too_large))


async def test_a_persons_file_reaches_the_app_and_needs_the_token(people, app, session):
    await attach(people, "data.csv", b"x\n1\n")

    event = await app.event("message")
    file = event["files"][0]
    assert ("file_share", "data.csv", 4) == (event["subtype"], file["name"], file["size"])
    headers = {"Authorization": "Bearer xoxb-playground"}
    async with session.get(file["url_private_download"], headers=headers) as response:
        assert (200, b"x\n1\n") == (response.status, await response.read())
    async with session.get(file["url_private"]) as response:
        # Slack answers 200 with a page to sign in; a client that saves that has saved the wrong thing.
        assert (200, "text/html") == (response.status, response.content_type)
        assert b"Sign in" in await response.read()


async def test_a_file_cannot_be_read_without_the_scope(start, people_of, connect_of, session):
    playground = await start(scopes=("channels:history", "channels:read"))
    app = await connect_of(playground)
    await attach(people_of(playground), "data.csv", b"1")
    file = (await app.event("message"))["files"][0]

    async with session.get(file["url_private"], headers={"Authorization": "Bearer xoxb-playground"}) as response:
        assert "text/html" == response.content_type


@pytest.mark.parametrize("name", ["../../x", "..\\x.txt", "a b/ü.csv", "'\";.txt", "%2e%2e", "🚀.png", "x" * 300])
async def test_any_file_name_is_only_a_name(people, session, tmp_path, name):
    file = await attach(people, name, b"content")

    assert name == file["name"]
    async with session.get(file["url"]) as response:
        assert (200, b"content") == (response.status, await response.read())
    assert {file["id"]} == {one.name for one in (tmp_path / "team" / "files").iterdir()}


async def test_an_empty_file_is_a_file(people, session):
    file = await attach(people, "empty.csv", b"")

    async with session.get(file["url"]) as response:
        assert (200, b"") == (response.status, await response.read())


@pytest.mark.parametrize(
    ("name", "content_type", "disposition"),
    [
        ("a.png", "image/png", "inline"),
        ("a.csv", "text/csv; charset=utf-8", "inline"),
        ("a.json", "application/json", "inline"),
        ("a.pdf", "application/pdf", "inline"),
        ("a.html", "text/plain; charset=utf-8", "attachment"),
        ("a.svg", "image/svg+xml", "attachment"),
        ("a.exe", None, "attachment"),
        ("a", "application/octet-stream", "attachment"),
    ],
)
async def test_what_a_browser_gets_cannot_run(people, session, name, content_type, disposition):
    file = await attach(people, name, b"<script>alert(1)</script>")

    async with session.get(file["url"]) as response:
        headers = response.headers
    assert disposition == headers["Content-Disposition"].partition(";")[0]
    assert "nosniff" == headers["X-Content-Type-Options"]
    assert headers["Content-Security-Policy"].startswith("sandbox;")
    if content_type is not None:
        assert content_type == headers["Content-Type"]


async def test_files_are_listed_by_channel_and_person(client, people):
    mine = await attach(people, "a.txt", b"a")
    await attach(people, "b.txt", b"b", user="U0MEMBER", channel="C0OPS")

    answer = await client.files_list(channel="C0DATA", user="U0REQUESTER")
    assert [mine["id"]] == [one["id"] for one in answer["files"]]
    assert {"count": 100, "total": 1, "page": 1, "pages": 1} == answer["paging"]


async def test_a_file_the_bot_cannot_see_is_not_found(client, people, refused):
    file = await attach(people, "a.txt", b"a", channel="C0OPS")
    await people.do("members", user="banksman", channel="ops", leave=True)

    await refused("file_not_found", client.files_info(file=file["id"]))
    await refused("file_not_found", client.files_info(file="F1"))


async def test_attachments_that_are_not_files_are_refused_together(people):
    good = {"name": "a.txt", "content_base64": encoded(b"a")}

    for bad in ({"name": "b.txt", "content_base64": "%%%"}, {"content_base64": ""}, "text"):
        status, answer = await people.try_to(
            "messages", user="U0REQUESTER", channel="C0DATA", text="x", files=[good, bad]
        )
        assert (400, False) == (status, answer["ok"])
    assert [] == (await people.state())["messages"]


async def test_an_image_block_may_show_an_uploaded_picture_only(client, people, eventually, refused):
    picture = await client.files_upload_v2(channel="C0DATA", filename="a.png", content=b"png")
    text = await client.files_upload_v2(channel="C0DATA", filename="a.txt", content=b"txt")

    def block(file_id):
        return [{"type": "image", "alt_text": "a", "slack_file": {"id": file_id}}]

    await client.chat_postMessage(channel="C0DATA", text="x", blocks=block(picture["file"]["id"]))
    await refused(
        "invalid_blocks", client.chat_postMessage(channel="C0DATA", text="x", blocks=block(text["file"]["id"]))
    )
    await refused("invalid_blocks", client.chat_postMessage(channel="C0DATA", text="x", blocks=block("F1")))
