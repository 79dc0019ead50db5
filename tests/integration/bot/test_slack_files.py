"""Files to and from Slack: they arrive whole or somebody is told, and the token goes nowhere else."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from bot.playground import Playground
from bot.slack import SlackClient
from bot.slack_errors import SlackGone, SlackRefused, SlackUnavailable, SlackUploadLost
from bot.slack_files import Hosts
from core.errors import ArtifactCorrupt, ArtifactTooLarge
from core.secrets import Redactor
from tests.integration.bot.slacks import TOKEN, OddSlack, People

PICTURE = bytes(range(256)) * 1000
Connect = Callable[..., Awaitable[SlackClient]]


async def stream(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), 100_000):
        yield content[at : at + 100_000]


async def read(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


@pytest.fixture
def hasty(slack: SlackClient) -> SlackClient:
    """Our client, looking for an upload at once instead of after pauses."""

    async def no_pause(_seconds: float) -> None:
        return None

    slack._sleep = no_pause
    return slack


async def test_an_upload_shows_in_its_thread(slack: SlackClient, people: People) -> None:
    root = (await people.say("a picture, please"))["ts"]
    told: list[str] = []

    async def remember(file_id: str) -> None:
        told.append(file_id)
        assert await slack.file_shared(file_id, "C0DATA", root) is None, "nobody can see it yet"

    uploaded = await slack.upload(
        "C0DATA",
        "picture.png",
        stream(PICTURE),
        len(PICTURE),
        thread_ts=root,
        comment="The picture",
        on_file_id=remember,
    )

    [seen] = await people.messages()
    assert (uploaded.ts, root, "The picture") == (seen["ts"], seen["thread_ts"], seen["text"])
    assert [("picture.png", len(PICTURE))] == [(file["name"], file["size"]) for file in seen["files"]]
    assert [uploaded.file_id] == told
    info = await slack.file_info(uploaded.file_id)
    assert PICTURE == await read(slack.download(info["url_private_download"], cap_bytes=10**6))


async def test_an_empty_file_is_a_file(slack: SlackClient, people: People) -> None:
    with pytest.raises(SlackRefused):
        await slack.upload("C0DATA", "empty.txt", stream(b""), 0)


async def test_an_upload_that_never_shows_is_lost(hasty: SlackClient, people: People) -> None:
    await people.fault("lose_upload")

    with pytest.raises(SlackUploadLost):
        await hasty.upload("C0DATA", "picture.png", stream(PICTURE), len(PICTURE))


async def test_a_lost_answer_to_an_upload_is_settled_by_looking(slack: SlackClient, people: People) -> None:
    await people.fault("lose_reply", method="files.completeUploadExternal")

    uploaded = await slack.upload("C0DATA", "picture.png", stream(PICTURE), len(PICTURE))

    [seen] = await people.messages()
    assert uploaded.ts == seen["ts"]


@pytest.mark.parametrize("fault", [("500", "upload"), ("lose_reply", "files.getUploadURLExternal")])
async def test_bytes_that_do_not_get_through_show_nowhere(
    slack: SlackClient, people: People, fault: tuple[str, str]
) -> None:
    await people.fault(fault[0], method=fault[1])

    with pytest.raises(SlackUnavailable):
        await slack.upload("C0DATA", "picture.png", stream(PICTURE), len(PICTURE))
    assert [] == await people.messages()


@pytest.mark.parametrize("announced", [len(PICTURE) - 1, len(PICTURE) + 1])
async def test_a_file_that_is_not_as_long_as_announced_is_not_shown(
    slack: SlackClient, people: People, announced: int
) -> None:
    with pytest.raises(SlackRefused, match="wrong_length"):
        await slack.upload("C0DATA", "picture.png", stream(PICTURE), announced)
    assert [] == await people.messages()


async def test_content_that_cannot_be_read_is_not_slacks_fault(slack: SlackClient, people: People) -> None:
    async def damaged() -> AsyncIterator[bytes]:
        yield b"half"
        raise ArtifactCorrupt("the stored bytes changed")

    with pytest.raises(ArtifactCorrupt):
        await slack.upload("C0DATA", "picture.png", damaged(), 100)
    assert [] == await people.messages()


async def test_an_upload_into_a_channel_we_left_says_so(slack: SlackClient, people: People) -> None:
    await people.fault("remove_bot", channel="C0DATA")

    with pytest.raises(SlackGone):
        await slack.upload("C0DATA", "picture.png", stream(PICTURE), len(PICTURE))


async def test_names_and_comments_of_files_are_redacted_and_inert(
    playground: Playground, people: People, connect: Connect
) -> None:
    secret = "hunter2-correct-horse"
    slack = await connect(playground.api_url, redact=Redactor({"VAULT": secret}).redact_json)

    await slack.upload("C0DATA", f"{secret}.txt", stream(b"x"), 1, comment=f"<!channel> {secret} https://evil.example")

    [seen] = await people.messages()
    assert "[redacted:VAULT].txt" == seen["files"][0]["name"]
    assert "&lt;!channel&gt; [redacted:VAULT] https:\u2060//evil.example" == seen["text"]


async def test_what_a_person_attached_is_read(slack: SlackClient, people: People) -> None:
    attached = {"name": "in.csv", "content_base64": base64.b64encode(b"a,b\n1,2\n").decode()}
    ts = (await people.say("numbers", files=[attached]))["ts"]
    [found] = [message async for message in slack.history("C0DATA") if message["ts"] == ts]

    content = await read(slack.download(found["files"][0]["url_private_download"], cap_bytes=100))

    assert b"a,b\n1,2\n" == content


async def test_a_file_beyond_its_cap_is_not_read(slack: SlackClient, people: People) -> None:
    attached = {"name": "in.csv", "content_base64": base64.b64encode(b"x" * 101).decode()}
    ts = (await people.say("numbers", files=[attached]))["ts"]
    [found] = [message async for message in slack.history("C0DATA") if message["ts"] == ts]

    with pytest.raises(ArtifactTooLarge):
        await read(slack.download(found["files"][0]["url_private_download"], cap_bytes=100))


async def test_a_length_nobody_announced_does_not_get_past_the_cap(odd: OddSlack, connect: Connect) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b"x" * 1000)
        return response

    odd.answer = answer
    slack = await connect(odd.api_url)

    with pytest.raises(ArtifactTooLarge):
        await read(slack.download(f"{odd.base_url}/files/a", cap_bytes=5000))


async def test_a_sign_in_page_is_not_a_file(
    start: Callable[..., Awaitable[Playground]], connect: Connect, session: object
) -> None:
    playground = await start(scopes=("users:read",))
    slack = await connect(playground.api_url)

    with pytest.raises(SlackRefused, match="login_page"):
        await read(slack.download(f"{playground.base_url}/files-pri/T0PLAYGRND-F0FILE/in.csv", cap_bytes=100))


async def test_a_deleted_file_is_gone(slack: SlackClient, playground: Playground) -> None:
    with pytest.raises(SlackGone):
        await read(slack.download(f"{playground.base_url}/files-pri/T0PLAYGRND-F0FILE/in.csv", cap_bytes=100))


async def test_a_redirect_elsewhere_is_not_followed(odd: OddSlack, elsewhere: OddSlack, connect: Connect) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(f"{elsewhere.base_url}/steal")

    odd.answer = answer
    slack = await connect(odd.api_url)

    with pytest.raises(SlackRefused, match="redirected_elsewhere"):
        await read(slack.download(f"{odd.base_url}/files/a", cap_bytes=100))
    assert [] == elsewhere.requests


async def test_a_redirect_at_home_is_followed_but_not_for_ever(odd: OddSlack, connect: Connect) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/files/a":
            raise web.HTTPFound("/files/b")
        if request.path == "/files/loop":
            raise web.HTTPFound("/files/loop")
        return web.Response(body=b"here", content_type="text/csv")

    odd.answer = answer
    slack = await connect(odd.api_url)

    assert b"here" == await read(slack.download(f"{odd.base_url}/files/a", cap_bytes=100))
    assert {f"Bearer {TOKEN}"} == {request.headers["Authorization"] for request in odd.requests}
    with pytest.raises(SlackRefused, match="too_many_redirects"):
        await read(slack.download(f"{odd.base_url}/files/loop", cap_bytes=100))


async def test_a_file_kept_elsewhere_is_not_asked_for(odd: OddSlack, elsewhere: OddSlack, connect: Connect) -> None:
    slack = await connect(odd.api_url)

    with pytest.raises(SlackRefused, match="foreign_file_url"):
        await read(slack.download(f"{elsewhere.base_url}/files/a", cap_bytes=100))
    assert [] == elsewhere.requests


async def test_bytes_are_not_sent_to_an_address_elsewhere(odd: OddSlack, elsewhere: OddSlack, connect: Connect) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"ok": True, "upload_url": f"{elsewhere.base_url}/up", "file_id": "F1"})

    odd.answer = answer
    slack = await connect(odd.api_url)

    with pytest.raises(SlackRefused, match="foreign_upload_url"):
        await slack.upload("C1", "a", stream(b"x"), 1)
    assert [] == elsewhere.requests


async def test_a_download_that_breaks_off_is_not_taken_for_whole(odd: OddSlack, connect: Connect) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return response

    odd.answer = answer
    slack = await connect(odd.api_url)

    with pytest.raises(SlackUnavailable):
        await read(slack.download(f"{odd.base_url}/files/a", cap_bytes=1000))


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("https://files.slack.com/files-pri/T1-F1/a.csv", True),
        ("https://slack.com/a", True),
        ("https://hooks.slack.com/commands/1", True),
        ("http://files.slack.com/a", False),
        ("https://slack.com.evil.example/a", False),
        ("https://evilslack.com/a", False),
        ("https://user@files.slack.com/a", False),
        ("https://files.slack.com@evil.example/a", False),
        ("http://127.0.0.1:8765/files-pri/a", True),
        ("http://127.0.0.1:8766/files-pri/a", False),
        ("http://127.0.0.1:port/a", False),
        ("file:///etc/passwd", False),
        ("", False),
    ],
)
def test_only_slack_and_our_own_api_are_trusted(url: str, trusted: bool) -> None:
    assert trusted == Hosts("http://127.0.0.1:8765/api/").trusts(url)
